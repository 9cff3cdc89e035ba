"""Packs: one spelling for one content, verified on both sides; nothing is written otherwise."""

from __future__ import annotations

import json
import os
import tarfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

import attest.claim
from attest.codec.ustar import encode_header, encode_ustar
from attest.crypto.x509 import SanRule
from attest.digest import Digest
from attest.errors import AttestError, MalformedInput, TooLarge, Unavailable, VerificationFailed
from attest.flow import pack as pack_module
from attest.flow.pack import PACK_SCHEMA, PackReport, pack, pack_findings, unpack
from attest.flow.sign import sign_artifact
from attest.flow.subject import subject_from_content
from attest.trust.signers import CertificateTrust, KeyTrust
from attest.verdict import Severity
from tests.support import forge, pki
from tests.support.claims import ALICE, BOB, CAROL, ODD, OTHER, claim, line, people, revoking

PEOPLE = people(alice=ALICE, bob=BOB)
WAYS = [KeyTrust((ALICE.public_key,))]
MATERIAL = {"bob.pub": BOB.public_key.pem, "alice.pub": ALICE.public_key.pem}
GIVEN: dict[str, Any] = {"ways": WAYS, "principals": PEOPLE, "at": pki.NOON}
SCHEMA = Path(attest.claim.__file__).parent / "schemas" / "pack-v1.schema.json"


@pytest.fixture
def digests(tree: Path) -> dict[str, str]:
    """Of the tree, which Alice has signed, with two claims beside it."""
    sign_artifact(tree, [ALICE])
    digests = dict(subject_from_content(tree).digests)
    lines = line(claim(ODD, {"n": 1}, digests), ALICE), line(claim(ODD, {"n": 2}, digests), BOB)
    (tree.parent / "model.claims.jsonl").write_bytes(b"".join(lines))
    return digests


@pytest.fixture
def into(tmp_path: Path) -> Path:
    (tmp_path / "into").mkdir()
    return tmp_path / "into"


def packed(tree: Path, **more: Any) -> Path:
    target = tree.parent / "model.pack"
    given = {"ways": WAYS, "principals": PEOPLE, "at": pki.NOON, "material": MATERIAL, **more}
    pack(tree, target, **given)
    return target


def opened(source: Path, into: Path, **more: Any) -> tuple[PackReport, tuple[Path, ...]]:
    return unpack(source, into, **{"ways": WAYS, "principals": PEOPLE, "at": pki.NOON, **more})


def refused(kind: type[AttestError] | tuple, code: str | None, call, *args, **more) -> AttestError:
    with pytest.raises(kind) as caught:
        call(*args, **more)
    if code is not None:
        assert caught.value.code == code
    return caught.value


# -- places and ways -----------------------------------------------------------------------------


def test_each_way_has_its_own_file_where_two_signatures_lie_side_by_side(tree, digests, into):
    """Alice's bundle and Carol's envelope: whoever is named first, what verifies is packed."""
    sign_artifact(tree, [CAROL])
    stranger, carol, alice = (KeyTrust((each.public_key,)) for each in (BOB, CAROL, ALICE))
    for ways, name in (
        ([carol, alice], "model.dsse.json"),
        ([alice, carol], "model.sig"),
        ([stranger, carol], "model.dsse.json"),
    ):
        source = packed(tree, ways=ways)
        folder = into / str(len(list(into.iterdir())))
        folder.mkdir()
        _, written = opened(source, folder, ways=ways)
        assert written[0].name == name
        assert written[0].read_bytes() == (tree / name).read_bytes()
        source.unlink()


@pytest.mark.parametrize("where", ["new.pack", "sub/new.pack", "link"])
def test_a_pack_is_not_written_into_the_artifact(tree, digests, where):
    target = tree / where
    if where == "link":
        (tree.parent / "link").symlink_to(tree)
        target = tree.parent / "link" / "new.pack"
    target.parent.mkdir(exist_ok=True)
    error = refused(MalformedInput, "pack-inside", pack, tree, target, **GIVEN)
    assert error.where == str(target)
    assert not target.exists()


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("inner", [".", "sub"])
def test_a_pack_is_not_opened_inside_the_artifact(tree, digests, signed, inner):
    source = packed(tree)
    if not signed:  # as it arrives: the signature is in the pack
        (tree / "model.sig").unlink()
    (tree / "sub").mkdir(exist_ok=True)
    before = sorted(tree.rglob("*"))
    link = tree.parent / "somewhere"
    link.symlink_to(tree / inner)
    for into in (tree / inner, link):
        refused(MalformedInput, "unpack-inside", opened, source, into)
    assert sorted(tree.rglob("*")) == before


