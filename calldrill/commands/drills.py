"""``calldrill drills``: the built-in drills and what each proves."""

import sys

from calldrill.drill import built_in_drills, load_drill


def drills() -> None:
    """List the built-in drills and what each proves."""
    for name in built_in_drills():
        sys.stdout.write(f"{name}: {load_drill(name).drill.description}\n")
