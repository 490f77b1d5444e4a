"""What a full-duplex Opus call costs its caller: ours against stock aiortc, in one run.

    python -m benchmarks.callers [--ours 50 100] [--stock 10] [--pion 50] [--seconds 8] [--busy 80]

Both place calls to the same far end in another process, over loopback, and send and receive 50 packets a second.
The figure is CPU time of the calling process per call, as a share of one core, once all calls are up; so it depends on
what is done more than on how busy the machine is. Set-up is the CPU time of placing the calls one after another, less
what those already placed cost meanwhile. A packet's lateness is from when it was due to when it had left, counted from
when all calls are up. ``--busy`` then places as many calls as fill that share of a core in percent.

Stock aiortc does what its examples do: a generated track, its own Opus encoder and decoder, received audio thrown away.
pion is a small Go caller built from Debian's packages where they are there (golang-go,
golang-github-pion-webrtc.v3-dev): it sends a ready frame, and reads what comes.
"""

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import uvloop
from aioice import ice as aioice_ice
from aiortc import RTCCertificate, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaBlackhole
from aiortc.mediastreams import AudioStreamTrack

from loadtest.conversation import Ear, Mouth, clip
from loadtest.engine import spare_collector
from rtc.frame_clock import FrameClock
from rtc.path import IceConfig
from rtc.peer import Handlers, Peer, PeerConfig

PION_SOURCE = Path("/usr/share/gocode/src/github.com/pion/webrtc")
SETTLE_S = 2.0


@dataclass(slots=True)
class Calls:
    """Calls under way: when each was up, the clock that serves them if it is ours, and how they are closed."""

    close: Callable[[], Awaitable[None]]
    clock: FrameClock | None = None
    up_s: list[float] = field(default_factory=list)


class FarEnd:
    """The far end's process, asked one offer at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.far_end"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def answer(self, offer: str) -> str:
        """Its answer to ``offer``."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"offer": offer}).encode() + b"\n")
        self._process.stdin.flush()
        return str(json.loads(self._process.stdout.readline())["answer"])

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


async def place_ours(far: FarEnd, calls: int) -> Calls:
    """Our callers, with everything measured that a drill measures on the hot path."""
    clock, certificate = FrameClock(), RTCCertificate.generateCertificate()
    config = PeerConfig(ice=IceConfig(addresses=("127.0.0.1",)))
    peers: list[Peer] = []

    async def close() -> None:
        for peer in peers:
            await peer.close()
        clock.stop()

    placed = Calls(close, clock)
    for _ in range(calls):
        ear, mouth = Ear("", lambda: None), Mouth(lambda: None)
        mouth.say(clip("order") * 100)
        handlers = Handlers(on_packet=ear.hear, on_frame=lambda due_ns, mouth=mouth: mouth.frame())
        peer = Peer(clock, config, handlers, certificate)
        peers.append(peer)
        await peer.connect(await asyncio.to_thread(far.answer, await peer.offer()))
        placed.up_s.append(time.monotonic())
    return placed


async def place_stock(far: FarEnd, calls: int) -> Calls:
    """Stock aiortc, as its examples use it."""
    aioice_ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]  # loopback only
    connections: list[RTCPeerConnection] = []

    async def close() -> None:
        await asyncio.gather(*(connection.close() for connection in connections))

    placed = Calls(close)
    for _ in range(calls):
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        sink = MediaBlackhole()
        connection.addTrack(AudioStreamTrack())
        connection.createDataChannel("oai-events")
        connection.on("track", lambda track, sink=sink: (sink.addTrack(track), asyncio.ensure_future(sink.start())))
        await connection.setLocalDescription(await connection.createOffer())
        answer = await asyncio.to_thread(far.answer, connection.localDescription.sdp)
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        connections.append(connection)
        placed.up_s.append(time.monotonic())
    return placed


@dataclass(frozen=True, slots=True)
class Cost:
    """What one call costs its process: share of a core, memory, CPU time of its set-up; and how late packets were."""

    share_pct: float
    memory_mb: float
    setup_ms: float
    late_ms: tuple[float, float] | None
    missed: int

    def __str__(self) -> str:
        per_core = f"{self.share_pct:.3f} % of a core per call ({100 / self.share_pct:.0f} per core)"
        told = f"{per_core}, {self.memory_mb:.2f} MB per call, set-up {self.setup_ms:.1f} ms of CPU"
        if self.late_ms is None:
            return told
        late = f"packets late by {self.late_ms[0]:.1f} ms at p99, {self.late_ms[1]:.1f} ms at most"
        return f"{told}, {late}, {self.missed} missed"


