"""What changed between two BOMs: pairs, fields, relations; and nothing that did not change."""

from __future__ import annotations

import copy
import random
import time
from typing import Any

import pytest

from attest.bom.bomindex import index_bom
from attest.bom.diff import diff_boms
from attest.bom.elements import PROFILES, check_elements, load_profile
from tests.attest.bom.test_elements import big
from tests.support.bom_examples import older, release, vex


def library(name: str, version: str = "1.0", **more: Any) -> dict[str, Any]:
    return {"type": "library", "name": name, "version": version, **more}


def of(*components: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": list(components), **more}


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """The changes of the only component that changed."""
    found = diff_boms(of(before), of(after))
    assert (found.added, found.removed) == ((), ())
    (only,) = found.changed
    return [(each.field, each.before, each.after) for each in only.changes]


def test_two_releases():
    found = diff_boms(older(), release())
    assert found.subject is not None
    assert found.subject.label == "classifier@2.1.0"
    changed = {each.field: (each.before, each.after) for each in found.subject.changes}
    assert changed["version"] == ("2.0.0", "2.1.0")
    assert changed["hashes.SHA-256"] == ("cc" * 32, "aa" * 32)
    assert changed["properties.attest:parameters"] == ("66362880", "109482240")
    assert changed["modelCard.modelParameters.datasets.0.ref"] == (None, "data")
    assert found.added == (("data", "reviews@3"),)
    assert found.dependencies_added == (("(subject)", "reviews@3"),)
    assert found.counts()["added"] == 1
    assert not found.same


def test_the_same():
    assert diff_boms(release(), release()).same
    assert diff_boms({}, {}).same
    assert diff_boms(release(), release()).unchanged == 1


def test_order_serial_number_and_timestamp_say_nothing():
    before = of(library("a"), library("b"), serialNumber="urn:uuid:1", version=1)
    after = of(library("b"), library("a"), serialNumber="urn:uuid:2", version=2)
    after["metadata"] = {"timestamp": "2026-11-20T12:00:00Z"}
    assert diff_boms(before, after).same


def test_an_update_is_one_change():
    before = library("a", "1.0", purl="pkg:npm/%40x/a@1.0?os=linux", **{"bom-ref": "1"})
    after = library("a", "2.0", purl="pkg:npm/%40x/a@2.0?os=linux", **{"bom-ref": "2"})
    assert [field for field, _, _ in changes(before, after)] == ["version", "purl"]


def test_purls_of_two_types_are_two_components():
    before = of({"type": "library", "name": "a", "purl": "pkg:npm/a@1"})
    after = of({"type": "application", "name": "b", "purl": "pkg:pypi/a@1"})
    found = diff_boms(before, after)
    assert (found.added, found.removed) == ((("application", "b"),), (("library", "a"),))


def test_a_component_that_got_a_purl_is_paired_by_name():
    before, after = library("a"), library("a", purl="pkg:npm/a@1.0")
    assert changes(before, after) == [("purl", None, "pkg:npm/a@1.0")]


def test_a_renamed_component_is_paired_by_ref():
    before, after = library("a", **{"bom-ref": "x"}), library("b", **{"bom-ref": "x"})
    assert changes(before, after) == [("name", "a", "b")]


def test_several_of_one_name_pair_by_version():
    before = of(library("a", "1"), library("a", "2"), library("a", "3"))
    after = of(library("a", "3"), library("a", "1"))
    found = diff_boms(before, after)
    assert found.removed == (("library", "a@2"),)
    assert (found.changed, found.unchanged) == ((), 2)


def test_two_of_one_name_that_share_everything_but_a_hash():
    one = library("a", hashes=[{"alg": "SHA-256", "content": "aa" * 32}])
    other = library("a", hashes=[{"alg": "SHA-256", "content": "bb" * 32}])
    assert diff_boms(of(one, other), of(other, one)).same


@pytest.mark.parametrize(
    ("member", "before", "after", "field"),
    [
        ("licenses", [{"license": {"id": "MIT"}}], [{"expression": "Apache-2.0"}], "licenses"),
        ("hashes", [], [{"alg": "SHA-256", "content": "AA" * 32}], "hashes.SHA-256"),
        ("supplier", {"name": "x"}, {"name": "y"}, "supplier.name"),
        ("description", "x", "y", "description"),
        ("properties", [{"name": "p", "value": "1"}], [{"name": "p", "value": "2"}],
         "properties.p"),
        ("modelCard", {"modelParameters": {"task": "a"}}, {"modelParameters": {"task": "b"}},
         "modelCard.modelParameters.task"),
        ("data", [{"type": "dataset", "sensitiveData": []}],
         [{"type": "dataset", "sensitiveData": ["x"]}], "data.0.sensitiveData"),
    ],
)  # fmt: skip
def test_fields(member: str, before: Any, after: Any, field: str):
    found = changes(library("a", **{member: before}), library("a", **{member: after}))
    assert [each for each, _, _ in found] == [field]


def test_order_of_licences_hashes_and_properties_says_nothing():
    licences = [{"license": {"id": "MIT"}}, {"license": {"id": "ISC"}}]
    properties = [{"name": "p", "value": "1"}, {"name": "p", "value": "2"}]
    one = library("a", licenses=licences, properties=properties)
    other = library("a", licenses=licences[::-1], properties=properties[::-1])
    assert diff_boms(of(one), of(other)).same


def test_long_texts_that_differ_at_the_end_look_different():
    one, other = (
        library("a", description="x" * 9000 + "1"),
        library("a", description="x" * 9000 + "2"),
    )
    ((_, before, after),) = changes(one, other)
    assert before != after
    assert len(before) < 700


def test_an_update_changes_no_dependency():
    def made(version: str) -> dict[str, Any]:
        return of(
            library("app", **{"bom-ref": "app"}),
            library("lib", version, **{"bom-ref": f"lib@{version}"}),
            dependencies=[{"ref": "app", "dependsOn": [f"lib@{version}"]}],
        )

    found = diff_boms(made("1"), made("2"))
    assert (found.dependencies_added, found.dependencies_removed) == ((), ())
    assert len(found.changed) == 1


def test_a_dependency_that_moves_between_two_versions_of_one_library():
    def made(needed: str) -> dict[str, Any]:
        return of(
            library("app", **{"bom-ref": "app"}),
            library("lib", "1", **{"bom-ref": "lib@1"}),
            library("lib", "2", **{"bom-ref": "lib@2"}),
            dependencies=[{"ref": "app", "dependsOn": [needed]}],
        )

    found = diff_boms(made("lib@1"), made("lib@2"))
    assert found.dependencies_added == (("app", "lib@2"),)
    assert found.dependencies_removed == (("app", "lib@1"),)


def test_vulnerabilities():
    settled = vex()
    open_again = copy.deepcopy(settled)
    open_again["vulnerabilities"][0]["analysis"] = {"state": "exploitable"}
    open_again["vulnerabilities"][1]["id"] = "CVE-2022-2"
    found = diff_boms(settled, open_again)
    assert found.vulnerabilities_added == (("CVE-2022-2", "jackson-databind"),)
    assert found.vulnerabilities_removed == (("CVE-2021-1", "jackson-databind"),)
    ((identity, label, change),) = found.vulnerabilities_changed
    assert (identity, label) == ("CVE-2020-25649", "jackson-databind")
    assert (change.before, change.after) == (
        "not_affected, high, unknown",
        "exploitable, high, unknown",
    )


def test_tools_and_format_of_the_document():
    after = release(specVersion="1.7")
    after["metadata"]["tools"]["components"][0]["version"] = "2.1"
    found = diff_boms(release(), after)
    assert [(each.field, each.after) for each in found.document] == [
        ("specVersion", "1.7"),
        ("metadata.tools.components.0.version", "2.1"),
    ]


@pytest.mark.parametrize("junk", [None, 7, "text", [1, "x", None, [[]]], {"a": 1}, True])
@pytest.mark.parametrize(
    "place", ["metadata", "components", "dependencies", "vulnerabilities", "specVersion"]
)
def test_wrong_types_are_passed_over(place: str, junk: Any):
    diff_boms({**release(), place: junk}, release())
    diff_boms(release(), {**release(), place: junk})


def test_it_is_symmetric():
    source = random.Random(7)
    for _ in range(30):
        one, other = (
            of(*(library(source.choice("abcd"), source.choice("12")) for _ in range(6)))
            for _ in range(2)
        )
        there, back = diff_boms(one, other), diff_boms(other, one)
        assert there.added == back.removed
        assert there.removed == back.added
        assert len(there.changed) == len(back.changed)


def test_100_000_components():
    before, after = big(100_000), big(100_000)
    for each in after["components"][:1000]:
        each["version"] = "1.1"
    begin = time.process_time()
    found = diff_boms(before, after)
    assert time.process_time() - begin < 45
    assert (len(found.changed), found.unchanged) == (1000, 99_000)


def test_100_000_components_of_one_name():
    """Pairing must not become quadratic."""
    before = of(*(library("same", str(number)) for number in range(100_000)))
    after = of(*(library("same", str(-number)) for number in range(100_000)))
    begin = time.process_time()
    diff_boms(before, after)
    assert time.process_time() - begin < 45


JUNK: list[Any] = [
    None, True, 0, -1, 1.5, 10**19, "", "x", "\x1b", "data", [], {}, [[]], [None], {"a": 1}, ["x"],
    [{}], {"ref": "x"}, {"name": "x"},
]  # fmt: skip


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside another."""
    keys: list[Any] = list(value) if isinstance(value, dict) else []
    keys += range(len(value)) if isinstance(value, list) else []
    return [at, *(path for key in keys for path in places(value[key], (*at, key)))]


def spoil(document: dict[str, Any], source: random.Random) -> None:
    """Replace, remove or add one value anywhere."""
    *steps, last = source.choice(places(document)[1:])
    holder: Any = document
    for step in steps:
        holder = holder[step]
    junk = copy.deepcopy(source.choice(JUNK))
    if isinstance(holder, list) and source.random() < 0.3:
        holder.append(junk)
    elif source.random() < 0.2:
        del holder[last]
    else:
        holder[last] = junk


def test_any_document_is_checked_and_compared():
    """Whatever stands where: every list is answered in full, and nothing differs from itself."""
    source = random.Random(11)
    profiles = [load_profile(name) for name in PROFILES]
    for _ in range(1500):
        document = source.choice((release, older, vex))()
        for _ in range(source.randint(1, 4)):
            if len(places(document)) > 1:
                spoil(document, source)
        index = index_bom(document)
        for profile in profiles:
            assert len(check_elements(index, profile)) == len(profile.elements)
        assert diff_boms(document, document).same
        there, back = diff_boms(document, release()), diff_boms(release(), document)
        assert there.added == back.removed
        assert there.removed == back.added
