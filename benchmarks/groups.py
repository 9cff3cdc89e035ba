"""The comparisons, in groups that can be run alone. The targets are those of the project's plan."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.command import Action, in_turns, run
from benchmarks.report import Row, below, megabytes, milliseconds, speed
from benchmarks.tools import (
    CORES,
    Keys,
    PeerSigning,
    Signing,
    attest_command,
    openssl,
    openssl_all,
    openssl_one,
    probe,
)
from benchmarks.workspace import Workspace

SHA256_SHARE = 0.95
BLAKE3_SHARE = 0.9
CPU_PER_FILE = 40e-6
TIMES_LESS_CPU = 5.0
ENTRIES_MEMORY = 350e6
LINEAR = 2.2
"""Twice the work for at most this much more."""
ANY_SIZE_MEMORY = 150e6
VERSION_START = 0.150
VERIFY_START = 0.350


@dataclass(frozen=True, slots=True)
class Context:
    """What every group needs.

    Attributes:
        peer: model_signing's command, or None where it is not installed.
    """

    workspace: Workspace
    keys: Keys
    peer: str | None

    def signing(self, path: Path, name: str) -> Signing:
        return Signing(self.keys, path, self.workspace.signature(name))


def one_file(context: Context) -> Iterator[Row]:
    """One large file, SHA-256."""
    sizes, path = context.workspace.sizes, context.workspace.large_file()
    plain, chunked = context.signing(path, "plain"), context.signing(path, "chunked")
    chunked.sign()()
    actions: dict[str, Action] = {
        "hashlib": probe("one_thread", path),
        "engine": probe("engine", path),
        "memory": probe("in_memory", path),
        "sign": plain.sign("--no-chunk-digests"),
        "sign, chunks": chunked.sign(),
        "verify": chunked.verify(),
    }
    if openssl():
        actions = {"openssl": openssl_one(path), **actions}
    cost = in_turns(sizes.rounds, actions)
    wall = {name: found.wall for name, found in cost.items()}
    one, size = "openssl dgst, one core", sizes.file
    other, limit = wall.get("openssl", wall["hashlib"]), wall["memory"]
    if not openssl():
        one = "hashlib, one thread (no openssl)"
    what = f"{size >> 20} MiB file, sha256: "
    yield speed(what + "engine", size, wall["engine"], other, one, SHA256_SHARE)
    which = "hashlib, one thread"
    yield speed(what + "engine", size, wall["engine"], wall["hashlib"], which, SHA256_SHARE)
    yield speed(what + "engine", size, wall["engine"], limit, "hashlib, no file at all")
    yield speed(what + "verify", size, wall["verify"], other, one, SHA256_SHARE)
    name = "sign, no chunks"
    yield speed(what + name, size, wall["sign"], other, one, SHA256_SHARE)
    name = "sign, hashed twice"
    yield speed(what + name, size, wall["sign, chunks"], other, one, SHA256_SHARE)


def blake3(context: Context) -> Iterator[Row]:
    """One large file, BLAKE3."""
    sizes, path = context.workspace.sizes, context.workspace.large_file()
    signing = context.signing(path, "blake3")
    cost = in_turns(
        sizes.rounds,
        {
            "mapped": probe("blake3_mapped", path),
            "engine": probe("engine_blake3", path),
            "memory": probe("blake3_in_memory", path),
            "sign": signing.sign("--algorithm", "blake3"),
            "verify": signing.verify(),
        },
    )
    what, size = f"{sizes.file >> 20} MiB file, blake3: ", sizes.file
    wall = {name: found.wall for name, found in cost.items()}
    mapped = f"blake3 package, mapped, {CORES} threads"
    yield speed(what + "engine", size, wall["engine"], wall["mapped"], mapped, BLAKE3_SHARE)
    yield speed(what + "engine", size, wall["engine"], wall["memory"], "blake3 package, no file")
    yield speed(what + "sign", size, wall["sign"], wall["mapped"], mapped)
    yield speed(what + "verify", size, wall["verify"], wall["mapped"], mapped)


def shards(context: Context) -> Iterator[Row]:
    """A sharded checkpoint: a few large files."""
    sizes = context.workspace.sizes
    with context.workspace.tree("shards", 1, sizes.shards, sizes.shard) as root:
        signing = context.signing(root, "shards")
        actions: dict[str, Action] = {
            "hashlib": probe("all_threads", root),
            "engine": probe("engine", root),
            "sign, chunks": signing.sign(),
            "sign": signing.sign("--no-chunk-digests"),
            "verify": signing.verify(),
        }
        if openssl():
            actions = {"openssl": openssl_all(root), **actions}
        cost = in_turns(sizes.rounds, actions)
    size = sizes.shards * sizes.shard
    wall = {name: found.wall for name, found in cost.items()}
    what = f"{sizes.shards} x {sizes.shard >> 20} MiB, sha256: "
    which = f"hashlib, {CORES} threads"
    yield speed(what + "engine", size, wall["engine"], wall["hashlib"], which, SHA256_SHARE)
    if "openssl" in wall:
        other = f"openssl dgst, {CORES} processes"
        yield speed(what + "engine", size, wall["engine"], wall["openssl"], other, SHA256_SHARE)
    name = "sign, no chunks"
    yield speed(what + name, size, wall["sign"], wall["hashlib"], which, SHA256_SHARE)
    yield speed(what + "verify", size, wall["verify"], wall["hashlib"], which, SHA256_SHARE)
    yield speed(what + "sign, hashed twice", size, wall["sign, chunks"], wall["hashlib"], which)


def small_files(context: Context) -> Iterator[Row]:
    """Many small files: processor time for each, whole processes."""
    sizes = context.workspace.sizes
    folders = max(1, sizes.small_files // 1000)
    count = sizes.small_files // folders * folders
    with context.workspace.tree("small", folders, count // folders, sizes.small) as root:
        ours = context.signing(root, "small")
        cost = in_turns(
            sizes.rounds,
            {"raw": probe("raw", root), "sign": ours.sign(), "verify": ours.verify()},
        )
        peer_cost = {}
        if context.peer:
            theirs = PeerSigning(
                context.peer, context.keys, root, context.workspace.signature("peer")
            )
            peer_cost = in_turns(
                sizes.long_rounds,
                {
                    "sign": theirs.sign,
                    "our sign": ours.sign(),
                    "verify": theirs.verify,
                    "our verify": ours.verify(),
                },
            )
    label = f"{count} x {sizes.small >> 10} KiB: "
    for verb in ("sign", "verify"):
        each, least = cost[verb].cpu / count, cost["raw"].cpu / count
        yield Row(
            f"{label}{verb}, CPU per file",
            _micro(each),
            _micro(least),
            "open, read, sha256, close",
            each / least,
            f"<= {CPU_PER_FILE * 1e6:.0f}",
            each <= CPU_PER_FILE,
        )
    for verb in ("sign", "verify"):
        if not peer_cost:
            yield Row(f"{label}{verb}, CPU per file", "", "", "model_signing: not installed")
            continue
        ratio = peer_cost[verb].cpu / peer_cost[f"our {verb}"].cpu
        yield Row(
            f"{label}{verb}, CPU per file",
            _micro(peer_cost[f"our {verb}"].cpu / count),
            _micro(peer_cost[verb].cpu / count),
            "model_signing",
            ratio,
            f">= {TIMES_LESS_CPU:.0f}",
            ratio >= TIMES_LESS_CPU,
        )


def _micro(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} µs"


def entries(context: Context) -> Iterator[Row]:
    """Huge trees of tiny files: memory, and whether twice the files cost twice as much."""
    sizes = context.workspace.sizes
    per_folder = min(1000, sizes.entries)
    folders = sizes.entries // per_folder
    tree = context.workspace.tree
    with (
        tree("entries/a", folders, per_folder, 20) as half,
        tree("entries/b", folders, per_folder, 20),
    ):
        small, large = context.signing(half, "half"), context.signing(half.parent, "whole")
        cost = in_turns(
            sizes.long_rounds,
            {
                "sign": small.sign(),
                "sign 2": large.sign(),
                "verify": small.verify(),
                "verify 2": large.verify(),
            },
            warm_up=False,  # minutes; and the files were written just now
        )
    count = folders * per_folder
    for verb in ("sign", "verify"):
        once, twice = cost[verb], cost[f"{verb} 2"]
        label, memory = f"{count} files: {verb}", megabytes(ENTRIES_MEMORY)
        yield below(f"{label}, memory", megabytes(once.rss), once.rss, ENTRIES_MEMORY, memory)
        label = f"{2 * count} files: {verb}"
        for name, ratio, figures in (
            ("memory", twice.rss / once.rss, (megabytes(twice.rss), megabytes(once.rss))),
            ("CPU", twice.cpu / once.cpu, (f"{twice.cpu:.1f} s", f"{once.cpu:.1f} s")),
            ("time", twice.wall / once.wall, (f"{twice.wall:.1f} s", f"{once.wall:.1f} s")),
        ):
            target, met = f"<= {LINEAR}", ratio <= LINEAR
            yield Row(f"{label}, {name}", *figures, "half as many files", ratio, target, met)


def memory(context: Context) -> Iterator[Row]:
    """Peak memory over one large file."""
    sizes, path = context.workspace.sizes, context.workspace.large_file()
    limit = megabytes(ANY_SIZE_MEMORY)
    for algorithm in ("sha256", "blake3"):
        signing = context.signing(path, f"memory-{algorithm}")
        cost = in_turns(
            1, {"sign": signing.sign("--algorithm", algorithm), "verify": signing.verify()}
        )
        for verb, found in cost.items():
            what = f"{sizes.file >> 20} MiB file, {algorithm}: {verb}, memory"
            yield below(what, megabytes(found.rss), found.rss, ANY_SIZE_MEMORY, limit)


def start(context: Context) -> Iterator[Row]:
    """New processes that have next to nothing to do."""
    sizes = context.workspace.sizes
    with context.workspace.tree("start", 1, 3, 1000) as root:
        signing = context.signing(root, "start")
        signing.sign()()
        cost = in_turns(
            sizes.starts,
            {
                "python": lambda: run([sys.executable, "-c", "pass"]),
                "version": lambda: run([*attest_command(), "--version"]),
                "verify": signing.verify(),
                "sign": signing.sign(),
            },
        )
    python = cost["python"].wall
    for what, name, limit in (
        ("attest --version", "version", VERSION_START),
        ("attest verify, 3 small files", "verify", VERIFY_START),
        ("attest sign, 3 small files", "sign", None),
    ):
        wall = cost[name].wall
        yield Row(
            what,
            milliseconds(wall),
            milliseconds(python),
            "python -c pass",
            wall / python,
            "" if limit is None else f"< {milliseconds(limit)}",
            None if limit is None else wall < limit,
        )


GROUPS: dict[str, Callable[[Context], Iterator[Row]]] = {
    "start": start,
    "small": small_files,
    "file": one_file,
    "blake3": blake3,
    "memory": memory,
    "shards": shards,
    "entries": entries,
}
