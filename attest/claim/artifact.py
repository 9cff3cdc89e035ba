"""The first claim: what kind of artifact this is.

Predicate ``urn:attest-toolkit:artifact:v1``::

    {"kind": "model" | "dataset" | "firmware", "files": int, "size": int (bytes),
     "firmware": {"version": text, "rollbackCounter": int}}        # exactly for kind "firmware"

The subject carries the OMS root (``sha256``) and the tree digest; a reader accepts the claim for an
artifact only if both match.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from attest.claim.predicates import ARTIFACT_PREDICATE
from attest.codec import jsonstrict
from attest.codec.statement import Subject, encode_statement
from attest.errors import MalformedInput

KINDS: Final = ("model", "dataset", "firmware")


@dataclass(frozen=True, slots=True)
class ArtifactClaim:
    """What an artifact is.

    Attributes:
        kind: ``model``, ``dataset`` or ``firmware``.
        version: firmware only, required there.
        rollback_counter: firmware only, required there; a device refuses lower ones. 0 to 2^63-1.
    """

    kind: str
    version: str | None = None
    rollback_counter: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}")
        given = self.version is not None, self.rollback_counter is not None
        if given != (self.kind == "firmware",) * 2:
            raise ValueError("firmware, and only firmware, has a version and a rollback counter")
        if self.rollback_counter is not None and not 0 <= self.rollback_counter < 1 << 63:
            raise ValueError("the rollback counter must be between 0 and 2^63-1")
        if self.version is not None and not 0 < len(self.version) <= 200:
            raise ValueError("the version must have 1 to 200 characters")


def encode_artifact_claim(
    claim: ArtifactClaim, *, name: str, digests: Mapping[str, str], files: int, size: int
) -> bytes:
    """The statement's bytes.

    Args:
        name: of the artifact.
        digests: the subject's digests (OMS root and tree digest).
        files, size: how many files and bytes.
    """
    predicate: dict[str, Any] = {"kind": claim.kind, "files": files, "size": size}
    if claim.kind == "firmware":
        predicate["firmware"] = {
            "version": claim.version,
            "rollbackCounter": claim.rollback_counter,
        }
    return encode_statement([Subject(name, digests)], ARTIFACT_PREDICATE, predicate)


def read_artifact_claim(predicate: Mapping[str, Any]) -> ArtifactClaim:
    """The claim in a predicate whose signature was verified.

    Raises:
        MalformedInput: not this predicate.
    """
    document = dict(predicate)
    kind = jsonstrict.member(document, "kind", str, where="predicate")
    firmware = jsonstrict.optional(document, "firmware", dict, where="predicate") or {}
    try:
        return ArtifactClaim(
            kind,
            jsonstrict.optional(firmware, "version", str, where="predicate.firmware"),
            jsonstrict.optional(firmware, "rollbackCounter", int, where="predicate.firmware"),
        )
    except ValueError as error:
        raise MalformedInput(str(error), where="predicate") from None
