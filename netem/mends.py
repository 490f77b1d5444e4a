"""The command that mends what a machine lacks: which package has a program, which one a kernel's module. Pure.

The packages are Debian's and Ubuntu's; on a system without apt their names say what to look for there.
"""

import platform
from collections.abc import Iterable

PACKAGES = {
    "ip": "iproute2",
    "tc": "iproute2",
    "nft": "nftables",
    "conntrack": "conntrack",
    "ethtool": "ethtool",
    "ping": "iputils-ping",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "mount": "mount",
    "insmod": "kmod",
    "linux.uml": "user-mode-linux",
    "tinyproxy": "tinyproxy",
    "turnserver": "coturn",
    "espeak-ng": "espeak-ng",
    "cc": "gcc libc6-dev",
}


def install(programs: Iterable[str]) -> str:
    """The command that installs the packages of these programs."""
    packages = dict.fromkeys(PACKAGES.get(program, program) for program in programs)
    return f"sudo apt-get install {' '.join(packages)}"


def load(module: str) -> str:
    """The commands that give this kernel a module: it may be there and not loaded, or not be there."""
    return f"sudo modprobe {module}, or sudo apt-get install linux-modules-extra-{platform.release()} (Ubuntu)"
