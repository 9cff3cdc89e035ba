"""OMS statements beyond the vectors: sizes that take several windows, and what is kept."""

from __future__ import annotations

import json
import subprocess
import sys
from array import array
from typing import Any

import pytest

from attest import limits
from attest.codec import bigjson, oms
from attest.codec.manifest import CHUNK_SIZE, Manifest
from attest.codec.oms import encode_oms, is_legacy_statement, is_oms_payload, parse_oms
from attest.digest import HashAlgorithm
from attest.errors import MalformedInput, TooLarge, Unsupported
from tests.cli.support import environment
from tests.support.forge import encoded, foreign, legacy, resources, statement


def manifest(names: list[str], algorithm=HashAlgorithm.SHA256, size: int = 3) -> Manifest:
    digests = bytearray(algorithm.size * len(names))
    return Manifest(algorithm, names, digests, array("Q", [size] * len(names)))


def encode(made: Manifest, **more) -> bytes:
    return bytes(encode_oms("m", made, ignore_paths=(), allow_symlinks=False, **more))


@pytest.mark.parametrize("algorithm", list(HashAlgorithm), ids=str)
def test_round_trip(algorithm):
    made = manifest(["a", "b", "\N{SNOWMAN}"], algorithm)
    made.assumed = {1}
    read = parse_oms(encode(made))
    assert read.manifest == made
    assert read.carries_tree_digest
    assert read.subject.digests[made.tree_name()] == made.tree_digest().hex


def test_chunks_round_trip():
    made = manifest(["a", "b"], size=CHUNK_SIZE + 1)
    made.chunks = {1: bytes(range(64))}
    assert parse_oms(encode(made)).manifest == made


def test_many_windows():
    made = manifest([f"folder/file-{i:06d}" for i in range(20_000)])
    payload = encode(made)
    assert len(payload) > 4 * bigjson._WINDOW
    assert parse_oms(payload).manifest == made
    spoiled = payload.replace(b'"name":"folder/file-019999"', b'"name":"folder/file-019998"')
    with pytest.raises(MalformedInput):
        parse_oms(spoiled)


def test_ignored_paths_and_links_are_kept():
    payload = encode_oms("m", manifest(["a"]), ignore_paths=["z", "b"], allow_symlinks=True)
    read = parse_oms(bytes(payload))
    assert read.ignore_paths == ("b", "z")
    assert read.allow_symlinks


def test_payload_may_be_a_bytearray():
    payload = encode_oms("m", manifest(["a"]), ignore_paths=(), allow_symlinks=False)
    assert isinstance(payload, bytearray)
    assert parse_oms(bytes(payload)).manifest.names == ["a"]


def test_number_of_entries_is_bounded(monkeypatch):
    monkeypatch.setattr(limits, "MAX_MANIFEST_ENTRIES", 5)
    with pytest.raises(TooLarge):
        parse_oms(encoded(statement(resources())))


def test_number_of_ignored_paths_is_bounded():
    paths = ["x"] * (limits.MAX_IGNORE_PATHS + 1)
    with pytest.raises(TooLarge):
        parse_oms(encoded(statement(ignore_paths=paths)))


@pytest.mark.parametrize("paths", ["x", [1], {"a": 1}, [["a"]]])
def test_ignored_paths_of_another_type(paths):
    with pytest.raises(MalformedInput):
        parse_oms(encoded(statement(ignore_paths=paths)))


@pytest.mark.parametrize("member", ["method", "hash_type", "allow_symlinks"])
def test_settings_that_are_missing(member):
    with pytest.raises(MalformedInput) as caught:
        parse_oms(encoded(statement(**{member: None})))
    assert caught.value.code == "missing-member"


def test_sizes_of_strangers_are_dropped():
    assert parse_oms(encoded(foreign(resources()))).manifest.sizes is None
    assert parse_oms(encoded(statement())).manifest.sizes is not None


def test_kinds():
    assert is_oms_payload(encoded(statement()))
    assert not is_legacy_statement(encoded(statement()))
    assert is_legacy_statement(encoded(legacy()))
    assert parse_oms(encoded(legacy())).legacy


def test_statement_that_mentions_the_old_predicate_somewhere_is_refused():
    document = {"x": {"predicateType": "https://model_signing/Digests/v0.1"}, **statement()}
    with pytest.raises((MalformedInput, Unsupported)):
        parse_oms(encoded(document))


def test_old_statement_with_a_second_list_of_subjects():
    document = {"x": {"subject": []}, **legacy()}
    with pytest.raises(MalformedInput):
        parse_oms(encoded(document))


def test_element_that_is_no_object():
    elements: list[Any] = ["text", 7, None, [], True]
    for element in elements:
        document = statement()
        document["predicate"]["resources"].append(element)
        with pytest.raises(MalformedInput):
            parse_oms(encoded(document))


@pytest.mark.parametrize("member", ["name", "digest", "algorithm"])
@pytest.mark.parametrize("value", [None, 7, [], {}, True])
def test_resource_member_of_another_type(member, value):
    document = statement()
    document["predicate"]["resources"][3][member] = value
    with pytest.raises(MalformedInput) as caught:
        parse_oms(encoded(document))
    assert "resources[3]" in str(caught.value.where)


@pytest.mark.parametrize("size", [-1, 1 << 63, 1 << 64, 1.0, "1", True, None])
def test_size_that_is_none(size):
    document = statement()
    document["predicate"]["resources"][0]["size"] = size
    with pytest.raises(MalformedInput):
        parse_oms(encoded(document))


def test_tree_digest_over_unsorted_entries():
    document = statement()
    document["predicate"]["resources"].reverse()
    with pytest.raises(MalformedInput) as caught:
        parse_oms(encoded(document))
    assert caught.value.code == "tree-digest-without-sizes"


def test_hundred_thousand_entries_in_little_memory():
    code = (
        "from array import array\n"
        "from attest.codec.manifest import Manifest\n"
        "from attest.codec.oms import encode_oms, parse_oms\n"
        "from attest.digest import HashAlgorithm\n"
        "n = 100_000\n"
        "names = [f'folder/file-{i:08d}.bin' for i in range(n)]\n"
        "digests, sizes = bytearray(32 * n), array('Q', bytes(8 * n))\n"
        "made = Manifest(HashAlgorithm.SHA256, names, digests, sizes)\n"
        "payload = bytes(encode_oms('m', made, ignore_paths=(), allow_symlinks=False))\n"
        "del made, names\n"
        "assert len(parse_oms(payload).manifest) == n\n"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 140_000, "kB"


def test_written_statement_is_ascii_and_compact():
    payload = encode(manifest(["\N{SNOWMAN}"]))
    payload.decode("ascii")
    assert json.loads(payload)["predicate"]["resources"][0]["name"] == "\N{SNOWMAN}"
    assert oms.parse_oms(payload).single_file is False
