"""Validation of BOMs by anybody: named faults, offline, and in time that grows with their size."""

from __future__ import annotations

import contextlib
import gc
import json
import socket
import time

import pytest

from attest import limits
from attest.bom import schema
from attest.bom.schema import compile_schema, validate_bom
from attest.codec import boms, jsonstrict
from attest.codec.boms import is_shallow, parse_bom
from attest.errors import MalformedInput, TooLarge, Truncated, Unsupported

HEAD = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1}


def bom(**members) -> bytes:
    return json.dumps(HEAD | members).encode()


def library(**members) -> dict:
    return {"type": "library", "name": "x"} | members


def paths(data: bytes) -> list[str]:
    return [problem.path for problem in validate_bom(data)]


# -- reading -------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1.4", "1.5", "1.6", "1.7"])
def test_versions_that_are_read(version):
    data = bom(specVersion=version, components=[library(licenses=[{"license": {"id": "MIT"}}])])
    assert validate_bom(data) == []
    wrong = bom(specVersion=version, components=[library(licenses=[{"license": {"id": "mit!"}}])])
    assert paths(wrong) == ["/components/0/licenses/0/license/id"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b'{"bomFormat":"CycloneDX","bomFormat":"CycloneDX","specVersion":"1.6"}', "duplicate-key"),
        (b'{"bomFormat":"CycloneDX","specVersion":"1.6","version":NaN}', "malformed-json"),
        (b'{"bomFormat":"CycloneDX","specVersion":"1.6","version":1e999}', "number-out-of-range"),
        (
            b'{"bomFormat":"CycloneDX","specVersion":"1.6","version":' + b"9" * 5000 + b"}",
            "number-out-of-range",
        ),
        (b'{"bomFormat":"CycloneDX","specVersion":"1.6","$schema":"\\ud800"}', "not-utf8"),
        (b'{"bomFormat":"CycloneDX","specVersion":"1.6","x":"\xff"}', "not-utf8"),
        (b"\xef\xbb\xbf{}", "malformed-json"),
        (b'{"bomFormat":"CycloneDX"}{}', "malformed-json"),
        (b'{"bomFormat":"cyclonedx","specVersion":"1.6"}', "not-a-bom"),
        (b'{"specVersion":"1.6"}', "not-a-bom"),
        (b'{"bomFormat":"CycloneDX"}', "missing-member"),
        (b'{"bomFormat":"CycloneDX","specVersion":1.6}', "wrong-type"),
        (b"[]", "wrong-type"),
        (b"null", "wrong-type"),
    ],
)
def test_what_is_no_bom_is_named(data, code):
    with pytest.raises(MalformedInput) as caught:
        parse_bom(data, where="x.json")
    assert caught.value.code == code


@pytest.mark.parametrize("version", ["", "1.3", "1.60", "2.0", "1.6 ", "1.6\n", "\u0661.6"])
def test_another_version_is_unsupported(version):
    with pytest.raises(Unsupported) as caught:
        validate_bom(bom(specVersion=version))
    assert caught.value.code == "unsupported-bom-version"


@pytest.mark.parametrize(
    "data",
    [b'<?xml version="1.0"?><bom/>', b"\xef\xbb\xbf <bom/>", b'{"spdxVersion":"SPDX-2.3"}'],
)
def test_other_formats_are_named(data):
    with pytest.raises(Unsupported) as caught:
        validate_bom(data)
    assert caught.value.code == "unsupported-bom"


def test_an_empty_or_cut_off_file_is_truncated():
    for data in (b"", b"  ", bom()[:-1], bom()[:20]):
        with pytest.raises(Truncated):
            validate_bom(data)


def test_the_bound_is_in_bytes(monkeypatch):
    data = bom()
    monkeypatch.setattr(limits, "MAX_BOM_BYTES", len(data))
    assert validate_bom(data) == []
    with pytest.raises(TooLarge):
        validate_bom(data + b" ")


def test_the_bytes_are_kept_as_they_came():
    data = b' {"version" : 1, "specVersion":"1.6" , "bomFormat":"CycloneDX"}\n'
    assert parse_bom(data).data == data


# -- depth ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":', b'{"a":['])
def test_a_depth_bomb_is_refused_before_anything_recurses(opening):
    with pytest.raises(MalformedInput) as caught:
        validate_bom(opening * 100_000)
    assert caught.value.code == "nested-too-deep"


