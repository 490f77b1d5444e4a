"""A verification as a picture and as a page."""

from pathlib import Path

import pytest

from measures.network import Impairment, Profile, ProofCheck
from measures.verification import DirectionEvidence, Unjudged, Verification
from reports.impairment_page import FORMATS, write_picture

CHECK = ProofCheck("one-way delay, median (ms)", "20", 18, 22, 25.0, passed=False)


def evidence(way: str, delays: tuple[float, ...], bursts: tuple[int, ...]) -> DirectionEvidence:
    return DirectionEvidence(
        way, "20 ms <b>", 100, len(delays), 5.0, 242, 0.1, delays, tuple(n / 10 for n in range(201)), bursts,
        tuple(0.5 * n for n in bursts), 990.0, (CHECK,), (Unjudged("rate (kbit/s)", "too slow"),),
    )  # fmt: skip


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_is_written(tmp_path: Path, ending: str):
    profile = Profile("mine", Impairment(), Impairment(), "me")
    both = (evidence("up", (20.0, 21.0, 25.0), (3, 1)), evidence("down", (), (0,) * 2))
    result = Verification(profile, "uml", "a router", ("vec0: netem",), both, ("repeated",))
    write_picture(result, tmp_path / f"p{ending}")
    content = (tmp_path / f"p{ending}").read_bytes()
    if ending == ".png":
        assert content.startswith(b"\x89PNG")
        return
    text = content.decode()
    assert "nothing came through" in text
    assert "no packet was lost" in text
    assert "<b>" not in text
    if ending == ".html":
        assert "failed" in text
        assert "not judged" in text
        assert "repeated" in text
    else:
        assert text.startswith("<svg xmlns=")


def test_the_exit_code_tells_failed_from_unjudged():
    profile = Profile("mine", Impairment(), Impairment(), "me")
    one = evidence("up", (1.0,), ())
    assert Verification(profile, "", "", (), (one,), ()).exit_code == 99
