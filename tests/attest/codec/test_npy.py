"""Headers of npy files, as NumPy writes them and as nobody should."""

from __future__ import annotations

import io

import numpy
import pytest

from attest.codec.npy import parse_npy
from attest.codec.reader import BytesSource
from attest.errors import MalformedInput, TooLarge, Truncated, Unsupported
from tests.support.fixtures import fixture


def saved(array, **options) -> bytes:
    made = io.BytesIO()
    numpy.lib.format.write_array(made, numpy.asanyarray(array), **options)
    return made.getvalue()


def npy(header: str | bytes, version: tuple[int, int] = (1, 0), data: bytes = b"") -> bytes:
    raw = header.encode() if isinstance(header, str) else header
    width = 2 if version == (1, 0) else 4
    return b"\x93NUMPY" + bytes(version) + len(raw).to_bytes(width, "little") + raw + data


def parsed(data: bytes):
    return parse_npy(BytesSource(data))


DTYPES = [
    "<f4", ">i8", "?", "S5", "U3", "M8[ns]", "m8[25us]", "c16", "f2", "V7",
    [("a", "<i4"), ("b", "<f8", (2, 3))], [(("title", "n"), "<i2")], [("a", [("b", "u1")])],
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_plain_arrays(dtype, version):
    data = saved(numpy.zeros((3, 2), dtype=dtype), version=version)
    header = parsed(data)
    assert header.version == version
    assert header.shape == (3, 2)
    assert not header.has_objects
    assert header.data_start + header.data_size == len(data)


@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 0, 3), (1,) * 32])
def test_shapes(shape):
    assert parsed(saved(numpy.zeros(shape))).shape == shape


def test_names_that_are_not_ascii():
    assert not parsed(saved(numpy.zeros(2, dtype=[("é", "<f4")]), version=(3, 0))).has_objects


@pytest.mark.parametrize(
    "descr",
    [
        "'|O'",
        "'O'",
        "'O8'",
        "[('a', '|O')]",
        "[('a', '<f4'), ('b', [('c', 'O')], (2,))]",
        "('O', (2,))",
    ],
)
def test_objects_at_any_depth(descr: str):
    assert parsed(npy(f"{{'descr': {descr}, 'fortran_order': False, 'shape': (1,)}}")).has_objects


def test_what_numpy_saves_as_objects():
    data = saved(numpy.array([{}, None], dtype=object), allow_pickle=True)
    assert parsed(data).has_objects


def test_the_fixtures():
    assert parsed(fixture("pickles", "malicious", "object.npy").read_bytes()).has_objects
    assert not parsed(fixture("pickles", "benign", "array.npy").read_bytes()).has_objects


GOOD = "'descr': '<f4', 'fortran_order': False, 'shape': (1,)"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "{",
        "{}",
        "[]",
        "1",
        "{'descr': '<f4'}",
        "{" + GOOD + ", 'more': 1}",
        "{" + GOOD + ", 'descr': 'O'}",
        "{" + GOOD + "} + {}",
        "{" + GOOD + "}{}",
        "{" + GOOD.replace("(1,)", "(1)") + "}",
        "{" + GOOD.replace("(1,)", "[1]") + "}",
        "{" + GOOD.replace("(1,)", "(-1,)") + "}",
        "{" + GOOD.replace("(1,)", "(True,)") + "}",
        "{" + GOOD.replace("(1,)", "(1.0,)") + "}",
        "{" + GOOD.replace("(1,)", "(1, 2 3)") + "}",
        "{" + GOOD.replace("(1,)", "(" + "1," * 65 + ")") + "}",
        "{" + GOOD.replace("(1,)", "(" + "9" * 21 + ",)") + "}",
        "{" + GOOD.replace("(1,)", "__import__('os')") + "}",
        "{" + GOOD.replace("False", "0") + "}",
        "{" + GOOD.replace("'<f4'", "'i4,O'") + "}",
        "{" + GOOD.replace("'<f4'", "'object'") + "}",
        "{" + GOOD.replace("'<f4'", "'<f4[ns]'") + "}",
        "{" + GOOD.replace("'<f4'", "None") + "}",
        "{" + GOOD.replace("'<f4'", "{'names': ['a'], 'formats': ['O']}") + "}",
        "{" + GOOD.replace("'<f4'", "[('a',)]") + "}",
        "{" + GOOD.replace("'<f4'", "[(1, 'f4')]") + "}",
        "{" + GOOD.replace("'<f4'", "[('a', 'f4', 'x')]") + "}",
        "{" + GOOD.replace("'<f4'", "('f4', " * 20 + "1" + ")" * 20) + "}",
        "{" + GOOD.replace("(1,)", "(" * 5000 + ")" * 5000) + "}",
        "{" + GOOD.replace("'<f4'", "'<f4" + "\\x41'") + "}",
    ],
)
def test_a_malformed_header(header: str):
    with pytest.raises(MalformedInput):
        parsed(npy(header))


def test_a_header_that_is_not_utf8():
    with pytest.raises(MalformedInput):
        parsed(npy(b"{'descr': '\xff'}", version=(3, 0)))


@pytest.mark.parametrize(
    "data", [b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00", b"\x94NUMPY\x01\x00\x00\x00"]
)
def test_no_header(data: bytes):
    with pytest.raises(MalformedInput):
        parsed(data)


def test_a_header_that_is_cut_off():
    with pytest.raises(Truncated):
        parsed(npy("{" + GOOD + "}")[:-1])


def test_a_header_length_over_the_limit():
    with pytest.raises(TooLarge):
        parsed(b"\x93NUMPY\x02\x00\xff\xff\xff\xff")


@pytest.mark.parametrize("version", [(0, 0), (1, 1), (4, 0), (255, 255)])
def test_another_version(version):
    with pytest.raises(Unsupported):
        parsed(npy("{" + GOOD + "}", version=version))


def test_a_size_beyond_all_bounds_is_only_a_number():
    header = parsed(npy("{" + GOOD.replace("(1,)", "(" + "9223372036854775807," * 64 + ")") + "}"))
    assert header.data_size > 1 << 4000
