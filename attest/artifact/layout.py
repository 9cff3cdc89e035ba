"""Sharded checkpoints: which files belong together, and which of them are not there.

Recognised: ``<stem>-00001-of-00064.<ext>`` (safetensors, PyTorch, GGUF), index files that list
their shards, and PyTorch DCP (``.metadata`` with ``__<rank>_<n>.distcp``).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from attest.artifact.walk import Problem
from attest.codec.shardindex import parse_dcp_metadata, parse_weight_map

_SHARD: Final = re.compile(r"(.+)-([0-9]{5,6})-of-([0-9]{5,6})((?:\.[A-Za-z0-9]{1,16}){1,2})")
_DISTCP: Final = re.compile(r"(?:.*/)?__[0-9]{1,9}_[0-9]{1,9}\.distcp")
_INDEX_SUFFIXES: Final = (".safetensors.index.json", ".bin.index.json")
_MAX_NAMED: Final = 1000
"""Missing shards that are named one by one; a made-up ``-of-99999`` must not cost 99 999 lines."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One numbered shard file.

    Attributes:
        stem: common part of the names, with the folder.
        index: from 1.
        total: how many shards there are.
        suffix: with its dot.
    """

    stem: str
    index: int
    total: int
    suffix: str


def parse_shard(name: str) -> Shard | None:
    """The shard that a file name says it is, if any."""
    found = _SHARD.fullmatch(name)
    if found is None:
        return None
    return Shard(found[1], int(found[2]), int(found[3]), found[4])


def describe_shard(name: str) -> str | None:
    """``"shard 3 of 64 of model.safetensors"`` for names that are shards, else None."""
    shard = parse_shard(name)
    if shard is not None:
        return f"shard {shard.index} of {shard.total} of {shard.stem}{shard.suffix}"
    if _DISTCP.fullmatch(name):
        return "shard of a PyTorch distributed checkpoint"
    return None


def describe_layout(names: Iterable[str]) -> str | None:
    """``"model.safetensors: 64 shards"`` for each sharded checkpoint among ``names``."""
    counts: dict[str, int] = {}
    for name in names:
        shard = parse_shard(name)
        if shard is not None:
            key = shard.stem + shard.suffix
        elif _DISTCP.fullmatch(name):
            key = name.rpartition("/")[0] or "PyTorch distributed checkpoint"
        else:
            continue
        counts[key] = counts.get(key, 0) + 1
    return ", ".join(f"{key}: {count} shards" for key, count in counts.items()) or None


def shard_problems(names: Iterable[str], read: Callable[[str], bytes]) -> list[Problem]:
    """What is missing from, or too much in, the sharded checkpoints among ``names``.

    Args:
        names: relative names of all files.
        read: the bounded content of one of them (index files are read).

    Raises:
        MalformedInput: an index file that cannot be understood.
    """
    present = set(names)
    problems = numbered_problems(present)
    folders = _shards_by_folder(present)
    for name in sorted(present):
        folder, slash, base = name.rpartition("/")
        prefix = folder + slash
        if name.endswith(_INDEX_SUFFIXES):
            listed = parse_weight_map(read(name), where=name)
        elif base == ".metadata" and any(map(_DISTCP.fullmatch, folders.get(folder, ()))):
            listed = parse_dcp_metadata(read(name), where=name)
        else:
            continue
        wanted = {prefix + shard for shard in listed}
        problems += [
            Problem(shard, "shard-missing", f"shard is listed in {name} and is not there")
            for shard in sorted(wanted - present)
        ]
        problems += _unlisted(name, wanted, folders.get(folder, []))
    unique = {(problem.name, problem.code): problem for problem in reversed(problems)}
    return sorted(unique.values(), key=lambda problem: (problem.name, problem.code))


def numbered_problems(present: set[str]) -> list[Problem]:
    """Gaps in ``-i-of-n`` series, and shards beyond their end."""
    series: dict[tuple[str, int, str], set[int]] = {}
    widths: dict[tuple[str, int, str], int] = {}
    for name in present:
        shard = parse_shard(name)
        if shard is not None:
            key = (shard.stem, shard.total, shard.suffix)
            series.setdefault(key, set()).add(shard.index)
            widths[key] = len(name) - len(shard.stem) - len(shard.suffix)
    problems: list[Problem] = []
    for (stem, total, suffix), indexes in series.items():
        digits = (widths[stem, total, suffix] - 5) // 2
        first = 0 if 0 in indexes and total not in indexes else 1
        wanted = range(first, first + total)
        missing = (index for index in wanted if index not in indexes)
        gaps = list(itertools.islice(missing, _MAX_NAMED - len(problems)))
        for index, code in [(i, "shard-missing") for i in gaps] + [
            (i, "shard-extra") for i in sorted(indexes) if i not in wanted
        ]:
            name = f"{stem}-{index:0{digits}d}-of-{total:0{digits}d}{suffix}"
            what = "is not there" if code == "shard-missing" else "is beyond the last"
            problems.append(Problem(name, code, f"shard {index} of {total} {what}"))
    return problems


def _shards_by_folder(present: set[str]) -> dict[str, list[str]]:
    """Names that look like shards, by the folder that they are in."""
    folders: dict[str, list[str]] = {}
    for name in sorted(present):
        if describe_shard(name) is not None:
            folders.setdefault(name.rpartition("/")[0], []).append(name)
    return folders


def _unlisted(index: str, wanted: set[str], neighbours: list[str]) -> list[Problem]:
    """Files that look like shards of the same checkpoint but are not in its index."""
    stems = {(shard.stem, shard.suffix) for name in wanted if (shard := parse_shard(name))}
    extra = []
    for name in neighbours:
        if name in wanted:
            continue
        shard = parse_shard(name)
        distcp = index.endswith(".metadata") and _DISTCP.fullmatch(name)
        if (shard and (shard.stem, shard.suffix) in stems) or distcp:
            extra.append(Problem(name, "shard-extra", f"shard is not listed in {index}"))
    return extra
