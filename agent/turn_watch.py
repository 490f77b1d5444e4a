"""Measures the turns of a session from its own events: how long the agent takes to answer, in sound and in writing.

``agent_turn`` is from where the agent knew that the caller had ended to the first frame of its answer;
``agent_first_word`` from a turn to the first word of its answer. (``tts_first_audio`` is the voice's own: from a
sentence that it has not spoken before to the first frame of it.) An answer that never came is not counted as fast: it
leaves nothing here and an error there.
"""

import time
from typing import Any

from agent.dashboard import Dashboard
from agent.latencies import Latencies


class TurnWatch:
    """Of one session."""

    def __init__(self, latencies: Latencies, dashboard: Dashboard) -> None:
        self._latencies, self._dashboard = latencies, dashboard
        self._turn_s: float | None = None
        self._asked_s: float | None = None

    def __call__(self, event: dict[str, Any]) -> None:
        """One event."""
        kind, now_s = event["type"], time.monotonic()
        if kind == "input_audio_buffer.speech_stopped":
            self._turn_s = now_s
        elif kind == "response.created":
            self._asked_s = now_s
        elif kind in ("response.output_text.delta", "response.output_audio_transcript.delta"):
            self._measured("agent_first_word", self._asked_s, now_s)
            self._asked_s = None
        elif kind == "output_audio_buffer.started":
            self._measured("agent_turn", self._turn_s, now_s)
            self._turn_s = None
        elif kind == "input_audio_buffer.speech_started":
            self._turn_s = None
        elif kind == "error" and event["error"]["type"] == "server_error":
            self._dashboard.error(now_s)

    def _measured(self, operation: str, began_s: float | None, now_s: float) -> None:
        if began_s is not None:
            self._latencies.add(operation, 1000 * (now_s - began_s), now_s)
