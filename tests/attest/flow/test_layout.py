"""Gathering links from a folder, matching products, and the claim of the result."""

from __future__ import annotations

import json
import os
from array import array
from pathlib import Path

import jsonschema
import pytest

from attest import limits
from attest.claim.layout import LayoutResult, LayoutStep, read_layout_result
from attest.claim.resources import ResourceDescriptor
from attest.codec.layouts import parse_layout_metadata
from attest.codec.manifest import Manifest
from attest.digest import HashAlgorithm
from attest.errors import AttestError, MalformedInput, TooLarge, Unavailable
from attest.flow.layout import Delivered, match_products, verify_layout
from attest.flow.links import gather_evidence
from attest.verdict import Severity
from tests.support.pki import NOON

ROOT = Path(__file__).parents[3]
A, B = "aa" * 32, "bb" * 32
KEYID = "ab" * 32

# -- links ---------------------------------------------------------------------------------------


def layout_and_link() -> tuple[bytes, bytes]:
    key = {"keyid": KEYID, "keytype": "ed25519", "scheme": "ed25519"}
    step = {
        "name": "build",
        "pubkeys": [KEYID],
        "threshold": 1,
        "expected_command": [],
        "expected_materials": [],
        "expected_products": [],
    }
    layout = {
        "_type": "layout",
        "steps": [step],
        "inspect": [],
        "keys": {KEYID: {**key, "keyval": {"public": "cd" * 32}}},
        "expires": "2030-01-01T00:00:00Z",
    }
    link = {
        "_type": "link",
        "name": "build",
        "command": [],
        "materials": {},
        "products": {},
        "byproducts": {},
        "environment": {},
    }
    signatures = [{"keyid": KEYID, "sig": "00" * 64}]
    first, second = ({"signed": each, "signatures": signatures} for each in (layout, link))
    return json.dumps(first).encode(), json.dumps(second).encode()


LAYOUT, LINK = layout_and_link()
NAME = f"build.{KEYID[:8]}.link"


def gather(folder: Path):
    return gather_evidence(parse_layout_metadata(LAYOUT).content, folder)


def code_of(folder: Path) -> str:
    with pytest.raises(AttestError) as refused:
        gather(folder)
    return refused.value.code


def test_only_files_that_a_step_and_a_key_name(tmp_path: Path):
    (tmp_path / NAME).write_bytes(LINK)
    (tmp_path / "build.00000000.link").write_bytes(b"never read")
    (tmp_path / "other.link").write_bytes(b"never read")
    evidence = gather(tmp_path)
    assert [file.name for file in evidence.of_step("build").values()] == [NAME]
    assert evidence.of_step("other") == {}


def test_a_link_that_leads_out_of_the_folder(tmp_path: Path):
    (tmp_path / "secret").write_bytes(LINK)
    links = tmp_path / "links"
    links.mkdir()
    (links / NAME).symlink_to("../secret")
    assert code_of(links) == "link-is-symlink"
    (links / NAME).unlink()
    (links / NAME).symlink_to("nowhere")
    assert code_of(links) == "link-is-symlink"


def test_a_delegated_folder_that_leads_out(tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    links = tmp_path / "links"
    links.mkdir()
    (links / NAME).write_bytes(LAYOUT)
    (links / NAME.removesuffix(".link")).symlink_to("../elsewhere")
    assert code_of(links) in ("link-is-symlink", "not-a-folder")


def test_a_pipe_or_folder_in_a_links_place(tmp_path: Path):
    os.mkfifo(tmp_path / NAME)
    assert code_of(tmp_path) == "not-a-file"
    (tmp_path / NAME).unlink()
    (tmp_path / NAME).mkdir()
    assert code_of(tmp_path) == "not-a-file"


def test_no_folder(tmp_path: Path):
    with pytest.raises(Unavailable):
        gather(tmp_path / "absent")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unavailable):
        gather(tmp_path / "file")


def test_limits_of_links(tmp_path: Path, monkeypatch):
    (tmp_path / NAME).write_bytes(LINK)
    layout = parse_layout_metadata(LAYOUT).content
    for name, value in (("LINKS", 0), ("LINK_BYTES", 10), ("BYTES", 10)):
        with monkeypatch.context() as patch:
            patch.setattr(limits, f"MAX_LAYOUT_{name}", value)
            with pytest.raises(TooLarge):
                gather_evidence(layout, tmp_path)


def test_layouts_inside_layouts_end(tmp_path: Path):
    """Nine levels of one layout that delegates to itself."""
    folder = tmp_path
    for _ in range(limits.MAX_LAYOUT_DEPTH + 1):
        (folder / NAME).write_bytes(LAYOUT)
        folder = folder / NAME.removesuffix(".link")
        folder.mkdir()
    assert code_of(tmp_path) == "too-large"


class NoEngine:
    def verify(self, layout, evidence, keys, at):
        raise AssertionError("nothing is judged")


@pytest.mark.parametrize("data", [b"", b"{}", LINK, b"\x00" * 100])
def test_what_is_no_layout(tmp_path: Path, data: bytes):
    path = tmp_path / "root.layout"
    path.write_bytes(data)
    verdict, result = verify_layout(path, tmp_path, engine=NoEngine(), keys=[b""], at=NOON)
    assert [each.outcome for each in verdict.findings] == [Severity.FAIL]
    assert result is None


def test_a_layout_without_a_key_is_a_callers_mistake(tmp_path: Path):
    with pytest.raises(ValueError, match="at least one key"):
        verify_layout(tmp_path, tmp_path, engine=NoEngine(), keys=[], at=NOON)


# -- products ------------------------------------------------------------------------------------