def test_components_may_be_nested_as_deep_as_json_may():
    inner = library()
    for _ in range(13):
        inner = library(components=[inner])
    assert validate_bom(bom(components=[inner])) == []


def nested(depth: int, pair: str) -> bytes:
    text = "".join(pair[0] if level % 2 else '{"a":' for level in range(depth))
    closing = "".join(pair[1] if level % 2 else "}" for level in reversed(range(depth)))
    return (text + ("0" if depth % 2 else "") + closing).encode()


@pytest.mark.parametrize("depth", range(1, 80))
def test_the_fast_look_never_calls_a_deep_document_shallow(depth):
    for data in (b"[" * depth + b"]" * depth, nested(depth, "[]")):
        assert not is_shallow(data) or depth <= limits.MAX_JSON_DEPTH


@pytest.mark.parametrize(
    "text",
    ["[[[[", "]]]]", '"', '\\"[', "\\\\", "\\\\\\", '{"', '"}{"', "\\n[", "]\\", "é\\u005b["],
)
def test_brackets_in_texts_do_not_count(text):
    document = {"a": [text] * 40, text: {"b": text}}
    data = json.dumps(document).encode()
    assert boms.loads(data) == jsonstrict.loads(data, what="x") == document


def test_a_bracket_behind_an_unfinished_escape_is_not_hidden():
    deep = b'["\\\\",' + b"[" * 60 + b"]" * 60 + b"]"
    assert not is_shallow(deep)
    with pytest.raises(MalformedInput):
        boms.loads(deep)


def test_the_garbage_collector_is_left_as_it_was():
    for data in (bom(), b'{"a":', b'{"a":1,"a":2}'):
        with contextlib.suppress(MalformedInput):
            parse_bom(data)
        assert gc.isenabled()
    gc.disable()
    try:
        parse_bom(bom())
        assert not gc.isenabled()
    finally:
        gc.enable()


# -- the schema ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"components": [{"type": "library"}]}, "/components/0"),
        ({"components": [library(type="blob")]}, "/components/0/type"),
        ({"components": {}}, "/components"),
        ({"components": [library(), library()]}, "/components"),
        ({"components": [library(surprise=1)]}, "/components/0"),
        ({"version": 0}, "/version"),
        ({"version": "1"}, "/version"),
        ({"serialNumber": "urn:uuid:1"}, "/serialNumber"),
        ({"metadata": {"timestamp": "yesterday"}}, "/metadata/timestamp"),
        ({"metadata": {"timestamp": "2026-01-01T00:00:00"}}, "/metadata/timestamp"),
        ({"$ref": "http://example.com/x.json"}, ""),
        ({"definitions": {"$ref": "file:///etc/passwd"}}, "/definitions"),
        (
            {"components": [library(hashes=[{"alg": "SHA-256", "content": "zz"}])]},
            "/components/0/hashes/0/content",
        ),
        (
            {"components": [library(externalReferences=[{"type": "vcs", "url": "a b"}])]},
            "/components/0/externalReferences/0/url",
        ),
        ({"dependencies": [{"ref": "a"}, {"ref": "a"}]}, "/dependencies"),
    ],
)
def test_a_fault_is_found_and_placed(members, path):
    assert path in paths(bom(**members))


def test_an_element_that_comes_twice_far_apart_is_found():
    many = [library(name=f"n{number}") for number in range(1000)]
    problems = validate_bom(bom(components=[*many, many[0]]))
    assert [problem.message for problem in problems] == ["an array holds the same element twice"]


def test_the_place_in_a_long_array_is_right():
    many = [library(name=f"n{number}") for number in range(1000)]
    many[777] = library(type="blob")
    assert paths(bom(components=many)) == ["/components/777/type"]


def test_a_message_never_quotes_the_content():
    secret = "correct horse battery staple"
    for members in ({"version": secret}, {"components": [library(type=secret)]}):
        assert all(secret not in each.message for each in validate_bom(bom(**members)))


def test_an_own_schema_of_the_bom_is_neither_used_nor_fetched():
    assert validate_bom(bom(**{"$schema": "http://example.com/permits-everything.json"})) == []


# -- refs ----------------------------------------------------------------------------------------


def codes(data: bytes) -> set[str]:
    return {problem.code for problem in validate_bom(data)}


