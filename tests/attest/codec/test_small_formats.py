"""Digest lists, shard indexes, statements, and the choice between bundle and envelope."""

from __future__ import annotations

import json

import pytest

from attest.codec.bundle import UnverifiedBundle
from attest.codec.digestlist import parse_digest_list
from attest.codec.dsse import UnverifiedEnvelope, pae_header, parse_envelope
from attest.codec.shardindex import parse_dcp_metadata
from attest.codec.signature import parse_signature
from attest.codec.statement import parse_statement
from attest.digest import HashAlgorithm
from attest.errors import MalformedInput, TooLarge, Unsupported
from tests.support.forge import bundle, encoded, envelope, signer, statement

ZERO = "00" * 32
SHA256 = HashAlgorithm.SHA256


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (f"{ZERO}  a", "a"),
        (f"{ZERO} *a", "a"),
        (f"{ZERO}  ./a/b", "a/b"),
        (f"{ZERO}  a b ", "a b "),
        (f"\\{ZERO}  a\\nb\\\\c", "a\nb\\c"),
        (f"{ZERO}  a\\nb", "a\\nb"),
        (f"{ZERO}   a", " a"),
    ],
)
def test_digest_line(line, name):
    assert parse_digest_list(line.encode() + b"\n", SHA256) == {name: bytes(32)}
    assert parse_digest_list(line.encode(), SHA256) == {name: bytes(32)}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty-list"),
        (b"\n", "malformed-line"),
        (b"hello\n", "malformed-line"),
        (f"{ZERO} a\n".encode(), "malformed-line"),
        (f"{ZERO}  \n".encode(), "malformed-line"),
        (f"{ZERO}\ta\n".encode(), "malformed-line"),
        (f"{ZERO.upper().replace('0', 'A')}  a\n".encode(), "malformed-line"),
        (f"SHA256 (a) = {ZERO}\n".encode(), "malformed-line"),
        (f"{ZERO}00  a\n".encode(), "malformed-digest"),
        (f"{ZERO[:-2]}  a\n".encode(), "malformed-digest"),
        (f"{ZERO}  a\n{ZERO}  a\n".encode(), "duplicate-name"),
        (f"{ZERO}  a\n{ZERO}  ./a\n".encode(), "duplicate-name"),
        (f"\\{ZERO}  a\\x\n".encode(), "malformed-line"),
        (f"\\{ZERO}  a\\\n".encode(), "malformed-line"),
        (f"{ZERO}  a\n\n".encode(), "malformed-line"),
        (f"{ZERO}  ".encode() + b"\xff\n", "not-utf8"),
    ],
)
def test_digest_list_that_is_not_understood(data, code):
    with pytest.raises(MalformedInput) as caught:
        parse_digest_list(data, SHA256)
    assert caught.value.code == code


def test_digest_list_of_another_algorithm():
    with pytest.raises(MalformedInput):
        parse_digest_list(f"{ZERO}  a\n".encode(), HashAlgorithm.SHA512)


@pytest.mark.parametrize(
    "data",
    [b"", b"junk", b"\x80", b"\x80\x04", b"\x80\x04.x"[:2], b"\x8c\xff.", b"X\xff\xff\xff\xff."],
)
def test_metadata_that_is_no_pickle(data):
    with pytest.raises(MalformedInput):
        parse_dcp_metadata(data, where=".metadata")


def test_metadata_strings_that_are_no_shards():
    names = [b"__0_0.distcp", b"../x", b"a/__1_0.distcp", b"__1_0.distcp.x", b"tensor"]
    items = b"".join(b"\x8c" + bytes([len(name)]) + name for name in names)
    data = b"\x80\x04(" + items + b"l."
    assert parse_dcp_metadata(data, where="x") == {"__0_0.distcp"}


def test_form_is_decided_by_content():
    assert isinstance(parse_signature(encoded(bundle(statement()))), UnverifiedBundle)
    one = encoded(envelope(statement(), [signer()]))
    assert isinstance(parse_signature(one), UnverifiedEnvelope)