def test_a_pack_is_not_opened_inside_another_artifact(tree, digests, tmp_path):
    firmware = tmp_path / "fw.bin"
    firmware.write_bytes(b"firmware")
    sign_artifact(firmware, [ALICE])
    (tmp_path / "fw.bin.claims.jsonl").write_bytes(b"")
    before = sorted(tree.rglob("*"))
    source = packed(firmware).rename(tmp_path / "fw.pack")
    refused(MalformedInput, "unpack-inside", opened, source, tree)
    assert sorted(tree.rglob("*")) == before
    (tmp_path / "here").mkdir()
    opened(packed(tree, material=None), tmp_path / "here")  # `model.sig`, for a `model` to come
    (tmp_path / "here" / "fw.bin").write_bytes(b"firmware")  # a file has no inside
    assert opened(source, tmp_path / "here")[1][0].name == "fw.bin.sig"


def test_links_that_go_round_in_a_loop(tree, digests, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    refused(Unavailable, "file-unwritable", opened, packed(tree), tmp_path / "loop")
    refused(Unavailable, "file-unwritable", pack, tree, tmp_path / "loop" / "x", **GIVEN)


def test_material_is_not_written_through_a_link(tree, digests, into, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (into / "material").symlink_to(tmp_path / "elsewhere")
    refused(Unavailable, "not-a-folder", opened, packed(tree), into)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert [each.name for each in into.iterdir()] == ["material"]


# -- there and back ------------------------------------------------------------------------------


def test_what_is_packed_comes_out(tree, digests, into):
    report, written = opened(packed(tree), into)
    assert [path.relative_to(into).as_posix() for path in written] == [
        "model.sig",
        "model.claims.jsonl",
        "material/alice.pub",
        "material/bob.pub",
    ]
    assert (into / "model.sig").read_bytes() == (tree / "model.sig").read_bytes()
    beside = tree.parent / "model.claims.jsonl"
    assert (into / "model.claims.jsonl").read_bytes() == beside.read_bytes()
    assert (into / "material" / "bob.pub").read_bytes() == BOB.public_key.pem
    assert dict(report.subject.digests) == digests
    assert report.material == ("material/alice.pub", "material/bob.pub")
    assert [sorted(each.principals) for each in report.claims.verified] == [["alice"], ["bob"]]
    findings = pack_findings(report)
    assert [each.code for each in findings] == [
        "signature-valid",
        "claim-verified",
        "claim-verified",
    ]


def test_a_file_signed_with_an_envelope(tmp_path, into):
    path = tmp_path / "fw.bin"
    path.write_bytes(b"firmware")
    sign_artifact(path, [CAROL])
    (tmp_path / "fw.bin.claims.jsonl").write_bytes(b"")
    ways = [KeyTrust((BOB.public_key,)), KeyTrust((CAROL.public_key,))]
    _, written = opened(packed(path, ways=ways, material=None), into, ways=ways)
    assert [each.name for each in written] == ["fw.bin.dsse.json", "fw.bin.claims.jsonl"]


def test_the_same_parts_make_the_same_bytes(tree, digests, tmp_path):
    first = packed(tree).read_bytes()
    os.rename(tmp_path / "model.pack", tmp_path / "first")
    os.utime(tree / "model.sig", (1, 1))
    turned = dict(reversed(MATERIAL.items()))
    assert packed(tree, material=turned).read_bytes() == first


def test_any_tar_program_can_look_inside(tree, digests):
    with tarfile.open(packed(tree)) as archive:
        members = archive.getmembers()
        index = json.loads(archive.extractfile("pack.json").read())
    assert [member.name for member in members] == [
        "pack.json",
        "signature",
        "claims.jsonl",
        "material/alice.pub",
        "material/bob.pub",
    ]
    assert {(member.mode, member.mtime, member.uid) for member in members} == {(0o644, 0, 0)}
    assert index["schema"] == PACK_SCHEMA
    assert index["artifact"] == {"name": "model", "digests": digests}
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(index)


def test_claims_by_strangers_come_along_and_are_told(tree, digests, into):
    beside = tree.parent / "model.claims.jsonl"
    beside.write_bytes(beside.read_bytes() + line(claim(ODD, {}, digests), CAROL))
    report, _ = opened(packed(tree), into)
    assert report.claims.others == 1
    assert (into / "model.claims.jsonl").read_bytes() == beside.read_bytes()
    (told,) = [each for each in pack_findings(report) if each.code == "claims-not-counted"]
    assert told.outcome is Severity.WARN


def test_claims_about_another_artifact_are_warned_of(tree, digests):
    beside = tree.parent / "model.claims.jsonl"
    beside.write_bytes(line(claim(ODD, {}, OTHER), ALICE))
    report = pack(tree, tree.parent / "p", ways=WAYS, principals=PEOPLE, at=pki.NOON, material=None)
    assert [(each.code, each.outcome) for each in pack_findings(report)] == [
        ("signature-valid", "pass"),
        ("claim-about-another", "warn"),
    ]


def test_revocations_count_inside_a_pack(tree, digests, into):
    beside = tree.parent / "model.claims.jsonl"
    back = line(revoking(claim(ODD, {"n": 1}, digests)), ALICE)
    beside.write_bytes(beside.read_bytes() + back)
    report, _ = opened(packed(tree), into)
    assert len(report.claims.withdrawn) == 1


# -- packing refuses -----------------------------------------------------------------------------


def test_what_would_be_refused_is_not_packed(tree, digests):
    beside = tree.parent / "model.claims.jsonl"
    for ways, claims, kind in [
        ([KeyTrust((BOB.public_key,))], None, VerificationFailed),
        (WAYS, b"junk\n", MalformedInput),
        (WAYS, beside.read_bytes()[:-1], MalformedInput),
    ]:
        if claims is not None:
            beside.write_bytes(claims)
        refused(kind, None, packed, tree, ways=ways)
        assert not (tree.parent / "model.pack").exists()


def test_an_artifact_without_claims(tree, digests):
    (tree.parent / "model.claims.jsonl").unlink()
    error = refused(Unavailable, "file-missing", packed, tree)
    assert str(error.where).endswith("model.claims.jsonl")
    assert not (tree.parent / "model.pack").exists()


def test_an_unsigned_artifact(tree):
    refused(VerificationFailed, "signature-missing", packed, tree)


def test_nothing_is_overwritten(tree, digests):
    target = tree.parent / "model.pack"
    target.write_bytes(b"keep")
    refused(Unavailable, "already-exists", packed, tree)
    assert target.read_bytes() == b"keep"
    target.unlink()
    target.symlink_to("nowhere")
    refused(Unavailable, "already-exists", packed, tree)
    assert not (tree.parent / "nowhere").exists()


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "/etc/passwd", "../x", "x" * 101, "a\0b", "\udcff"]
)
def test_names_of_material_that_do_not_fit(tree, digests, name):
    with pytest.raises(ValueError, match=r".+"):
        packed(tree, material={name: b"x"})
    assert not (tree.parent / "model.pack").exists()