async def cost(place: Callable[[FarEnd, int], Awaitable[Calls]], calls: int, seconds: float) -> Cost:
    """Place the calls and measure this process."""
    spare_collector()
    far = FarEnd()
    before = psutil.Process().memory_info().rss
    cpu = time.process_time()
    placed = await place(far, calls)
    setup_s, up = time.process_time() - cpu, time.monotonic()
    await asyncio.sleep(SETTLE_S)  # let connections settle; nothing is measured here
    clock = placed.clock
    if clock is not None:
        clock.lateness_ns.clear()
        clock.missed = 0
    cpu, wall = time.process_time(), time.monotonic()
    await asyncio.sleep(seconds)
    share = (time.process_time() - cpu) / (time.monotonic() - wall) / calls
    memory = (psutil.Process().memory_info().rss - before) / calls / 1e6
    late = sorted(clock.lateness_ns) if clock is not None else []
    late_ms = (late[int(len(late) * 0.99)] / 1e6, late[-1] / 1e6) if late else None
    missed = clock.missed if clock is not None else 0
    setup_s -= share * sum(up - one for one in placed.up_s)  # what the calls already up cost meanwhile
    await placed.close()
    far.close()
    return Cost(100 * share, memory, 1000 * setup_s / calls, late_ms, missed)


def pion_share(calls: int, seconds: float) -> float | None:
    """Share of a core per call of the pion caller in percent; None where it cannot be built."""
    if shutil.which("go") is None or not PION_SOURCE.exists():
        return None
    with tempfile.TemporaryDirectory() as folder:
        program = build_pion(Path(folder))
        far = FarEnd()
        caller = subprocess.Popen(
            [str(program), str(calls), str(seconds)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert caller.stdin is not None
        assert caller.stdout is not None
        share = None
        for line in caller.stdout:
            said = json.loads(line)
            if "offer" in said:
                caller.stdin.write(json.dumps({"answer": far.answer(said["offer"])}).encode() + b"\n")
                caller.stdin.flush()
            else:
                share = float(said["share"])
        caller.wait(30)
        far.close()
    return share


def build_pion(folder: Path) -> Path:
    """Build the Go caller in a workspace of its own, since Debian's packages are laid out for one."""
    source = folder / "src" / "pioncaller"
    source.mkdir(parents=True)
    (source / "go.mod").write_text("module pioncaller\n")
    shutil.copy(Path(__file__).parent / "pion" / "main.go", source)
    env = {
        **os.environ,
        "GO111MODULE": "off",
        "GOPATH": f"{folder}:/usr/share/gocode",
        "GOCACHE": str(folder / "cache"),
    }
    subprocess.run(["go", "build", "-o", str(folder / "caller"), "."], cwd=source, env=env, check=True)
    return folder / "caller"


def say(text: str) -> None:
    """A line of result."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    """Measure both and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--ours", type=int, nargs="+", default=[50])
    parser.add_argument("--stock", type=int, default=10)
    parser.add_argument("--pion", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--busy", type=float, default=0.0, help="also fill so many percent of a core; 0: do not")
    wanted = parser.parse_args()
    ours = []
    for calls in wanted.ours:
        measured = uvloop.run(cost(place_ours, calls, wanted.seconds))
        ours.append(measured.share_pct)
        say(f"ours, {calls} calls: {measured}")
    if wanted.busy:
        calls = round(wanted.busy / max(ours))  # a run that was too much for it skips frames, and looks cheap
        measured = uvloop.run(cost(place_ours, calls, wanted.seconds))
        say(f"ours, {calls} calls, {measured.share_pct * calls:.0f} % of a core: {measured}")
    if not wanted.stock:
        return
    stock = asyncio.run(cost(place_stock, wanted.stock, wanted.seconds))
    say(f"stock aiortc, {wanted.stock} calls: {stock}")
    say(f"ratio stock / ours: {stock.share_pct / max(ours):.1f} to {stock.share_pct / min(ours):.1f}")
    pion = pion_share(wanted.pion, wanted.seconds)
    if pion is None:
        say("pion: not measured, Go or its packages are not installed")
    else:
        say(f"pion, {wanted.pion} calls: {pion:.3f} % of a core per call ({100 / pion:.0f} per core)")
        say(f"ratio pion / ours: {pion / max(ours):.2f} to {pion / min(ours):.2f}")


if __name__ == "__main__":
    main()
