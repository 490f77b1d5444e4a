"""An OpenAI model as the brain, by OpenAI's own client: the Responses API, streamed.

An answer is whole only with ``response.completed`` (or ``incomplete``, when it grew too long).
"""

from collections.abc import AsyncGenerator

import openai
from openai.types.responses import ResponseInputParam

from agent import services
from agent.sessions import Session
from agent.stages import StageError, Usage

MAX_TOKENS = 400


class OpenAiBrain:
    """The language model of a conversation."""

    def __init__(self, access: services.Access) -> None:
        self._model = access.model
        self._client = openai.AsyncOpenAI(
            api_key=access.key, base_url=access.base_url or None, max_retries=0, timeout=services.FIRST_WORD_LIMIT_S
        )

    def reply(self, session: Session, heard: str | None) -> AsyncGenerator[str | Usage]:
        """The answer, as it is streamed."""
        session.turns += 1
        return services.in_our_words(self._stream(session), lambda error: services.failed("OpenAI", error))

    async def _stream(self, session: Session) -> AsyncGenerator[str | Usage]:
        turns: ResponseInputParam = [
            {"type": "message", "role": "user" if role == "user" else "assistant", "content": text}
            for role, text in services.dialogue(session)
        ]
        stream = await self._client.responses.create(
            model=self._model, instructions=services.instructions(session), input=turns, stream=True, store=False,
            max_output_tokens=MAX_TOKENS,
        )  # fmt: skip
        used: Usage | None = None
        async with stream:
            async for event in stream:
                if event.type == "response.output_text.delta":
                    yield event.delta
                elif event.type in ("response.completed", "response.incomplete"):
                    told = event.response.usage
                    used = Usage(told.input_tokens, told.output_tokens) if told else Usage(0, 0)
                elif event.type == "response.failed":
                    error = event.response.error
                    raise _refused(error.code if error else "", error.message if error else "no reason given")
                elif event.type == "error":
                    raise _refused(event.code or "", event.message)
        if used is None:
            raise services.broke_off("OpenAI")
        yield used

    async def close(self) -> None:
        """Close its connections."""
        await self._client.close()


def _refused(code: str, message: str) -> StageError:
    return services.refused("OpenAI", 429 if code == "rate_limit_exceeded" else 500, message)
