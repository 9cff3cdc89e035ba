"""What the scanners of single formats share."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from attest.errors import MalformedInput, Unsupported
from attest.scan.grades import Grade, Hit

_DRIVE: Final = re.compile(r"[A-Za-z]:")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|file:", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def shown(text: str, most: int = 100) -> str:
    """A text from the file for a message: escaped, cut, in quotes."""
    return ascii(text if len(text) <= most else text[: most - 3] + "...")


def place(where: str, part: str) -> str:
    """``part`` of the content at ``where``, which is empty at the top."""
    return f"{where}, {part}" if where else part


@contextlib.contextmanager
def reading(hits: list[Hit], where: str) -> Iterator[None]:
    """Turn what cannot be read into an ``unscannable`` hit. I/O errors go on."""
    try:
        yield
    except (MalformedInput, Unsupported) as error:
        at = f"{where}, {error.where}" if where and error.where else error.where or where
        hits.append(Hit(error.code, Grade.UNSCANNABLE, error.message, at or None))


def anomalies(
    found: Iterable[tuple[str, str]],
    prefix: str,
    where: str,
    grades: Mapping[str, Grade] | None = None,
) -> list[Hit]:
    """Anomalies of a header as hits; ``suspicious`` unless ``grades`` says otherwise."""
    known = grades or {}
    return [
        Hit(f"{prefix}-{code}", known.get(code, Grade.SUSPICIOUS), message, where or None)
        for code, message in found
    ]


def path_fault(path: str) -> tuple[Grade, str] | None:
    """Why a path in a file leads out of its folder, or somewhere that readers disagree about.

    Returns:
        the grade and the end of a sentence; None for a plain relative path. Whether a symbolic link
        leads out is not to be seen here.
    """
    if not path:
        return Grade.SUSPICIOUS, "is empty"
    if path.startswith(("/", "\\", "~")):
        return Grade.MALICIOUS, "is absolute"
    if _DRIVE.match(path) or _SCHEME.match(path):
        return Grade.MALICIOUS, "names a drive or a network place"
    if ".." in re.split(r"[/\\]", path):
        return Grade.MALICIOUS, "leaves the folder of the model"
    if "\\" in path or _CONTROL.search(path):
        return Grade.SUSPICIOUS, "has backslashes or control characters"
    return None
