"""Layouts and links: what the parser refuses, each as a named test."""

from __future__ import annotations

import base64
import copy
import json

import pytest

from attest import limits
from attest.codec.layouts import Layout, Link, parse_layout_metadata
from attest.errors import AttestError, MalformedInput, TooLarge, Unsupported

KEYID = "ab" * 32
KEY = {"keyid": KEYID, "keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "cd" * 32}}
GPG = {
    "keyid": KEYID,
    "type": "rsa",
    "method": "pgp+rsa-pkcsv1.5",
    "hashes": ["pgp+SHA2"],
    "keyval": {"private": "", "public": {"e": "010001", "n": "ff" * 256}},
}
STEP = {
    "_type": "step",
    "name": "build",
    "pubkeys": [KEYID],
    "threshold": 1,
    "expected_command": ["make"],
    "expected_materials": [["ALLOW", "*"]],
    "expected_products": [["MATCH", "*", "WITH", "products", "FROM", "build"]],
}
LAYOUT = {
    "_type": "layout",
    "steps": [STEP],
    "inspect": [],
    "keys": {KEYID: KEY},
    "expires": "2030-01-01T00:00:00Z",
    "readme": "",
}
LINK = {
    "_type": "link",
    "name": "build",
    "command": [],
    "materials": {"a": {"sha256": "00" * 32}},
    "products": {},
    "byproducts": {"return-value": 0},
    "environment": {},
}
SIGNATURE = {"keyid": KEYID, "sig": "00" * 64}


def metablock(signed: dict, **changes) -> bytes:
    return json.dumps({"signed": signed, "signatures": [SIGNATURE], **changes}).encode()


def dsse(signed: dict, **changes) -> bytes:
    payload = base64.b64encode(json.dumps(signed).encode()).decode()
    signature = {"keyid": KEYID, "sig": "AAAA"}
    kind = "application/vnd.in-toto+json"
    document = {"payload": payload, "payloadType": kind, "signatures": [signature], **changes}
    return json.dumps(document).encode()


def code_of(data: bytes) -> str:
    with pytest.raises(AttestError) as refused:
        parse_layout_metadata(data)
    assert isinstance(refused.value, MalformedInput | Unsupported)
    return refused.value.code


def changed(base: dict, path: str, value) -> dict:
    """A copy with ``a.b.0`` set; ``...`` removes it."""
    made = copy.deepcopy(base)
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    holder = made
    for part in way:
        holder = holder[part]
    if value is ...:
        del holder[last]
    else:
        holder[last] = value
    return made


@pytest.mark.parametrize("form", [metablock, dsse])
def test_both_forms(form):
    read = parse_layout_metadata(form(LAYOUT))
    assert isinstance(read.content, Layout)
    assert (read.form, read.keyids) == (form.__name__, (KEYID,))
    assert read.content.steps[0].name == "build"
    assert read.content.expires.isoformat() == "2030-01-01T00:00:00+00:00"
    link = parse_layout_metadata(form(LINK))
    assert isinstance(link.content, Link)
    assert link.content.materials == {"a": {"sha256": "00" * 32}}


def test_gpg_keys_and_signatures():
    subkey = {**GPG, "keyid": "ef" * 20}
    layout = changed(LAYOUT, "keys", {KEYID: {**GPG, "subkeys": {"ef" * 20: subkey}}})
    signature = {"keyid": KEYID, "signature": "00", "other_headers": "04"}
    read = parse_layout_metadata(metablock(layout, signatures=[signature]))
    assert read.keyids == (KEYID,)


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("steps", [], "no-steps"),
        ("steps", ..., "missing-member"),
        ("inspect", ..., "missing-member"),
        ("inspect", {}, "wrong-type"),
        ("inspect", ["ls"], "wrong-type"),
        ("keys", ..., "missing-member"),
        ("expires", ..., "no-expiry"),
        ("expires", "", "no-expiry"),
        ("expires", "2030-01-01", "bad-time"),
        ("expires", "2030-13-01T00:00:00Z", "bad-time"),
        ("expires", "２030-01-01T00:00:00Z", "bad-time"),
        ("expires", "2030-01-01T00:00:00Z\n", "bad-time"),
        ("readme", 1, "wrong-type"),
        ("steps", [STEP, STEP], "duplicate-step"),
        ("steps.0._type", "inspection", "wrong-type"),
        ("steps.0.name", "", "unsafe-name"),
        ("steps.0.name", "../../etc/passwd", "unsafe-name"),
        ("steps.0.name", "a\nb", "unsafe-name"),
        ("steps.0.name", "a\u202eb", "unsafe-name"),
        ("steps.0.name", "x" * 201, "unsafe-name"),
        ("steps.0.threshold", 0, "threshold-below-one"),
        ("steps.0.threshold", -1, "threshold-below-one"),
        ("steps.0.threshold", True, "wrong-type"),
        ("steps.0.threshold", 1.0, "wrong-type"),
        ("steps.0.threshold", ..., "missing-member"),
        ("steps.0.pubkeys", [KEYID, KEYID], "duplicate-key-id"),
        ("steps.0.pubkeys", ["../../x"], "malformed-keyid"),
        ("steps.0.pubkeys", ["abc"], "malformed-keyid"),
        ("steps.0.pubkeys", ["AB" * 32], "malformed-keyid"),
        ("steps.0.expected_command", "make", "wrong-type"),
        ("steps.0.expected_materials", [["ALLOW"]], "malformed-rule"),
        ("steps.0.expected_materials", [[]], "malformed-rule"),
        ("steps.0.expected_materials", [["ALLOW", "*", "x"]], "malformed-rule"),
        ("steps.0.expected_materials", [["PERMIT", "*"]], "malformed-rule"),
        ("steps.0.expected_materials", ["ALLOW *"], "wrong-type"),
        ("steps.0.expected_products", [["MATCH", "*"]], "malformed-rule"),
        ("steps.0.expected_products", [["MATCH", "*", "WITH", "X", "FROM", "b"]], "malformed-rule"),
        (f"keys.{KEYID}.keyid", "12" * 32, "keyid-mismatch"),
        (f"keys.{KEYID}.keytype", "sphincs", "unsupported-key"),
        (f"keys.{KEYID}.scheme", "rsassa-pss-sha256", "unsupported-key"),
        (f"keys.{KEYID}.keyval", {}, "missing-member"),
        (f"keys.{KEYID}.keyval.public", "cd" * 31, "malformed-key"),
        (f"keys.{KEYID}.keyval.private", "00", "private-key-given"),
        ("keys", {KEYID: {**GPG, "type": "dsa", "method": "pgp+dsa"}}, "unsupported-key"),
        ("keys", {KEYID: {**GPG, "keytype": "rsa"}}, "malformed-key"),
        ("keys", {KEYID: {**GPG, "keyval": {"public": {"e": "03"}}}}, "malformed-key"),
        ("keys", {KEYID: {**GPG, "validity_period": -1}}, "bad-time"),
        ("keys", {KEYID: {**GPG, "subkeys": {"ef" * 20: {**GPG, "subkeys": {"00" * 20: GPG}}}}},
         "malformed-key"),
        ("_type", "inspection", "unsupported-metadata-type"),
        ("_type", ..., "missing-member"),
    ],
)  # fmt: skip
def test_a_bad_layout(path, value, code):
    for form in (metablock, dsse):
        assert code_of(form(changed(LAYOUT, path, value))) == code


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("name", ..., "missing-member"),
        ("materials", ..., "missing-member"),
        ("products", [], "wrong-type"),
        ("products", {"": {"sha256": "00"}}, "unsafe-name"),
        ("products", {"a": {}}, "no-digest"),
        ("products", {"a": {"sha256": "0"}}, "malformed-digest"),
        ("products", {"a": {"sha256": "AB"}}, "malformed-digest"),
        ("products", {"a": {"sha256": 1}}, "malformed-digest"),
        ("products", {"a": "00"}, "wrong-type"),
        ("command", "make", "wrong-type"),
        ("byproducts", ..., "missing-member"),
        ("environment", [], "wrong-type"),
    ],
)
def test_a_bad_link(path, value, code):
    for form in (metablock, dsse):
        assert code_of(form(changed(LINK, path, value))) == code


