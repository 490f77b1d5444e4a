"""``calldrill lab``: the lab by hand. It stays up in the background until it is taken down.

    calldrill lab up --nat symmetric --profile 3g      a caller's site behind a symmetric NAT on a 3G link
    calldrill lab exec                                 a shell there
    calldrill lab exec -- calldrill nat stun:203.0.113.20
    calldrill lab exec server -- ss -lun               the same at the server's site, or at any host that `up` names
    calldrill lab list · calldrill lab down

Exit codes: 0 done, 1 could not, 2 the command line is wrong; those of `exec` are the command's own.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calldrill.errors import InputError, RunError

if TYPE_CHECKING:
    from calldrill.lab_keeper import Orders, Said
    from calldrill.lab_part import LabPart

UP_LIMIT_S = 90.0
DOWN_LIMIT_S = 15.0
POLL_S = 0.05
DEFAULT_NAME = "lab"
ASKED = ("profile", "nat", "hairpin", "firewall", "family")
Name = Annotated[str, typer.Option(help="Which lab: several can be up at once.")]

lab = typer.Typer(no_args_is_help=True, help="The lab by hand. Example: calldrill lab up --nat symmetric --profile 3g")


@lab.command()
def up(
    context: typer.Context,
    profile: Annotated[str, typer.Option(help="The profile of the path: see `calldrill netem profiles`.")] = "4g-good",
    nat: Annotated[
        str, typer.Option(help="none, full-cone, restricted, port-restricted, symmetric or carrier-grade.")
    ] = "port-restricted",
    hairpin: Annotated[bool, typer.Option("--hairpin", help="The NAT turns packets to its outside around.")] = False,
    firewall: Annotated[
        str, typer.Option(help="none, udp-blocked, only-tcp-443, http-proxy-only or short-udp-timeout.")
    ] = "none",
    family: Annotated[str, typer.Option(help="ipv4, ipv6 or dual.")] = "ipv4",
    drill: Annotated[str | None, typer.Option(help="Take the [lab] of this drill instead.")] = None,
    bare: Annotated[bool, typer.Option("--bare", help="Nothing runs at the server's site.")] = False,
    proof: Annotated[
        bool, typer.Option(help="Examine NAT and firewall first (some 2 s; 15 s for a short UDP time-out).")
    ] = True,
    name: Name = DEFAULT_NAME,
) -> None:
    """Build a lab and keep it up in the background, e.g. `calldrill lab up --nat symmetric --profile 3g`."""
    from calldrill.lab_folder import claim  # noqa: PLC0415
    from calldrill.lab_keeper import Orders  # noqa: PLC0415

    if drill is not None and (beside := _given(context, ASKED)):
        raise InputError(f"--{beside[0]} does not go beside --drill, whose [lab] says it already")
    asked = {"profile": profile, "nat": nat, "hairpin": hairpin, "firewall": firewall, "family": family}
    orders = Orders(_part(asked, drill), bare, proof)
    if orders.lab.family == "ipv6" and not bare:
        raise InputError("--family ipv6: what the lab offers at the server's site speaks IPv4; use dual, or add --bare")
    folder = claim(name)
    try:
        said = _start(folder, name, orders)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    sys.stdout.write(f"lab {name} is up: {said.summary}\nhosts: {', '.join(said.places)}\n")
    more = "" if name == DEFAULT_NAME else f" --name {name}"
    sys.stderr.write(f"calldrill lab exec{more} [HOST] [-- COMMAND] goes there; calldrill lab down{more} ends it\n")


@lab.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def exec(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[HOST] [-- COMMAND…]", help="Without a command: a shell.")
    ] = None,
    name: Name = DEFAULT_NAME,
) -> None:
    """Run a command, or a shell, at a host of the lab, e.g. `calldrill lab exec server -- ss -lun`."""
    from calldrill.lab_folder import cage_pid, find_lab  # noqa: PLC0415
    from netem.commands import find  # noqa: PLC0415

    state = find_lab(name)
    host, *command = words or [state.places[0]]
    if host not in state.places:
        host, command = state.places[0], [host, *command]
    command = command[1:] if command[:1] == ["--"] else command
    pid = cage_pid(state)
    enter = [find("nsenter"), f"--target={pid}", "--mount", "--pid", f"--net=/proc/{pid}/root/run/netns/{host}"]
    if os.geteuid() != 0:
        enter += ["--user", "--preserve-credentials"]
    environment = {**os.environ, **state.environment, "CALLDRILL_LAB": f"{name}:{host}"}
    shell = [os.environ.get("SHELL") or "/bin/sh"]
    sys.stdout.flush()
    here = "/" if Path.cwd().is_relative_to("/run") else Path.cwd()  # a cage has a /run of its own
    os.execve(enter[0], [*enter, f"--wdns={here}", "--", *(command or shell)], environment)  # noqa: S606


@lab.command()
def down(name: Name = DEFAULT_NAME) -> None:
    """Take a lab down, with everything that runs in it."""
    from calldrill.lab_folder import find_lab, is_kept, labs_folder  # noqa: PLC0415

    state = find_lab(name)
    os.kill(state.keeper, signal.SIGTERM)
    until = time.monotonic() + DOWN_LIMIT_S
    while is_kept(state) and time.monotonic() < until:
        time.sleep(POLL_S)
    if is_kept(state):  # the hard way: with the keeper the kernel ends the cage
        os.kill(state.keeper, signal.SIGKILL)
    shutil.rmtree(labs_folder() / name, ignore_errors=True)
    sys.stdout.write(f"lab {name} is down\n")


@lab.command("list")
def list_() -> None:
    """List the labs that are up."""
    from calldrill.lab_folder import living  # noqa: PLC0415

    for state in living():
        sys.stdout.write(f"{state.name}: {state.summary.splitlines()[0]}; hosts: {', '.join(state.places)}\n")


def _given(context: typer.Context, names: tuple[str, ...]) -> list[str]:
    """Those of the options that stood on the command line."""
    sources = {name: context.get_parameter_source(name) for name in names}
    return [name for name, source in sources.items() if source is not None and source.name != "DEFAULT"]


def _part(asked: dict[str, object], drill: str | None) -> "LabPart":
    """The lab's description, checked before anything is built."""
    from typing import get_args  # noqa: PLC0415

    import msgspec  # noqa: PLC0415

    from calldrill.drill import CHOICES, load_drill  # noqa: PLC0415
    from calldrill.lab_part import LabPart, lab_trouble  # noqa: PLC0415

    if drill is not None:
        return load_drill(drill).lab
    for key, known in CHOICES.items():
        if key in asked and asked[key] not in get_args(known):
            raise InputError(f"--{key} {asked[key]}: unknown; known: {', '.join(get_args(known))}")
    part = msgspec.convert(asked, LabPart)
    trouble = lab_trouble(part, {})
    if trouble:
        raise InputError(f"--{trouble.removeprefix('lab.')}" if trouble.startswith("lab.") else trouble)
    return part


