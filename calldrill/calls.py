"""The drill's calls: one Locust at each site of the lab, while the timeline runs and the agent is watched.

With several sites the calls are dealt to them in turn, each site with an arrival plan, a profile and call names of
its own. The timeline's zero is the first due time that any of them tells.
"""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from calldrill.abort import AbortWatch
from calldrill.drill import Drill
from calldrill.load import Load
from calldrill.recorder import Recorder
from calldrill.service import Service
from calldrill.services import STUN_PORT, Ports, Secrets
from calldrill.timeline import TimelineRunner
from calldrill.watch import LET_GO_LIMIT_S, AgentWatch
from loadtest.arrivals import Constant
from loadtest.plan import CallPlan, LoadPlan, TurnAddress
from netem.firewall import PROXY_PORT
from netem.lab import Lab
from netem.uplink import Uplink


class Calls:
    """Places a drill's calls. ``authority`` is the certificate of whoever signed TURN's."""

    def __init__(
        self, drill: Drill, lab: Lab, secrets: Secrets, authority: Path, folder: Path, runtime: Path,
        recorder: Recorder, abort: AbortWatch,
    ) -> None:  # fmt: skip
        self._drill, self._lab, self._secrets, self._authority = drill, lab, secrets, authority
        self._folder, self._runtime, self._recorder, self._abort = folder, runtime, recorder, abort
        self._ports = Ports.of(lab.topology)
        self._url = f"http://{lab.addresses.agent}:{self._ports.agent}"
        self._first = [uplink for uplink in lab.links if uplink.position == 0]
        self._told = False

    def place(self, agent: Service) -> None:
        """All calls, to their end. Raises what went wrong with the callers, the agent or the timeline."""
        timeline = TimelineRunner(self._lab, self._drill.actions(), self._on_network, self._recorder.path)
        loads = [self._load(number, uplink) for number, uplink in enumerate(self._first)]
        # Leaving ends the callers first, and only then waits for the threads that follow them.
        with ThreadPoolExecutor(len(loads)) as pool, contextlib.ExitStack() as stack:
            watch = stack.enter_context(self._watch(agent))
            for load in loads:
                stack.enter_context(load)
            stack.enter_context(timeline)
            following = [pool.submit(self._follow, load, timeline) for load in loads]
            done = [each.result() for each in following]
            self._let_go(watch)
        if not all(done):
            self._recorder.note(f"stopped: {self._abort.reason}", "warning")
        agent.check()
        if timeline.failed is not None:
            raise timeline.failed
        for words in timeline.never_came:
            self._recorder.note(f"the timeline's {words} never happened: that moment never came", "error")

    def _let_go(self, watch: AgentWatch) -> None:
        """The agent's calls are over when it says so: whose caller vanished it has to notice by itself."""
        left = watch.wait_until_empty()
        if left:
            self._recorder.note(f"{LET_GO_LIMIT_S:g} s after the last call the agent still holds {left}", "warning")

    def _watch(self, agent: Service) -> AgentWatch:
        told = self._drill.agent.metrics
        pid = None if told else agent.pid
        return AgentWatch(told or f"{self._url}/metrics", self._recorder.add, pid, self._lab.server)

    def _follow(self, load: Load, timeline: TimelineRunner) -> bool:
        return load.follow(lambda event: self._on_load(event, timeline), self._abort.failed)

    def _load(self, number: int, uplink: Uplink) -> Load:
        name = "" if len(self._first) == 1 else f"-{uplink.site.name}"
        runtime = self._runtime / f"load{name}"
        runtime.mkdir(exist_ok=True)
        plan = LoadPlan(self._plan(uplink), self._arrivals(number), str(self._recorder.path), uplink_prefix(name))
        log = self._folder / "logs" / f"locust{name}.log"
        workers = self._drill.callers.workers
        return Load(self._lab.callers(uplink.site.name), plan, self._environment(uplink), runtime, log, workers)

    def _arrivals(self, number: int) -> Any:  # noqa: ANN401  one of `loadtest.arrivals`
        """This site's share: of several sites, each takes a call in turn."""
        callers, sites = self._drill.callers, len(self._first)
        if sites == 1:
            return callers.schedule()
        return Constant(len(range(number, callers.calls, sites)), callers.every_s * sites)

    def _environment(self, uplink: Uplink) -> dict[str, str]:
        only_address = uplink.caller_address if len(uplink.site.accesses) == 1 else ""
        env = {
            "CALLDRILL_API_KEY": self._secrets.api_key,
            "CALLDRILL_TURN_USERNAME": self._secrets.turn_username,
            "CALLDRILL_TURN_PASSWORD": self._secrets.turn_password,
            "CALLDRILL_CALLER_ADDRESSES": only_address,  # with several accesses: whatever is there at the moment
        }
        if uplink.access.firewall == "http-proxy-only":
            env["HTTP_PROXY"] = env["HTTPS_PROXY"] = f"http://{uplink.gateway_address}:{PROXY_PORT}"
        return env

    def _plan(self, uplink: Uplink) -> CallPlan:
        host = self._lab.addresses.turn
        return self._drill.callers.call(
            self._url,
            profile=uplink.access.profile.name,
            stun=((host, STUN_PORT),),
            turn=(
                TurnAddress(host, STUN_PORT, "udp"),
                TurnAddress(host, STUN_PORT, "tcp"),
                TurnAddress(host, self._ports.tls, "tls"),
            ),
            turn_ca=str(self._authority),
            telemetry_url="" if self._drill.agent.command else f"{self._url}/api/telemetry",
        )

    def _on_load(self, event: dict[str, Any], timeline: TimelineRunner) -> None:
        if event["event"] == "first-due":
            timeline.start(event["due_ns"])
            if not self._told:
                self._told = True
                callers = self._drill.callers
                self._recorder.note(f"{callers.calls} calls, due within {callers.length_s:g} s")
        elif event["event"] == "ended":
            self._recorder.note(f"{event['id']} {event['outcome']}")
        elif event["event"] == "fault":
            self._recorder.note(event["text"], "error", "locust")

    def _on_network(self, event: Any) -> None:  # noqa: ANN401
        self._recorder.add(event)
        stage = "" if event.stage == "point" else f" {event.stage}s"
        place = f" at {event.site}" if event.site else ""
        self._recorder.note(f"network: {event.name}{stage}{place} ({event.detail})")


def uplink_prefix(name: str) -> str:
    """What calls of a site are called."""
    return f"{name.removeprefix('-')}-call" if name else "call"
