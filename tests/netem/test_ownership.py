"""Whose qdisc is whose: by handle, by device, by preference."""

import json

import pytest

from netem.errors import LabBrokeError
from netem.ownership import foreign_filters, read


def found(*qdiscs: dict, filters: tuple[dict, ...] = (), ifb: bool = False) -> tuple[str, str]:
    told = read(json.dumps(qdiscs), json.dumps(filters), ifb)
    return told.root, told.ingress


def test_whose_the_root_is_follows_from_its_handle():
    assert found() == ("nobody", "nobody")
    assert found({"kind": "fq_codel", "handle": "0:", "root": True}) == ("nobody", "nobody")
    assert found({"kind": "mq", "handle": "0:", "root": True}) == ("nobody", "nobody")
    assert found({"kind": "netem", "handle": "ca11:", "root": True})[0] == "us"
    assert found({"kind": "prio", "handle": "ca11:", "root": True})[0] == "us"
    assert found({"kind": "netem", "handle": "1:", "root": True})[0] == "somebody"
    assert found({"kind": "htb", "handle": "ca11:", "root": True})[0] == "somebody"


def test_an_ingress_is_ours_only_with_our_device_behind_it():
    ingress = {"kind": "ingress", "handle": "ffff:"}
    assert found(ingress)[1] == "somebody"
    assert found(ingress, filters=({"pref": 3235},), ifb=True)[1] == "us"
    assert found(ingress, ifb=True)[1] == "us"
    assert found(ingress, filters=({"pref": 9},), ifb=True)[1] == "somebody"
    assert found({"kind": "clsact", "handle": "ffff:"})[1] == "somebody"
    assert foreign_filters(json.dumps([{"pref": 3235}, {"pref": 9}]))
    assert not foreign_filters("")


def test_what_is_no_answer_of_tc_is_told():
    with pytest.raises(LabBrokeError, match="cannot read"):
        read("Cannot find device", "[]", has_ifb=False)
