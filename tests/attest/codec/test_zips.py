"""Zip archives: honest ones of many writers, and each way of lying."""

from __future__ import annotations

import io
import struct
import subprocess
import zipfile
import zlib

import numpy
import pytest

from attest import limits
from attest.codec.checksums import crc_of
from attest.codec.compressed import InflatedSource
from attest.codec.reader import BytesSource
from attest.codec.zipend import has_directory
from attest.codec.zips import ZipListing, open_member, read_zip
from attest.errors import AttestError, MalformedInput, TooLarge, Truncated, Unsupported
from tests.support.fixtures import fixture
from tests.support.zips import Entry, archive, deflate, end_record, plain


def listed(data: bytes) -> ZipListing:
    return read_zip(BytesSource(data))


def codes(data: bytes) -> set[str]:
    return {anomaly.code for anomaly in listed(data).anomalies}


def contents(data: bytes) -> dict[str, bytes]:
    source = BytesSource(data)
    opened = {m.name: open_member(source, m, 1 << 30) for m in read_zip(source).members}
    return {name: content.read(0, content.size) for name, content in opened.items()}


class Unseekable(io.BytesIO):
    """A stream: writers then put sizes into data descriptors."""

    def seekable(self):
        return False

    def seek(self, *args):
        raise io.UnsupportedOperation

    def tell(self):
        raise io.UnsupportedOperation


A = Entry("a.txt", b"alpha")
B = Entry("b.txt", b"beta" * 100, deflate=True)


# -- what honest writers make ----------------------------------------------------------------------


def test_the_forge_makes_plain_archives():
    data = archive([A, B])
    assert listed(data).anomalies == ()
    assert contents(data) == {"a.txt": b"alpha", "b.txt": b"beta" * 100}
    with zipfile.ZipFile(io.BytesIO(data)) as peer:
        assert peer.testzip() is None


@pytest.mark.parametrize("compress", [False, True])
def test_zipfile(compress: bool):
    members = {"a": b"", "b/c": b"x" * 70_000, "é": bytes(range(256))}
    data = plain(members, compress=compress)
    assert listed(data).anomalies == ()
    assert contents(data) == members


def test_zipfile_into_a_stream():
    made = Unseekable()
    with zipfile.ZipFile(made, "w") as out:
        out.writestr("stored", b"hello")
        out.writestr("deflated", b"hello" * 50, zipfile.ZIP_DEFLATED)
        with out.open("wide", "w", force_zip64=True) as member:
            member.write(b"q" * 1000)
    assert listed(made.getvalue()).anomalies == ()


@pytest.mark.parametrize("save", [numpy.savez, numpy.savez_compressed])
def test_numpy(save):
    made = io.BytesIO()
    save(made, W=numpy.arange(9), b=numpy.zeros((3, 4)))
    assert listed(made.getvalue()).anomalies == ()


def test_arrays_whose_names_differ_in_case():
    made = io.BytesIO()
    numpy.savez(made, W=numpy.arange(9), w=numpy.arange(9))
    assert codes(made.getvalue()) == {"duplicate-folded"}


def test_folders_and_an_archive_comment():
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as out:
        out.writestr("d/", b"")
        out.writestr("d/a", b"1")
        out.comment = b"made by hand"
    listing = listed(made.getvalue())
    assert listing.anomalies == ()
    assert listing.comment == b"made by hand"
    assert [member.is_folder for member in listing.members] == [True, False]


def test_info_zip(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"alpha" * 1000)
    (tmp_path / "b.bin").write_bytes(bytes(1000))
    try:
        subprocess.run(["zip", "-q", "out.zip", "a.txt", "b.bin"], cwd=tmp_path, check=True)
    except FileNotFoundError:
        pytest.skip("Info-ZIP is not installed")
    assert listed((tmp_path / "out.zip").read_bytes()).anomalies == ()


def test_torch_with_aligned_storages_and_data_descriptors():
    # torch's writer: flags 0x0808, zeros in the local header, padding in an extra field "FB".
    def torch(name: str, content: bytes) -> Entry:
        numbers = struct.pack(
            "<4s3L", b"PK\x07\x08", zlib.crc32(content), len(content), len(content)
        )
        extra = b"FB" + struct.pack("<H", 40) + b"Z" * 40
        local = {"flags": 0x0808, "crc": 0, "packed": 0, "size": 0, "extra": extra}
        return Entry(name, content, descriptor=numbers, local=local, central={"flags": 0x0808})

    entries = [torch("archive/data.pkl", b"\x80\x02}."), torch("archive/data/0", bytes(4096))]
    assert listed(archive(entries, zip64={})).anomalies == ()


