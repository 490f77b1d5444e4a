"""The machine and the versions a run is made with, as far as they matter for comparing it with another."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from measures.host import Host

PACKAGES = ("calldrill", "aioice", "aiortc", "av", "locust", "numpy", "uvloop")


def this_host() -> Host:
    """The machine we are on."""
    return Host(
        kernel=platform.release(),
        machine=platform.machine(),
        cpu_model=_cpu_model(),
        cpu_count=len(os.sched_getaffinity(0)),
        memory_bytes=psutil.virtual_memory().total,
        python=platform.python_version(),
        privileges="root" if os.geteuid() == 0 else "user namespace",
    )


def versions() -> dict[str, str]:
    """Versions of the packages whose behaviour is in the figures."""
    return {name: _version(name) for name in PACKAGES}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