# -- other bytes ---------------------------------------------------------------------------------


def contents(data: bytes) -> dict[str, bytes]:
    """The members of a pack, by hand."""
    held, offset = {}, 0
    while data[offset : offset + 512] != bytes(512):
        header = data[offset : offset + 512]
        size = int(header[124:135], 8)
        held[header[:100].rstrip(b"\0").decode()] = data[offset + 512 : offset + 512 + size]
        offset += 512 + size + -size % 512
    return held


def archive(members: dict[str, bytes] | list[tuple[str, bytes]]) -> bytes:
    listed = list(members.items()) if isinstance(members, dict) else members
    return b"".join(encode_ustar((name, len(data), (data,)) for name, data in listed))


def indexed(members: dict[str, bytes], /, **changes: Any) -> bytes:
    """The index that fits these members, but for the changes."""
    index = json.loads(members["pack.json"])
    roles = {"signature": "signature", "claims.jsonl": "claims"}
    index["members"] = [
        {
            "name": name,
            "role": roles.get(name, "material"),
            "size": len(data),
            "sha256": Digest.of(data).hex,
        }
        for name, data in members.items()
        if name != "pack.json"
    ]
    return json.dumps({**index, **changes}, indent=1).encode() + b"\n"


@pytest.fixture
def members(tree, digests) -> dict[str, bytes]:
    return contents(packed(tree).read_bytes())


