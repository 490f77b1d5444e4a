"""Where a name leads: socket addresses, and the names that are addresses already."""

import ipaddress
from typing import Any

Endpoint = tuple[Any, ...]
"""A socket address, as its family has it: host, port, and for IPv6 flow and scope."""
Found = list[tuple[int, Endpoint]]
"""Address families with a socket address each, in order of preference."""


def is_literal(host: str) -> bool:
    """Whether ``host`` is an address, so that nobody has to be asked."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
