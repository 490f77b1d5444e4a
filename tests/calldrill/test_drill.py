"""Drill files: the built-in ones load, wrong ones get one line that says what, where and what to do."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calldrill.drill import Drill, built_in_drills, load_drill, parse_drill
from calldrill.errors import InputError

GOOD = '[drill]\nname = "mine"\n'


@pytest.mark.parametrize("name", built_in_drills())
def test_built_in_drills_load_and_say_what_they_prove(name: str) -> None:
    drill = load_drill(name)
    assert drill.drill.name == name
    assert drill.drill.description
    assert drill.checks


def test_the_default_is_what_was_promised() -> None:
    drill = load_drill(None)
    assert (drill.lab.profile, drill.callers.calls, len(drill.callers.turns)) == ("4g-good", 5, 3)
    assert [(a.kind, a.duration_s) for a in drill.actions()] == [("outage", 4.0), ("nat-rebind", None)]
    assert (drill.sampler.duration_s, drill.sampler.interval_ms) == (10.0, 20.0)
    assert drill.callers.policy == "widget"


def test_what_is_typed_can_go_beside_the_call() -> None:
    text = GOOD + '[callers]\nprotocol = "socketio"\nturns = [{at_s = 1, type = "hello"}]\n'
    drill = parse_drill(text.encode(), "mine.toml")
    assert drill.callers.call("http://127.0.0.1").protocol == "socketio"


def test_a_drill_is_data_and_comes_back() -> None:
    import msgspec

    drill = load_drill("default")
    assert msgspec.convert(drill.resolved(), Drill) == drill


WRONG = [
    ("", "missing 'drill'"),
    ("[drill]\n", "drill: missing 'name'"),
    (GOOD + "[callerz]\n", "unknown key 'callerz'; known keys: drill, lab, agent, timeline"),
    (GOOD + "[callers]\ncall = 5\n", "callers: unknown key 'call'; known keys: calls,"),
    (GOOD + '[callers]\ncalls = "five"\n', "callers.calls: expected 'int', got 'str'"),
    (GOOD + "[callers]\ncalls = -1\n", "callers.calls: expected 'int' >= 0; it is -1"),
    (GOOD + "[[timeline]]\nkind = 'outage'\nduration_s = inf\n", "duration_s: expected 'float' <= 86400.0; it is inf"),
    (GOOD + "[[timeline]]\nkind = 'flap'\ndown_s = 0.001\n", "down_s: expected 'float' >= 0.1; it is 0.001"),
    (GOOD + '[callers]\npolicy = "none"\n', "callers.policy: unknown policy 'none'; known: widget, voice-hook"),
    (GOOD + '[callers]\nturns = [{at_s = 1, say = "xx"}]\n', "callers.turns[0].say: no clip 'xx'"),
    (GOOD + "[callers]\nturns = [{at_s = 1}]\n", "callers.turns[0]: needs either say"),
    (
        GOOD + '[callers]\nturns = [{at_s = 1, type = "a", barge_in_ms = 5}]\n',
        "callers.turns[0].barge_in_ms: goes with",
    ),
    (GOOD + '[callers]\nprotocol = "whip"\nturns = [{at_s = 1, type = "a"}]\n', "nothing can be typed by whip"),
    (GOOD + '[callers]\nprotocol = "whip"\nprime_messages = 3\n', "callers.prime_messages: nothing can be typed"),
    (GOOD + '[callers]\ncodec = "g729"\n', "callers.codec: "),
    (GOOD + '[callers]\nending = "sulk"\n', "callers.ending: "),
    (GOOD + "[callers]\nrepeat = 10\n", "callers.call_limit_s: the call ends at 120 s, before its last turn at 271 s"),
    (
        GOOD + "[callers]\nrepeat = 1000\nrepeat_every_s = 0.1\nturns = [{at_s=0, say='order'}, {at_s=1, say='order'},"
        " {at_s=1, say='order'}]\n",
        "callers.repeat: comes to 3000 turns; at most 2000",
    ),
    (GOOD + '[callers]\nprotocol = "sip"\n', "callers.protocol: "),
    (GOOD + '[callers]\npath = "api"\n', "callers.path: 'api' has to begin with /"),
    (GOOD + '[agent]\ncommand = ["x"]\nfaults = "slow"\n', "agent.faults: are the embedded agent's"),
    (GOOD + '[agent]\ncommand = ["x"]\nsettings = {pause_ms = 200}\n', "agent.settings: are the embedded agent's"),
    (GOOD + '[agent]\nsettings = {api_key = "x"}\n', "agent.settings.api_key: is the lab's own, or a secret"),
    (GOOD + "[agent]\nsettings = {port = 1}\n", "agent.settings.port: is the lab's own, or a secret"),
    (GOOD + '[agent]\nsettings = {"LD PRELOAD" = 1}\n', "agent.settings"),
    (GOOD + "[callers]\nworkers = 0\n", "callers.workers: "),
    (
        GOOD + '[callers]\narrivals = {shape = "wave", per_s = 1}\n',
        "callers.arrivals.shape: Invalid value 'wave'; known: constant, ramp, steps, spike, soak",
    ),
    (
        GOOD + '[callers]\narrivals = {shape = "soak", per_s = 1, hold = 1}\n',
        "callers.arrivals: unknown key 'hold'; known keys: per_s, hold_s, rise_s",
    ),
    (
        GOOD + '[callers]\ncalls = 3\narrivals = {shape = "soak", per_s = 1, hold_s = 1}\n',
        "callers.calls: does not go with arrivals",
    ),
    (
        GOOD + '[callers]\narrivals = {shape = "soak", per_s = 1000, hold_s = 86400}\n',
        "callers.arrivals: comes to 86400000 calls; at most 1000",
    ),
    (
        GOOD + '[callers]\nturns = [{ats = 1, say = "order"}]\n',
        "callers.turns[0]: unknown key 'ats'; known",
    ),
    (GOOD + '[lab]\nprofile = "5g-perfect"\n', "lab.profile:"),
    (
        GOOD + '[[timeline]]\nat_s = 1\nkind = "flood"\n',
        "timeline[0].kind: Invalid enum value 'flood'; known: profile, outage",
    ),
    (GOOD + '[[timeline]]\nat_s = 1\nkind = "outage"\n', "timeline[0]: kind 'outage' needs duration_s"),
    (
        GOOD + '[[timeline]]\nat_s = 1\nkind = "nat-rebind"\nduration_s = 1\n',
        "timeline[0].duration_s: does not go with kind",
    ),
    (GOOD + '[[timeline]]\nat_s = 1\nkind = "profile"\n', "timeline[0]: kind 'profile' needs profile"),
    (
        GOOD + '[[timeline]]\nat_s = 1\nkind = "outage"\nduration_s = 5\n[[timeline]]\nat_s = 3\nkind = "nat-rebind"\n',
        "'nat-rebind' at 3 s begins before 'outage' ends at 6 s",
    ),
    (GOOD + '[lab]\nnat = "cone"\n', "lab.nat: Invalid enum value 'cone'; known: none, full-cone, restricted"),
    (GOOD + "[lab]\nfirewall = 3\n", "lab.firewall: expected 'str', got 'int'; it is 3; known: none, udp-blocked"),
    (
        GOOD + '[lab]\nfamily = "ipv6"\nnat = "symmetric"\n',
        "nat 'symmetric': IPv6 is not translated",
    ),
    (GOOD + '[lab]\nfamily = "ipv6"\n', "lab.family: 'ipv6' alone carries no drill"),
    (GOOD + '[[lab.sites]]\nprofile = "wifi"\n', "lab.sites[0]: missing 'name'"),
    (GOOD + '[[lab.sites]]\nname = "a"\nnats = 1\n', "lab.sites[0]: unknown key 'nats'; known keys: access, profile"),
    (GOOD + '[lab]\nnat = "none"\n[[lab.sites]]\nname = "a"\n', "lab.nat: does not go beside lab.sites"),
    (GOOD + '[[lab.accesses]]\nname = "4g"\nprofile = "5g-perfect"\n', "lab.accesses[0].profile: no network profile"),
    (GOOD + '[[lab.accesses]]\nname = "home"\n', "lab: site 'caller': accesses: the name 'home' is there twice"),
    (GOOD + '[[timeline]]\nkind = "handover"\nto = "4g"\n', "timeline[0].to: there is no access '4g' in this lab"),
    (GOOD + '[[timeline]]\nkind = "flap"\nduration_s = 1\n', "timeline[0]: kind 'flap' needs down_s"),
    (GOOD + '[[timeline]]\nkind = "udp-block"\nsite = "x"\n', "timeline[0].site: there is no site 'x' in this lab"),
    (GOOD + '[lab]\nnat = "none"\n[[timeline]]\nkind = "nat-rebind"\n', "timeline[0]: there is no NAT to rebind"),
    (
        GOOD + '[[timeline]]\nkind = "nat-rebind"\nafter = {event = "agent-sings"}\n',
        "timeline[0].after.event: unknown event 'agent-sings'; known: call-placed",
    ),
    (
        GOOD + '[[timeline]]\nkind = "nat-rebind"\nafter = {evnt = "x"}\n',
        "timeline[0].after: unknown key 'evnt'; known keys: event, call, count",
    ),
    (
        GOOD + '[[lab.sites]]\nname = "a"\n[[lab.sites]]\nname = "b"\n'
        '[callers]\narrivals = {shape = "soak", per_s = 1, hold_s = 3}\n',
        "callers.arrivals: goes with one site",
    ),
    (GOOD + '[checks]\nturn_latenzy = "p(50) < 1 s"\n', "unknown metric 'turn_latenzy'; did you mean turn_latency"),
    (GOOD + '[checks]\nturn_latency = "p(50) < 1 parsec"\n', "unit 'parsec' does not fit"),
    (GOOD + '[checks]\nturn_latency = "mean < 1 s"\n', "is not a threshold"),
    (GOOD + '[checks]\ncalls_failed = "p(50) < 1"\n', "does not fit a counter"),
    ("[drill\n", "is not TOML"),
]


@pytest.mark.parametrize(("text", "said"), WRONG, ids=[said for _, said in WRONG])
def test_what_is_wrong_is_said(text: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_drill(text.encode(), "my.toml")
    message = str(refused.value)
    assert message.startswith("my.toml: ")
    assert said in message
    assert "\n" not in message


@given(st.binary(max_size=200))
def test_any_bytes_load_or_are_refused(content: bytes) -> None:
    with pytest.raises(InputError):
        parse_drill(content, "x")


def calldrill(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "calldrill", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=cwd, check=False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "nowhere.toml"), "nowhere.toml: no such drill file (built-in drills: "),
        (("run", "wrong.toml"), "wrong.toml: callers: unknown key 'call'"),
        (("run", "."), "cannot be read"),
        (("run", "--out", "used"), "holds a run already"),
        (("run", "--what"), "No such option"),
        (("nonsense",), "No such command"),
        (("report", "nowhere"), "nowhere"),
        (("probe", "http://x"), "http"),
        (("sample", "stamp://"), "stamp://"),
    ],
)
def test_mistakes_are_one_line_and_exit_2(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    (tmp_path / "wrong.toml").write_text(GOOD + "[callers]\ncall = 5\n")
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "run.json").write_text("{}")
    before = sorted(tmp_path.rglob("*"))
    done = calldrill(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before, "nothing is left behind"


def test_drills_lists_them(tmp_path: Path) -> None:
    done = calldrill("drills", cwd=tmp_path)
    assert done.returncode == 0
    assert "\ndefault: " in done.stdout


def test_the_number_of_calls_follows_from_the_arrivals() -> None:
    spike = 'arrivals = {shape = "spike", base_per_s = 1, peak_per_s = 3, before_s = 2, peak_s = 2, after_s = 2}'
    drill = parse_drill((GOOD + f"[callers]\n{spike}\n").encode(), "x")
    assert drill.resolved()["callers"]["calls"] == drill.callers.calls == 10
    assert msgspec.convert(drill.resolved(), Drill) == drill


def test_turns_are_said_typed_or_said_over_the_answer():
    drill = parse_drill(
        b"""[drill]
