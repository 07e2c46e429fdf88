"""Configurations of one method are told apart by what differs, in a few words."""

from __future__ import annotations

from typing import Any

from ltbench.reports.entries import LONG_FIELD, _variants


def told(*fields: dict[str, Any]) -> list[str]:
    return list(_variants({("meds", str(number)): one for number, one in enumerate(fields)}).values())


def test_one_configuration_needs_no_words() -> None:
    assert told({"ratio": 0.1}) == [""]


def test_only_fields_that_differ_are_named() -> None:
    assert told({"ratio": 0.1, "k": 1}, {"ratio": 0.2, "k": 1}) == ["ratio=0.1", "ratio=0.2"]


def test_of_lists_only_what_differs_is_named() -> None:
    layers = [["layer2", "layer3"], ["layer2", "layer4"], ["layer2"]]
    assert told(*({"layers": names} for names in layers)) == ["layers=layer3", "layers=layer4", "layers=[]"]


def test_a_long_field_is_left_out_where_another_tells_all_apart() -> None:
    long = [{"layers": number * LONG_FIELD} for number in "12"]
    hosts = [{"host": "rd", **long[0]}, {"host": "hvq", **long[1]}]
    assert told(*hosts) == ["host=rd", "host=hvq"]
    assert told(*long) == [f"layers={number * LONG_FIELD}" for number in "12"]


def test_fields_of_a_host_are_left_out_where_the_hosts_differ() -> None:
    hosts = [
        {"host": "rd", "host_fields": {"width": 64, "depth": 1}},
        {"host": "hvq", "host_fields": {"width": 32, "codes": 512}},
    ]
    assert told(*hosts) == ["host=rd", "host=hvq"]
    assert told(hosts[0], {**hosts[0], "host_fields": {"width": 32, "depth": 1}}) == [
        "host.width=64",
        "host.width=32",
    ]


def test_what_no_field_tells_apart_is_told_by_its_digest() -> None:
    assert told({"ratio": 0.1}, {"ratio": 0.1}) == ["#0", "#1"]
