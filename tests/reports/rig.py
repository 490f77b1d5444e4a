"""Run folders as a drill leaves them, built from the vocabulary alone.

`passing(folder)` is five callers on 4G who live through an outage of six seconds and a NAT rebinding; the other
builders are the same run with one thing gone wrong. Everything is drawn from a seeded generator, so a folder is the
same each time it is built.
"""

import random
from dataclasses import dataclass, replace
from pathlib import Path

from measures.call import Attempt, Call, CallEvent, CallQuality, Recovery, RtpStats, Turn
from measures.capacity import Step
from measures.clock import NS_PER_MS, NS_PER_S, Instant
from measures.host import Host, MemorySample, SelfCheck
from measures.network import (
    EchoFigures,
    Impairment,
    LabProof,
    NetworkEvent,
    Profile,
    ProofCheck,
    RandomLoss,
    SiteCheck,
    SiteProof,
)
from measures.probe import Measurement, Phase, ProbeResult
from measures.record import Note, Record, encode_record
from measures.run import SCHEMA_VERSION, Run
from measures.sample import Sample
from reports.folder import RECORDS_FILE, write_run

ORIGIN_NS = 7_300 * NS_PER_S  # CLOCK_MONOTONIC of a machine two hours up
STARTED = Instant(mono_ns=ORIGIN_NS - 21 * NS_PER_S, wall_ns=1_763_676_000 * NS_PER_S)
ENDED = Instant(mono_ns=ORIGIN_NS + 71 * NS_PER_S, wall_ns=1_763_676_092 * NS_PER_S)

CALLS = 5
TURNS = 8
BARGE_IN_TURN = 6
CALL_S = 58.0
OUTAGE_S = (16.0, 22.0)
REBIND_S = 40.0

SENTENCES = (
    "My name is Ada and my order is number forty two.",
    "When will it arrive?",
    "Can you change the address?",
    "The new street is Mill Lane, number nine.",
    "Which payment did I use?",
    "What was my order number again?",
    "Please send me a receipt.",
    "Thank you, goodbye.",
)

CHECKS = {
    "calls_failed": ["count == 0"],
    "call_setup": ["max <= 5 s"],
    "turns_missed": ["count == 0"],
    "turn_latency": ["p(50) < 800 ms"],
    "recovery_media": ["max <= 8 s"],
    "recoveries_failed": ["count == 0"],
    "context_lost": ["count == 0"],
    "reconnect_attempts": ["max <= 5"],
    "probes_failed": ["count == 0"],
    "sample_loss": ["rate < 15 %"],
    "agent_memory_growth": ["value < 30 MB"],
    "history_messages": ["max <= 50"],
    "impairment_unproven": ["count == 0"],
}


def at(seconds: float) -> int:
    """Monotonic ns of a time of the run, counted from the first call's due time."""
    return ORIGIN_NS + round(seconds * NS_PER_S)


@dataclass(frozen=True, slots=True)
class Scene:
    """What may go wrong, and how much of it there is."""

    calls: int = CALLS
    latency_ms: float = 610.0
    media_lost_call: int | None = None
    failed_probe: bool = False
    unproven: bool = False
    limited: bool = False


def run(**changes: object) -> Run:
    """``run.json`` as it is at the start of the drill."""
    drill = {
        "drill": {"name": "4g-faults", "description": "Five callers on 4G: a 6 s outage, then a NAT rebinding."},
        "lab": {"profile": "4g-good"},
        "timeline": [
            {"at_s": OUTAGE_S[0], "kind": "outage", "duration_s": OUTAGE_S[1] - OUTAGE_S[0]},
            {"at_s": REBIND_S, "kind": "nat-rebind"},
        ],
        "callers": {"calls": CALLS, "every_s": 1.5, "policy": "widget", "turns": [{"say": s} for s in SENTENCES]},
        "checks": CHECKS,
    }
    host = Host("6.1.0-31-amd64", "x86_64", "AMD EPYC 7763 64-Core Processor", 4, 16_777_216_000, "3.11.7", "root")
    start = Run(
        schema_version=SCHEMA_VERSION,
        run_id="20251120T220000Z-4g-faults-7c1e",
        status="running",
        started=STARTED,
        ended=None,
        versions={"calldrill": "0.1.0", "aiortc": "1.16.0", "aioice": "0.13.2", "coturn": "4.6.1"},
        host=host,
        drill=drill,
    )
    return replace(start, **changes)  # type: ignore[arg-type]


