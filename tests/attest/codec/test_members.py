"""Names of members, and the bounded list of anomalies."""

from __future__ import annotations

import pytest

from attest.codec.members import MAX_OF_A_KIND, Anomalies, folded_key, member_key, name_fault


@pytest.mark.parametrize("name", ["a", "a/b", "archive/data/0", ".metadata", "é.txt", "a b", "..."])
def test_plain_names(name: str):
    assert name_fault(name) is None


@pytest.mark.parametrize(
    "name", ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "C:x", "a\\b", "a\0b", "a\n", "\x7f"]
)
def test_names_that_mislead(name: str):
    assert name_fault(name) is not None


@pytest.mark.parametrize("other", ["./a/b", "a//b", "a/./b", "a/b/", "a/b/."])
def test_names_of_one_file(other: str):
    assert member_key(other) == "a/b"


def test_names_of_one_file_where_case_does_not_count():
    assert folded_key("A/B") == folded_key("./a/b")
    assert folded_key("caf\u00c9") == folded_key("cafe\u0301")
    assert folded_key("stra\u00dfe") == folded_key("STRASSE")
    assert folded_key("a") != folded_key("b")


def test_enough_of_a_kind_is_enough():
    anomalies = Anomalies()
    for number in range(2 * MAX_OF_A_KIND):
        anomalies.add("usual", f"number {number}")
    anomalies.add("rare", "x" * 10_000, 5)
    assert len(anomalies.found) == MAX_OF_A_KIND + 1
    assert anomalies.found[-1].code == "rare"
    assert len(anomalies.found[-1].message) < 1000
