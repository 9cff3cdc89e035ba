"""The disassembler of pickles, held against pickletools."""

from __future__ import annotations

import pickle
import pickletools
import struct

import numpy
import pytest

from attest.codec.pickles import OPERATIONS, Blob, PickleReader, is_opcode
from attest.codec.reader import BytesSource
from attest.errors import MalformedInput, TooLarge, Truncated
from attest.limits import KIB, MAX_PICKLE_TEXT_BYTES
from tests.support.fixtures import fixture
from tests.support.pickling import name, stream, text


class Counting(BytesSource):
    """Counts the bytes that are read."""

    def __init__(self, data):
        super().__init__(data)
        self.count = 0

    def read(self, offset, length):
        self.count += length
        return super().read(offset, length)


class Sparse:
    """Bytes, then zeros up to a size that nobody has in memory, then bytes."""

    def __init__(self, head, size, tail):
        self.head, self.size, self.tail = head, size, tail

    def read(self, offset, length):
        at = self.size - len(self.tail)
        found = bytearray(length)
        for start, data in ((0, self.head), (at, self.tail)):
            low, high = max(start, offset), min(start + len(data), offset + length)
            if low < high:
                found[low - offset : high - offset] = data[low - start : high - start]
        return bytes(found)


def read(data: bytes):
    return list(PickleReader(BytesSource(data)))


def expected(data: bytes):
    """The operations as pickletools sees them, arguments in our spelling."""
    for operation, argument, position in pickletools.genops(data):
        if operation.name in ("GLOBAL", "INST"):
            argument = tuple(str(argument).split(" ", 1))
        elif isinstance(argument, bytearray):
            argument = bytes(argument)
        yield operation.name, argument, position


PLAIN = {
    "text": "grün \ud800 \n \\ 'x'",
    "numbers": [0, 1, -1, 255, 256, 65536, -(2**31), 2**31, 2**80, -(2**2000), 1.5, -0.0, 1e308],
    "others": (None, True, False, b"\x00\xff", bytearray(b"abc"), {1, 2}, frozenset({3}), 2j),
    "nested": [[[], {}, ()], {"a": {"b": ("c",)}}],
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "value",
    [PLAIN, list(range(3000)), numpy.arange(6.0).reshape(2, 3)],
    ids=["plain", "list", "array"],
)
def test_reads_what_pickletools_reads(value, protocol):
    data = pickle.dumps(value, protocol)
    assert read(data) == list(expected(data))


def test_large_objects_outside_of_frames_are_no_anomaly():
    data = pickle.dumps(["a" * 100_000, b"b" * 100_000, list(range(50_000))], 4)
    reader = PickleReader(BytesSource(data))
    operations = list(reader)
    assert [row[::2] for row in operations] == [row[::2] for row in expected(data)]
    assert reader.anomalies == []
    assert reader.position == len(data)


def test_knows_every_operation_of_pickletools_and_no_other():
    assert {operation.name for operation in pickletools.opcodes} == OPERATIONS
    codes = {ord(operation.code) for operation in pickletools.opcodes}
    assert {byte for byte in range(256) if is_opcode(byte)} == codes


def test_agrees_with_pickletools_on_every_fixture():
    """Malicious ones included; they are disassembled, never loaded."""
    files = [path for path in fixture("pickles", "malicious").rglob("*.pkl") if path.is_file()]
    assert len(files) > 50
    for path in files:
        data = path.read_bytes()
        ours: list = []
        theirs: list = []
        for found, operations in (
            (ours, PickleReader(BytesSource(data))),
            (theirs, expected(data)),
        ):
            try:
                found.extend(row[::2] for row in operations)
            except (MalformedInput, ValueError):
                found.append("broken")
        assert ours == theirs, path.name


def test_payloads_are_passed_over_unread():
    head, tail = b"\x80\x04\x8e" + struct.pack("<Q", 3 << 40), b"\x940."
    size = len(head) + (3 << 40) + len(tail)
    source = Sparse(head, size, tail)
    names = [row[0] for row in PickleReader(source)]
    assert names == ["PROTO", "BINBYTES8", "MEMOIZE", "POP", "STOP"]


