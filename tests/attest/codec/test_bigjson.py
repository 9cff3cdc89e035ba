"""Large documents in windows: the same result as at once, or a refusal."""

from __future__ import annotations

import json

import pytest

from attest import limits
from attest.codec import bigjson
from attest.errors import MalformedInput, TooLarge, Truncated
from tests.support.forge import b64


def elements(data: bytes, start: int = 0):
    taken: list = []
    end = bigjson.each_element(data, start, taken.extend, what="array")
    return taken, end


@pytest.fixture(params=[1, 7, 64])
def tiny(request, monkeypatch):
    monkeypatch.setattr(bigjson, "_WINDOW", request.param)


TRICKY = [
    {"a": "},"},
    {"b": "}, {"},
    {"c": [{"d": 1}, {"e": "},"}, {}]},
    {},
    {"f": '"},"', "g": "\\"},
    {"h": "\N{SNOWMAN}\U0001f600},"},
    {"i": "]"},
]


def test_cuts_inside_strings_and_nested_values(tiny):
    for indent in (None, 1):
        data = json.dumps(TRICKY, indent=indent, ensure_ascii=False).encode()
        assert elements(data) == (TRICKY, len(data))
        assert elements(b"xx" + data + b"}} more", 2) == (TRICKY, len(data) + 2)


@pytest.mark.parametrize("value", [[], [{}], [1, "a", None], [{"a": 1}] * 100])
def test_every_array(tiny, value):
    data = json.dumps(value).encode()
    assert elements(data) == (value, len(data))


@pytest.mark.parametrize(
    "data",
    [
        b"[{},]",
        b'[{"a": 1}, {"b": 2},]',
        b'[{"a": 1}, {"b": 2}, ]',
        b"[,{}]",
        b"[{},,{}]",
        b"[{} {}]",
        b"[{},{}",
        b"[{},{},",
        b"[",
        b'[{"a": 1}, {"a": NaN}]',
        b'[{"a": 1}, {"a": 1, "a": 2}]',
        b'[{"a": "\xff"}]',
        b'[{"a": 1}, {"b": 1e999}]',
        b"[{}}]",
        b'[{},"},{}]',
        b"[" * 5000,
        b"[{}, " + b'{"a":' * 5000,
    ],
)
def test_refuses_what_is_no_array(tiny, data):
    with pytest.raises(MalformedInput):
        elements(data)


def test_comma_before_the_end_at_the_real_window_size():
    """The last window begins after a comma that promised more."""
    one = {"name": "x" * 1000}
    data = json.dumps([one] * 600).encode()
    assert len(data) > bigjson._WINDOW
    good, _ = elements(data)
    assert len(good) == 600
    with pytest.raises(MalformedInput):
        elements(data[:-1] + b",]")
    cut = data.index(b"},", bigjson._WINDOW) + 2
    with pytest.raises(MalformedInput) as caught:
        elements(data[:cut] + b"]")
    assert caught.value.code == "malformed-json"


def test_element_larger_than_allowed(monkeypatch):
    monkeypatch.setattr(limits, "MAX_MANIFEST_WINDOW_BYTES", 1000)
    monkeypatch.setattr(bigjson, "_WINDOW", 100)
    with pytest.raises(TooLarge):
        elements(json.dumps([{"a": "x" * 5000}, {}]).encode())
    with pytest.raises(TooLarge):
        elements(json.dumps([{"a": ["},"] * 2000}, {}]).encode())
    with pytest.raises(TooLarge):
        elements(json.dumps([{"a": "\N{SNOWMAN}" * 5000}, {}], ensure_ascii=False).encode())


def test_hostile_cuts_cost_linear_time(monkeypatch):
    """Each window is parsed a bounded number of times, wherever ``},`` may be."""
    monkeypatch.setattr(bigjson, "_WINDOW", 100)
    parsed = []
    honest = bigjson._parse_window

    def spy(window, **more):
        parsed.append(len(window))
        return honest(window, **more)

    monkeypatch.setattr(bigjson, "_parse_window", spy)
    data = json.dumps([{"a": [{}] * 20_000}] + [{}] * 10).encode()
    elements(data)
    assert sum(parsed) < 8 * len(data)


def document(payload: str, **more) -> bytes:
    return json.dumps({**more, "outer": {"payload": payload}}).encode()


PATH = ("outer", "payload")
LARGE = bytes(range(256)) * 300


def load(data: bytes):
    return bigjson.loads_with_payload(data, what="thing", path=PATH)


def test_large_payload_is_cut_out():
    found, payload = load(document(b64(LARGE), x=1))
    assert payload == LARGE
    assert found["x"] == 1
    assert len(found["outer"]["payload"]) < 50


def test_small_payload_stays():
    assert load(document("AAAA")) == ({"outer": {"payload": "AAAA"}}, None)


def test_document_without_its_payload_is_bounded():
    with pytest.raises(TooLarge):
        load(document(b64(LARGE), x="y" * limits.MAX_JSON_BYTES))


@pytest.mark.parametrize(
    "data",
    [
        json.dumps({"payload": b64(LARGE), "outer": {"payload": "AAAA"}}).encode(),
        json.dumps({"payload": b64(LARGE)}).encode(),
        json.dumps({"outer": {"inner": {"payload": b64(LARGE)}}}).encode(),
        json.dumps({"outer": {'x"payload': b64(LARGE)}}).encode(),
        json.dumps({"outer": [{"payload": b64(LARGE)}]}).encode(),
        json.dumps({"payload": b64(LARGE), "outer": {"payload": "@cut@"}}).encode(),
        json.dumps({"payload": b64(LARGE), "outer": {"payload": "?"}})
        .replace("?", "\\u0040cut\\u0040")
        .encode(),
        b'{"outer": {"payload": "AAAA", "payload": "%s"}}' % b64(LARGE).encode(),
        b'{"outer": {"payload": "%s", "payload": "AAAA"}}' % b64(LARGE).encode(),
        json.dumps({"outer": {"payload": b64(LARGE)[:-1] + "="}}).encode(),
        json.dumps({"outer": {"payload": b64(LARGE)[:-3]}}).encode(),
        document(b64(LARGE))[:-1],
        document(b64(LARGE))[:-3],
        document(b64(LARGE)) + b"x",
    ],
    ids=range(14),
)
def test_payload_elsewhere_or_spoiled(data):
    with pytest.raises(MalformedInput):
        load(data)


def test_payload_whose_name_is_spelled_otherwise_is_read_whole():
    data = document(b64(LARGE)).replace(b'"payload"', b'"pay\\u006coad"')
    found, payload = load(data)
    assert payload is None
    assert found["outer"]["payload"] == b64(LARGE)


def test_marks_cannot_be_guessed():
    assert len({bigjson.new_mark() for _ in range(100)}) == 100
    with pytest.raises(Truncated):
        load(b"")
