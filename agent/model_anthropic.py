"""Claude as the brain, by Anthropic's own client: the Messages API, streamed.

An answer is whole only with ``message_stop``; a stream that ends before it has broken off. An ``error`` event in the
stream (``overloaded_error``, say) is raised by the client with the status it stands for, or 200 when it has none.
"""

from collections.abc import AsyncGenerator

import anthropic
from anthropic.types import MessageParam

from agent import services
from agent.sessions import Session
from agent.stages import StageError, Usage

MAX_TOKENS = 400
STATUS_OF = {"overloaded_error": 529, "rate_limit_error": 429, "api_error": 500}


class AnthropicBrain:
    """The language model of a conversation."""

    def __init__(self, access: services.Access) -> None:
        self._model = access.model
        self._client = anthropic.AsyncAnthropic(
            api_key=access.key, base_url=access.base_url or None, max_retries=0, timeout=services.FIRST_WORD_LIMIT_S
        )

    def reply(self, session: Session, heard: str | None) -> AsyncGenerator[str | Usage]:
        """The answer, as it is streamed."""
        session.turns += 1
        return services.in_our_words(self._stream(session), _told)

    async def _stream(self, session: Session) -> AsyncGenerator[str | Usage]:
        messages = [_message(role, text) for role, text in services.dialogue(session)]
        read, written, whole = 0, 0, False
        system = services.instructions(session)
        stream = await self._client.messages.create(
            model=self._model, max_tokens=MAX_TOKENS, system=system, messages=messages, stream=True
        )
        async with stream:
            async for event in stream:
                if event.type == "message_start":
                    read = event.message.usage.input_tokens
                elif event.type == "content_block_delta" and event.delta.type == "text_delta":
                    yield event.delta.text
                elif event.type == "message_delta":
                    written = event.usage.output_tokens
                elif event.type == "message_stop":
                    whole = True
        if not whole:
            raise services.broke_off("Anthropic")
        yield Usage(read, written)

    async def close(self) -> None:
        """Close its connections."""
        await self._client.close()


def _message(role: str, text: str) -> MessageParam:
    if role == "user":
        return {"role": "user", "content": text}
    return {"role": "assistant", "content": text}


def _told(error: Exception) -> StageError:
    """An error in mid-stream comes with the stream's own status, 200: its type says more."""
    body = getattr(error, "body", None)
    inner = body.get("error") if isinstance(body, dict) else None
    status = STATUS_OF.get(str(inner.get("type"))) if isinstance(inner, dict) else None
    if status is not None and getattr(error, "status_code", None) == 200 and isinstance(inner, dict):
        return services.refused("Anthropic", status, str(inner.get("message")))
    return services.failed("Anthropic", error)
