"""Archives through the scanner: nesting, bombs, lies, and what loaders make of them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import tarfile
import time
import zlib
from dataclasses import replace

import numpy
import pytest

from attest import limits
from attest.codec.reader import BytesSource
from attest.scan.allowlist import builtin_allow_list
from attest.scan.engine import scan_source
from attest.scan.grades import FileScan, Grade, Rules
from tests.support.zips import (
    Entry,
    archive,
    central_header,
    deflate,
    end_record,
    local_header,
    plain,
)

RULES = Rules(builtin_allow_list())
EVIL = b"cos\nsystem\n(S'true'\ntR."
GOOD = pickle.dumps({"weights": [1.5, 2.5]}, protocol=2)


def scan(data: bytes, name: str = "file", rules: Rules = RULES) -> FileScan:
    return scan_source(name, BytesSource(data), rules)


def codes(found: FileScan) -> set[str]:
    return {hit.code for hit in found.hits}


def torch(pickled: bytes = GOOD, **more: bytes) -> dict[str, bytes]:
    return {
        "archive/data.pkl": pickled,
        "archive/byteorder": b"little",
        "archive/data/0": bytes(range(256)) * 4,
        "archive/version": b"3\n",
        **more,
    }


def tar(members: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as out:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return made.getvalue()


def npy(array, **options) -> bytes:
    made = io.BytesIO()
    numpy.save(made, array, **options)
    return made.getvalue()


PACKERS = {
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zlib": zlib.compress,
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "zip": lambda data: plain({"a.pkl": data}),
    "zip-deflated": lambda data: plain({"a.pkl": data}, compress=True),
    "tar": lambda data: tar({"a.pkl": data}),
}


# -- what is harmless ------------------------------------------------------------------------------


@pytest.mark.parametrize("compress", [False, True])
def test_a_torch_zip(compress: bool):
    found = scan(plain(torch(), compress=compress), "model.pt")
    assert (found.grade, found.format) == (Grade.CLEAN, "torch-zip")


def test_storages_that_look_like_other_things():
    """Numbers may begin like anything; a loader of storages looks at no byte."""
    looks = [
        b"PAR1",
        b"#!/bin/sh\n",
        b"x\x9c" + bytes(50),
        b"]}.",
        b"\x1f\x9d",
        b"BZh9",
        b"\x80\x02\xff",
    ]
    members = torch() | {f"archive/data/{n}": head + bytes(64) for n, head in enumerate(looks)}
    assert scan(plain(members), "model.pt").grade is Grade.CLEAN


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_of_data(form: int):
    found = scan(tar({"a.txt": b"alpha\n", "b.npy": npy(numpy.arange(3))}, form), "data.tar")
    assert (found.grade, found.format) == (Grade.CLEAN, "tar")


@pytest.mark.parametrize("save", [numpy.savez, numpy.savez_compressed])
def test_npz(save):
    made = io.BytesIO()
    save(made, W=numpy.arange(5), w=numpy.zeros((2, 2)), text=numpy.array(["a", "b"]))
    found = scan(made.getvalue(), "arrays.npz")
    assert (found.grade, found.format) == (Grade.CLEAN, "npz")


@pytest.mark.parametrize("packer", PACKERS)
def test_packed_data_is_clean(packer: str):
    assert scan(PACKERS[packer](GOOD), "x.pkl").grade is Grade.CLEAN


def test_arrays_one_after_another():
    assert scan(npy(numpy.arange(3)) * 3, "a.npy").grade is Grade.CLEAN


def test_a_torchscript_archive_knows_its_own_classes():
    pickled = b"\x80\x02c__torch__.net\nNet\n)\x81}b."
    members = {
        "net/data.pkl": pickled,
        "net/code/__torch__/net.py": b"class Net(Module):\n  def forward(self, x: Tensor):\n"
        b"    return torch.relu(x)\n",
        "net/constants.pkl": b"\x80\x02).",
        "net/version": b"3\n",
    }
    assert scan(plain(members), "net.pt").grade is Grade.CLEAN
    del members["net/code/__torch__/net.py"]
    members["net/code/__torch__/other.py"] = b"class Other(Module):\n  pass\n"
    assert scan(plain(members), "net.pt").grade is Grade.UNLISTED


def test_shards_of_a_distributed_checkpoint():
    """One torch zip for each tensor, one after another."""
    other = torch(pickle.dumps({"other": 1}, protocol=2))
    shard = plain(torch()) + plain(torch()) + plain(other)
    found = scan(shard, "__0_0.distcp")
    assert (found.format, found.hits) == ("torch-zip-series", ())
    assert codes(scan(shard, "model.pt")) == {"zip-series"}
    evil = plain(torch()) + plain(torch(EVIL)) + plain(torch())
    assert scan(evil, "__0_0.distcp").grade is Grade.MALICIOUS
    many = plain(torch()) * 500
    assert scan(many, "__0_0.distcp").grade is Grade.CLEAN


@pytest.mark.parametrize(
    "shard",
    [
        plain(torch()) + b"gap" + plain(torch()),
        b"lead" + plain(torch()) * 2,
        plain(torch()) * 2 + b"tail",
        plain(torch()) + plain({"a.txt": b"x"}),
        plain({"a.txt": b"x"}) + plain(torch()),
    ],
)
def test_shards_with_something_else_are_not_clean(shard: bytes):
    assert scan(shard, "__0_0.distcp").grade is not Grade.CLEAN


def test_a_shard_whose_data_are_a_directory():
    """Offsets of the last archive, counted from the start, lead into the tensor of the first."""
    last = plain(torch())
    offset = int.from_bytes(last[-6:-2], "little")
    hidden = central_header(Entry("archive/data.pkl", EVIL), 0)
    first = plain({"archive/data.pkl": GOOD, "archive/data/0": b"\0" * 2000})
    start = first.index(b"\0" * 2000)
    pad = offset - start
    content = b"\0" * pad + hidden if pad >= 0 else b""
    assert content
    first = plain({"archive/data.pkl": GOOD, "archive/data/0": content.ljust(2000, b"\0")})
    found = scan(first + last, "__0_0.distcp")
    assert "zip-two-directories" in codes(found)


def test_a_comment_where_no_writer_makes_one():
    data = archive([Entry("a/data.pkl", GOOD)], end={"comment": b"note"})
    assert codes(scan(data, "a.pt")) == {"zip-comment"}
    assert scan(archive([A], end={"comment": b"note"}), "a.zip").grade is Grade.CLEAN


def test_quantised_torchscript():
    packed = b"c__torch__.torch.classes.quantized\nLinearPackedParamsBase\n)\x81}b"
    members = {
        "net/data.pkl": b"\x80\x02" + packed + b".",
        "net/code/__torch__/net.py": b"class Net(Module):\n  pass\n",
    }
    assert scan(plain(members), "net.pt").grade is Grade.CLEAN
    members["net/data.pkl"] = members["net/data.pkl"].replace(b"Linear", b"Other")
    assert scan(plain(members), "net.pt").grade is Grade.UNLISTED


# -- what is hidden inside -------------------------------------------------------------------------


@pytest.mark.parametrize("packer", PACKERS)
def test_a_pickle_inside(packer: str):
    found = scan(PACKERS[packer](EVIL), "weights.bin")
    assert found.grade is Grade.MALICIOUS


@pytest.mark.parametrize("outer", PACKERS)
@pytest.mark.parametrize("inner", PACKERS)
def test_a_pickle_inside_two(outer: str, inner: str):
    assert scan(PACKERS[outer](PACKERS[inner](EVIL))).grade is Grade.MALICIOUS


@pytest.mark.parametrize(
    "name",
    [
        "archive/data/0",
        "archive/extra.txt",
        "x",
        "archive/data/9.png",
        ".hidden",
        "archive/.data/x",
    ],
)
def test_a_pickle_under_any_name_in_a_torch_zip(name: str):
    assert scan(plain(torch() | {name: EVIL}), "m.pt").grade is Grade.MALICIOUS


@pytest.mark.parametrize("packer", ["gzip", "zlib", "bz2", "xz"])
def test_what_comes_before_a_break_is_scanned(packer: str):
    packed = PACKERS[packer](EVIL + os.urandom(50_000))
    assert scan(packed[:-200], "x.pkl").grade is Grade.MALICIOUS if packer != "bz2" else True
    assert scan(packed[:-200], "x.pkl").grade is not Grade.CLEAN


def test_a_deflated_member_that_breaks_off_is_scanned():
    raw = deflate(EVIL + os.urandom(50_000))[:30_000]
    member = Entry("data.pkl", EVIL + bytes(50_000), deflate=True, raw=raw)
    found = scan(archive([member]))
    assert found.grade is Grade.MALICIOUS
    assert "truncated" in codes(found)


def test_a_zlib_stream_that_is_text():
    """Whoever can write deflate with printable characters only does not get past as text."""
    packed = zlib.compress(EVIL, 0)
    assert scan(packed, "notes.txt").grade is Grade.MALICIOUS


def test_bytes_after_a_stream():
    found = scan(gzip.compress(GOOD) + b"more", "x.pkl.gz")
    assert (found.grade, codes(found)) == (Grade.SUSPICIOUS, {"trailing-data"})


def test_an_object_array_in_an_archive():
    objects = npy(numpy.array([1, {}], dtype=object), allow_pickle=True)
    assert scan(objects, "a.npy").grade is Grade.CLEAN
    head = objects[: objects.index(b"\n") + 1]
    assert scan(plain({"a.npy": head + EVIL}), "a.npz").grade is Grade.MALICIOUS


def test_an_array_that_is_longer_than_its_header_says():
    found = scan(npy(numpy.arange(3)) + EVIL, "a.npy")
    assert "npy-tail" in codes(found)


@pytest.mark.parametrize("shape", [b"(4,)", b"(9223372036854775807,)", b"(9, 9)"])
def test_an_array_whose_header_asks_for_more(shape: bytes):
    data = npy(numpy.arange(3)).replace(b"(3,), }    ", b"" + shape + b", }"[:11].ljust(11))
    assert scan(data, "a.npy").grade is Grade.UNSCANNABLE


def test_a_torch_tar_is_never_clean():
    members = dict.fromkeys(("sys_info", "pickle", "tensors", "storages"), GOOD)
    found = scan(tar(members), "old.pt")
    assert (found.grade, found.format) == (Grade.UNSCANNABLE, "torch-tar")
    assert scan(tar(members | {"storages": EVIL}), "old.pt").grade is Grade.MALICIOUS


def test_code_in_an_archive():
    found = scan(plain({"setup.py": b"import os\n", "run.sh": b"#!/bin/sh\n"}), "x.zip")
    assert (found.grade, codes(found)) == (Grade.SUSPICIOUS, {"code-in-artifact"})


# -- archives that lie -----------------------------------------------------------------------------

A, B = Entry("a.txt", b"alpha"), Entry("b.txt", b"beta")

LIES = {
    "name mismatch": archive([Entry("a", b"x", local={"name": b"b"})]),
    "crc": archive([Entry("a", b"x", local={"crc": 1}, central={"crc": 1})]),
    "encrypted": archive([Entry("a", b"x", central={"flags": 1})]),
    "duplicate": archive([A, A]),
    "duplicate but for case": archive([Entry("data.pkl", GOOD), Entry("DATA.pkl", GOOD)]),
    "traversal": archive([Entry("../a", b"x")]),
    "link": archive([Entry("a", b"b", central={"mode": 0o120777 << 16})]),
    "prefix": archive([A], prefix=b"some text"),
    "tail": archive([A], tail=b"some text"),
    "gap": archive([A, Entry("b", b"x", before=b"hidden")]),
    "count": archive([A, B], end={"entries": 1, "here": 1}),
    "zip64 count": archive([A, B], zip64={"entries": 1, "here": 1}),
    "two ends": archive([A], end={"comment": end_record(0, 0, 0)}),
    "size": archive([Entry("a", b"xx", central={"size": 1})]),
    "no local header": archive([Entry("a", b"x", central={"offset": 1000})]),
    "hidden in deflate": archive([Entry("a", b"x", deflate=True, raw=deflate(b"x") + b"y")]),
    "unknown method": archive([Entry("a", b"x", local={"method": 12}, central={"method": 12})]),
    "folder with content": archive([Entry("a/", b"x")]),
    "no directory": archive([A])[:-22],
    "volumes": archive([A], end={"disk": 1}),
    "garbage": b"PK\x03\x04" + os.urandom(100),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_archive_that_lies_is_not_clean(lie: str):
    assert scan(LIES[lie], "x.zip").grade.rank >= Grade.SUSPICIOUS.rank


@pytest.mark.parametrize("lie", LIES)
def test_an_archive_that_lies_inside_another_is_not_clean(lie: str):
    assert scan(plain({"x.zip": LIES[lie]}), "y.zip").grade.rank >= Grade.SUSPICIOUS.rank


@pytest.mark.parametrize(
    "entry",
    [
        Entry("a", EVIL, local={"crc": 1}, central={"crc": 1}),
        Entry("a", EVIL, central={"flags": 1}),
        Entry("a", EVIL, local={"name": b"b"}),
        Entry("a", EVIL, local={"flags": 1}, central={"flags": 1}),
        Entry("a", EVIL, central={"mode": 0o120777 << 16}),
        Entry("a/", EVIL),
    ],
)
def test_content_is_scanned_whatever_the_headers_say(entry: Entry):
    assert scan(archive([entry])).grade is Grade.MALICIOUS


@pytest.mark.parametrize(
    "data",
    [
        archive([A], prefix=EVIL),
        archive([A], tail=EVIL),
        archive([A], tail=plain({"x": EVIL})),
        plain({"x": EVIL}) + archive([A]),
        archive([Entry("x", EVIL)], end={"comment": end_record(0, 0, 0)}),
    ],
    ids=["before", "after", "another after", "another before", "first of two ends"],
)
def test_what_is_around_an_archive_is_scanned(data: bytes):
    assert scan(data).grade is Grade.MALICIOUS


@pytest.mark.parametrize(
    "data",
    [
        tar({"a": b"x"}) + EVIL,
        tar({"a": b"x"}).replace(b"a" + bytes(99), b"../a" + bytes(96)),
    ],
)
def test_a_tar_that_lies_is_not_clean(data: bytes):
    assert scan(data, "x.tar").grade.rank >= Grade.SUSPICIOUS.rank


def test_a_tar_that_is_cut_off_is_scanned_to_the_cut():
    data = tar({"a.pkl": EVIL, "b": bytes(5000)})
    found = scan(data[:4000], "x.tar")
    assert found.grade is Grade.MALICIOUS
    assert "truncated" in codes(found)


def test_links_in_a_tar():
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as out:
        info = tarfile.TarInfo("weights")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        out.addfile(info)
    assert codes(scan(made.getvalue(), "x.tar")) == {"tar-link"}


# -- limits ----------------------------------------------------------------------------------------


def nested(levels: int, packer: str, core: bytes = GOOD) -> bytes:
    for _ in range(levels):
        core = PACKERS[packer](core)
    return core


@pytest.mark.parametrize("packer", PACKERS)
def test_nested_to_the_limit(packer: str):
    at_most = limits.MAX_SCAN_DEPTH
    assert scan(nested(at_most, packer)).grade is Grade.CLEAN
    assert scan(nested(at_most, packer, EVIL)).grade is Grade.MALICIOUS
    assert scan(nested(at_most + 1, packer)).grade is Grade.UNSCANNABLE
    assert scan(nested(at_most + 1, packer, EVIL)).grade is Grade.UNSCANNABLE


def timed(data: bytes, seconds: float = 10, rules: Rules = RULES) -> FileScan:
    begin = time.process_time()
    found = scan(data, rules=rules)
    assert time.process_time() - begin < seconds
    return found


def test_a_zip_of_zeros_nested_in_itself():
    data = archive([Entry(f"{n}", bytes(10 << 20), deflate=True, raw=ZEROS) for n in range(60)])
    assert len(data) < 1 << 20
    assert timed(data).grade is Grade.UNSCANNABLE


ZEROS = deflate(bytes(10 << 20))


def test_a_bomb_in_levels():
    data = GOOD
    for _ in range(8):
        data = archive([Entry(f"{n}.zip", data, deflate=True) for n in range(10)])
    assert timed(data).grade is Grade.UNSCANNABLE


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pkl", b"\x80\x02" + b"N0" * 100_000 + b"N."),
        ("a", b"N0" * 100_000 + b"\xff"),
        ("a.jinja", b"{{ 'a'" + b".replace('a','aa')" * 4_000 + b" }}"),
        ("a.yaml", b"- a: b\n" * 30_000),
    ],
)
def test_thousands_of_members_that_take_long(name: str, content: bytes):
    members = [Entry(f"{number}/{name}", content, deflate=True) for number in range(2_000)]
    packed = archive(members)
    assert len(packed) < 10_000_000
    assert timed(packed, 60).grade is Grade.UNSCANNABLE


def overlapping(content: bytes, count: int) -> bytes:
    """One content, and a directory of many entries that all lead to it."""
    first = Entry("k", content)
    body = local_header(first) + content
    central = {"offset": 0}
    entries = b"".join(
        central_header(Entry(f"k{n}", content, central=central), 0) for n in range(count)
    )
    return body + entries + end_record(count, len(entries), len(body))


def test_members_that_share_their_bytes():
    found = timed(overlapping(os.urandom(1 << 20), 3000))
    assert "zip-overlap" in codes(found)
    assert found.grade is Grade.UNSCANNABLE


def test_archives_that_share_their_bytes_at_every_level():
    data = archive([A])
    for _ in range(4):
        data = overlapping(data, 60)
    found = timed(data)
    assert found.grade is Grade.UNSCANNABLE
    assert "too-many-members" in codes(found)


@pytest.mark.parametrize("packer", ["gzip", "bz2", "xz", "lzma"])
def test_a_stream_of_zeros(packer: str):
    assert timed(PACKERS[packer](bytes(64 << 20))).grade is Grade.UNSCANNABLE


def test_a_stream_in_a_stream_of_zeros():
    assert timed(gzip.compress(gzip.compress(bytes(256 << 20)))).grade is Grade.UNSCANNABLE


def test_a_stream_without_signature_that_spends_the_budget():
    """Whether it is zlib is found out on trial, and what the trial found is not lost."""
    bombs = {f"{n}": bytes(64 << 20) for n in range(6)}
    packed = zlib.compress(plain({"a.pkl": EVIL, **bombs}, compress=True))
    found = timed(packed, 60)
    assert found.grade is Grade.MALICIOUS
    assert "unpacks-too-large" in codes(found)
    found = timed(zlib.compress(b"\x80\x02" + b"N0" * (20 << 20) + b"N."), 60)
    assert found.grade is Grade.UNSCANNABLE


def test_more_members_than_are_read():
    rules = replace(RULES, max_members=10)
    assert scan(archive([Entry(f"{n}") for n in range(11)]), rules=rules).grade is Grade.UNSCANNABLE
    inner = archive([Entry(f"{n}") for n in range(6)])
    both = plain({"a": inner, "b": inner})
    assert scan(both, rules=rules).grade is Grade.UNSCANNABLE


def test_a_member_that_unpacks_to_more_than_is_read():
    rules = replace(RULES, max_unpacked=1 << 15)
    member = Entry("a", bytes(1 << 16), deflate=True)
    assert "too-large" in codes(scan(archive([member]), rules=rules))


def test_65_536_members():
    found = timed(archive([Entry(f"{n}", b"x") for n in range(65_536)], zip64={}), 60)
    assert found.grade is Grade.CLEAN


def test_thousands_of_finds_are_bounded():
    data = plain({f"{n}.pkl": EVIL for n in range(2000)})
    found = timed(data, 30)
    assert found.grade is Grade.MALICIOUS
    assert len(found.hits) <= limits.MAX_SCAN_HITS + 10


def test_a_worse_find_is_kept_after_many():
    members = {f"{n}.py": b"pass\n" for n in range(600)} | {"last.pkl": EVIL}
    assert scan(plain(members)).grade is Grade.MALICIOUS