def attempt(into: Path, data: bytes) -> AttestError:
    """It is refused, and nothing is written."""
    source = into.parent / "other.pack"
    source.write_bytes(data)
    error = refused((MalformedInput, VerificationFailed), None, opened, source, into)
    assert str(error.where).startswith(str(source))
    assert os.listdir(into) == []
    return error


def test_the_helpers_make_what_the_product_makes(members, tree):
    assert archive(members) == (tree.parent / "model.pack").read_bytes()
    assert indexed(members) == members["pack.json"]


@pytest.mark.parametrize("which", range(6))
def test_each_byte_of_each_header(members, into, tree, which):
    """Six blocks: five headers and the end. No other byte anywhere in them is accepted."""
    data = (tree.parent / "model.pack").read_bytes()
    starts, offset = [], 0
    for content in members.values():
        starts.append(offset)
        offset += 512 + len(content) + -len(content) % 512
    start = [*starts, offset][which]
    source = into.parent / "other.pack"
    for at in range(start, start + 512):
        for flip in (1, 0x80):
            spoiled = bytearray(data)
            spoiled[at] ^= flip
            source.write_bytes(spoiled)
            refused((MalformedInput, VerificationFailed), None, opened, source, into)
    assert os.listdir(into) == []


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_other_byte_anywhere_is_accepted(tmp_path_factory, data):
    """Index, signature, claims, material, padding: one content has one spelling."""
    folder = _world(tmp_path_factory)
    whole = bytearray((folder / "model.pack").read_bytes())
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    (folder / "other.pack").write_bytes(whole)
    refused(
        (MalformedInput, VerificationFailed), None, opened, folder / "other.pack", folder / "into"
    )
    assert os.listdir(folder / "into") == []


_made: list[Path] = []


def _world(factory: pytest.TempPathFactory) -> Path:
    if not _made:
        folder = factory.mktemp("pack")
        tree = forge.make_tree(folder / "model")
        sign_artifact(tree, [ALICE])
        digests = subject_from_content(tree).digests
        (folder / "model.claims.jsonl").write_bytes(line(claim(ODD, {}, digests), ALICE))
        packed(tree)
        (folder / "into").mkdir()
        _made.append(folder)
    return _made[0]


@pytest.mark.parametrize("cut", [0, 1, 511, 512, 1000, -1, -512, -1024, -1025])
def test_a_pack_that_is_cut_off(members, into, cut):
    data = archive(members)
    attempt(into, data[:cut])


@pytest.mark.parametrize("more", [b"\0", bytes(512), bytes(9216), b"junk"])
def test_a_pack_that_goes_on(members, into, more):
    attempt(into, archive(members) + more)


def test_members_in_another_order(members, into):
    names = list(members)
    for first, second in [(0, 1), (1, 2), (2, 3), (3, 4)]:
        order = list(names)
        order[first], order[second] = order[second], order[first]
        turned = {name: members[name] for name in order}
        attempt(into, archive(turned))
        attempt(into, archive({**turned, "pack.json": indexed(turned)}))


def test_members_that_are_missing(members, into):
    for name in members:
        fewer = {key: value for key, value in members.items() if key != name}
        attempt(into, archive(fewer) if fewer else b"")
        if name.startswith(("sig", "cl")):
            attempt(into, archive({**fewer, "pack.json": indexed(fewer)}))