def test_a_blob_says_where_it_is():
    data = stream(b"B" + struct.pack("<I", 5000) + b"z" * 5000)
    assert read(data)[1] == ("BINBYTES", Blob("bytes", 7, 5000), 2)


@pytest.mark.parametrize("length", [MAX_PICKLE_TEXT_BYTES, MAX_PICKLE_TEXT_BYTES + 1])
def test_long_text_becomes_a_blob(length):
    argument = read(stream(text("a" * length)))[1][1]
    assert isinstance(argument, str) == (length == MAX_PICKLE_TEXT_BYTES)


def test_reads_little_of_a_stream_full_of_blobs():
    data = stream(
        b"".join(b"B" + struct.pack("<I", 300_000) + b"z" * 300_000 + b"0" for _ in range(9))
    )
    source = Counting(data)
    assert len(list(PickleReader(source))) == 20
    assert source.count < len(data) / 3


@pytest.mark.parametrize("shift", range(-12, 3))
def test_operations_across_the_edge_of_what_is_read_at_once(shift):
    filler = 64 * KIB + shift
    data = b"N" * filler + b"G" + struct.pack(">d", 2.5) + b"I17\n" + text("across") + b"\x85."
    assert read(data)[filler:] == list(expected(data))[filler:]


def test_long_lines_are_passed_over():
    data = b"V" + b"a" * 300_000 + b"\n0I5\n."
    assert read(data) == [
        ("UNICODE", Blob("text", 1, 300_000), 0),
        ("POP", None, 300_002),
        ("INT", 5, 300_003),
        ("STOP", None, 300_006),
    ]


def test_a_number_of_a_million_digits_is_not_computed():
    assert read(b"L" + b"9" * 1_000_000 + b"L\n.")[0][1] == Blob("number", 1, 1_000_001)
    assert read(b"I" + b"9" * 1_000_000 + b"\n.")[0][1] == Blob("number", 1, 1_000_000)
    data = b"\x8b" + struct.pack("<i", 1_000_000) + b"\xff" * 1_000_000 + b"."
    assert read(data)[0][1] == Blob("number", 5, 1_000_000)


# What CPython does, and pickletools does not.


def test_names_have_no_escapes():
    assert read(b"c\\x6fs\nsys\\164em\n.")[0][1] == ("\\x6fs", "sys\\164em")


def test_names_are_utf8():
    assert read("cös\nx\n.".encode())[0][1] == ("ös", "x")


def test_strings_have_escapes():
    assert read(b"S'\\x6f\\163\\n\\q\\\\'\n.")[0][1] == "os\n\\q\\"
    assert read(b"V\\u006f\\u0073\n.")[0][1] == "os"


def test_a_carriage_return_belongs_to_the_name():
    assert read(b"cos\r\nsystem\r\n.")[0][1] == ("os\r", "system\r")


def test_memo_indices_as_int_takes_them():
    assert read(b"Np 1_0 \ng10\n.")[1][1] == 10


def test_memo_indices_end_at_a_nul_as_in_c():
    reader = PickleReader(BytesSource(b"Np5\0tail\ng5\0other\n."))
    assert [row[1] for row in reader] == [None, 5, 5, None]
    assert reader.anomalies[0].code == "odd-number"


def test_memo_indices_of_thousands_of_digits():
    with pytest.raises(TooLarge) as caught:
        read(b"Ng" + b"0" * 5000 + b"1\n.")
    assert caught.value.code == "over-limit"
    with pytest.raises(MalformedInput, match="no number"):
        read(b"Ng" + b"text " * 2000 + b"\n.")
    assert read(b"Ng7\0" + b"0" * 5000 + b"1\n.")[1][1] == 7


@pytest.mark.parametrize("line", [b"0x10", b"010", b"1_000", b" 1", b"", b"7L", b"+1"])
def test_numbers_that_only_some_readers_take_are_odd(line):
    reader = PickleReader(BytesSource(b"I" + line + b"\n."))
    assert isinstance(list(reader)[0][1], Blob)
    assert [odd.code for odd in reader.anomalies] == ["odd-number"]