def delivered(files: dict[str, str], *, single: bool = False, name: str = "model") -> Delivered:
    manifest = Manifest(
        HashAlgorithm.SHA256,
        list(files),
        bytearray(b"".join(map(bytes.fromhex, files.values()))),
        array("Q", [1] * len(files)),
    )
    return Delivered(manifest, name, single)


def match(products: dict[str, str], files: Delivered, prefix: str | None = None) -> list[str]:
    listed = {path: {"sha256": digest} for path, digest in products.items()}
    found = match_products(listed, files, prefix)
    return [each.code for each in found]


@pytest.mark.parametrize(
    ("products", "files", "prefix", "codes"),
    [
        ({"a": A, "d/b": B}, {"a": A, "d/b": B}, None, ["products-match"]),
        ({"model/a": A}, {"a": A}, None, ["products-match"]),
        ({"model/a": A, "log": B}, {"a": A}, None, ["products-match"]),
        ({"out/a": A}, {"a": A}, "out/", ["products-match"]),
        ({"out/a": A}, {"a": A}, None, ["product-missing", "product-unknown"]),
        ({"a": A}, {"a": B}, None, ["product-changed"]),
        ({"a": A, "b": B}, {"a": A}, None, ["product-missing"]),
        ({"a": A}, {"a": A, "b": B}, None, ["product-unknown"]),
        ({"model/a": A}, {"a": A}, "", ["product-missing", "product-unknown"]),
        ({}, {"a": A}, None, ["no-products"]),
        ({"x": A}, {"a": A}, "out/", ["no-products"]),
        ({"modelling/a": A}, {"modelling/a": A}, None, ["products-match"]),
    ],
)
def test_products_of_a_folder(products, files, prefix, codes):
    assert match(products, delivered(files), prefix) == codes


@pytest.mark.parametrize(
    ("products", "prefix", "codes"),
    [
        ({"fw.bin": A}, None, ["products-match"]),
        ({"out/fw.bin": A, "log": B}, None, ["products-match"]),
        ({"out/fw.bin": A}, "out/", ["products-match"]),
        ({"fw.bin": B, "out/fw.bin": A}, None, ["product-changed"]),
        ({"fw.bin": B, "out/fw.bin": A}, "out/", ["products-match"]),
        ({"a/fw.bin": A, "b/fw.bin": A}, None, ["no-products"]),
        ({"xfw.bin": A}, None, ["no-products"]),
        ({}, None, ["no-products"]),
    ],
)
def test_products_of_a_file(products, prefix, codes):
    assert match(products, delivered({"fw.bin": A}, single=True, name="fw.bin"), prefix) == codes


def test_many_differences_are_counted():
    codes = match({}, delivered({"a": A}))
    assert codes == ["no-products"]
    files = delivered({f"{n:05}": A for n in range(500)})
    codes = match({"0": A}, files)
    assert len(codes) == 101
    assert codes[-1] == "products-differ"


# -- the claim -----------------------------------------------------------------------------------


def result(**changes) -> LayoutResult:
    members = {
        "layout": "root.layout",
        "digest": A,
        "layout_keys": (KEYID,),
        "expires": NOON.replace(year=2030),
        "verified_on": NOON,
        "steps": (LayoutStep("build", 1, (KEYID,), ((NAME, B),)),),
        "products": 3,
        "materials": (ResourceDescriptor({"sha256": A}, "data.csv"),),
        "materials_left_out": 2,
    }
    return LayoutResult(**{**members, **changes})


def schema() -> dict:
    return json.loads(
        (ROOT / "attest/claim/schemas/layout-result-v1.schema.json").read_text("utf-8")
    )


def test_the_claim_round_trips_and_fits_its_schema():
    for made in (result(), result(materials=(), materials_left_out=0)):
        predicate = json.loads(json.dumps(made.to_predicate()))
        assert read_layout_result(predicate) == made
        jsonschema.Draft202012Validator(schema()).validate(predicate)
        assert read_layout_result({**predicate, "x": 1}) == made


@pytest.mark.parametrize(
    "changes",
    [
        {"layout": ""},
        {"layout": "a\x1bb"},
        {"digest": "AA" * 32},
        {"layout_keys": ()},
        {"layout_keys": (KEYID, KEYID)},
        {"layout_keys": ("x",)},
        {"steps": ()},
        {"products": 0},
        {"expires": NOON},
        {"materials_left_out": -1},
    ],
)
def test_a_result_that_cannot_be(changes):
    with pytest.raises(ValueError, match=r"."):
        result(**changes)


@pytest.mark.parametrize(
    "arguments",
    [
        ("build", 0, (KEYID,), ((NAME, A),)),
        ("build", 2, (KEYID,), ((NAME, A),)),
        ("build", 1, (), ((NAME, A),)),
        ("build", 1, (KEYID,), ()),
        ("build", 1, (KEYID,), ((NAME, "00"),)),
        ("", 1, (KEYID,), ((NAME, A),)),
    ],
)
def test_a_step_that_cannot_be(arguments):
    with pytest.raises(ValueError, match=r"."):
        LayoutStep(*arguments)


@pytest.mark.parametrize(
    "key", ["layout", "layoutKeys", "expires", "verifiedOn", "steps", "products"]
)
def test_a_claim_that_lacks_something(key: str):
    predicate = result().to_predicate()
    values: list[object] = [None, 1, "x", [], {}, [1]]
    for value in values:
        spoiled = {**predicate, key: value}
        if value is None:
            del spoiled[key]
        if key == "products" and value == 1:
            continue
        with pytest.raises(MalformedInput):
            read_layout_result(spoiled)
