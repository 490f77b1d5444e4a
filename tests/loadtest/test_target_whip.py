"""WHIP: fragments as the RFC prints them, and whole sessions with a server that speaks the exact protocol."""

import time

import pytest
from aiortc import RTCCertificate

from loadtest.caller import Caller, Credentials
from loadtest.plan import CallPlan
from loadtest.sdp_fragment import fragment_of, has_credentials, with_fragment
from loadtest.target import TargetError
from loadtest.target_whip import WhipTarget
from rtc import description
from rtc.frame_clock import FrameClock
from tests.loadtest.whip_server import FRAGMENT, TOKEN, WhipServer, whip_server
from tests.rtc.link import End, make_end
from tests.waiting import until

# The answer of the restart in RFC 9725 section 4.3.3, figure 5, shortened to two candidates.
RFC_RESTART = "\r\n".join([
    "a=ice-lite",
    "a=ice-options:trickle ice2",
    "a=group:BUNDLE 0 1",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111",
    "a=mid:0",
    "a=ice-ufrag:289b31b754eaa438",
    "a=ice-pwd:0b66f472495ef0ccac7bda653ab6be49ea13114472a5d10a",
    "a=candidate:1 1 udp 2130706431 198.51.100.1 39132 typ host",
    "a=end-of-candidates",
    "",
])  # fmt: skip


async def offer() -> str:
    clock = FrameClock()
    end = make_end(clock)
    try:
        return await end.peer.offer()
    finally:
        await end.peer.close()
        clock.stop()


async def test_a_fragment_has_the_credentials_and_candidates_and_nothing_else() -> None:
    sdp = await offer()
    fragment = fragment_of(sdp)
    whole = description.read(sdp)
    assert has_credentials(fragment)
    assert f"a=ice-ufrag:{whole.ufrag}\r\n" in fragment
    assert fragment.count("a=candidate:") == len(whole.candidates) > 0
    assert fragment.startswith("a=group:BUNDLE 0 1\r\n")
    assert {line.split(":")[0].split("=")[0] for line in fragment.splitlines()} == {"a", "m"}
    assert not [word for word in ("fingerprint", "rtpmap", "setup", "ssrc", "v=") if word in fragment]


async def test_a_description_takes_in_the_rfcs_fragment_and_keeps_the_rest() -> None:
    before = description.read(await offer())
    after = description.read(with_fragment(await offer(), RFC_RESTART))
    assert has_credentials(RFC_RESTART)
    assert (after.ufrag, after.password[:8]) == ("289b31b754eaa438", "0b66f472")
    assert [(c.ip, c.port) for c in after.candidates] == [("198.51.100.1", 39132)]
    assert (after.media, after.sctp_port) == (before.media, before.sctp_port)
    assert after.fingerprints


@pytest.mark.parametrize("text", ["", "a=ice-ufrag:abcd", "a=ice-ufrag:abc\na=ice-pwd:" + "x" * 22, "\x00", "m="])
def test_what_begins_no_ice_session_is_told(text: str) -> None:
    assert not has_credentials(text)
    assert isinstance(with_fragment(text, text) + fragment_of(text), str)


async def call(server: WhipServer, clock: FrameClock, token: str = TOKEN) -> tuple[WhipTarget, End, str]:
    target, end = WhipTarget(server.url, token, 10), make_end(clock)
    try:
        await target.prepare()
        placed = await target.place(await end.peer.offer())
        await end.peer.connect(placed.answer_sdp)
    except TargetError:
        await end.peer.close()
        await target.close()
        raise
    return target, end, placed.location


@pytest.mark.parametrize("redirect", [False, True])
async def test_a_session_is_made_restarted_and_ended(redirect: bool) -> None:
    clock = FrameClock()
    async with whip_server(redirect=redirect) as server:
        target, end, location = await call(server, clock)
        far = next(iter(server.ends.values()))
        await until(lambda: end.packets and far.packets)
        etag, ufrag = target.etag, description.read(target._answer).ufrag
        await end.peer.finish_restart(await target.restart(location, await end.peer.offer()))
        assert description.read(target._answer).ufrag != ufrag
        assert target.etag not in ("", etag)
        await until(lambda: far.peer.state == end.peer.state == "connected")
        heard = len(far.packets), len(end.packets)
        await until(lambda: len(far.packets) > heard[0] + 10 and len(end.packets) > heard[1] + 10)
        await target.restart(location, await end.peer.offer())  # and a second one is made of the first one's answer
        await target.hang_up(location)
        assert server.ends == {}
        await end.peer.close()
        await target.close()
    clock.stop()
    sent = [(method, headers.get("content-type"), headers.get("if-match")) for method, _, headers in server.asked]
    posts = [("POST", "application/sdp", None)] * (1 + redirect)
    assert sent == [*posts, *[("PATCH", FRAGMENT, "*")] * 2, ("DELETE", None, None)]


@pytest.mark.parametrize(("restarts", "status"), [("never", 405), ("trickle only", 501)])
async def test_a_server_that_cannot_restart_says_so_to_the_caller(restarts: str, status: int) -> None:
    clock = FrameClock()
    async with whip_server(restarts=restarts) as server:
        target, end, location = await call(server, clock)
        with pytest.raises(TargetError) as refused:
            await target.restart(location, await end.peer.offer())
        await end.peer.close()
        await target.close()
    clock.stop()
    assert refused.value.status == status, "one of those after which a new call is placed"


async def test_a_wrong_token_and_an_ended_session_are_fatal() -> None:
    clock = FrameClock()
    async with whip_server() as server:
        with pytest.raises(TargetError) as unauthorised:
            await call(server, clock, "wrong")
        target, end, location = await call(server, clock)
        await target.hang_up(location)
        with pytest.raises(TargetError) as gone:
            await target.hang_up(location)
        await end.peer.close()
        await target.close()
    clock.stop()
    assert (unauthorised.value.status, unauthorised.value.severity) == (401, "fatal")
    assert (gone.value.status, gone.value.severity) == (404, "fatal")


async def test_a_caller_places_a_whole_call_by_the_plans_protocol() -> None:
    clock = FrameClock()
    records: list[object] = []
    async with whip_server() as server:
        plan = CallPlan(server.url, (), protocol="whip")
        credentials, certificate = Credentials(TOKEN, addresses=("127.0.0.1",)), RTCCertificate.generateCertificate()
        caller = Caller("call-1", time.monotonic_ns(), plan, credentials, clock, certificate, records.append)
        call = await caller.run()
        assert server.ends == {}, "it hung up"
    clock.stop()
    assert (call.outcome, call.blame) == ("completed", "nobody")
    assert [method for method, _, _ in server.asked] == ["POST", "DELETE"]
