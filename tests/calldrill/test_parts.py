"""The face's smaller parts: certificates, verdict lines, the timeline's steps, memory of a process tree."""

import os
import ssl
import subprocess
import sys
from pathlib import Path

from calldrill.certificates import make_certificates
from calldrill.verdict_text import observed
from calldrill.watch import tree_memory
from measures.threshold import parse_threshold
from measures.verdict import Observations, judge


def test_certificates_chain_and_the_key_is_private(tmp_path: Path) -> None:
    files = make_certificates(tmp_path, ("203.0.113.20",), "turn.drill.example")
    context = ssl.create_default_context(cafile=str(files.authority))
    assert context.get_ca_certs()
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(files.certificate, files.key)
    assert files.key.stat().st_mode & 0o077 == 0
    command = [
        "openssl",
        "verify",
        "-CAfile",
        str(files.authority),
        "-verify_ip",
        "203.0.113.20",
        str(files.certificate),
    ]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_value_is_told_with_its_interval_and_nothing_as_nothing() -> None:
    threshold = parse_threshold("sample_loss", "rate < 2 %")
    told = observed(judge(threshold, Observations(successes=1, trials=500)))
    assert told.startswith("0.20 % (95 %: 0.01 % to 1.11 %)")
    assert observed(judge(threshold, Observations())).startswith("nothing")


def test_memory_of_a_tree_counts_its_children() -> None:
    code = "import subprocess, sys; p = subprocess.Popen(['sleep', '30']); print(p.pid, flush=True); p.wait()"
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        whole, alone = tree_memory(parent.pid), tree_memory(child)
        assert whole is not None
        assert alone is not None
        assert whole[0] > alone[0] > 0
        os.kill(child, 15)
    finally:
        parent.wait(10)
        parent.stdout.close()
    assert tree_memory(parent.pid) is None