@pytest.mark.parametrize("name", ["benign/dcp/__0_0.distcp", "benign/megatron_like.pt"])
def test_fixtures_that_are_plain(name: str):
    assert codes(fixture("pickles", name).read_bytes()) == set()


def test_an_empty_archive():
    listing = listed(end_record(0, 0, 0))
    assert (listing.members, listing.anomalies) == ((), ())


def test_65_536_members_with_zip64():
    entries = [Entry(f"{number}") for number in range(65_536)]
    listing = listed(archive(entries, zip64={}))
    assert len(listing.members) == 65_536
    assert listing.anomalies == ()


def test_65_535_members_without_zip64():
    listing = listed(archive([Entry(f"{number}") for number in range(65_535)]))
    assert len(listing.members) == 65_535
    assert listing.anomalies == ()


# -- lies: the end of the file ---------------------------------------------------------------------


def test_65_536_members_that_say_none():
    entries = [Entry(f"{number}") for number in range(65_536)]
    assert "zip-count" in codes(archive(entries, end={"entries": 0, "here": 0}))


def test_more_members_than_are_read():
    with pytest.raises(TooLarge):
        read_zip(BytesSource(archive([A, B])), max_members=1)
    with pytest.raises(TooLarge):
        read_zip(BytesSource(archive([A, B], end={"entries": 1, "here": 1})), max_members=1)


@pytest.mark.parametrize("announced", [1, 3])
def test_another_number_of_members_than_announced(announced: int):
    data = archive([A, B], end={"entries": announced, "here": announced})
    assert codes(data) == {"zip-count"}


def test_bytes_after_the_end():
    listing = listed(archive([A], tail=b"hidden"))
    assert {anomaly.code for anomaly in listing.anomalies} == {"tail"}
    assert listing.tail == 6


def test_bytes_before_the_start():
    data = archive([A], prefix=b"#!/bin/sh\n")
    assert codes(data) == {"prefix"}
    assert contents(data) == {"a.txt": b"alpha"}


def test_a_prefix_that_the_offsets_do_not_count():
    data = b"junk" + archive([A])
    listing = listed(data)
    assert {anomaly.code for anomaly in listing.anomalies} == {"prefix"}
    assert listing.prefix == 4
    assert contents(data) == {"a.txt": b"alpha"}


def test_a_comment_that_is_a_second_end():
    inner = end_record(0, 0, 0)
    assert "zip-two-ends" in codes(archive([A], end={"comment": inner}))


def test_a_comment_longer_than_the_file():
    data = archive([A])
    assert codes(data[:-2] + b"\xff\x00") == {"zip-comment"}


def test_two_ends_one_after_the_other():
    data = archive([A])
    twice = data + end_record(0, 0, len(data))
    assert codes(twice)


def test_two_archives_one_after_the_other():
    data = archive([A]) + archive([B])
    assert "prefix" in codes(data)
    assert [member.name for member in listed(data).members] == ["b.txt"]


def test_two_directories():
    one = archive([A])
    size = len(one) - 22 - (start := one.rfind(b"PK\x01\x02"))
    both = one[:-22] + one[start:-22] + end_record(1, size, start)
    assert "zip-two-directories" in codes(both)


def test_no_directory():
    with pytest.raises(MalformedInput) as caught:
        listed(archive([A])[:-22])
    assert caught.value.code == "no-directory"


def test_a_directory_that_is_elsewhere():
    with pytest.raises(AttestError):
        listed(archive([A], end={"offset": 0, "size": 10}))


@pytest.mark.parametrize(
    "fields",
    [{"offset": 1 << 31}, {"size": 1 << 31}, {"offset": 0xFFFFFFFF}, {"size": 0xFFFFFFFF}],
)
def test_a_directory_outside_the_file(fields: dict[str, int]):
    with pytest.raises(MalformedInput):
        listed(archive([A], end=fields))


@pytest.mark.parametrize("fields", [{"disk": 1}, {"first": 1}, {"here": 2}])
def test_volumes(fields: dict[str, int]):
    with pytest.raises(Unsupported):
        listed(archive([A], end=fields))


def test_a_directory_over_the_limit(monkeypatch):
    monkeypatch.setattr(limits, "MAX_ZIP_DIRECTORY_BYTES", 50)
    with pytest.raises(TooLarge):
        listed(archive([A]))


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"entries": 2, "here": 2}, "zip64-disagrees"),
        ({"stated": 0}, "zip64-elsewhere"),
        ({"length": 45}, "zip64-disagrees"),
    ],
)
def test_a_zip64_record_that_lies(fields: dict[str, int], code: str):
    assert code in codes(archive([A], zip64=fields))


