"""Verifies an impairment inside the cage: ``python -m calldrill.verification REQUEST RESULT``, two JSON files.

The request is the profile, already checked, and the seconds allowed; the result is a `Verification`. What happens is
told on stderr. Exit codes: 0 measured (judging is the caller's), 1 could not run: then the result is the reason.
"""

import sys
from pathlib import Path

import msgspec

from measures.network import Profile
from measures.verification import Verification
from netem.bare_leg import BareLeg
from netem.cage import prepare_inside
from netem.errors import NetemError
from netem.verify import verify


class Request(msgspec.Struct, frozen=True):
    """What to verify, and for how many seconds the main train may run."""

    profile: Profile
    seconds: float
    quiet: bool = False


def measure(request: Request) -> Verification:
    """Build the bare leg, verify, take it down."""
    say = (lambda _: None) if request.quiet else _say
    with BareLeg(prepare_inside()) as leg:
        say(f"a bare leg is up: {leg.router.detail}")
        return verify(leg, request.profile, request.seconds, say)


def main(asked: str, told: str) -> int:
    """Read the request, measure, write the result."""
    try:
        result = measure(msgspec.json.decode(Path(asked).read_bytes(), type=Request))
    except NetemError as error:
        Path(told).write_text(str(error))
        return 1
    Path(told).write_bytes(msgspec.json.encode(result))
    return 0


def _say(words: str) -> None:
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
