"""JSON without forgiveness."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from attest import limits
from attest.codec import jsonstrict
from attest.errors import AttestError, MalformedInput, TooLarge
from tests.cli.support import environment


def loads(data: bytes):
    return jsonstrict.loads(data, what="thing")


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"{}", {}),
        (b' [1, -2, 0.5, true, null, "a"]\r\n', [1, -2, 0.5, True, None, "a"]),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\\\ud800"', "\\ud800"),
        ('"\U0001f600"'.encode(), "\U0001f600"),
        (b"18446744073709551615", (1 << 64) - 1),
        (b'{"a": {"a": 1}, "b": {"a": 2}}', {"a": {"a": 1}, "b": {"a": 2}}),
        (b'["[[[[", "]", "\\"[[{"]', ["[[[[", "]", '"[[{']),
    ],
)
def test_reads(data, value):
    assert loads(data) == value


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "truncated"),
        (b" \n", "truncated"),
        (b"{", "truncated"),
        (b'{"a"', "truncated"),
        (b'{"a":', "truncated"),
        (b'{"a":1', "truncated"),
        (b'"abc', "truncated"),
        (b"[1,", "truncated"),
        (b"[1,]", "malformed-json"),
        (b'{"a":1,}', "malformed-json"),
        (b"{'a':1}", "malformed-json"),
        (b"{a:1}", "malformed-json"),
        (b"01", "malformed-json"),
        (b"+1", "malformed-json"),
        (b".5", "malformed-json"),
        (b"1.", "malformed-json"),
        (b"0x10", "malformed-json"),
        (b"1_000", "malformed-json"),
        ("\u0661".encode(), "malformed-json"),
        (b"[1 2]", "malformed-json"),
        (b"{} {}", "malformed-json"),
        (b"/* c */ {}", "malformed-json"),
        (b"NaN", "malformed-json"),
        (b"[Infinity]", "malformed-json"),
        (b"-Infinity", "malformed-json"),
        (b"True", "malformed-json"),
        (b'"tab\there"', "malformed-json"),
        (b'"\\x41"', "malformed-json"),
        (b"\xef\xbb\xbf{}", "malformed-json"),
        (b"\x00", "malformed-json"),
        (b"{}\x00", "malformed-json"),
        (b"\x0c{}", "malformed-json"),
        (b'"\xff"', "not-utf8"),
        (b'"\xc0\xaf"', "not-utf8"),
        (b'"\xed\xa0\x80"', "not-utf8"),
        ("{}".encode("utf-16"), "not-utf8"),
        (b'"\\ud800"', "not-utf8"),
        (b'{"\\udc00": 1}', "not-utf8"),
        (b'"\\ude00\\ud83d"', "not-utf8"),
        (b'{"a": 1, "a": 1}', "duplicate-key"),
        (b'{"a": 1, "\\u0061": 1}', "duplicate-key"),
        (b'[{"x": {"a": 1, "b": 2, "a": 3}}]', "duplicate-key"),
        (b"1e999", "number-out-of-range"),
        (b"-1e999", "number-out-of-range"),
        (b"1" * 23, "number-out-of-range"),
        (b"-" + b"1" * 5000, "number-out-of-range"),
        (b"0." + b"1" * 5000, "number-out-of-range"),
        (b"[" * 33 + b"]" * 33, "nested-too-deep"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "nested-too-deep"),
        (b"[" * 100_000, "nested-too-deep"),
    ],
)
def test_refuses(data, code):
    with pytest.raises(MalformedInput) as caught:
        loads(data)
    assert caught.value.code == code
    str(caught.value).encode("utf-8")


def test_deepest_that_is_allowed():
    assert loads(b"[" * 32 + b"]" * 32)


def test_size_is_checked_first():
    with pytest.raises(TooLarge):
        jsonstrict.loads(b"[" * 100, what="thing", max_bytes=99)
    with pytest.raises(TooLarge):
        loads(b" " * (limits.MAX_JSON_BYTES + 1))


@pytest.mark.parametrize(
    "data",
    [
        b"[" + b"[]," * 40 + b'"' + b'\\"' * 1_000_000,
        b"[" + b"[]," * 40 + b'"' + b"\\" * 2_000_001,
        b'"' * 2_000_001 + b"[" * 33,
        b"[" + b"[]," * 40 + b'"\\' * 1_000_000,
        b'{"a' * 700_000,
        b"[" * 33 + b'"' * 2_000_000,
        b"[" + b"{}," * 600_000,
    ],
    ids=["escaped quotes", "backslashes", "quotes", "open strings", "keys", "brackets", "objects"],
)
def test_time_is_linear(data):
    """Trap 18. An unterminated string of escaped quotes once took hours at this size."""
    begin = time.process_time()
    with pytest.raises(MalformedInput):
        loads(data)
    assert time.process_time() - begin < 50


def test_memory_is_linear():
    """A string of 15 MB once took 1.7 GB, to remember where to go back to."""
    code = (
        "from attest.codec import jsonstrict\n"
        "jsonstrict.loads(b'[' + b'[],' * 40 + b'\"' + b'a' * 15_000_000 + b'\"]', what='x')\n"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 200_000, "kB"


@pytest.mark.parametrize("kind", [str, int, bool, dict, list])
def test_types_are_exact(kind):
    values = {str: "", int: 1, bool: True, dict: {}, list: []}
    for other, value in values.items():
        if other is kind:
            assert jsonstrict.typed(value, kind, where="x") is value
        else:
            with pytest.raises(MalformedInput) as caught:
                jsonstrict.typed(value, kind, where="x")
            assert (caught.value.code, caught.value.where) == ("wrong-type", "x")
    for value in (None, 1.0):
        with pytest.raises(MalformedInput):
            jsonstrict.typed(value, kind, where="x")


def test_members():
    holder = {"a": 1, "n": None}
    assert jsonstrict.member(holder, "a", int, where="h") == 1
    assert jsonstrict.optional(holder, "n", int, where="h") is None
    assert jsonstrict.optional(holder, "x", int, where="h") is None
    with pytest.raises(MalformedInput) as caught:
        jsonstrict.member(holder, "x", int, where="h")
    assert caught.value.code == "missing-member"
    with pytest.raises(MalformedInput):
        jsonstrict.member(holder, "n", int, where="h")
    with pytest.raises(MalformedInput):
        jsonstrict.objects([{}, 1], where="h")


def test_message_holds_no_control_characters():
    with pytest.raises(AttestError) as caught:
        loads(b'{"\\u001b[2J": 1, "\\u001b[2J": 2}')
    assert "\x1b" not in str(caught.value)