def _start(folder: Path, name: str, orders: "Orders") -> "Said":
    """The keeper, on its own from now on; back when the lab is ready."""
    import msgspec  # noqa: PLC0415
    import psutil  # noqa: PLC0415

    from calldrill.lab_folder import LOG, LabState, write_state  # noqa: PLC0415
    from calldrill.lab_keeper import API_KEY, TURN_PASSWORD, TURN_USER  # noqa: PLC0415
    from calldrill.services import Secrets  # noqa: PLC0415

    secrets = Secrets.new()
    environment = {
        API_KEY: secrets.api_key, TURN_USER: secrets.turn_username, TURN_PASSWORD: secrets.turn_password,
    }  # fmt: skip
    command = [sys.executable, "-m", "calldrill.lab_keeper", msgspec.json.encode(orders).decode()]
    log = folder / LOG
    with log.open("wb") as output:
        keeper = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, **environment},
        )  # fmt: skip
    try:
        started = psutil.Process(keeper.pid).create_time()
        said = _wait(keeper, log)
        state = LabState(
            name=name, keeper=keeper.pid, started=started, places=said.places, summary=said.summary,
            environment=environment,
        )  # fmt: skip
        write_state(folder, state)
    except BaseException:
        keeper.kill()
        keeper.wait()
        raise
    return said


def _wait(keeper: "subprocess.Popen[bytes]", log: Path) -> "Said":
    import msgspec  # noqa: PLC0415

    from calldrill.lab_keeper import Said  # noqa: PLC0415

    until = time.monotonic() + UP_LIMIT_S
    while time.monotonic() < until:
        ended = keeper.poll() is not None
        lines = [line for line in log.read_bytes().splitlines() if line.startswith(b'{"ready"')]
        if lines:
            said = msgspec.json.decode(lines[0], type=Said)
            if said.ready:
                return said
            raise RunError(said.summary)
        if ended:
            words = log.read_text(errors="replace").strip().splitlines()
            raise RunError(f"the lab did not come up: {words[-1] if words else 'it said nothing'}")
        time.sleep(POLL_S)
    raise RunError(f"the lab was not up within {UP_LIMIT_S:g} s")