def in_outage(seconds: float) -> bool:
    return OUTAGE_S[0] <= seconds < OUTAGE_S[1]


def samples(chance: random.Random) -> list[Record]:
    """Sixty-five seconds of packets, twenty a second, from before the first call to after the last."""
    made: list[Record] = []
    for seq in range(1300):
        due_s = -3.0 + seq * 0.05
        due = at(due_s)
        sent = due + round(chance.uniform(0.02, 0.2) * NS_PER_MS)
        rtt = max(24.0, chance.gauss(90, 20)) * NS_PER_MS
        lost = in_outage(due_s) or chance.random() < 0.004
        held = round(0.05 * NS_PER_MS)
        middle = sent + round(rtt / 2)
        made.append(
            Sample(
                stream="stamp",
                seq=seq,
                due_ns=due,
                sent_ns=sent,
                received_ns=None if lost else sent + round(rtt) + held,
                server_received_ns=None if lost else middle,
                server_sent_ns=None if lost else middle + held,
                size_bytes=172,
                lost="unknown" if lost else "no",
            )
        )
    return made


def phases(due: int, chance: random.Random) -> tuple[Phase, ...]:
    """The steps of a call's set-up, one after another."""
    lengths = {"token": 110, "gather": 190, "signal": 130, "answer": 4, "ice": 210, "dtls": 230, "first_rtp": 60}
    made, clock = [], due + round(2 * NS_PER_MS)
    for name, length in lengths.items():
        duration = round(length * chance.uniform(0.85, 1.25) * NS_PER_MS)
        made.append(Phase(name, clock, duration))
        clock += duration
    return tuple(made)


def turns(index: int, due_s: float, scene: Scene, chance: random.Random) -> tuple[Turn, ...]:
    """Eight exchanges, those that an outage cut off said again."""
    made, clock = [], due_s + 2.2
    for number, text in enumerate(SENTENCES[:TURNS]):
        speech = 1.5 + chance.random()
        repeats = 0
        if clock < OUTAGE_S[1] and clock + speech + 1.5 > OUTAGE_S[0]:
            clock, repeats = OUTAGE_S[1] + 1.6 + 0.2 * index, 1
        end = clock + speech
        latency = max(0.3, chance.gauss(scene.latency_ms, 55) / 1000)
        reply = 2.2 + chance.random()
        dead = scene.media_lost_call == index and end > OUTAGE_S[0]
        over = at(end + latency + 1.2) if number == BARGE_IN_TURN and not dead else None
        silent = over and over + 78 * NS_PER_MS
        made.append(
            Turn(
                index=number,
                text=text,
                caller_speech_start_ns=at(clock),
                caller_speech_end_ns=at(end),
                agent_speech_start_ns=None if dead else at(end + latency),
                agent_speech_end_ns=None if dead else silent or at(end + latency + reply),
                reply_text="" if dead else "Certainly, that is done.",
                repeats=0 if dead else repeats,
                barge_in_ns=over,
                agent_silent_ns=silent,
            )
        )
        clock = end + latency + reply + 0.5
        if dead:
            break
    return tuple(made)


def attempt(number: int, delay_s: float, began_s: float, lasted_s: float, outcome: str) -> Attempt:
    return Attempt(number, round(delay_s * 1000), at(began_s), at(began_s + lasted_s), "ice-restart", outcome)


