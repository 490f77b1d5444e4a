"""A seed is asked about only when there is one, and refused where tc does not know it."""

import pytest

from measures.network import Impairment
from netem.errors import HostLacksError
from netem.seed import refuse_unknown_seed


def test_without_a_seed_nobody_is_asked():
    refuse_unknown_seed([Impairment(), Impairment(delay_ms=1)], pytest.fail)


def test_a_tc_that_does_not_tell_of_a_seed_has_none():
    with pytest.raises(HostLacksError, match="knows no netem seed: leave `seed` out"):
        refuse_unknown_seed([Impairment(), Impairment(seed=1)], lambda line: "[ limit PACKETS ]")
    refuse_unknown_seed([Impairment(seed=1)], lambda line: "[ seed SEED ] [ limit PACKETS ]")
