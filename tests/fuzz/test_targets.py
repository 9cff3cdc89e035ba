"""Every fuzz target over its seeds and a few thousand mutations that are the same each time."""

from __future__ import annotations

import random
import resource
import time
from pathlib import Path

import pytest

from tests.fuzz import registry

THROUGH_ANOTHER = {
    "checksums": "zips",
    "jinjafold": "jinja",
    "jinjatree": "jinja",
    "manifest": "oms",
    "members": "zips",
    "reader": "pe",
    "scanmodel": "scanreports",
    "zipend": "zips",
}
"""Codecs without bytes of their own: they are reached through the target of another."""
ROUNDS = 4000
TOKENS = [
    b"{", b"}", b"[", b"]", b"},", b",", b":", b'"', b"\\", b"\\u0000", b"\\ud800", b"\\u0061",
    b"null", b"true", b"NaN", b"-0", b"1e999", b"9" * 30, b"\xff", b"\x00", b"\xe2\x98\x83", b"=",
    b'"name"', b'"digest"', b'"payload"', b'"resources":[', b'"@cut@"', b"..", b"/", b"\n", b" ",
    b"\x80\x04", b"X\xff\xff\xff\xff", b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
]  # fmt: skip


def mutate(data: bytes, others: list[bytes], source: random.Random) -> bytes:
    """One to four of the usual accidents."""
    made = bytearray(data)
    for _ in range(source.randint(1, 4)):
        at = source.randint(0, len(made))
        end = min(len(made), at + source.choice([1, 1, 2, 8, 64]))
        match source.randrange(7):
            case 0 if made:
                made[at - 1] ^= 1 << source.randrange(8)
            case 1:
                del made[at:end]
            case 2:
                made[at:at] = made[at:end]
            case 3:
                made[at:at] = source.choice(TOKENS)
            case 4:
                made[at:end] = source.choice(TOKENS)
            case 5:
                del made[at:]
            case _:
                other = source.choice(others)
                cut = source.randint(0, len(other))
                made[at:] = other[cut:]
    return bytes(made)


@pytest.mark.parametrize("name", sorted(registry.TARGETS))
def test_seeds_and_mutations(name):
    source = random.Random(name)
    seeds = registry.seeds(name)
    accepted = sum(registry.run(name, seed) for seed in seeds)
    assert accepted, "no seed is good: the target tests nothing"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    slowest = 0.0
    for _ in range(ROUNDS):
        data = mutate(source.choice(seeds), seeds, source)
        begin = time.process_time()
        registry.run(name, data)
        slowest = max(slowest, time.process_time() - begin)
    assert slowest < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000, "kB"


def test_every_codec_has_a_target():
    folder = Path(registry.__file__).parent
    scripts = {path.stem for path in folder.glob("fuzz_*.py")}
    assert scripts == set(registry.TARGETS)
    codecs = {
        path.stem
        for path in (folder.parents[1] / "attest" / "codec").glob("*.py")
        if path.stem != "__init__"
    }
    assert {f"fuzz_{codec}" for codec in codecs - set(THROUGH_ANOTHER)} <= scripts
    assert set(THROUGH_ANOTHER) <= codecs
    assert {f"fuzz_{target}" for target in THROUGH_ANOTHER.values()} <= scripts
