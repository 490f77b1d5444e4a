"""Ports for the servers of tests that run side by side."""

import contextlib
import random
import socket

HOST = "127.0.0.1"


def free_port() -> int:
    """A port that was free a moment ago, for UDP and for TCP.

    It lies below the range from which the kernel takes ports for others: tests run side by side, and what somebody
    else's connection takes between now and the server's start would be lost.
    """
    for _ in range(100):
        port = random.randrange(12_000, 32_000)
        with contextlib.suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind((HOST, port))
            tcp.bind((HOST, port))
            return port
    raise RuntimeError("no free port was found")
