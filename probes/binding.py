"""The stages of a STUN server: one Binding, its true round trip, and what the server says of itself."""

from measures.clock import ms
from probes.attributes import MAPPED_ADDRESS, OTHER_ADDRESS, SOFTWARE, XOR_MAPPED_ADDRESS
from probes.errors import MalformedMessage
from probes.leg import RefusedError
from probes.stage import Stage
from probes.stun import Class, Message, Method, request
from probes.transaction import ask
from probes.transport import Link
from probes.turn import Refused


async def check_binding(stage: Stage, link: Link) -> None:
    """Raises `RefusedError`, `TimeoutError`, `MalformedMessage` and what the link raises."""
    wf = stage.waterfall
    with wf.phase("binding"):
        answer = await ask(link, _binding, _accept, stage.options.timeout_s)
    message = answer.value
    if message.error is not None:
        raise RefusedError(Refused(Method.BINDING, *message.error, credentialed=False, message=message))
    mapped = message.get(XOR_MAPPED_ADDRESS) or message.get(MAPPED_ADDRESS)
    if mapped is None:
        raise MalformedMessage("a Binding success without a mapped address")
    wf.figure("binding_rtt_ms", None if answer.rtt_ns is None else ms(answer.rtt_ns))
    wf.figure("binding_transmissions", answer.transmissions)
    wf.figure("binding_answered", answer.answered)
    wf.fact("mapped_address", mapped)
    software, other = message.get(SOFTWARE), message.get(OTHER_ADDRESS)
    wf.fact("software", software)
    wf.fact("other_address", other)


def _binding() -> tuple[bytes, bytes]:
    # Bare: servers of RFC 3489's time stay silent to a request with an attribute they do not know.
    message = request(Method.BINDING)
    return message.transaction_id, message.encode()


def _accept(data: bytes) -> tuple[bytes, Message] | None:
    message = Message.decode(data)
    if message.method != Method.BINDING or message.message_class not in (Class.SUCCESS, Class.ERROR):
        return None
    return message.transaction_id, message