name = "turns"
[callers]
codec = "pcma"
relay = true
workers = 2
turns = [
    { at_s = 1, say = "order" },
    { at_s = 2, type = "My code word is heron.", expect = "heron" },
    { at_s = 3, say = "change", barge_in_ms = 700 },
]
""",
        "here",
    )
    call = drill.callers.call("http://127.0.0.1:1", profile="wifi")
    assert [(turn.kind, turn.clip, turn.text, turn.expect) for turn in call.turns] == [
        ("speech", "order", "", ""),
        ("text", "", "My code word is heron.", "heron"),
        ("barge-in", "change", "", ""),
    ]
    assert call.turns[2].over_after_ms == 700
    assert (call.codec, call.relay_only, drill.callers.workers) == ("pcma", True, 2)


def test_turns_are_gone_through_as_often_as_asked() -> None:
    text = (
        GOOD + "[callers]\nrepeat = 3\nrepeat_every_s = 10\nturns = [{at_s=1, say='order'}, {at_s=4, say='thanks'}]\n"
    )
    callers = parse_drill(text.encode(), "x").callers
    assert [(turn.at_s, turn.say) for turn in callers.turns] == [
        (1, "order"), (4, "thanks"), (11, "order"), (14, "thanks"), (21, "order"), (24, "thanks"),
    ]  # fmt: skip
    assert callers.all_turns() == callers.turns, "and the drill as it is kept is not repeated once more"
