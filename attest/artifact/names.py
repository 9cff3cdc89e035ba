"""Names that mean something: signature files, claims files, ignored paths."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from attest.errors import MalformedInput

BUNDLE_NAME: Final = "model.sig"
"""OMS signature inside a directory; what every OMS tool looks for."""

ENVELOPE_NAME: Final = "model.dsse.json"
"""Multi-signature envelope inside a directory."""

SIGNATURE_NAMES: Final = frozenset({BUNDLE_NAME, ENVELOPE_NAME})

GIT_PATHS: Final = (".git", ".gitattributes", ".github", ".gitignore")
"""What the reference implementation leaves out of every tree, signing and verifying, unless told
otherwise. A signature that covers them is refused by its verifier."""

PLAIN_GIT_FILES: Final = frozenset({".gitattributes", ".gitignore"})
"""Those of them that are text which nothing loads or runs; every model repository has them."""


def default_signature(path: Path, *, envelope: bool) -> Path:
    """Where the signature of ``path`` lies unless somebody says otherwise."""
    if path.is_dir():
        return path / (ENVELOPE_NAME if envelope else BUNDLE_NAME)
    return path.with_name(path.name + (".dsse.json" if envelope else ".sig"))


def default_claims(path: Path) -> Path:
    """``PATH.claims.jsonl`` beside the artifact, never inside."""
    resolved = path if path.name not in ("", "..") else path.resolve()
    return resolved.with_name(resolved.name + ".claims.jsonl")


def artifact_name(path: Path) -> str:
    """Base name of an artifact, also for ``.`` and ``..``."""
    return path.name if path.name not in ("", "..") else path.resolve().name


def text_name(path: Path) -> str:
    """:func:`artifact_name`, as a statement can state it.

    Raises:
        MalformedInput: ``name-not-utf8``: no reader would accept the statement.
    """
    name = artifact_name(path)
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise MalformedInput(
            "name is not UTF-8",
            where=ascii(name),
            hint="rename the artifact: a signature states its name",
            code="name-not-utf8",
        ) from None
    return name


def relative_inside(root: Path, path: Path) -> str | None:
    """``path`` relative to ``root`` in POSIX form if it lies inside, else None.

    The folder of ``path`` is resolved, ``path`` itself is not: a signature that is a link in the
    tree is still that name in the tree.
    """
    try:
        # Not Path.resolve: it raises a RuntimeError where links go round in a loop.
        resolved = Path(os.path.realpath(path.parent)) / path.name
        return resolved.relative_to(os.path.realpath(root)).as_posix()
    except ValueError:
        return None


def normalise_ignored(paths: Iterable[str]) -> tuple[str, ...]:
    """Ignored paths in one spelling: relative, no ``./`` in front, no slash behind.

    Raises:
        ValueError: a path that is absolute, empty, the whole artifact, or leads out of it.
    """
    cleaned = []
    for path in paths:
        text = path.removeprefix("./").rstrip("/")
        parts = text.split("/")
        if path.startswith("/") or not text or any(part in ("", ".", "..") for part in parts):
            raise ValueError(f"{path!r} is not a path inside the artifact")
        cleaned.append(text)
    return tuple(sorted(set(cleaned)))


def covering_path(name: str, paths: Sequence[str]) -> str | None:
    """Which of ``paths`` is ``name`` or a folder above it; the signer's spelling may be sloppy."""
    for path in paths:
        clean = path.removeprefix("./").rstrip("/") or "."
        if clean == "." or name == clean or name.startswith(clean + "/"):
            return path
    return None