@pytest.mark.parametrize(
    "name",
    [
        "material/sub/x",
        "extra",
        "model.safetensors",
        "material",
        "materialx/y",
        "Material/x",
        "signature2",
    ],
)
def test_members_that_do_not_belong_there(members, into, name):
    more = {**members, name: b"x"}
    attempt(into, archive(more))
    attempt(into, archive({**more, "pack.json": indexed(more)}))


def test_an_extra_member_that_the_index_does_not_name(members, into):
    attempt(into, archive({**members, "material/zz": b"x"}))


def test_a_member_of_the_index_that_is_not_there(members, into):
    fewer = {key: value for key, value in members.items() if key != "material/bob.pub"}
    attempt(into, archive({**fewer, "pack.json": indexed(members)}))


@pytest.mark.parametrize(
    "name", ["../x", "material/../../x", "/etc/x", "material//x", "material/..", "material/"]
)
def test_names_that_lead_elsewhere(members, into, name):
    """The header cannot even be made; a hand-made one is refused as well."""
    with pytest.raises(ValueError, match=r".+"):
        encode_header(name, 1)
    good = encode_header("material/zz", 1)
    base = name.encode().ljust(100, b"\0")
    header = bytearray(base + good[100:])
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    data = archive(members)[:-1024] + bytes(header) + b"x" + bytes(511) + bytes(1024)
    attempt(into, data)
    assert not (into.parent / "x").exists()


def test_a_name_in_the_index_that_leads_elsewhere(members, into):
    index = json.loads(members["pack.json"])
    index["members"][2]["name"] = "material/../../x"
    attempt(into, archive({**members, "pack.json": json.dumps(index, indent=1).encode() + b"\n"}))


@pytest.mark.parametrize(
    "lie",
    [
        {"artifact": {"name": "other", "digests": {}}},
        {"schema": "urn:attest-toolkit:pack:v2"},
        {"schema": 1},
        {"members": []},
        {"members": [1]},
        {"members": [{"name": "signature"}]},
        {"more": "unknown"},
        {"artifact": None},
    ],
)
def test_an_index_that_lies(members, into, lie):
    attempt(into, archive({**members, "pack.json": indexed(members, **lie)}))


@pytest.mark.parametrize(("key", "value"), [("size", 1), ("role", "claims"), ("sha256", "00" * 32)])
def test_an_index_that_lies_about_a_member(members, into, key, value):
    index = json.loads(members["pack.json"])
    index["members"][-1][key] = value
    attempt(into, archive({**members, "pack.json": json.dumps(index, indent=1).encode() + b"\n"}))


@pytest.mark.parametrize("spoil", [b"", b"{}", b"[]", b"junk", b'{"schema":1,"schema":1}'])
def test_an_index_that_is_none(members, into, spoil):
    attempt(into, archive({**members, "pack.json": spoil}))


def test_another_spelling_of_the_index(members, into):
    index = json.dumps(json.loads(members["pack.json"])).encode()
    assert attempt(into, archive({**members, "pack.json": index})).code == "wrong-index"


@pytest.mark.parametrize("part", ["signature", "claims.jsonl"])
def test_another_signature_or_other_claims_with_an_honest_index(members, into, tmp_path, part):
    other = forge.make_tree(tmp_path / "other", {"a": b"1"})
    sign_artifact(other, [BOB])
    spoiled = {
        **members,
        part: (other / "model.sig").read_bytes() if part == "signature" else b"junk\n",
    }
    attempt(into, archive({**spoiled, "pack.json": indexed(spoiled)}))


def test_a_file_that_is_no_pack(into):
    attempt(into, b"")
    attempt(into, b"PK\x03\x04" + bytes(2000))
    attempt(into, archive([("a", b"x")]))
    attempt(into, archive([("a", b"x"), ("b", b"x"), ("c", b"x")]))


def test_more_than_a_reader_accepts(members, into, monkeypatch):
    monkeypatch.setattr(pack_module.limits, "MAX_BUNDLE_BYTES", 100)
    source = into.parent / "big.pack"
    source.write_bytes(archive(members))
    refused(TooLarge, None, opened, source, into)


# -- opening refuses -----------------------------------------------------------------------------