def recoveries(index: int, spoken: tuple[Turn, ...], scene: Scene, chance: random.Random) -> tuple[Recovery, ...]:
    """The outage needs three attempts, the rebinding one."""
    began = OUTAGE_S[0] + chance.uniform(0.0, 0.02)
    noticed = began + 2.5 + chance.uniform(0.0, 0.3)
    if scene.media_lost_call == index:
        tries, clock = [], noticed
        for number in range(5):
            clock += 2.0**number
            tries.append(attempt(number + 1, 2.0**number, clock, 0.9, "ice failed: no pair answered"))
            clock += 0.9
        return (Recovery("silence", at(began), at(noticed), tuple(tries), None, None, None),)
    first = attempt(1, 1.0, noticed + 1.0, 0.8, "signalling timed out")
    second = attempt(2, 2.0, noticed + 3.8, 0.35 + chance.random() * 0.2, "connected")
    back = max(OUTAGE_S[1] + 0.25, noticed + 3.8) + 0.45 + 0.12 * index
    jump = REBIND_S + chance.uniform(0.0, 0.02)
    seen = jump + 1.0 + chance.uniform(0.0, 0.2)
    again = attempt(1, 1.0, seen + 1.0, 0.3, "connected")
    return (
        Recovery("silence", at(began), at(noticed), (first, second), at(back), first_answer(spoken, began), True),
        Recovery("silence", at(jump), at(seen), (again,), at(seen + 1.45), first_answer(spoken, jump), True),
    )


def first_answer(spoken: tuple[Turn, ...], began_s: float) -> int | None:
    after = [t for t in spoken if t.caller_speech_end_ns > at(began_s) and t.agent_speech_start_ns is not None]
    return after[0].agent_speech_start_ns if after else None


def states(call: Call) -> list[CallEvent]:
    """The states the person sees, with reconnection laid over the conversation."""
    changes = [(call.due_ns, "connecting"), (call.phases[-1].start_ns + call.phases[-1].duration_ns, "active")]
    for turn in call.turns:
        changes += [(turn.caller_speech_start_ns, "speaking"), (turn.caller_speech_end_ns, "active")]
        if turn.agent_speech_start_ns is not None and turn.agent_speech_end_ns is not None:
            changes += [(turn.agent_speech_start_ns, "listening"), (turn.agent_speech_end_ns, "active")]
    for recovery in call.recoveries:
        back = recovery.media_back_ns
        end = call.ended_ns if back is None else back
        changes = [change for change in changes if not recovery.noticed_ns <= change[0] < end]
        changes += [(recovery.noticed_ns, "reconnecting"), (end, "error" if back is None else "active")]
    told = [CallEvent(call.id, when, "state", state) for when, state in sorted(changes)]
    told.append(CallEvent(call.id, call.ended_ns, "latency", "token 80.5 ms good; socket-ping 91.5 ms good"))
    if call.id == "call-2":
        told.append(CallEvent(call.id, call.turns[1].caller_speech_end_ns - 400 * NS_PER_MS, "interruption"))
    return told


def cut_off(turn: Turn, gaps: tuple[Recovery, ...]) -> Turn:
    """A gap in the media ends what is heard of the agent."""
    for gap in gaps:
        start, end = turn.agent_speech_start_ns, turn.agent_speech_end_ns
        if start is not None and end is not None and start < gap.began_ns < end:
            return replace(turn, agent_speech_end_ns=gap.began_ns)
    return turn


def call(index: int, scene: Scene, chance: random.Random) -> Call:
    due_s = 1.5 * index
    steps = phases(at(due_s), chance)
    spoken = turns(index, due_s, scene, chance)
    healed = recoveries(index, spoken, scene, chance)
    spoken = tuple(cut_off(turn, healed) for turn in spoken)
    dead = scene.media_lost_call == index
    end_s = OUTAGE_S[0] + 2.6 + 31 + 6 if dead else due_s + CALL_S
    expected = round((end_s - due_s) * 50)
    lost = round((OUTAGE_S[1] - OUTAGE_S[0]) * 50 + chance.uniform(90, 130))
    return Call(
        id=f"call-{index + 1}",
        caller=f"caller-{index + 1}",
        profile="4g-good",
        due_ns=at(due_s),
        started_ns=at(due_s) + round(chance.uniform(0.5, 2) * NS_PER_MS),
        ended_ns=at(end_s),
        phases=steps,
        turns=spoken,
        turns_planned=TURNS,
        recoveries=healed,
        rtp_in=RtpStats(expected - lost, (expected - lost) * 82, expected, lost, 3, 0, chance.uniform(9, 16), 7300.0),
        rtp_out=RtpStats(expected, expected * 82),
        outcome="max_retries_exceeded" if dead else "completed",
        blame="network" if dead else "nobody",
        reason="5 attempts, media never came back" if dead else "",
        selected_pair="relay 10.77.0.2:51022 → host 10.88.0.3:40000" if index == 3 else "srflx → host",
    )


