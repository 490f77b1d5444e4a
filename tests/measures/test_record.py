"""Records: what is written reads back, and no line, however hostile, does more than be told."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from measures.network import LabProof, ProofCheck
from measures.record import KINDS, BadLine, decode_record, decode_records, encode_record
from tests.reports import rig

EVERYTHING = rig.records()


def test_the_rig_has_a_record_of_every_kind():
    assert {type(record) for record in EVERYTHING} == set(KINDS.values())


def test_every_record_reads_back_as_it_was():
    lines = [encode_record(record) for record in EVERYTHING]
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)
    assert list(decode_records(lines)) == EVERYTHING


def test_a_field_of_the_future_is_passed_over():
    line = json.loads(encode_record(EVERYTHING[0]))
    line["body"]["colour"] = "blue"
    assert decode_record(json.dumps(line).encode()) == EVERYTHING[0]


def test_an_infinite_bound_reads_back_as_no_bound():
    proof = next(record for record in EVERYTHING if isinstance(record, LabProof))
    open_ended = LabProof(
        *(getattr(proof, name) for name in LabProof.__slots__[:7]),
        checks=(ProofCheck("loss", "0 %", -math.inf, math.inf, 0.0, True),),
        passed=True,
    )
    (check,) = decode_record(encode_record(open_ended)).checks
    assert (check.low, check.high) == (None, None)


DEEP = b"[" * 100_000


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe\x00",
        b'{"kind":"sample"}',
        b'{"kind":"sample","body":null}',
        b'{"kind":"treasure","body":{}}',
        b'{"kind":7,"body":{}}',
        b'{"kind":"note","body":{"at_ns":1e999,"level":"","source":"","text":""}}',
        b'{"kind":"note","body":{"at_ns":"1","level":"","source":"","text":""}}',
        b'{"kind":"note","body":' + DEEP,
        DEEP,
    ],
)
def test_a_bad_line_is_told_by_its_number_and_harms_no_other(line):
    good = encode_record(EVERYTHING[0])
    first, bad, last = decode_records([good, line, good])
    assert first == last == EVERYTHING[0]
    assert isinstance(bad, BadLine)
    assert bad.number == 2
    assert bad.reason


@given(st.binary(max_size=200))
def test_any_bytes_are_a_record_or_a_bad_line(line):
    (result,) = decode_records([line])
    assert isinstance(result, (BadLine, *KINDS.values()))


@given(st.sampled_from(range(len(EVERYTHING))), st.data())
def test_a_cut_line_is_a_bad_line(which, data):
    whole = encode_record(EVERYTHING[which]).rstrip(b"\n")
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert isinstance(next(iter(decode_records([whole[:cut]]))), BadLine)