def test_the_keys_in_the_pack_are_trusted_by_nobody(tree, digests, into):
    source = packed(tree)
    refused(VerificationFailed, None, opened, source, into, ways=[KeyTrust((BOB.public_key,))])
    assert os.listdir(into) == []
    report, _ = opened(source, into, principals=people(carol=CAROL))
    assert report.claims.verified == ()
    assert report.claims.others == 2


def test_the_time_is_the_callers(tmp_path, into):
    made = pki.make_pki()
    trust = CertificateTrust(tuple(made.roots), SanRule("signer@example.org"))
    tree = forge.make_tree(tmp_path / "model")
    body = forge.encoded(forge.statement())
    raw = made.leaf.key.sign(forge.pae(body), ec.ECDSA(hashes.SHA256()))
    document = forge.bundle(body, signature=raw, material=forge.chain_material(made.chain))
    forge.write(tree / "model.sig", document)
    (tmp_path / "model.claims.jsonl").write_bytes(b"")
    source = packed(tree, ways=[trust], material=None)
    late = pki.END + timedelta(days=1)
    refused(VerificationFailed, "certificate-expired", opened, source, into, ways=[trust], at=late)
    opened(source, into, ways=[trust])


@pytest.mark.parametrize("existing", ["model.sig", "model.claims.jsonl", "material/bob.pub"])
@pytest.mark.parametrize("kind", ["file", "link"])
def test_existing_files_are_not_overwritten(tree, digests, into, existing, kind):
    source = packed(tree)
    place = into / existing
    place.parent.mkdir(exist_ok=True)
    if kind == "file":
        place.write_bytes(b"keep")
    else:
        place.symlink_to("nowhere")
    refused(Unavailable, "already-exists", opened, source, into)
    present = [each for each in into.rglob("*") if not each.is_dir()]
    assert present == [place]
    assert kind == "link" or place.read_bytes() == b"keep"


def test_existing_material_of_other_names_stays(tree, digests, into):
    (into / "material").mkdir()
    (into / "material" / "mine.pub").write_bytes(b"keep")
    opened(packed(tree), into)
    assert (into / "material" / "mine.pub").read_bytes() == b"keep"


@pytest.mark.parametrize("kind", ["absent", "file", "material is a file"])
def test_folders_that_cannot_be_written_to(tree, digests, into, kind):
    source, place = packed(tree), into
    if kind == "absent":
        place = into / "none"
    elif kind == "file":
        place = into / "file"
        place.write_bytes(b"x")
    else:
        (into / "material").write_bytes(b"x")
    before = sorted(into.rglob("*"))
    refused(Unavailable, None, opened, source, place)
    assert sorted(into.rglob("*")) == before


def test_a_disk_that_fills_up_half_way_leaves_nothing(tree, digests, into, monkeypatch):
    source = packed(tree)
    honest, calls = pack_module.write_new, []

    def write_new(path, data, mode):
        calls.append(path)
        if len(calls) == 3:
            raise Unavailable("no space is left", code="disk-full")
        honest(path, data, mode)

    monkeypatch.setattr(pack_module, "write_new", write_new)
    refused(Unavailable, "disk-full", opened, source, into)
    assert [each for each in into.rglob("*") if each.is_file()] == []


@pytest.mark.parametrize("kind", ["absent", "folder", "fifo"])
def test_a_pack_that_cannot_be_read(tmp_path, into, kind):
    source = tmp_path / "p"
    if kind == "folder":
        source.mkdir()
    elif kind == "fifo":
        os.mkfifo(source)
    refused(Unavailable, None, opened, source, into)


@pytest.mark.parametrize("name", ["../evil", "a/b", "..", ".", "", "/abs", "a\0b"])
def test_an_artifact_whose_name_is_no_file_name(tmp_path, into, name):
    """The signer chose it; it must not choose where files go."""
    signature = tmp_path / "s.sig"
    forge.write(signature, forge.bundle(forge.statement(name=name), ALICE))
    (tmp_path / "c").write_bytes(b"")
    with pytest.raises((MalformedInput, VerificationFailed)):
        pack(
            tmp_path / "nowhere",
            tmp_path / "p",
            ways=WAYS,
            principals=PEOPLE,
            at=pki.NOON,
            signature=signature,
            claims=tmp_path / "c",
        )
    assert not (tmp_path / "p").exists()
