"""What every test may use.

Time limits are in units that a slow machine may stretch: ``CALLDRILL_TEST_PATIENCE=3`` triples them.
"""

import os

import hypothesis
import pytest

# How long an example takes says something of the machine, not of the code.
hypothesis.settings.register_profile("calldrill", deadline=None)
hypothesis.settings.load_profile("calldrill")

PATIENCE = float(os.environ.get("CALLDRILL_TEST_PATIENCE", "1"))


@pytest.fixture
def patience() -> float:
    """Factor for the time limits of a test."""
    return PATIENCE
