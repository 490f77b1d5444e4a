"""Fixtures of the probes' tests: a real coturn, and the options that suit it."""

from collections.abc import Iterator

import pytest

from probes.reach import ProbeOptions
from probes.turn import Credentials
from tests.probes.coturn import PASSWORD, USER, Coturn, is_installed


@pytest.fixture(scope="session")
def coturn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coturn]:
    """A coturn with one user, over UDP, TCP and TLS, that lets peers on loopback through."""
    if not is_installed():
        pytest.skip("turnserver is not installed")
    with Coturn(tmp_path_factory.mktemp("coturn")) as server:
        yield server


@pytest.fixture
def options(coturn: Coturn) -> ProbeOptions:
    """The right credentials and the right CA."""
    return ProbeOptions(Credentials(USER, PASSWORD), coturn.pki.ca, timeout_s=3.0)
