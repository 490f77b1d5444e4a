"""How a program that we started is ended: asked first, made to after a while."""

import subprocess
from typing import Any


def end(process: "subprocess.Popen[Any]", limit_s: float) -> None:
    """Ask a child to end, and kill it when it has not within ``limit_s``. One that has ended already is left alone."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(limit_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