def quality(one: Call) -> list[CallQuality]:
    """A line each five seconds."""
    length = (one.ended_ns - one.started_ns) // (5 * NS_PER_S)
    return [
        CallQuality(one.id, one.started_ns + step * 5 * NS_PER_S, 5000.0, "active", 248, 250, 2 * step, 11.0, 92.0)
        for step in range(1, length + 1)
    ]


def memory(chance: random.Random, made: list[Call]) -> list[Record]:
    """One look a second: it grows with the calls, and a little with the history."""
    looks: list[Record] = []
    for second in range(-6, 68):
        active = sum(one.started_ns <= at(second) < one.ended_ns for one in made)
        history = None if not active else max(1, min(2 * TURNS + 1, second // 3))
        pss = 61_200_000 + active * 2_150_000 + max(0, second) * 14_000 + round(chance.gauss(0, 60_000))
        looks.append(MemorySample(at(second + 0.3), pss + 18_000_000, pss, active, history))
    return looks


def probes(scene: Scene) -> list[Record]:
    """The two kinds of server, each over what it speaks; the firewall may eat TURN over TLS."""
    made: list[Record] = []
    wanted = (
        ("stun", "stun:10.88.0.2:3478", "udp"),
        ("turn", "turn:10.88.0.2:3478?transport=udp", "udp"),
        ("turn", "turn:10.88.0.2:3478?transport=tcp", "tcp"),
        ("turn", "turns:10.88.0.2:5349?transport=tcp", "tls"),
    )
    for order, (kind, target, transport) in enumerate(wanted):
        began = at(-18 + order)
        names = {"udp": [], "tcp": ["connect"], "tls": ["connect", "tls"]}[transport] + ["binding"]
        if kind == "turn":
            names += ["allocate", "permission", "relay"]
        steps = tuple(Phase(name, began + i * 95 * NS_PER_MS, (88 + 3 * i) * NS_PER_MS) for i, name in enumerate(names))
        failed = scene.failed_probe and transport == "tls"
        made.append(
            ProbeResult(
                probe=kind,
                target=target,
                transport=transport,
                started_ns=began,
                outcome="failed" if failed else "ok",
                phases=steps[:1] if failed else steps,
                measurements=(Measurement("relay_rtt_ms", 183.4 + order),) if kind == "turn" and not failed else (),
                facts=None if failed else {"mapped": "10.77.0.1:41022", "software": "Coturn-4.6.1"},
                cause="the TLS handshake got no answer within 5 s" if failed else "",
                owner="network" if failed else "",
                mend="let TCP to port 5349 through the firewall" if failed else "",
                log=("connect 10.88.0.2:5349", "client hello sent", "timed out after 5.0 s") if failed else (),
            )
        )
    return made


def proof(scene: Scene) -> LabProof:
    way = Impairment(delay_ms=45.0, jitter_ms=20.0, loss=RandomLoss(0.0), rate_kbit=35_600, queue_packets=1000)
    observed = 0.4 if scene.unproven else 90.6
    return LabProof(
        backend="uml",
        backend_detail="user-mode Linux 6.1 as router, sch_netem in it",
        profile=Profile(
            "4g-good", replace(way, rate_kbit=16_400), way, "ERRANT (Telenor NO), measured: RTT 90 ms, sd 40"
        ),
        devices=("vec0", "vec1"),
        qdiscs=(
            "qdisc netem 8001: dev vec0 root refcnt 2 limit 1000 delay 45ms 20ms rate 35600Kbit",
            "qdisc netem 8002: dev vec1 root refcnt 2 limit 1000 delay 45ms 20ms rate 16400Kbit",
        ),
        baseline=EchoFigures(200, 200, 0.21, 0.34, 0.36, 0.08, 0.9),
        impaired=EchoFigures(200, 200, 41.2, observed, observed + 0.3, 27.9, 171.0),
        checks=(
            ProofCheck(
                "round trip, median (ms)", "45 ms ± 20 ms each way", 84.0, 98.0, observed + 0.3, not scene.unproven
            ),
            ProofCheck("round trip, standard deviation (ms)", "45 ms ± 20 ms each way", 22.0, 34.0, 27.9, True),
            ProofCheck("round trips lost (of 200 packets)", "0 % each way", 0.0, 1.5, 0.0, True),
        ),
        passed=not scene.unproven,
        notes=("order is kept: the rate makes netem queue in order",),
    )


def site_proof() -> SiteProof:
    checks = (
        SiteCheck("NAT mapping (RFC 5780)", "endpoint-independent", "endpoint-independent", True),
        SiteCheck("TCP to port 443", "passes", "passes", True),
    )
    return SiteProof("caller", "home", "port-restricted", "none", "ipv4", checks, passed=True)


def network() -> list[Record]:
    def held(seconds: float, name: str, stage: str, detail: str) -> NetworkEvent:
        return NetworkEvent(name, stage, at(seconds), at(seconds + 0.006), detail)  # type: ignore[arg-type]

    return [
        held(-10, "profile", "point", "4g-good"),
        held(OUTAGE_S[0], "outage", "begin", ""),
        held(OUTAGE_S[1], "outage", "end", ""),
        held(REBIND_S, "nat-rebind", "point", "10.77.0.1:41022 → 10.77.0.9"),
    ]


STEP = Step(0, CALLS, 0.1, at(0), at(10), at(40), 31.5, False)
SAMPLER_CHECK = SelfCheck("sampler", 500, None, 0.1, 500, 0, 3.9, False)


def selfcheck(scene: Scene) -> SelfCheck:
    if scene.limited:
        return SelfCheck("callers", 2900, 61.0, 38.2, 14_500, 410, 98.7, True, "2.8 % of the frames missed their slot")
    return SelfCheck("callers", 2900, 1.9, 0.8, 14_500, 0, 34.5, False)


def records(scene: Scene | None = None, seed: int = 7) -> list[Record]:
    """Every record of the run, as its processes wrote them."""
    scene = scene or Scene()
    chance = random.Random(seed)
    made = [call(index, scene, chance) for index in range(scene.calls)]
    events: list[Record] = [event for one in made for event in states(one)]
    intervals: list[Record] = [interval for one in made for interval in quality(one)]
    notes: list[Record] = [Note(at(-20), "info", "lab", "the lab is up: 2 namespaces, 1 NAT, backend uml")]
    return [
        *notes, *probes(scene), proof(scene), site_proof(), *network(), *samples(chance), *events, *intervals, *made,
        *memory(chance, made), selfcheck(scene), SAMPLER_CHECK, STEP,
    ]  # fmt: skip


def write(folder: Path, made: list[Record], begun: Run | None = None) -> Path:
    """A run folder as it is when the last process has ended and nothing is judged yet."""
    write_run(folder, begun or run())
    (folder / RECORDS_FILE).write_bytes(b"".join(map(encode_record, made)))
    return folder


def passing(folder: Path) -> Path:
    """Everything asked for was kept."""
    return write(folder, records())


def failing(folder: Path) -> Path:
    """One call never came back, one probe got no answer, answers took too long."""
    return write(folder, records(Scene(latency_ms=960.0, media_lost_call=2, failed_probe=True)))


def inconclusive(folder: Path) -> Path:
    """The answers' median lies so near its limit that forty turns cannot tell."""
    return write(folder, records(Scene(latency_ms=790.0)))


def generator_limited(folder: Path) -> Path:
    """All checks hold, but the caller's own machine was the bottleneck."""
    return write(folder, records(Scene(limited=True)))


def truncated(folder: Path) -> Path:
    """Killed after three calls, in the middle of a line."""
    made = [record for record in records() if not (isinstance(record, Call) and record.id in ("call-4", "call-5"))]
    write(folder, made)
    path = folder / RECORDS_FILE
    path.write_bytes(path.read_bytes() + encode_record(made[-1])[:57])
    return folder


def nearly_empty(folder: Path) -> Path:
    """Killed before anything was recorded."""
    write_run(folder, run())
    return folder