def test_envelope_inside_something_else_is_no_envelope():
    document = {"x": envelope(statement(), [signer()])}
    with pytest.raises(MalformedInput):
        parse_signature(encoded(document))
    both = {**envelope(statement(), [signer()]), "dsseEnvelope": {}}
    with pytest.raises(MalformedInput):
        parse_signature(encoded(both))


def test_pae_counts_bytes():
    """Trap 19."""
    assert pae_header("\N{SNOWMAN}", 5) == "DSSEv1 3 \N{SNOWMAN} 5 ".encode()


@pytest.mark.parametrize(
    "change",
    [
        {"payload": None},
        {"payload": 1},
        {"payload": ""},
        {"payloadType": None},
        {"signatures": None},
        {"signatures": {}},
        {"signatures": []},
        {"signatures": ["x"]},
        {"signatures": [{}]},
        {"signatures": [{"sig": ""}]},
        {"signatures": [{"sig": "AA"}]},
        {"signatures": [{"sig": "AAAA", "keyid": 7}]},
        {"signatures": [{"sig": "AAAA", "timestamps": [{"type": "tsp"}]}]},
        {"signatures": [{"sig": "AAAA", "timestamps": [{"type": "x", "data": "AAAA"}]}]},
        {"signatures": [{"sig": "AAAA", "timestamps": [{"type": "tsp", "data": "A"}]}]},
        {"signatures": [{"sig": "AAAA", "timestamps": {}}]},
    ],
    ids=str,
)
def test_malformed_envelope(change):
    document = {**envelope(statement(), [signer()]), **change}
    with pytest.raises(MalformedInput):
        parse_envelope(encoded(document))


@pytest.mark.parametrize(
    "entry",
    [
        {"sig": "A" * 4 * 6000},
        {"sig": "AAAA", "timestamps": [{"type": "tsp", "data": "AAAA"}] * 17},
        {"sig": "AAAA", "timestamps": [{"type": "tsp", "data": "AAAA" * 25_000}]},
    ],
    ids=["signature", "timestamps", "timestamp"],
)
def test_envelope_beyond_its_bounds(entry):
    document = {**envelope(statement(), [signer()]), "signatures": [entry]}
    with pytest.raises(TooLarge):
        parse_envelope(encoded(document))


GOOD = {
    "_type": "https://in-toto.io/Statement/v1",
    "subject": [{"name": "x", "digest": {"sha256": ZERO}}],
    "predicateType": "urn:x",
    "predicate": {},
}


def test_statement():
    read = parse_statement(json.dumps({**GOOD, "more": 1}).encode())
    assert read.subjects[0].digests == {"sha256": ZERO}


@pytest.mark.parametrize(
    "change",
    [
        {"subject": []},
        {"subject": None},
        {"subject": [{}]},
        {"subject": [{"name": "x"}]},
        {"subject": [{"name": "x", "digest": {}}]},
        {"subject": [{"name": "x", "digest": {"sha256": "0"}}]},
        {"subject": [{"name": "x", "digest": {"sha256": "AB"}}]},
        {"subject": [{"name": "x", "digest": {"sha256": ""}}]},
        {"subject": [{"name": "x", "digest": {"sha256": ZERO, "b": 7}}]},
        {"subject": [{"name": "x", "digest": {"sha256": ZERO + "\n"}}]},
        {"subject": [{"name": None, "digest": {"sha256": ZERO}}]},
        {"predicateType": None},
        {"predicate": []},
        {"predicate": "x"},
    ],
    ids=str,
)
def test_malformed_statement(change):
    with pytest.raises(MalformedInput):
        parse_statement(json.dumps({**GOOD, **change}).encode())


@pytest.mark.parametrize("kind", ["https://in-toto.io/Statement/v0.1", "", "x" * 500])
def test_statement_of_another_version(kind):
    with pytest.raises(Unsupported) as caught:
        parse_statement(json.dumps({**GOOD, "_type": kind}).encode())
    assert len(str(caught.value)) < 200