@pytest.mark.parametrize("line", [b"1e5", b"0.1", b"-1.5e-07", b"inf", b"-inf", b"nan", b"3"])
def test_floats_as_repr_writes_them(line):
    reader = PickleReader(BytesSource(b"F" + line + b"\n."))
    assert isinstance(list(reader)[0][1], float)
    assert reader.anomalies == []


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (b"\x80\x04\x95" + struct.pack("<Q", 2) + b"NNNN.", 0),
        (b"\x80\x04\x95" + struct.pack("<Q", 3) + text("longer") + b".", 1),
        (b"\x80\x04\x95" + struct.pack("<Q", 1 << 63) + b"N.", 1),
        (b"\x80\x04\x95" + struct.pack("<Q", 20) + b"N\x95" + struct.pack("<Q", 2) + b"N.", 2),
        (b"\x80\x04\x95" + struct.pack("<Q", 5) + b"N." + b"zzz", 1),
        (b"\x80\x04\x95" + struct.pack("<Q", 2) + b"N.", 0),
        (b"\x80\x04\x95" + struct.pack("<Q", 1) + b"N\x95" + struct.pack("<Q", 1) + b".", 0),
    ],
    ids=["ends-early", "cuts-string", "2^63", "inside", "stops-early", "exact", "two"],
)
def test_frames_that_lie_are_read_on_and_noted(data, count):
    reader = PickleReader(BytesSource(data))
    assert [row[0] for row in reader][-1] == "STOP"
    wrong = [odd.code for odd in reader.anomalies]
    assert wrong == ["frame-mismatch"] * len(wrong)
    assert bool(wrong) == bool(count)


def test_anomalies_are_bounded():
    reader = PickleReader(BytesSource(b"I0x1\n" * 1000 + b"."))
    assert len(list(reader)) == 1001
    assert len(reader.anomalies) < 100


# Malformed.


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"N",
        b"\x80",
        b"J\0\0",
        b"X\x05\0\0\0abc",
        b"cos\n",
        b"cos\nsystem",
        b"Vabc",
        b"\x8e" + b"\xff" * 8,
        b"\x95\0\0\0",
        b"B" + struct.pack("<I", 1 << 31) + b"abc",
    ],
)
def test_truncated(data):
    with pytest.raises(Truncated, match="byte"):
        read(data)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xff", "unknown-opcode"),
        (b"N\0", "unknown-opcode"),
        (b"T\xff\xff\xff\xff.", "negative-length"),
        (b"\x8b\0\0\0\x80.", "negative-length"),
        (b"X\x01\0\0\0\xff.", "not-utf8"),
        (b"c\xff\nx\n.", "not-utf8"),
        (b"cx\n\xc3\n.", "not-utf8"),
        (b"Vbad \\ud8\n.", "bad-string"),
        (b"Snot quoted\n.", "bad-string"),
        (b"S'open\n.", "bad-string"),
        (b"S'\\x'\n.", "bad-string"),
        (b"P\xe9\n.", "bad-string"),
        (b"gx\n.", "bad-memo-index"),
        (b"Np-1\n.", "bad-memo-index"),
        (b"Np\n.", "bad-memo-index"),
    ],
)
def test_malformed(data, code):
    with pytest.raises(MalformedInput, match="byte") as caught:
        read(data)
    assert caught.value.code == code


def test_operations_before_the_break_come_first():
    reader = iter(PickleReader(BytesSource(stream(name("os", "system"))[:-1] + b"\xff")))
    assert next(reader)[0] == "PROTO"
    assert next(reader)[:2] == ("GLOBAL", ("os", "system"))
    with pytest.raises(MalformedInput):
        next(reader)


def test_a_module_name_over_the_limit():
    with pytest.raises(TooLarge):
        read(b"c" + b"a" * 5000 + b"\nx\n.")


def test_text_that_is_no_number_of_a_memo_is_not_read_for_ever():
    assert read(b"Ng" + b"0" * 4000 + b"1\n.")[1][1] == 1
