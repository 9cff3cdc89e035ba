"""Laws of whole artifacts: what is signed verifies, and any change is refused."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from attest.artifact.walk import list_files
from attest.codec.manifest import normalisation_collision
from attest.codec.signature import parse_signature
from attest.errors import MalformedInput
from attest.flow.sign import sign_artifact
from attest.verdict import Outcome
from tests.support.forge import (
    P256,
    bundle,
    make_tree,
    refusals,
    signer,
    statement,
    verify,
)

slow = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
parts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=5
).filter(lambda part: part not in (".", "..") and len(part.encode()) < 60)
paths = st.lists(parts, min_size=1, max_size=3).map("/".join)


@st.composite
def trees(draw: st.DrawFn) -> dict[str, bytes]:
    files = draw(st.dictionaries(paths, st.binary(max_size=30), min_size=1, max_size=6))
    folders = {name.rsplit("/", i)[0] for name in files for i in range(1, name.count("/") + 1)}
    assume(not folders & files.keys())
    assume(normalisation_collision(sorted(files)) is None)
    assume(not {"model.sig", "model.dsse.json"} & ({n.split("/")[0] for n in files}))
    return files


def fresh() -> Path:
    return Path(tempfile.mkdtemp(prefix="attest-property-"))


@slow
@given(trees())
def test_walk_order_is_sorted(files):
    folder = fresh()
    try:
        listing = list_files(make_tree(folder / "t", files))
        assert listing.names == sorted(files)
        assert list(listing.sizes) == [len(files[name]) for name in sorted(files)]
    finally:
        shutil.rmtree(folder)


@slow
@given(trees(), st.data())
def test_what_is_signed_verifies_and_any_change_is_refused(files, data):
    folder = fresh()
    try:
        tree = make_tree(folder / "t", files)
        sign_artifact(tree, [signer(P256)])
        verdict = verify(tree)
        assert verdict.outcome is Outcome.PASS, verdict.findings
        assert verdict.subject["checked"]["files"] == len(files)
        name = data.draw(st.sampled_from(sorted(files)))
        change = data.draw(st.sampled_from(["flip", "append", "remove", "rename", "add", "cut"]))
        path = tree / name
        content = bytearray(files[name])
        if change == "flip" and content:
            content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
            path.write_bytes(content)
        elif change == "cut" and content:
            os.truncate(path, data.draw(st.integers(0, len(content) - 1)))
        elif change == "remove":
            path.unlink()
        elif change == "rename":
            path.rename(path.with_name("renamed-" + path.name[:5]))
        elif change == "add":
            make_tree(tree, {"added/file": b""})
        else:
            path.write_bytes(bytes(content) + b"!")
        assert verify(tree).outcome is Outcome.FAIL
    finally:
        shutil.rmtree(folder)


@slow
@given(st.text(max_size=4), st.text(max_size=4))
def test_names_that_normalise_alike_are_never_signed_together(left, right):
    one = unicodedata.normalize("NFC", left + "\u00e9" + right).replace("/", "").replace("\0", "")
    two = unicodedata.normalize("NFD", one)
    assume(one != two and all(len(each.encode()) < 200 for each in (one, two)))
    folder = fresh()
    try:
        tree = make_tree(folder / "t", {one: b"", two: b"x"})
        with pytest.raises(MalformedInput):
            sign_artifact(tree, [signer(P256)])
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def signed(tmp_path_factory) -> Path:
    tree = make_tree(tmp_path_factory.mktemp("flip") / "model")
    (tree / "model.sig").write_text(json.dumps(bundle(statement())))
    return tree


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_changed_byte_of_a_signature_file_is_refused_or_means_the_same(signed, data):
    path = signed.parent / "flipped.sig"
    honest = (signed / "model.sig").read_bytes()
    flipped = bytearray(honest)
    at = data.draw(st.integers(0, len(flipped) - 1))
    flipped[at] = data.draw(st.integers(0, 255).filter(lambda byte: byte != honest[at]))
    path.write_bytes(flipped)
    verdict = verify(signed, signature=path)
    if verdict.outcome is not Outcome.FAIL:
        read, right = parse_signature(bytes(flipped)), parse_signature(honest)
        assert verdict.outcome is Outcome.PASS
        assert _signed_part(read) == _signed_part(right)


def _signed_part(parsed) -> tuple:
    envelope = getattr(parsed, "envelope", parsed)
    return envelope.payload_type, envelope.payload, envelope.signatures[0].sig


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_truncated_signature_file_is_refused(signed, data):
    path = signed.parent / "cut.sig"
    honest = (signed / "model.sig").read_bytes()
    path.write_bytes(honest[: data.draw(st.integers(0, len(honest) - 1))])
    assert refusals(verify(signed, signature=path))
