"""Does a subject of somebody's statement name this artifact? Every known digest must say so.

A subject with ``attestTreeV1`` is one of ours: its ``sha256`` is the OMS root, and root and tree
digest are computed from what lies there. Any other subject's digests are those of the bytes of one
file. Digests of other names are not known here and count for nothing.
"""

from __future__ import annotations

import enum
import hmac
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from attest.artifact.names import artifact_name
from attest.claim.resources import read_digests
from attest.codec.statement import Statement, Subject
from attest.digest import HashAlgorithm
from attest.files import open_source

TREE: Final = "attestTreeV1"
_COMPUTED: Final = tuple(str(algorithm) for algorithm in HashAlgorithm)
_BLOCK: Final = 1 << 20


class Match(enum.Enum):
    """``SAME``: every known digest fits, and there is one. ``CONTRADICTION``: one fits and another
    does not, or was not given. ``OTHER``: none fits, or none is known."""

    SAME = enum.auto()
    CONTRADICTION = enum.auto()
    OTHER = enum.auto()


class ArtifactDigests:
    """The digests of one artifact, computed as far as statements need them.

    Args:
        path: of a file or directory; or None, where
        given: are its digests, as the caller has them.

    Raises:
        MalformedInput: a given digest is none. ValueError: none is given.
    """

    def __init__(self, path: Path | None, given: Mapping[str, str] | None) -> None:
        self._path = path
        self._plain = read_digests(given or {}, where="digest")
        if path is None and not self._plain:
            raise ValueError("without a file, at least one digest is needed")
        self._own: dict[str, str] = {}
        if TREE in self._plain:
            self._own, self._plain = self._plain, {}
        self.name = "" if path is None else artifact_name(path)

    @property
    def known(self) -> dict[str, str]:
        """What was computed or given; an OMS root is called ``sha256`` where no file's is."""
        if not self._plain:
            return dict(self._own)
        renamed = {"omsRoot" if key == "sha256" else key: own for key, own in self._own.items()}
        return {**self._plain, **renamed}

    def prepare(self, statements: Iterable[Statement]) -> None:
        """Compute every digest that one of the statements' subjects names, in one pass.

        Raises:
            Unavailable: the artifact cannot be read. MalformedInput: a directory with links and
                the like. VerificationFailed: it changed meanwhile.
        """
        if self._path is None:
            return
        needed, own = set[str](), False
        for statement in statements:
            for subject in statement.subjects:
                own = own or TREE in subject.digests
                if TREE not in subject.digests:
                    needed |= subject.digests.keys() & set(_COMPUTED)
        if needed and not self._path.is_dir():
            self._plain = _hash_file(self._path, sorted(needed))
        if own:
            from attest.flow.subject import subject_from_content

            self._own = dict(subject_from_content(self._path).digests)

    def match(self, subject: Subject) -> Match:
        """Hold one subject against the artifact.

        Raises:
            MalformedInput: a digest of a known name is none.
        """
        digests = read_digests(subject.digests, where="statement.subject.digest")
        mine = self._own if TREE in digests else self._plain
        # Beside the tree digest any other algorithm is one that nobody computes: it cannot fit.
        names = (TREE, *_COMPUTED) if TREE in digests else _COMPUTED
        fits = [
            name in mine and hmac.compare_digest(mine[name], value)
            for name, value in digests.items()
            if name in names
        ]
        if TREE in digests and "sha256" not in digests:
            return Match.OTHER
        if not any(fits):
            return Match.OTHER
        return Match.SAME if all(fits) else Match.CONTRADICTION


def _hash_file(path: Path, names: list[str]) -> dict[str, str]:
    """Several digests of one file in one pass."""
    hashers = {name: HashAlgorithm.parse(name).new() for name in names}
    with open_source(path, "artifact") as source:
        for offset in range(0, source.size, _BLOCK):
            block = source.read(offset, min(_BLOCK, source.size - offset))
            for hasher in hashers.values():
                hasher.update(block)
    return {name: hasher.hexdigest() for name, hasher in hashers.items()}