def test_duplicate_refs_are_found_wherever_they_are():
    inner = library(**{"bom-ref": "a"})
    for members in (
        {"components": [library(**{"bom-ref": "a"}), library(name="y", **{"bom-ref": "a"})]},
        {"components": [library(**{"bom-ref": "a"}, components=[inner])]},
        {"metadata": {"component": inner}, "components": [library(name="y", **{"bom-ref": "a"})]},
        {"metadata": {"tools": {"components": [inner]}}, "components": [inner]},
        {"services": [{"name": "s", "bom-ref": "a"}], "components": [inner]},
    ):
        assert codes(bom(**members)) == {"duplicate-bom-ref"}


def test_refs_that_lead_nowhere_are_found():
    have = {"components": [library(**{"bom-ref": "a"})]}
    for more in (
        {"dependencies": [{"ref": "b"}]},
        {"dependencies": [{"ref": "a", "dependsOn": ["b"]}]},
        {"dependencies": [{"ref": "a", "provides": ["b"]}]},
        {"compositions": [{"aggregate": "complete", "assemblies": ["b"]}]},
    ):
        assert codes(bom(**have, **more)) == {"dangling-ref"}


def test_links_to_other_boms_and_cycles_are_allowed():
    two = [library(**{"bom-ref": "a"}), library(name="y", **{"bom-ref": "b"})]
    circle = [{"ref": "a", "dependsOn": ["b"]}, {"ref": "b", "dependsOn": ["a"]}]
    assert validate_bom(bom(components=two, dependencies=circle)) == []
    link = "urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/1#x"
    outside = [{"ref": "a", "dependsOn": [link, "a"]}]
    assert validate_bom(bom(components=two, dependencies=outside)) == []


# -- offline -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reference",
    [
        "http://example.com/x.json",
        "https://cyclonedx.org/schema/bom-1.9.schema.json",
        "file:///etc/passwd",
        "unknown.json",
    ],
)
def test_an_unknown_reference_is_refused_without_a_connection(reference, monkeypatch):
    def no_network(*args, **kwargs):
        raise AssertionError("tried to reach the network")

    monkeypatch.setattr(socket, "socket", no_network)
    with pytest.raises(Exception, match=r"nothing is fetched|not present") as caught:
        compile_schema({"$id": "http://example.org/", "$ref": reference})
    assert type(caught.value).__module__.startswith("jsonschema_rs")


@pytest.mark.parametrize("version", boms.READ_VERSIONS)
def test_every_shipped_schema_compiles_offline(version):
    schema.validator.cache_clear()
    schema._registry.cache_clear()
    assert schema.validator(version).is_valid(HEAD | {"specVersion": version})


# -- size ----------------------------------------------------------------------------------------


def many(count: int, **members) -> bytes:
    return bom(
        components=[library(name=f"n{n}", **{"bom-ref": f"c{n}"}, **members) for n in range(count)],
        dependencies=[
            {"ref": f"c{n}", "dependsOn": [f"c{(n * 7 + 1) % count}"]} for n in range(count)
        ],
    )


def seconds(data: bytes) -> float:
    begin = time.process_time()
    validate_bom(data)
    return time.process_time() - begin


def test_time_grows_with_the_size_and_not_with_its_square():
    validate_bom(bom())
    small, large = many(2_000), many(20_000)
    assert seconds(large) < 40 * max(seconds(small), 0.005)


def test_a_bom_of_nothing_but_faults_ends_early():
    data = many(20_000, licenses=[{"license": {"id": "nonsense"}}])
    problems = validate_bom(data)
    assert len(problems) == limits.MAX_BOM_PROBLEMS
    assert seconds(data) < 10


def test_one_huge_faulty_part_is_told_as_such():
    inside = [library(name=f"n{n}", licenses=[{"license": {"id": "?"}}]) for n in range(20_000)]
    data = bom(metadata={"component": library(components=inside)})
    assert [(each.path, each.code) for each in validate_bom(data)] == [("/metadata", "schema")]
    assert seconds(data) < 10


def test_a_flood_of_dangling_refs_is_cut_off():
    data = bom(dependencies=[{"ref": f"x{n}"} for n in range(50_000)])
    assert len(validate_bom(data)) == limits.MAX_BOM_PROBLEMS
