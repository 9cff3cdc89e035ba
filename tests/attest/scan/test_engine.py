"""What a file is, by content; what its name adds; files that are two things."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import struct
import zipfile

import numpy
import pytest

from attest.codec.reader import BytesSource
from attest.errors import Unavailable
from attest.scan.allowlist import builtin_allow_list
from attest.scan.engine import scan_source
from attest.scan.grades import FileScan, Grade, Rules
from attest.scan.sniff import is_code_name, name_contradicts, suffix_of
from tests.support.zips import plain

RULES = Rules(builtin_allow_list())
EVIL = b"cos\nsystem\n(S'true'\ntR."
GOOD = pickle.dumps({"weights": [1.5, 2.5]}, protocol=2)


def scan(data: bytes, name: str = "file") -> FileScan:
    return scan_source(name, BytesSource(data), RULES)


def codes(found: FileScan) -> set[str]:
    return {hit.code for hit in found.hits}


def safetensors(tensors: int = 1) -> bytes:
    entries = {
        f"t{n}": {"dtype": "F32", "shape": [4], "data_offsets": [16 * n, 16 * n + 16]}
        for n in range(tensors)
    }
    header = json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header + bytes(16 * tensors)


def npy(array) -> bytes:
    made = io.BytesIO()
    numpy.save(made, array)
    return made.getvalue()


def field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


SENTENCEPIECE = field(1, field(1, b"<unk>") + b"\x15" + struct.pack("<f", 0) + b"\x18\x02") * 3
PARQUET = b"PAR1" + bytes(40) + b"footer" + struct.pack("<I", 6) + b"PAR1"
ARROW = b"ARROW1\0\0" + bytes(200) + b"ARROW1"


# -- harmless formats ------------------------------------------------------------------------------

HARMLESS = {
    "empty": ("__init__.py", b"", "empty"),
    "text": ("README.md", "# Modèle\n".encode(), "text"),
    "json": ("config.json", b'{"hidden_size": 8}\n', "json"),
    "jsonl": ("data.jsonl", b'{"a": 1}\n{"a": 2}\n', "json"),
    "yaml": ("config.yaml", b"a: 1\n", "yaml"),
    "safetensors": ("model.safetensors", safetensors(), "safetensors"),
    "npy": ("a.npy", npy(numpy.arange(3)), "npy"),
    "pickle": ("a.pkl", GOOD, "pickle"),
    "png": ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(50), "png"),
    "jpeg": ("a.JPG", b"\xff\xd8\xff\xe0" + bytes(50), "jpeg"),
    "wav": ("a.wav", b"RIFF" + bytes(4) + b"WAVEfmt " + bytes(50), "wav"),
    "parquet": ("a.parquet", PARQUET, "parquet"),
    "arrow": ("a.arrow", ARROW, "arrow"),
    "sentencepiece": ("tokenizer.model", SENTENCEPIECE, "sentencepiece"),
    "git": (".gitattributes", b"*.bin filter=lfs\n", "text"),
}


@pytest.mark.parametrize("case", HARMLESS)
def test_harmless_formats(case: str):
    name, data, form = HARMLESS[case]
    found = scan(data, name)
    assert (found.hits, found.format) == ((), form)


@pytest.mark.parametrize("case", sorted(set(HARMLESS) - {"empty"}))
def test_a_zip_at_the_end_of_anything(case: str):
    name, data, _ = HARMLESS[case]
    found = scan(data + plain({"archive/data.pkl": EVIL}), name)
    assert found.grade is Grade.MALICIOUS
    assert "polyglot" in codes(found) or found.format == "pickle"


@pytest.mark.parametrize("case", sorted(set(HARMLESS) - {"empty"}))
def test_a_harmless_zip_at_the_end_of_anything(case: str):
    name, data, _ = HARMLESS[case]
    assert scan(data + plain({"a.txt": b"alpha"}), name).grade.rank >= Grade.SUSPICIOUS.rank


# -- programs and what is not read -----------------------------------------------------------------


def pe() -> bytes:
    return b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + bytes(100)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("libx.so", b"\x7fELF\x02\x01\x01" + bytes(60)),
        ("weights.bin", b"\x7fELF\x02\x01\x01" + bytes(60)),
        ("x.exe", pe()),
        ("x", b"\xcf\xfa\xed\xfe" + bytes(60)),
        ("X.class", b"\xca\xfe\xba\xbe" + bytes(60)),
        ("x.wasm", b"\0asm\x01\0\0\0"),
        ("run", b"#!/bin/sh\necho\n"),
        ("x.pyc", struct.pack("<H", 3495) + b"\r\n" + bytes(12) + b"\xe3" + bytes(60)),
        ("modeling.py", b"import torch\n"),
        ("install.SH", b"echo\n"),
        ("Makefile", b"all:\n\techo\n"),
        ("notebook.ipynb", b'{"cells": []}'),
        ("kernel.cu", b"// code\n"),
    ],
)
def test_programs(name: str, data: bytes):
    found = scan(data, name)
    assert (found.grade, codes(found) - {"name-content-mismatch"}) == (
        Grade.SUSPICIOUS,
        {"code-in-artifact"},
    )


@pytest.mark.parametrize(
    "head",
    [b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07\x00", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18",
     b"%PDF-1.7", b"\0\0\0\0TFL3", b"SQLite format 3\0", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"],
)  # fmt: skip
def test_formats_that_are_recognised_and_not_read(head: bytes):
    found = scan(head + os.urandom(100))
    assert found.grade is Grade.UNSCANNABLE
    assert "unsupported-format" in codes(found)


@pytest.mark.parametrize("data", [bytes(1000), b"\x00", b"\xff" * 9, bytes(range(256)) * 64])
@pytest.mark.parametrize("name", ["weights.bin", "x", "model.safetensors", "tokenizer.model"])
def test_a_blob_that_nobody_recognises_is_not_clean(name: str, data: bytes):
    found = scan(data, name)
    assert found.grade is Grade.UNSCANNABLE
    assert "unrecognised" in codes(found)


def test_noise_is_never_clean():
    noise = random.Random(3)
    for length in range(200, 500):
        data = noise.randbytes(length)
        assert scan(data).grade is not Grade.CLEAN, data.hex()


@pytest.mark.parametrize(
    "data",
    [
        ARROW.replace(bytes(60), b"x" * 9 + b"arrow.py_extension_type" + bytes(28), 1),
        b"PAR1" + b"__" + b"eGFycm93LnB5X2V4dGVuc2lvbl90eXBl" + struct.pack("<I", 32) + b"PAR1",
        b"PAR1" + b"arrow.py_extension_type" + struct.pack("<I", 23) + b"PAR1",
    ],
)
def test_an_arrow_type_whose_metadata_is_a_pickle(data: bytes):
    assert scan(data).grade is Grade.UNSCANNABLE


def test_a_pointer_instead_of_a_file():
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"
    found = scan(pointer, "model.safetensors")
    assert (found.grade, found.format) == (Grade.UNSCANNABLE, "lfs-pointer")


# -- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("model.safetensors", GOOD),
        ("model.gguf", safetensors()),
        ("config.json", GOOD),
        ("vocab.txt", GOOD),
        ("model.pt", b"just text\n"),
        ("model.bin", b"\x89PNG\r\n\x1a\n" + bytes(50)),
        ("a.png", b"just text\n"),
        ("a.npy", plain({"a.txt": b"x"})),
        ("x.zip", GOOD),
    ],
)
def test_a_name_that_promises_something_else(name: str, data: bytes):
    found = scan(data, name)
    assert "name-content-mismatch" in codes(found)
    assert found.grade.rank >= Grade.SUSPICIOUS.rank


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a.PKL", ".pkl"),
        (".metadata", ""),
        ("a", ""),
        ("d.x/a", ""),
        ("z!b.npy", ".npy"),
        ("a.", "."),
    ],
)
def test_suffixes(name: str, suffix: str):
    assert suffix_of(name) == suffix


def test_a_suffix_that_says_nothing_contradicts_nothing():
    assert not name_contradicts("weights.distcp", "torch-zip")
    assert not name_contradicts("a.unknown", "png")
    assert is_code_name("a/b/Setup.PY")
    assert not is_code_name("py")


# -- two things at once ----------------------------------------------------------------------------


def test_a_picture_that_is_a_pickle():
    data = b"GIF89a" + bytes(3) + EVIL  # BINFLOAT, then whatever follows
    assert scan(data, "a.gif").grade is Grade.MALICIOUS


def test_a_pickle_in_front_of_a_zip():
    found = scan(EVIL + plain({"a.txt": b"x"}))
    assert found.grade is Grade.MALICIOUS


def test_text_that_ends_like_a_zip():
    found = scan(b"words\n" * 100 + b"PK\x05\x06" + b"word" * 5 + b"\n\n", "a.txt")
    assert found.grade is Grade.CLEAN
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(b"words\n" * 100 + b"PK\x05\x06" + b"word" * 5 + b"\n\n"))


# -- the machinery ---------------------------------------------------------------------------------


class Failing:
    """A file on a disk that breaks."""

    size = 1000

    def read(self, offset: int, length: int) -> bytes:
        raise Unavailable("input/output error", code="file-unreadable")


def test_a_file_that_cannot_be_read_is_no_verdict():
    with pytest.raises(Unavailable):
        scan_source("x", Failing(), RULES)


@pytest.mark.parametrize(
    "data", [EVIL, GOOD, plain({"a": EVIL}), b"text", bytes(50), safetensors()]
)
def test_the_same_bytes_have_the_same_verdict(data: bytes):
    assert scan(data) == scan(data)


@pytest.mark.parametrize("case", HARMLESS)
@pytest.mark.parametrize("cut", [1, 3, 7, 9, 20])
def test_truncated_files_do_not_raise(case: str, cut: int):
    name, data, _ = HARMLESS[case]
    scan(data[:cut], name)
    scan(data[:-cut], name)