@pytest.mark.parametrize(
    ("signatures", "code"),
    [
        ([], "no-signature"),
        ([SIGNATURE, SIGNATURE], "signature-listed-twice"),
        ([{"sig": "00"}], "missing-member"),
        ([{"keyid": KEYID}], "malformed-signature"),
        ([{"keyid": KEYID, "sig": "0"}], "malformed-input"),
        ([{"keyid": KEYID, "sig": "zz"}], "malformed-input"),
        ([{"keyid": "x", "sig": "00"}], "malformed-keyid"),
        ([{"keyid": KEYID, "sig": "00", "signature": "00", "other_headers": "00"}],
         "malformed-signature"),
        ([{"keyid": KEYID, "signature": "00"}], "missing-member"),
        ([{"keyid": KEYID, "sig": "00" * (limits.MAX_SIGNATURE_BYTES + 1)}], "too-large"),
        ([{"keyid": f"{n:064x}", "sig": "00"} for n in range(65)], "too-large"),
    ],
)  # fmt: skip
def test_bad_signatures(signatures, code):
    assert code_of(metablock(LAYOUT, signatures=signatures)) == code


def test_bad_envelopes():
    assert code_of(dsse(LAYOUT, payloadType="text/plain")) == "unsupported-payload-type"
    assert code_of(dsse(LAYOUT, signatures=[{"sig": "AAAA"}])) == "malformed-keyid"
    assert code_of(dsse(LAYOUT, payload="////")) == "not-utf8"
    both = json.loads(metablock(LAYOUT)) | json.loads(dsse(LAYOUT))
    assert code_of(json.dumps(both).encode()) == "not-in-toto-metadata"
    assert code_of(b"{}") == "not-in-toto-metadata"


def test_bad_json():
    assert code_of(b"") == "truncated"
    assert code_of(b"[]") == "wrong-type"
    assert code_of(b'{"signed": 1, "signed": 2}') == "duplicate-key"
    assert code_of(b'{"signed": ' + b"[" * 100 + b"]" * 100 + b"}") == "nested-too-deep"
    twice = metablock(LAYOUT).replace(b'"threshold": 1', b'"threshold": 9, "threshold": 1')
    assert code_of(twice) == "duplicate-key"


def test_too_much_of_everything(monkeypatch):
    many = {f"{n:064x}": {**KEY, "keyid": f"{n:064x}"} for n in range(5)}
    monkeypatch.setattr(limits, "MAX_LAYOUT_KEYS", 4)
    assert code_of(metablock(changed(LAYOUT, "keys", many))) == "too-large"
    assert code_of(metablock(changed(LAYOUT, "steps.0.pubkeys", list(many)))) == "too-large"
    monkeypatch.setattr(limits, "MAX_LAYOUT_STEPS", 1)
    two = [STEP, {**STEP, "name": "two"}]
    assert code_of(metablock(changed(LAYOUT, "steps", two))) == "too-large"
    monkeypatch.setattr(limits, "MAX_LAYOUT_BYTES", 10)
    with pytest.raises(TooLarge):
        parse_layout_metadata(metablock(LAYOUT))


def test_unknown_members_are_ignored():
    parse_layout_metadata(metablock({**LAYOUT, "x-new": 1}))
