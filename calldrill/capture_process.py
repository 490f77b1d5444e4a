"""Runs `probes.capture` as a process of its own: scapy stays out of every other."""

import json
import subprocess
import sys
from typing import Any

from calldrill.errors import InputError, RunError
from measures.run import EXIT_BAD_INPUT


def capture_process(*arguments: str, **options: Any) -> "subprocess.Popen[str]":  # noqa: ANN401  Popen's own
    """Start it; stdout and stderr are pipes unless told otherwise."""
    command = [sys.executable, "-m", "probes.capture", *arguments]
    return subprocess.Popen(
        command,
        text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL} | options,
    )


def capture_result(process: "subprocess.Popen[str]", what: str) -> dict[str, Any]:
    """What it found. Raises `InputError` or `RunError` with its last line."""
    output, errors = process.communicate()
    if process.returncode == 0:
        found: dict[str, Any] = json.loads(output)
        return found
    said = errors.strip().splitlines()[-1] if errors.strip() else f"ended with {process.returncode}"
    if process.returncode == EXIT_BAD_INPUT:
        raise InputError(f"{what}: {said}")
    raise RunError(f"{what}: {said}")
