"""``calldrill capture``: what a capture of a call tells, packet by packet, without its keys.

stdout is a table of RTP streams, or with ``--json`` one document: ``{"schema_version", "kind": "capture", "report":
CaptureReport}`` (see `probes.rtp_streams`). Exit 0: read; 1: this machine cannot capture; 2: the file or the command
line is wrong; 3: there is no RTP in it.
"""

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calldrill.errors import InputError
from measures.run import EXIT_NOT_ENOUGH_EVIDENCE, EXIT_PASSED

if TYPE_CHECKING:
    from rich.table import Table

    from probes.rtp_streams import CaptureReport, RtpStream

SCHEMA_VERSION = 1
PIPE_COLUMNS = 10_000
LEFT = ("ssrc", "from", "to", "DSCP")
HEADINGS = (
    *("ssrc", "from", "to", "from s", "for s", "packets", "lost"),
    *("mean burst", "jitter ms", "longest gap ms", "DSCP"),
)


def capture(
    file: Annotated[Path, typer.Argument(help="A pcap or pcapng file; with --interface it is written first.")],
    interface: Annotated[str | None, typer.Option(help="Capture here first, until Ctrl-C or --duration.")] = None,
    duration_s: Annotated[
        float, typer.Option("--duration", min=0.1, max=86_400, help="How long to capture, in seconds.")
    ] = 60.0,
    json_out: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
) -> None:
    """Read the RTP of a captured call, as `calldrill capture call.pcapng` (or --interface eth0 to make one)."""
    import msgspec  # noqa: PLC0415

    from calldrill.capture_process import capture_process, capture_result  # noqa: PLC0415
    from probes.rtp_streams import CaptureReport  # noqa: PLC0415

    if interface is not None:
        _record(interface, file, duration_s)
    if not file.is_file():
        raise InputError(f"{file}: no such file")
    report = msgspec.convert(capture_result(capture_process("read", str(file)), str(file)), CaptureReport, strict=False)
    if json_out:
        document = {"schema_version": SCHEMA_VERSION, "kind": "capture", "report": report}
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n")
    else:
        _print(report)
    sys.exit(EXIT_PASSED if report.streams else EXIT_NOT_ENOUGH_EVIDENCE)


def _record(interface: str, file: Path, duration_s: float) -> None:
    """Capture in the other process; Ctrl-C ends it there, and what was captured is kept."""
    from calldrill.capture_process import capture_process, capture_result  # noqa: PLC0415

    process = capture_process("record", interface, str(file), f"{duration_s:g}", stderr=None)
    before = signal.signal(signal.SIGINT, lambda *_: process.send_signal(signal.SIGTERM))
    try:
        found = capture_result(process, f"--interface {interface}")
    finally:
        signal.signal(signal.SIGINT, before)
    sys.stderr.write(f"capture: {found['packets']} packets written to {file}\n")


def _print(report: "CaptureReport") -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS, highlight=False, soft_wrap=True)
    with console.capture() as captured:
        if report.streams:
            console.print(_table(report))
        for stream in report.streams:
            for gap in stream.gaps:
                console.print(Text(f"{stream.ssrc:08x}: silent for {gap.lasted_ms:.0f} ms at {gap.at_s:.2f} s"))
        others = ", ".join(f"{count} {kind}" for kind, count in sorted(report.others.items()))
        found = f"{len(report.streams)} RTP streams" if report.streams else "no RTP"
        console.print(
            Text(f"{found} in {report.packets} UDP packets of {report.lasted_s:.1f} s; others: {others or 'none'}")
        )
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def _table(report: "CaptureReport") -> "Table":
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    heads = (
        "ssrc",
        "from",
        "to",
        "from s",
        "for s",
        "packets",
        "lost",
        "bursts",
        "jitter ms",
        "longest gap ms",
        "DSCP",
    )
    for heading in heads:
        table.add_column(
            heading, justify="left" if heading in ("ssrc", "from", "to", "DSCP") else "right", no_wrap=True
        )
    for stream in report.streams:
        table.add_row(*_cells(stream))
    return table


def _cells(stream: "RtpStream") -> list[str]:
    source_port, destination_port = stream.ports[-1]
    burst = stream.bursts.gilbert.mean_burst
    marks = "?" if stream.dscp is None else ", ".join(map(str, stream.dscp))
    return [
        f"{stream.ssrc:08x}" + (" (relayed)" if stream.relayed else ""),
        f"{stream.source}:{source_port}",
        f"{stream.destination}:{destination_port}",
        f"{stream.began_s:.2f}",
        f"{stream.lasted_s:.2f}",
        str(stream.packets),
        f"{stream.lost} of {stream.expected} = {100 * stream.lost / max(1, stream.expected):.2f} %",
        "–" if burst is None else f"{burst:.2f}",
        "?" if stream.jitter_mean is None else f"{stream.jitter_mean.mean_ms:.2f}",
        "–" if stream.longest_gap_ms is None else f"{stream.longest_gap_ms:.0f}",
        marks,
    ]
