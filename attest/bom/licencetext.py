"""Recognise the text of a licence: exactly, or not at all.

A text is compared as words: case, punctuation and line breaks do not count. What may stand before
it are copyright lines and its own title words; what may follow is its own appendix ("how to
apply"). One sentence more, such as a restriction that somebody added, and it is not that licence.

A title alone proves nothing, but it is worth a warning when it contradicts what was declared.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_WORD: Final = re.compile(r"[^\W_]+")
_COPYRIGHT: Final = re.compile(
    r"^[ \t>*#/-]*(?:copyright\b|\(c\)|©|all rights reserved)[^\n]{0,200}$",
    re.IGNORECASE | re.MULTILINE,
)
_TITLE_LINES: Final = 12
_HARMLESS: Final = frozenset({"the", "license", "licence", "md", "txt", "text"})


@dataclass(frozen=True, slots=True)
class KnownText:
    """One known text.

    Attributes:
        licence: SPDX id, or ``LicenseRef-`` of the registry.
        head: words that may stand before it: those of its title.
        start: its first words, joined by spaces.
        words: how many words it has.
        digest: SHA-256 of them, hexadecimal.
        tail: first words of what may follow, or empty.
        tail_words: how many words may follow.
    """

    licence: str
    head: frozenset[str]
    start: str
    words: int
    digest: str
    tail: str
    tail_words: int


def words_of(text: str) -> list[str]:
    """The words of a licence text, in lower case."""
    return _WORD.findall(text.lower())


def head_words(text: str) -> list[str]:
    """The words of what stands before a licence text, without copyright lines."""
    return words_of(_COPYRIGHT.sub("", text))


def digest_of(words: Sequence[str]) -> str:
    """SHA-256 of words joined by spaces, hexadecimal."""
    return hashlib.sha256(" ".join(words).encode("utf-8")).hexdigest()


def recognise(text: str, known: Sequence[KnownText]) -> str | None:
    """The licence whose text this is, or None.

    Args:
        text: bounded by the caller (``limits.MAX_LICENCE_TEXT_BYTES``).
    """
    text = text.lower()
    places = [found.start() for found in _WORD.finditer(text)]
    words = words_of(text)
    joined = f" {' '.join(words)} "
    for each in known:
        at = joined.find(f" {each.start} ")
        if at < 0:
            continue
        begin = joined.count(" ", 0, at)
        end = begin + each.words
        if (
            digest_of(words[begin:end]) == each.digest
            and _may_precede(head_words(text[: places[begin]]), each)
            and _may_follow(words[end:], each)
        ):
            return each.licence
    return None


def _may_precede(before: Sequence[str], known: KnownText) -> bool:
    allowed = known.head | _HARMLESS
    return len(before) <= 2 * len(allowed) and allowed.issuperset(before)


def _may_follow(after: Sequence[str], known: KnownText) -> bool:
    if not after:
        return True
    return (
        bool(known.tail)
        and len(after) <= known.tail_words
        and " ".join(after).startswith(known.tail)
    )


def titled(text: str, titles: Sequence[tuple[str, str]]) -> str | None:
    """The licence whose title one of the first lines is, or None.

    Args:
        titles: (title as words joined by spaces, licence).
    """
    wanted = dict(titles)
    for line in text[:4096].splitlines()[:_TITLE_LINES]:
        found = wanted.get(" ".join(_WORD.findall(line.lower())))
        if found is not None:
            return found
    return None
