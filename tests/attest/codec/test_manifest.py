"""Manifests: the two digests, and names."""

from __future__ import annotations

import hashlib
from array import array

import pytest

from attest import limits
from attest.codec.manifest import Manifest, check_name, is_sorted, normalisation_collision
from attest.digest import HashAlgorithm
from attest.errors import MalformedInput
from tests.support.forge import FILES, resources, root_of, tree_of


def made(files=FILES, algorithm=HashAlgorithm.SHA256) -> Manifest:
    listed = resources(files, algorithm=str(algorithm))
    return Manifest(
        algorithm,
        [entry["name"] for entry in listed],
        bytearray(b"".join(bytes.fromhex(entry["digest"]) for entry in listed)),
        array("Q", [entry["size"] for entry in listed]),
    )


@pytest.mark.parametrize("algorithm", list(HashAlgorithm), ids=str)
def test_digests_from_their_definitions(algorithm):
    listed = resources(algorithm=str(algorithm))
    manifest = made(algorithm=algorithm)
    assert manifest.root().hex == root_of(listed)
    assert manifest.tree_digest().hex == tree_of(listed, str(algorithm))


def test_tree_digest_vector():
    """Written out by hand, so that no helper can be wrong in the same way."""
    one = hashlib.sha256(b"hi").digest()
    whole = b"attest-tree-v1\n" + b"\0\0\0\1a" + b"\0\0\0\0\0\0\0\2" + one
    assert made({"a": b"hi"}).tree_digest().value == hashlib.sha256(whole).digest()


def test_tree_digest_needs_order_and_sizes():
    manifest = made()
    manifest.names.reverse()
    with pytest.raises(ValueError, match="order"):
        manifest.tree_digest()
    manifest = made()
    manifest.sizes = None
    with pytest.raises(ValueError, match="sizes"):
        manifest.tree_digest()


def test_order_is_checked_between_blocks():
    names = [f"{i:05d}" for i in range(4096)]
    files = dict.fromkeys([*names, "zzz"], b"")
    manifest = made(files)
    manifest.names[4096] = "00000"
    with pytest.raises(ValueError, match="order"):
        manifest.tree_digest()


@pytest.mark.parametrize(
    "name",
    ["a", "a/b", "...", "a..b", ".a", "a.", " ", "-", "\\", "C:\\x", "a\nb", "\n", "a/\n", ".\n"],
)
def test_good_names(name):
    check_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "/", "/a", "a/", "//", "a//b", ".", "..", "./a", "../a", "a/.", "a/..", "a/./b", "a/../b",
     "\0", "a\0", "\ud800", "x" * 4097, "\N{SNOWMAN}" * 1400],
)  # fmt: skip
def test_bad_names(name):
    with pytest.raises(MalformedInput):
        check_name(name)


def test_longest_name():
    check_name("x" * limits.MAX_NAME_BYTES)


@pytest.mark.parametrize(
    ("names", "collide"),
    [
        (["a", "b"], False),
        (["\u00e9", "e\u0301"], True),
        (["e\u0301"], False),
        (["K", "\u212a"], True),
        (["\u212a", "K"], True),
        (["\u00e9", "\u00e8"], False),
        (["\uac00", "\u1100\u1161"], True),
        (["a", "A"], False),
    ],
)
def test_collisions(names, collide):
    assert (normalisation_collision(names) is not None) == collide


def test_sorted_means_strictly():
    assert is_sorted(["a", "b"])
    assert is_sorted([])
    assert not is_sorted(["a", "a"])
    assert not is_sorted(["b", "a"])
