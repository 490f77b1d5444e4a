"""A real Redis on a loopback port, in memory only, gone afterwards."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis

from tests.agent.server import free_port
from tests.conftest import PATIENCE

needs_redis = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="no redis-server here: apt-get install redis-server"
)


@contextmanager
def running_redis() -> Iterator[str]:
    """Its URL."""
    port = free_port()
    quiet = ["--save", "", "--appendonly", "no", "--loglevel", "warning", "--dir", "/"]
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", *quiet]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10 * PATIENCE
        with redis.Redis(port=port) as client:
            while True:
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    assert process.poll() is None, "redis-server has ended"
                    assert time.monotonic() < deadline, "redis-server does not answer"
                    time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(10)
