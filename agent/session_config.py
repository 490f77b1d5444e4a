"""A session's configuration, as `session.update` and `POST /v1/realtime/client_secrets` set it.

The object is the OpenAI Realtime API's. What changes how the agent behaves is checked and kept as a field of
`SessionConfig`; what is known but changes nothing here (a model's name, tools, a format that WebRTC settles by SDP) is
kept as it came and told back; what is unknown is refused.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

CONFIG_MAX_BYTES = 32 * 1024
DEPTH_MAX = 24
TOP_LEVEL = frozenset({
    "type", "id", "object", "model", "instructions", "output_modalities", "audio", "tools", "tool_choice", "tracing",
    "max_output_tokens", "include", "prompt", "truncation", "parallel_tool_calls", "reasoning", "expires_at",
})  # fmt: skip
MODALITIES = (["audio"], ["text"])
DETECTIONS = ("server_vad", "semantic_vad")
VOICE_MAX_CHARS = 60
PAUSE_MS = (100, 10_000)
FRAME_MS = 20
LANGUAGE = re.compile(r"([a-z]{2})(-[a-zA-Z0-9]{2,8})*")  # a tag of RFC 5646, as far as it matters here


class ConfigError(ValueError):
    """A configuration that cannot be used; ``param`` names the field."""

    def __init__(self, param: str, message: str, code: str = "invalid_value") -> None:
        super().__init__(message)
        self.param, self.code = param, code


@dataclass(slots=True)
class SessionConfig:
    """What a session is set to. ``detects_turns`` is off with ``turn_detection: null``: then the client commits.

    ``language`` is of two letters: that of the transcription, else that which a voice is named by, else the usual one.
    ``pause_frames``: how many frames of 20 ms without speech end a turn (``silence_duration_ms``); None for the usual.
    """

    default_language: str = "en"
    instructions: str = ""
    voice: str = ""
    heard_language: str = ""
    speaks: bool = True
    detects_turns: bool = True
    answers: bool = True
    interruptible: bool = True
    pause_frames: int | None = None
    told: dict[str, Any] = field(default_factory=dict)
    once: str = ""  # instructions for the answer that is being made, and for no other

    def update(self, asked: object) -> None:
        """Merge in a session object. Raises `ConfigError`, and then nothing is changed."""
        checked = _checked(asked)
        merged = _merged(self.told, checked)
        if _size(merged) > CONFIG_MAX_BYTES:
            raise ConfigError("session", f"a session's configuration takes at most {CONFIG_MAX_BYTES} bytes")
        audio = merged.get("audio") or {}
        voice = (audio.get("output") or {}).get("voice", "")
        given = audio.get("input") or {}
        detection, transcription = given.get("turn_detection", {}), given.get("transcription") or {}
        self.told = merged
        self.instructions = merged.get("instructions") or ""
        self.voice = voice if isinstance(voice, str) else ""
        self.heard_language = transcription.get("language") or ""
        self.speaks = merged.get("output_modalities") != ["text"]
        self.detects_turns = detection is not None
        self.answers = detection is None or detection.get("create_response", True) is not False
        self.interruptible = detection is None or detection.get("interrupt_response", True) is not False
        pause_ms = (detection or {}).get("silence_duration_ms")
        self.pause_frames = None if pause_ms is None else round(pause_ms / FRAME_MS)

    @property
    def language(self) -> str:
        """What is spoken in the session."""
        named = LANGUAGE.fullmatch(self.heard_language) or LANGUAGE.fullmatch(self.voice)
        return named[1] if named else self.default_language

    def as_json(self, session_id: str) -> dict[str, Any]:
        """The session object of `session.created` and `session.updated`."""
        kept = {key: value for key, value in self.told.items() if key not in ("id", "object")}
        return {
            "type": "realtime", "object": "realtime.session", "id": session_id, "model": "calldrill-agent",
            "output_modalities": ["audio"] if self.speaks else ["text"], "instructions": self.instructions, **kept,
        }  # fmt: skip


def _size(merged: dict[str, Any]) -> int:
    try:
        return len(json.dumps(merged, ensure_ascii=False).encode())
    except UnicodeEncodeError:
        raise ConfigError("session", "there is half a character in it: that is not Unicode") from None


def _too_deep(value: object) -> bool:
    """Whether objects and lists are within each other more than `DEPTH_MAX` times; found level by level."""
    level = [value]
    for _ in range(DEPTH_MAX):
        level = [part for one in level for part in _parts(one)]
    return bool(level)


def _parts(value: object) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def _checked(asked: object) -> dict[str, Any]:
    if not isinstance(asked, dict):
        raise ConfigError("session", "session is an object", "invalid_type")
    if _too_deep(asked):
        raise ConfigError("session", f"a session's configuration is at most {DEPTH_MAX} levels deep")
    for key in asked:
        if key not in TOP_LEVEL:
            raise ConfigError(f"session.{key[:80]}", f"unknown parameter: session.{key[:80]}", "unknown_parameter")
    if asked.get("type", "realtime") != "realtime":
        raise ConfigError("session.type", "session.type is 'realtime'")
    _text(asked, "instructions", "session.instructions")
    modalities = asked.get("output_modalities")
    if modalities is not None and modalities not in MODALITIES:
        raise ConfigError("session.output_modalities", 'output_modalities is ["audio"] or ["text"]')
    _check_audio(asked.get("audio"))
    return asked


def _check_audio(audio: object) -> None:
    for side in ("input", "output"):
        part = _object(audio, "session.audio").get(side)
        _object(part, f"session.audio.{side}")
    given = _object(_object(audio, "").get("input"), "")
    detection = given.get("turn_detection")
    if detection is not None and _object(detection, "session.audio.input.turn_detection").get("type") not in DETECTIONS:
        raise ConfigError("session.audio.input.turn_detection.type", f"the type is one of {', '.join(DETECTIONS)}")
    _check_pause(_object(detection, "").get("silence_duration_ms"))
    where = "session.audio.input.transcription"
    language = _object(given.get("transcription"), where).get("language")
    if language is not None and not (isinstance(language, str) and LANGUAGE.fullmatch(language)):
        raise ConfigError(f"{where}.language", "a language is a tag as in en, es or es-419")
    voice = _object(_object(audio, "").get("output"), "").get("voice")
    if isinstance(voice, str) and len(voice) > VOICE_MAX_CHARS:
        raise ConfigError("session.audio.output.voice", f"a voice's name has at most {VOICE_MAX_CHARS} characters")


def _check_pause(value: object) -> None:
    low, high = PAUSE_MS
    right = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    if value is not None and not right:
        where = "session.audio.input.turn_detection.silence_duration_ms"
        raise ConfigError(where, f"silence_duration_ms is a number from {low} to {high}")


def _object(value: object, param: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(param, f"{param} is an object", "invalid_type")
    return value


def _text(asked: dict[str, Any], key: str, param: str) -> None:
    if asked.get(key) is not None and not isinstance(asked[key], str):
        raise ConfigError(param, f"{param} is a string", "invalid_type")


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """``new`` over ``old``, objects key by key; a null replaces."""
    merged = dict(old)
    for key, value in new.items():
        before = merged.get(key)
        merged[key] = _merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return merged