@pytest.mark.parametrize(
    "fields", [{"size": 1 << 63}, {"offset": (1 << 64) - 1}, {"size": (1 << 64) - 1}, {"disks": 2}]
)
def test_a_zip64_record_that_leads_nowhere(fields: dict[str, int]):
    with pytest.raises((MalformedInput, Unsupported)):
        listed(archive([A], zip64=fields, end={"size": 0xFFFFFFFF, "offset": 0xFFFFFFFF}))


def test_a_zip64_record_that_is_missing():
    data = bytearray(archive([A], zip64={}))
    at = data.find(b"PK\x06\x06")
    data[at : at + 4] = b"XXXX"
    with pytest.raises(MalformedInput):
        listed(bytes(data))


# -- lies: members ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (Entry("a", local={"name": b"b"}), "name-mismatch"),
        (Entry("a", b"x", local={"crc": 1}), "local-disagrees"),
        (Entry("a", b"x", local={"size": 2}), "local-disagrees"),
        (Entry("a", b"x", local={"packed": 0}), "local-disagrees"),
        (Entry("a", b"x", local={"method": 8}), "local-disagrees"),
        (Entry("a", b"x", local={"flags": 1}), "local-disagrees"),
        (Entry("a", b"x", central={"flags": 1}), "encrypted"),
        (Entry("a", b"x", central={"flags": 1 << 6}), "encrypted"),
        (Entry("a", b"x", central={"flags": 1 << 13}), "encrypted"),
        (Entry("a", b"x", central={"flags": 1 << 5}), "zip-flags"),
        (Entry("a", b"xx", central={"size": 1}), "size-lies"),
        (Entry("a", b"x", central={"mode": 0o120777 << 16}), "link"),
        (Entry("a", b"x", central={"extra": b"\x01\x00"}), "zip-extra"),
        (Entry("a", b"x", central={"extra": b"\x09\x00\xff\xff"}), "zip-extra"),
        (Entry("a", b"x", central={"extra": struct.pack("<HH2Q", 1, 16, 5, 5)}), "zip64-disagrees"),
        (Entry("a", b"x", central={"extra": b"\x75\x70\x06\x00\x01....b"}), "name-mismatch"),
        (
            Entry("a", b"x", central={"extra": b"\x01\x99\x07\x00\x02\x00AE\x03\x00\x00"}),
            "encrypted",
        ),
        (Entry("a", b"x", before=b"hidden"), "prefix"),
        (Entry("a/", b"x"), "zip-folder"),
        (Entry("a", b"x", descriptor=b"PK\x07\x08" + bytes(12)), "local-disagrees"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_member_that_lies(entry: Entry, code: str):
    assert code in codes(archive([entry]))


@pytest.mark.parametrize(
    "name",
    ["../a", "/a", "a/../b", "a//b", "./a", "C:/a", "a\\b", "a\nb", "a\x00.txt", "", "a\x1b"],
)
def test_a_name_that_is_no_plain_name(name: str):
    assert "unsafe-name" in codes(archive([Entry(name, b"x")]))


@pytest.mark.parametrize(
    ("second", "code"),
    [
        ("data.pkl", "duplicate-name"),
        ("./data.pkl", "duplicate-name"),
        ("DATA.pkl", "duplicate-folded"),
        ("Data.PKL", "duplicate-folded"),
    ],
)
def test_a_name_given_twice(second: str, code: str):
    assert code in codes(archive([Entry("data.pkl", b"1"), Entry(second, b"2")]))


def test_names_equal_after_normalisation():
    entries = [Entry("caf\u00e9", b"1"), Entry("cafe\u0301", b"2")]
    for entry in entries:
        entry.local = entry.central = {"flags": 1 << 11}
    assert "duplicate-folded" in codes(archive(entries))


def test_a_name_that_is_utf8_in_one_header_only():
    assert "name-mismatch" in codes(archive([Entry("é", b"x", central={"flags": 1 << 11})]))


def test_hidden_bytes_between_members():
    assert codes(archive([A, Entry("b", b"x", before=b"hidden")])) == {"gap"}


def test_hidden_bytes_before_the_directory():
    assert codes(archive([A], between=b"hidden")) == {"gap"}


def test_hidden_bytes_after_the_directory():
    data = archive([A])
    assert "gap" in codes(data[:-22] + b"hidden" + data[-22:])


def test_two_members_that_share_bytes():
    first = Entry("a", b"x" * 100)
    second = Entry("b", b"x" * 100, central={"offset": 0})
    assert {"overlap", "name-mismatch"} <= codes(archive([first, second]))


def test_a_member_that_reaches_into_the_directory():
    assert "overlap" in codes(archive([Entry("a", b"x", central={"packed": 40, "size": 40})]))


@pytest.mark.parametrize("offset", [3, 1 << 20, 0xFFFFFFFE])
def test_a_member_without_a_local_header(offset: int):
    data = archive([Entry("a", b"x", central={"offset": offset}), B])
    assert "local-header-missing" in codes(data)
    source = BytesSource(data)
    with pytest.raises(MalformedInput):
        open_member(source, read_zip(source).members[0], 1 << 30)


def test_a_member_larger_than_the_file():
    data = archive([Entry("a", b"x", central={"packed": 1 << 30, "size": 1 << 30})])
    assert "local-header-missing" in codes(data)


def test_a_zip64_size_that_is_larger_than_the_file():
    extra = struct.pack("<HH2Q", 1, 16, 1 << 62, 1 << 62)
    full = {"packed": 0xFFFFFFFF, "size": 0xFFFFFFFF, "extra": extra}
    assert "local-header-missing" in codes(archive([Entry("a", b"x", central=full)]))


def test_a_zip64_number_that_is_missing():
    full = {"packed": 0xFFFFFFFF, "size": 0xFFFFFFFF, "extra": struct.pack("<HHQ", 1, 8, 1)}
    assert "zip64-disagrees" in codes(archive([Entry("a", b"x", central=full)]))


def test_messages_are_bounded():
    listing = listed(archive([Entry("x" * 60_000, local={"name": b"y"}) for _ in range(3)]))
    assert all(len(anomaly.message) <= 400 for anomaly in listing.anomalies)


def test_anomalies_are_bounded():
    entries = [Entry("../a", b"x") for _ in range(5000)] + [Entry("b", local={"name": b"c"})]
    anomalies = listed(archive(entries)).anomalies
    assert len(anomalies) < 1000
    assert {"unsafe-name", "duplicate-name", "name-mismatch"} <= {each.code for each in anomalies}


@pytest.mark.parametrize("name", ["flagbits", "badcrc", "name_mismatch", "prefix"])
def test_fixtures_that_lie(name: str):
    assert codes(fixture("pickles", "malicious", f"torch_zip_{name}.pt").read_bytes())


# -- contents --------------------------------------------------------------------------------------


def opened(entry: Entry):
    source = BytesSource(archive([entry]))
    return open_member(source, read_zip(source).members[0], 1 << 30)


def test_a_checksum_covers_the_content():
    assert crc_of(opened(B)) == zlib.crc32(b"beta" * 100)


def test_another_compression_method():
    with pytest.raises(Unsupported) as caught:
        opened(Entry("a", b"x", local={"method": 12}, central={"method": 12}))
    assert caught.value.code == "compression-method"


def test_a_size_that_deflate_cannot_reach():
    with pytest.raises(TooLarge):
        opened(Entry("a", b"x", deflate=True, central={"size": 1 << 29}))


def test_a_member_over_the_limit():
    source = BytesSource(archive([Entry("a", bytes(1 << 16), deflate=True)]))
    with pytest.raises(TooLarge):
        open_member(source, read_zip(source).members[0], 1 << 15)


@pytest.mark.parametrize("stated", [399, 401])
def test_a_member_that_unpacks_to_another_size(stated: int):
    content = opened(Entry("a", b"beta" * 100, deflate=True, central={"size": stated}))
    assert isinstance(content, InflatedSource)
    with pytest.raises(MalformedInput):
        content.check_end()


def test_bytes_after_the_compressed_content():
    content = opened(
        Entry("a", b"beta" * 100, deflate=True, raw=deflate(b"beta" * 100) + b"hidden")
    )
    assert isinstance(content, InflatedSource)
    with pytest.raises(MalformedInput) as caught:
        content.check_end()
    assert caught.value.code == "hidden-bytes"


def test_compressed_content_that_breaks_off():
    raw = deflate(bytes(range(256)) * 100, level=0)
    content = opened(Entry("a", bytes(range(256)) * 100, deflate=True, raw=raw[:20_000]))
    assert content.read(0, 1000) == (bytes(range(256)) * 100)[:1000]
    with pytest.raises(Truncated):
        content.read(0, content.size)


# -- polyglots -------------------------------------------------------------------------------------


def test_an_archive_is_found_from_its_end():
    assert has_directory(BytesSource(b"x" * 1000 + archive([A])))
    assert has_directory(BytesSource(archive([A], tail=b"x" * 60_000)))
    assert has_directory(BytesSource(archive([A], zip64={})))
    assert has_directory(BytesSource(b"text" + end_record(0, 0, 4)))


def test_what_is_no_archive():
    assert not has_directory(BytesSource(b""))
    assert not has_directory(BytesSource(b"PK\x05\x06"))
    assert not has_directory(BytesSource(b"about PK\x05\x06 signatures" * 1000))


@pytest.mark.parametrize("cut", range(0, 200, 7))
def test_every_truncation_is_refused_or_odd(cut: int):
    data = archive([A, B], zip64={})[: -1 - cut]
    try:
        assert codes(data)
    except MalformedInput:
        pass
