"""The lab: caller, NAT, impaired router and server, as namespaces of a cage. `topology` draws it.

Used as a context manager inside a cage, after `prepare_inside`. There is no undo journal: the kernel objects
cannot outlive the cage, whatever ends it. Leaving the lab still takes it down in order — a cage may hold
several labs, one after the other — collects what fails on the way, and never hides the error that ended it.

Every change returns a `NetworkEvent` with the moments between which it took hold.
"""

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path

from measures.network import EchoFigures, Impairment, LabProof, NetworkEvent, Profile
from netem import topology
from netem.backend import choose_backend
from netem.commands import LAB_PROGRAMS, Runner, find, run
from netem.echo import Train, echo_train
from netem.errors import LabBrokeError, NetemError
from netem.namespace import Namespace
from netem.prediction import predict
from netem.profiles import PROFILES
from netem.proof import caveats, checks
from netem.queue import JITTER_SPAN
from netem.readback import Qdisc
from netem.router import Router, RouterShell
from netem.tc import outage_of

TRAIN_PACKETS = 100
TRAIN_SPACING_MS = 20.0
GREETING_PACKETS = 5
CLEAN = PROFILES["clean"]


class Lab:
    """A private internet of four hosts. ``shell`` names the router's kernel; by default the best one here."""

    def __init__(self, runtime: Path, shell: RouterShell | None = None, runner: Runner = run) -> None:
        self.addresses = topology.Addresses()
        self.caller = Namespace(topology.CALLER)
        self.nat = Namespace(topology.NAT)
        self.server = Namespace(topology.SERVER)
        self._runtime = runtime
        self._shell = shell
        self._run = runner
        self._router: Router | None = None
        self._profile = CLEAN
        self._rebinds = 0
        self._undo: list[Callable[[], None]] = []
        self._lock = threading.RLock()

    def __enter__(self) -> "Lab":
        try:
            self._build()
        except BaseException as error:
            self._take_down(error)
            raise
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        death = self._death()
        self._take_down(error or death)
        if death is not None and error is None:
            raise death
        if death is not None and error is not None:
            error.add_note(str(death))

    def check(self) -> None:
        """LabBrokeError if the router has died. Leaving the lab asks this too, so no death goes unnoticed."""
        self.backend.check()

    @property
    def backend(self) -> Router:
        """The router; its ``name`` and ``detail`` belong in a report."""
        if self._router is None:
            raise LabBrokeError("the lab is not up: use it in a `with` block")
        return self._router

    @property
    def profile(self) -> Profile:
        """The profile in force (also during an outage: the one that comes back after it)."""
        return self._profile

    def apply_profile(self, profile: Profile) -> NetworkEvent:
        """Impair both directions as the profile says, in full. Raises AskedWrongError for what would lie."""
        with self._lock:
            commanded = self._impair(profile.up, profile.down)
            self._profile = profile
        return NetworkEvent("profile", "point", *commanded, detail=profile.name)

    def outage_begin(self) -> NetworkEvent:
        """From now on nothing passes in either direction; what was already in flight still lands."""
        with self._lock:
            times = self._impair(outage_of(self._profile.up), outage_of(self._profile.down))
        return NetworkEvent("outage", "begin", *times, detail="100 % loss both ways")

    def outage_end(self) -> NetworkEvent:
        """Back to the profile in force, in full."""
        with self._lock:
            times = self._impair(self._profile.up, self._profile.down)
        return NetworkEvent("outage", "end", *times, detail=f"back to {self._profile.name}")

    def nat_rebind(self) -> NetworkEvent:
        """The NAT forgets every flow and uses another range of outside ports from now on."""
        with self._lock:
            self._rebinds += 1
            ports = topology.PORT_RANGES[self._rebinds % len(topology.PORT_RANGES)]
            flows = self.nat.shell(["conntrack -C"], self._run).strip()
            commanded = time.monotonic_ns()
            rules = topology.nat_rules(ports)
            self._run(self.nat.inside(["sh", "-ec", "nft -f - && conntrack -F >/dev/null 2>&1"]), rules)
            held = time.monotonic_ns()
        return NetworkEvent(
            "nat-rebind", "point", commanded, held, f"{flows} flows forgotten, outside ports now {ports}"
        )

    def read_back(self) -> tuple[Qdisc, Qdisc]:
        """The qdiscs as the router's kernel tells them: up, down. ``str()`` of each is a line for people."""
        return self.backend.read_back()

    def prove(self, profile: Profile) -> LabProof:
        """Apply the profile between two echo trains and judge; it stays applied. Takes some six seconds.

        Every check may fail once in a thousand times by chance, so a train that fails is repeated once.
        """
        with self._lock:
            self.apply_profile(CLEAN)
            baseline = self._train(CLEAN).figures()
            self.apply_profile(profile)
            proof = self._judge(profile, baseline, self._train(profile), ())
            if not proof.passed:
                odd = "; ".join(check.name for check in proof.checks if not check.passed)
                note = (f"a first train failed ({odd}) and was repeated",)
                proof = self._judge(profile, baseline, self._train(profile), note)
        return proof

    def _judge(self, profile: Profile, baseline: EchoFigures, train: Train, notes: tuple[str, ...]) -> LabProof:
        qdiscs = self.read_back()
        predicted = predict(profile.up, profile.down, train.sent, train.spacing_ms)
        rows = checks(profile, qdiscs, predicted, baseline, train.figures())
        method = (
            f"{train.sent} echo packets (iputils ping) every {train.spacing_ms:.1f} ms from the caller to the agent"
        )
        return LabProof(
            backend=self.backend.name,
            backend_detail=self.backend.detail,
            profile=profile,
            devices=self.backend.devices,
            qdiscs=tuple(map(str, qdiscs)),
            baseline=baseline,
            impaired=train.figures(),
            checks=rows,
            passed=all(row.passed for row in rows),
            notes=(method, *caveats(profile, predicted), *notes),
        )

    def _train(self, profile: Profile) -> Train:
        longest_ms = sum(each.delay_ms + JITTER_SPAN * each.jitter_ms for each in (profile.up, profile.down))
        wait_s = math.ceil(1 + 2 * longest_ms / 1000)
        return echo_train(self.caller, self.addresses.agent, TRAIN_PACKETS, TRAIN_SPACING_MS, wait_s)

    def _impair(self, up: Impairment, down: Impairment) -> tuple[int, int]:
        commanded = time.monotonic_ns()
        self.backend.apply(up, down)
        return commanded, time.monotonic_ns()

    def _death(self) -> LabBrokeError | None:
        try:
            self.check()
        except LabBrokeError as death:
            return death
        return None

    def _build(self) -> None:
        for program in LAB_PROGRAMS:
            find(program)
        for namespace in (self.caller, self.nat, self.server):
            namespace.create(self._run)
            self._undo.append(lambda gone=namespace: gone.remove(self._run))  # type: ignore[misc]
        self._run(topology.caller_nat_link())
        shell = self._shell or choose_backend(self._runtime, self._run)
        self._router = Router(shell, self.addresses)
        self._undo.append(self._router.stop)
        self._router.start()
        self._configure()
        self._impair(CLEAN.up, CLEAN.down)
        self._greet()

    def _configure(self) -> None:
        self.caller.shell(topology.caller_lines(self.addresses), self._run)
        self.nat.shell(topology.nat_lines(self.addresses), self._run)
        self.server.shell(topology.server_lines(self.addresses), self._run)
        self._run(self.nat.inside(["nft", "-f", "-"]), topology.nat_rules(topology.PORT_RANGES[0]))

    def _greet(self) -> None:
        """A lab that carries nothing must say so now, and not as a failed call later."""
        train = echo_train(self.caller, self.addresses.agent, GREETING_PACKETS, TRAIN_SPACING_MS)
        if not train.rtts_ms:
            raise LabBrokeError(
                f"the lab is up but carries no packet to {self.addresses.agent} ({self.backend.detail})"
            )

    def _take_down(self, error: BaseException | None) -> None:
        troubles: list[str] = []
        while self._undo:
            try:
                self._undo.pop()()
            except (NetemError, OSError) as trouble:
                troubles.append(str(trouble))
        self._router = None
        if troubles and error is None:
            raise LabBrokeError(f"the lab did not come down cleanly: {'; '.join(troubles)}")
        for words in troubles:
            assert error is not None
            error.add_note(f"and while the lab came down: {words}")
