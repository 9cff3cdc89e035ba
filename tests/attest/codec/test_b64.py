"""Base64 with one spelling per value."""

from __future__ import annotations

import base64

import pytest

from attest.codec import b64
from attest.errors import MalformedInput


@pytest.mark.parametrize("size", range(10))
def test_round_trip(size):
    data = bytes(range(250, 250 + size)) if size < 6 else b"\xff" * size
    text = b64.encode(data)
    for spelled in (text, text.encode(), memoryview(text.encode())):
        assert b64.decode(spelled, what="x", allow_empty=True) == data


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A",
        "AA",
        "AAA",
        "AA=",
        "AAAA=",
        "AAAA====",
        "AA===",
        "AA==AA==",
        "AA==AAAA",
        "====",
        "=AAA",
        "A=AA",
        "AAA\n",
        "AAAA\n",
        " AAAA",
        "AA AA",
        "AA\r\nAA",
        "AA-_",
        "AA.A",
        "AAAA\0",
        "AB==",
        "AAB=",
        "A\N{LATIN SMALL LETTER E WITH ACUTE}AA",
        "\N{FULLWIDTH LATIN CAPITAL LETTER A}AAA",
        "AAA\ud800",
        "*AAA",
    ],
)
def test_refuses(text):
    with pytest.raises(MalformedInput) as caught:
        b64.decode(text, what="field")
    assert caught.value.code == "malformed-base64"
    assert "field" in str(caught.value)
    if text.isascii():
        with pytest.raises(MalformedInput):
            b64.decode(text.encode(), what="field")


def test_every_other_spelling_of_a_tail_is_refused():
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    read = {}
    for last in alphabet:
        for text in (f"A{last}==", f"AA{last}="):
            try:
                value = b64.decode(text, what="x")
            except MalformedInput:
                continue
            assert base64.b64encode(value).decode() == text
            assert value not in read
            read[value] = text
    assert len(read) == 4 + 16
