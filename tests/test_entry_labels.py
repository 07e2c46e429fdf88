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
    long = [f"{name}={'9' * LONG_FIELD}" for name in ("width", "depth")]
    hosts = [{"host": "rd", "host_fields": long[:1]}, {"host": "hvq", "host_fields": long[1:]}]
    assert told(*hosts) == ["host=rd", "host=hvq"]
    same_host = [{**hosts[0]}, {**hosts[1], "host": "rd"}]
    assert told(*same_host) == [f"host_fields={part}" for part in long]


def test_what_no_field_tells_apart_is_told_by_its_digest() -> None:
    assert told({"ratio": 0.1}, {"ratio": 0.1}) == ["#0", "#1"]
