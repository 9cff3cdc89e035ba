"""Fuzz targets for in-toto layouts and their keys; see tests/fuzz/targets.py."""

from __future__ import annotations

import json

from attest.codec import jsonstrict
from attest.codec.layoutkeys import is_gpg, read_keys
from attest.codec.layouts import Layout, parse_layout_metadata
from tests.attest.codec.test_layouts import GPG, KEY, KEYID, LAYOUT, LINK, dsse, metablock


def fuzz_layouts(data: bytes) -> None:
    """What is accepted has what its verifier relies on, and is what a forgiving reader sees."""
    read = parse_layout_metadata(data)
    assert read.document == json.loads(data)
    assert len(set(read.keyids)) == len(read.keyids) > 0
    if not isinstance(read.content, Layout):
        assert all(digests for digests in read.content.products.values())
        return
    assert read.content.steps
    assert read.content.expires.tzinfo is not None
    for step in read.content.steps:
        assert step.threshold >= 1
        assert "/" not in step.name
        assert len(set(step.pubkeys)) == len(step.pubkeys)
    for keyid, key in read.content.keys.items():
        assert key["keyid"] == keyid


def fuzz_layoutkeys(data: bytes) -> None:
    document = jsonstrict.loads(data, what="keys")
    if type(document) is not dict:
        return
    for keyid, key in read_keys(document, "keys").items():
        assert key["keyid"] == keyid
        assert is_gpg(key) is ("keytype" not in key)


def seeds(name: str) -> list[bytes]:
    """Good and bad inputs for one target."""
    if name == "fuzz_layoutkeys":
        gpg = {**GPG, "subkeys": {"ef" * 20: {**GPG, "keyid": "ef" * 20}}}
        rsa = {**KEY, "keytype": "rsa", "scheme": "rsassa-pss-sha256", "keyval": {"public": "x"}}
        return [json.dumps({KEYID: key}).encode() for key in (KEY, gpg, rsa, {})]
    signature = {"keyid": KEYID, "signature": "00", "other_headers": "04"}
    return [
        *(form(content) for form in (metablock, dsse) for content in (LAYOUT, LINK)),
        metablock({**LAYOUT, "keys": {KEYID: GPG}}, signatures=[signature]),
    ]
