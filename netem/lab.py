"""The lab: sites of callers behind their NATs, an impaired router, and a server, as namespaces of a cage.

`site` describes it, `uplink` gives everything its place, `construction` builds it. Used as a context manager inside a
cage, after `prepare_inside`. There is no undo journal: the kernel objects cannot outlive the cage, whatever ends it.
Leaving the lab still takes it down in order — a cage may hold several labs, one after the other — collects what fails
on the way, and never hides the error that ended it.

Every change returns a `NetworkEvent` with the moments between which it took hold. A change is made at one site, on the
access in use there, or without a site's name at all of them.
"""

import math
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from measures.network import EchoFigures, Impairment, LabProof, NetworkEvent, Profile
from netem import firewall, wiring
from netem.commands import LAB_PROGRAMS, Runner, find, run
from netem.construction import Construction
from netem.echo import Train, echo_train
from netem.errors import AskedWrongError, LabBrokeError, NetemError
from netem.namespace import Namespace
from netem.nat import PORT_RANGES, nat_rules
from netem.prediction import predict
from netem.profiles import PROFILES
from netem.proof import caveats, checks
from netem.queue import JITTER_SPAN
from netem.readback import Qdisc
from netem.router import Router, RouterShell
from netem.short_form import ShortForm
from netem.site import Topology
from netem.tc import outage_of
from netem.topology import SERVER, Addresses
from netem.uplink import Uplink

TRAIN_PACKETS = 100
TRAIN_SPACING_MS = 20.0
GREETING_PACKETS = 5
CLEAN = PROFILES["clean"]


