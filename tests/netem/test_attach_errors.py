"""What a line of tc that failed means to whoever asked. The interface is `lo`, and nothing is really run."""

from collections.abc import Sequence

import pytest

from measures.network import Impairment, Profile
from netem.attach import attach
from netem.attachment import Match
from netem.errors import AskedWrongError, HostLacksError, LabBrokeError

ASKED = Profile("x", Impairment(delay_ms=1), Impairment(delay_ms=1), "x")


class Failing:
    """A runner whose commands with a certain word fail with certain words."""

    def __init__(self, at: str, words: str) -> None:
        self._at, self._words = at, words
        self.seen: list[str] = []

    def __call__(self, argv: Sequence[str], stdin: str = "") -> str:
        line = " ".join(argv)
        self.seen.append(line)
        if self._at in line:
            raise LabBrokeError(f"`{line}` failed with 2: {self._words}")
        return "[]"


@pytest.mark.parametrize(
    ("at", "words", "error", "said"),
    [
        (
            "handle ca11: netem",
            "Error: Specified qdisc kind is unknown.",
            HostLacksError,
            "has no sch_netem: sudo modprobe",
        ),
        ("handle ca11: prio", "Error: Specified qdisc kind is unknown.", HostLacksError, "has no sch_prio"),
        ("parent ca11: protocol", "Error: TC classifier not found.", HostLacksError, "has no cls_u32"),
        ("parent ffff: protocol", "Error: TC classifier not found.", HostLacksError, "has no cls_u32"),
        ("parent ffff: protocol", "Error: Failed to load TC action module.", HostLacksError, "has no act_mirred"),
        ("type ifb", "Error: Unknown device type.", HostLacksError, "has no ifb"),
        ("qdisc add", "RTNETLINK answers: Operation not permitted", HostLacksError, "run it with sudo"),
        ("qdisc add", "Error: Exclusivity flag on, cannot modify.", AskedWrongError, "by somebody else"),
        ("qdisc add", "Error: something new", LabBrokeError, "something new"),
    ],
)
def test_a_failure_is_told_by_what_mends_it(at: str, words: str, error: type[Exception], said: str):
    runner = Failing(at, words)
    with pytest.raises(error, match=said):
        attach("lo", ASKED, Match(("192.0.2.1",)), both=True, for_s=None, runner=runner)
    # and whatever there was of ours would have been looked for, to be undone
    assert runner.seen[-2].startswith("tc -j qdisc show dev lo")
