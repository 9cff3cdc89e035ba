"""HDF5: what is read of it, and that nothing passes for absent that was not read."""

from __future__ import annotations

import json
import random

import pytest

from attest import limits
from attest.codec.hdf5 import SIGNATURE, find_superblock, parse_hdf5
from attest.codec.reader import BytesSource
from attest.errors import MalformedInput, TooLarge, Truncated, Unsupported
from tests.support.modelfiles import hdf5


def parse(data):
    return parse_hdf5(BytesSource(data))


@pytest.mark.parametrize("name", ["plain", "latest", "userblock"])
def test_a_keras_model(name):
    facts = parse(hdf5(name))
    assert facts.attributes["keras_version"] == b"2.15.0"
    assert json.loads(facts.attributes["model_config"])["class_name"] == "Sequential"
    assert facts.attributes["number"] is None
    assert set(facts.names) == {"layer0", "layer1"}
    assert facts.objects == 5
    assert facts.unread == ()
    assert facts.external == ()
    assert [code for code, _ in facts.anomalies] == (["prefix"] if name == "userblock" else [])


def test_weights():
    assert "model_config" not in parse(hdf5("weights")).attributes


def test_other_files():
    facts = parse(hdf5("external"))
    assert facts.external == (("data", "/etc/shadow"), ("link", "/etc/passwd"), ("virtual", ""))
    assert facts.unread == ()


def test_dense_storage_is_not_taken_for_empty():
    facts = parse(hdf5("dense"))
    assert facts.unread == ("a group with dense links", "dense attributes of the root group")


def test_tail():
    assert [code for code, _ in parse(hdf5("plain") + b"PK\3\4").anomalies] == ["tail"]


@pytest.mark.parametrize("size", [0, 7, 8, 20, 95, 200, 2000])
@pytest.mark.parametrize("name", ["plain", "latest"])
def test_cut_off(name, size):
    with pytest.raises(MalformedInput):
        parse(hdf5(name)[:size])


def test_only_the_signature():
    with pytest.raises(Truncated):
        parse(SIGNATURE)


def test_signature_places():
    assert find_superblock(BytesSource(bytes(1024) + SIGNATURE)) == 1024
    assert find_superblock(BytesSource(bytes(1000) + SIGNATURE)) is None


def changed(name, place, value):
    data = bytearray(hdf5(name))
    data[place : place + len(value)] = value
    return bytes(data)


def test_unknown_superblock():
    with pytest.raises(Unsupported):
        parse(changed("plain", 8, b"\4"))


@pytest.mark.parametrize("size", [0, 1, 3, 16, 255])
def test_odd_address_sizes(size):
    with pytest.raises(MalformedInput):
        parse(changed("plain", 13, bytes([size])))


@pytest.mark.parametrize("address", [0, 8, 1 << 40, (1 << 64) - 1, (1 << 63)])
def test_root_elsewhere(address):
    with pytest.raises((MalformedInput, Unsupported)):
        parse(changed("plain", 64, address.to_bytes(8, "little")))


def test_end_after_the_file():
    with pytest.raises(Truncated):
        parse(changed("plain", 40, (1 << 40).to_bytes(8, "little")))


def test_a_continuation_that_goes_round():
    data = hdf5("plain")
    root = int.from_bytes(data[64:72], "little")
    at = data.index(b"\x10\0\x10\0", root)
    with pytest.raises(MalformedInput):
        parse(changed("plain", at + 8, (root + 16).to_bytes(8, "little")))


def test_a_group_that_is_its_own_member():
    """Objects are visited once."""
    data = hdf5("plain")
    root = data[64:72]
    node = data.index(b"SNOD")
    made = bytearray(data)
    made[node + 16 : node + 24] = root
    assert parse(bytes(made)).objects < 5


@pytest.mark.parametrize(
    ("limit", "value"),
    [("MAX_HDF5_OBJECTS", 2), ("MAX_HDF5_MESSAGES", 5), ("MAX_HDF5_READ_BYTES", 500)],
)
def test_limits(monkeypatch, limit, value):
    monkeypatch.setattr(limits, limit, value)
    with pytest.raises(TooLarge):
        parse(hdf5("plain"))


def test_an_attribute_that_is_too_large(monkeypatch):
    monkeypatch.setattr(limits, "MAX_HDF5_ATTRIBUTE_BYTES", 4)
    with pytest.raises(TooLarge):
        parse(hdf5("plain"))


@pytest.mark.parametrize("name", ["plain", "latest", "external"])
def test_bits_that_flip(name):
    """Whatever is damaged: an answer, or a refusal."""
    source = random.Random(name)
    data = hdf5(name)
    for _ in range(1500):
        made = bytearray(data)
        for _ in range(source.randint(1, 3)):
            made[source.randrange(len(made))] = source.choice([0, 1, 0xFF, source.randrange(256)])
        try:
            parse(bytes(made))
        except (MalformedInput, Unsupported):
            continue