class Lab:
    """A private internet. ``shell`` names the router's kernel; by default the best one here."""

    def __init__(
        self, runtime: Path, shell: RouterShell | None = None, runner: Runner = run, topology: Topology | None = None
    ) -> None:
        self.topology = topology or Topology()
        self.addresses = Addresses()
        self._construction = Construction(self.topology, self.addresses, runtime, runner)
        self.links = self._construction.links
        self.caller = Namespace(self.links[0].caller_namespace)
        self.nat = Namespace(self.links[0].edge_namespace)
        self.server = Namespace(SERVER)
        self._shell = shell
        self._run = runner
        self._router: Router | None = None
        self._in_use = {uplink.site.name: uplink for uplink in reversed(self.links) if uplink.position == 0}
        self._profiles = dict.fromkeys(range(len(self.links)), CLEAN)
        self._rebinds = 0
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
        """The first site's profile in force (also during an outage: the one that comes back after it)."""
        return self._profiles[self.in_use().number]

    def in_use(self, site: str = "") -> Uplink:
        """The access in use at a site (the first, when none is named)."""
        return self._chosen(site or self.links[0].site.name)[0]

    def callers(self, site: str = "") -> Namespace:
        """Where that site's callers are."""
        return Namespace(self.in_use(site).caller_namespace)

    # -- changes --------------------------------------------------------------------------------------------

    def apply_profile(self, profile: Profile, site: str = "") -> NetworkEvent:
        """Impair both directions as the profile says, in full. Raises AskedWrongError for what would lie."""
        with self._lock:
            chosen = self._chosen(site)
            commanded = self._impair(chosen, [profile] * len(chosen))
            self._profiles |= dict.fromkeys((uplink.number for uplink in chosen), profile)
        return NetworkEvent("profile", "point", *commanded, detail=profile.name, site=site)

    def outage_begin(self, site: str = "") -> NetworkEvent:
        """From now on nothing passes in either direction; what was already in flight still lands."""
        with self._lock:
            chosen = self._chosen(site)
            dark = [Profile("outage", outage_of(p.up), outage_of(p.down), "") for p in self._in_force(chosen)]
            times = self._impair(chosen, dark)
        return NetworkEvent("outage", "begin", *times, detail="100 % loss both ways", site=site)

    def outage_end(self, site: str = "") -> NetworkEvent:
        """Back to the profile in force, in full."""
        with self._lock:
            chosen = self._chosen(site)
            in_force = self._in_force(chosen)
            times = self._impair(chosen, in_force)
        names = ", ".join(dict.fromkeys(profile.name for profile in in_force))
        return NetworkEvent("outage", "end", *times, detail=f"back to {names}", site=site)

    def nat_rebind(self, site: str = "") -> NetworkEvent:
        """The outermost NAT forgets every flow and uses another range of outside ports from now on."""
        with self._lock:
            self._rebinds += 1
            ports = PORT_RANGES[self._rebinds % len(PORT_RANGES)]
            chosen = [uplink for uplink in self._chosen(site) if uplink.access.nat != "none"]
            edges = [self._construction.gates(uplink)[-1] for uplink in chosen]
            flows = sum(int(Namespace(name).shell(["conntrack -C"], self._run)) for name, _ in edges)
            commanded = time.monotonic_ns()
            for name, gate in edges:
                forget = ["sh", "-ec", "nft -f - && conntrack -F >/dev/null 2>&1"]
                self._run(Namespace(name).inside(forget), nat_rules(gate, ports))
            held = time.monotonic_ns()
        detail = f"{flows} flows forgotten, outside ports now {ports}"
        return NetworkEvent("nat-rebind", "point", commanded, held, detail, site)

    def handover_begin(self, site: str = "") -> NetworkEvent:
        """The access in use goes away, and the caller's address with it."""
        with self._lock:
            old = self.in_use(site)
            lines = wiring.caller_leaves_lines(old)
            times = self._command(lambda: self.callers(site).shell(lines, self._run))
        return NetworkEvent("handover", "begin", *times, f"{old.access.name} gone, {address_of(old)} with it", site)

    def handover_end(self, to: str, site: str = "") -> NetworkEvent:
        """The caller is on another access: another address, another NAT, another path."""
        with self._lock:
            new = self._access_named(to, site)
            callers = self.callers(site)
            times = self._command(lambda: callers.shell(wiring.caller_lines(new), self._run))
            self._in_use[new.site.name] = new
        detail = f"on {to} ({self._profiles[new.number].name}) as {address_of(new)}"
        return NetworkEvent("handover", "end", *times, detail, site)

    def udp_block(self, site: str = "") -> NetworkEvent:
        """From now on the site's firewall lets no UDP pass."""
        return self._gateways(site, firewall.udp_block_rules(), "begin", "no UDP passes in either direction")

    def udp_unblock(self, site: str = "") -> NetworkEvent:
        """UDP passes again, as far as the site's own firewall lets it."""
        return self._gateways(site, firewall.forget_rules(firewall.BLOCK), "end", "UDP passes again")

    def server_goes(self) -> NetworkEvent:
        """The server's site falls silent, for everybody."""
        times = self._command(lambda: self._construction.load(SERVER, firewall.server_gone_rules()))
        return NetworkEvent("server-gone", "begin", *times, "the server hears nothing and says nothing")

    def server_returns(self) -> NetworkEvent:
        """The server answers again."""
        gone = firewall.forget_rules(firewall.GONE)
        times = self._command(lambda: self._construction.load(SERVER, gone))
        return NetworkEvent("server-gone", "end", *times, "the server is back")

    # -- proof ----------------------------------------------------------------------------------------------

    def read_back(self, uplink: Uplink | None = None) -> tuple[Qdisc, Qdisc]:
        """The qdiscs as the router's kernel tells them: up, down. ``str()`` of each is a line for people."""
        up, down = self._devices(uplink or self.in_use())
        return self.backend.show(up), self.backend.show(down)

    def prove(self, profile: Profile, uplink: Uplink | None = None) -> LabProof:
        """Apply the profile between trains of packets and judge; it stays applied. Takes some ten seconds.

        Echoes tell of round trips from where callers are; one-way trains from the site's edge, which no firewall or NAT
        is in the way of, tell of each direction by itself.

        Every check may fail once in a thousand times by chance, so a train that fails is repeated once.
        """
        uplink = uplink or self.in_use()
        with self._lock:
            self._set(uplink, CLEAN)
            baseline = self._train(uplink, CLEAN).figures()
            with ShortForm(Namespace(uplink.edge_namespace), self.server, self.addresses.agent) as one_way:
                self._set(uplink, profile)
                proof = self._judge(uplink, profile, baseline, one_way, ())
                if not proof.passed:
                    odd = "; ".join(check.name for check in proof.checks if not check.passed)
                    note = (f"a first train failed ({odd}) and was repeated",)
                    proof = self._judge(uplink, profile, baseline, one_way, note)
        return proof

    def _judge(
        self, uplink: Uplink, profile: Profile, baseline: EchoFigures, one_way: ShortForm, notes: tuple[str, ...]
    ) -> LabProof:
        train = self._train(uplink, profile)
        each_way, unjudged = one_way.rows(profile)
        qdiscs = self.read_back(uplink)
        predicted = predict(profile.up, profile.down, train.sent, train.spacing_ms)
        rows = (*checks(profile, qdiscs, predicted, baseline, train.figures()), *each_way)
        start = "the caller" if self._echoes_from(uplink).name == uplink.caller_namespace else "the site's router"
        method = f"{train.sent} echo packets (iputils ping) every {train.spacing_ms:.1f} ms from {start} to the agent"
        return LabProof(
            backend=self.backend.name,
            backend_detail=self.backend.detail,
            profile=profile,
            devices=self._devices(uplink),
            qdiscs=tuple(map(str, qdiscs)),
            baseline=baseline,
            impaired=train.figures(),
            checks=rows,
            passed=all(row.passed for row in rows),
            notes=(method, *caveats(profile, predicted), *unjudged, *notes),
            site="" if len(self.links) == 1 else f"{uplink.site.name}, {uplink.access.name}",
        )

    def _echoes_from(self, uplink: Uplink) -> Namespace:
        """The caller, where an echo request of its comes through; else its side of the impaired path."""
        in_use = self._in_use[uplink.site.name] is uplink
        if in_use and uplink.access.lets_icmp_pass and uplink.site.has_ipv4:
            return Namespace(uplink.caller_namespace)
        return Namespace(uplink.edge_namespace)

    def _train(self, uplink: Uplink, profile: Profile) -> Train:
        longest_ms = sum(each.delay_ms + JITTER_SPAN * each.jitter_ms for each in (profile.up, profile.down))
        wait_s = math.ceil(1 + 2 * longest_ms / 1000)
        source, target = self._echoes_from(uplink), self.addresses.agent
        return echo_train(source, target, TRAIN_PACKETS, TRAIN_SPACING_MS, wait_s)

    # -- the parts ------------------------------------------------------------------------------------------

    def _chosen(self, site: str) -> list[Uplink]:
        if not site:
            return list(self._in_use.values())
        if site not in self._in_use:
            raise AskedWrongError(f"there is no site {site!r}; there are {', '.join(self._in_use)}")
        return [self._in_use[site]]

    def _access_named(self, name: str, site: str) -> Uplink:
        place = self.in_use(site).site
        for uplink in self.links:
            if uplink.site is place and uplink.access.name == name:
                return uplink
        there = ", ".join(access.name for access in place.accesses)
        raise AskedWrongError(f"site {place.name!r} has no access {name!r}; it has {there}")

    def _in_force(self, chosen: Sequence[Uplink]) -> list[Profile]:
        return [self._profiles[uplink.number] for uplink in chosen]

    def _devices(self, uplink: Uplink) -> tuple[str, str]:
        """Up (towards the server) and down (towards the site)."""
        wan, server = self.backend.all_devices[2 * uplink.number : 2 * uplink.number + 2]
        return server, wan

    def _impair(self, chosen: Sequence[Uplink], profiles: Sequence[Profile]) -> tuple[int, int]:
        wanted: dict[str, Impairment] = {}
        for uplink, profile in zip(chosen, profiles, strict=True):
            wanted |= dict(zip(self._devices(uplink), (profile.up, profile.down), strict=True))
        commanded = time.monotonic_ns()
        self.backend.impair(wanted)
        return commanded, time.monotonic_ns()

    def _set(self, uplink: Uplink, profile: Profile) -> None:
        self._impair([uplink], [profile])
        self._profiles[uplink.number] = profile

    def _command(self, change: Callable[[], object]) -> tuple[int, int]:
        with self._lock:
            commanded = time.monotonic_ns()
            change()
            return commanded, time.monotonic_ns()

    def _gateways(self, site: str, rules: str, stage: Literal["begin", "end"], detail: str) -> NetworkEvent:
        names = [uplink.gateway_namespace for uplink in self._chosen(site)]

        def load_all() -> None:
            for name in names:
                self._construction.load(name, rules)

        times = self._command(load_all)
        return NetworkEvent("udp-block", stage, *times, detail, site)

    def _death(self) -> LabBrokeError | None:
        try:
            self.check()
        except LabBrokeError as death:
            return death
        return None

    def _build(self) -> None:
        for program in LAB_PROGRAMS:
            find(program)
        self._router = self._construction.build(self._shell)
        self._impair(self.links, [CLEAN] * len(self.links))
        for uplink in self.links:
            self._greet(uplink)

    def _greet(self, uplink: Uplink) -> None:
        """A lab that carries nothing must say so now, and not as a failed call later."""
        source = self._echoes_from(uplink)
        train = echo_train(source, self.addresses.agent, GREETING_PACKETS, TRAIN_SPACING_MS)
        if not train.rtts_ms:
            raise LabBrokeError(
                f"the lab is up but carries no packet from {source.name} to {self.addresses.agent}"
                f" ({self.backend.detail})"
            )

    def _take_down(self, error: BaseException | None) -> None:
        troubles: list[str] = []
        while self._construction.undo:
            try:
                self._construction.undo.pop()()
            except (NetemError, OSError) as trouble:
                troubles.append(str(trouble))
        self._router = None
        if troubles and error is None:
            raise LabBrokeError(f"the lab did not come down cleanly: {'; '.join(troubles)}")
        for words in troubles:
            assert error is not None
            error.add_note(f"and while the lab came down: {words}")


def address_of(uplink: Uplink) -> str:
    """The caller's address on an access, for people."""
    return uplink.caller_address if uplink.site.has_ipv4 else uplink.caller_address6
