"""What tc says is read, told in one line and compared with what was asked. The JSON is iproute2 6.1's own."""

from dataclasses import replace

import pytest

from measures.network import BurstyLoss, Impairment, RandomLoss
from netem.errors import LabBrokeError
from netem.readback import differences, parse

BURSTY = """[{"kind":"netem","handle":"1:","root":true,"refcnt":2,"options":{"limit":1000,"delay":{"delay":0.01,
"jitter":0.003,"correlation":0},"loss-gemodel":{"p":0.00510204,"r":0.25,"1-h":1,"1-k":0},"duplicate":{"duplicate":0.01,
"correlation":0},"reorder":{"reorder":0.03,"correlation":0},"corrupt":{"corrupt":0.005,"correlation":0},"ecn":false,
"gap":1},"bytes":0,"packets":7,"drops":2,"overlimits":0,"requeues":0,"backlog":0,"qlen":0}]"""
ASKED = Impairment(
    delay_ms=10,
    jitter_ms=3,
    distribution="uniform",
    loss=BurstyLoss(2, 4),
    duplicate_pct=1,
    corrupt_pct=0.5,
    reorder_pct=3,
    keep_order=False,
)


def test_a_qdisc_is_one_line_for_a_person():
    assert str(parse(BURSTY, "vec0")) == (
        "vec0: netem delay 10 ms ± 3 ms, loss Gilbert-Elliott p 0.5102 r 25 1-h 100 1-k 0 %, "
        "duplicate 1 %, reorder 3 %, corrupt 0.5 %, limit 1000, 7 packets sent, 2 dropped"
    )


def test_what_was_asked_is_found():
    assert differences(ASKED, parse(BURSTY, "vec0")) == []


def test_every_difference_is_named():
    odd = differences(Impairment(delay_ms=11, loss=RandomLoss(2)), parse(BURSTY, "vec0"))
    assert "delay_ms is 10, asked 11" in odd
    assert any(line.startswith("loss is") for line in odd)


@pytest.mark.parametrize("text", ["", "[]", "nonsense", '[{"kind":"netem"}]', "3", '["x"]'])
def test_what_is_no_answer_is_an_error_and_not_an_empty_qdisc(text: str):
    with pytest.raises(LabBrokeError, match="cannot read the qdisc of vec0"):
        parse(text, "vec0")


def test_another_kind_of_qdisc_is_a_difference():
    found = parse('[{"kind":"pfifo_fast","root":true,"options":{}}]', "vec0")
    assert "kind is pfifo_fast, asked netem" in differences(Impairment(), found)


def test_a_seed_that_the_kernel_does_not_tell_back_is_a_difference():
    asked = Impairment(delay_ms=1, seed=4, keep_order=False)
    told = '[{"kind":"netem","root":true,"options":{"limit":1000,"delay":{"delay":0.001,"jitter":0}%s}}]'
    assert differences(asked, parse(told % ',"seed":4', "vec0")) == []
    assert differences(asked, parse(told % ',"seed":5', "vec0")) == ["seed is 5, asked 4"]
    assert differences(asked, parse(told % "", "vec0")) == ["seed is unknown to this kernel, asked 4"]
    assert differences(replace(asked, seed=None), parse(told % ',"seed":5', "vec0")) == []


def test_small_shares_are_compared_by_their_size_and_a_rate_that_keeps_order_may_be_there():
    told = """[{"kind":"netem","root":true,"options":{"limit":1000,"loss-random":{"loss":%s},"rate":{"rate":%d}}}]"""
    asked = Impairment(loss=RandomLoss(0.0002))
    assert differences(asked, parse(told % ("2e-06", 1_250_000_000), "vec0")) == []
    assert differences(asked, parse(told % ("1e-06", 0), "vec0")) == ["loss is (0.0001,), asked (0.0002,)"]
    unkept = differences(replace(asked, keep_order=False), parse(told % ("2e-06", 1_250_000_000), "vec0"))
    assert unkept == ["rate_kbit is 1e+07, asked 0"]
