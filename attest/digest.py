"""Digests: a named algorithm and its value, compared in constant time.

The allow-list here is the only one for content digests: a name that is not in it is
:class:`~attest.errors.Unsupported`, never guessed.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
from dataclasses import dataclass
from typing import Any, Protocol

from attest.errors import MalformedInput, Unsupported


class Hasher(Protocol):
    """What :mod:`hashlib` and the ``blake3`` package have in common."""

    def update(self, data: Any, /) -> Any: ...
    def digest(self) -> bytes: ...
    def hexdigest(self) -> str: ...


class HashAlgorithm(enum.StrEnum):
    """Content hash algorithms, spelled as OMS v1.0 spells them.

    ``BLAKE2B`` (64-byte output) is read, never written.
    """

    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"
    BLAKE3 = "blake3"
    BLAKE2B = "blake2b"

    @property
    def size(self) -> int:
        """Length of the digest in bytes."""
        return _SIZES[self]

    def new(self) -> Hasher:
        """A fresh hasher. BLAKE3 uses one thread here; see ``attest.artifact.hashing`` for all."""
        if self is HashAlgorithm.BLAKE3:
            from blake3 import blake3

            return blake3()
        return hashlib.new(self.value, usedforsecurity=True)

    @classmethod
    def parse(cls, name: str) -> HashAlgorithm:
        """The algorithm called ``name``.

        Raises:
            Unsupported: not in the allow-list (``md5``, ``SHA256``, …).
        """
        try:
            return cls(name)
        except ValueError:
            known = ", ".join(cls)
            raise Unsupported(
                f"hash algorithm {name[:40]!r} is not allowed",
                hint=f"allowed: {known}",
                code="unsupported-hash",
            ) from None


_SIZES = {
    HashAlgorithm.SHA256: 32,
    HashAlgorithm.SHA384: 48,
    HashAlgorithm.SHA512: 64,
    HashAlgorithm.BLAKE3: 32,
    HashAlgorithm.BLAKE2B: 64,
}


@dataclass(frozen=True, slots=True, eq=False)
class Digest:
    """One digest. Equality is constant-time in the value.

    Attributes:
        algorithm: from the allow-list.
        value: raw bytes, exactly ``algorithm.size`` of them.
    """

    algorithm: HashAlgorithm
    value: bytes

    def __post_init__(self) -> None:
        if len(self.value) != self.algorithm.size:
            raise MalformedInput(
                f"a {self.algorithm} digest has {self.algorithm.size} bytes, not {len(self.value)}",
                code="wrong-digest-length",
            )

    @property
    def hex(self) -> str:
        return self.value.hex()

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Digest):
            return NotImplemented
        return self.algorithm is other.algorithm and hmac.compare_digest(self.value, other.value)

    def __hash__(self) -> int:
        return hash((self.algorithm, self.value))

    @classmethod
    def of(cls, data: bytes, algorithm: HashAlgorithm = HashAlgorithm.SHA256) -> Digest:
        """The digest of ``data``."""
        hasher = algorithm.new()
        hasher.update(data)
        return cls(algorithm, hasher.digest())


def parse_hex(text: str, size: int, *, what: str = "digest") -> bytes:
    """Decode exactly ``size`` bytes of lower-case hexadecimal.

    ``bytes.fromhex`` forgives capitals and spaces; a digest here has one spelling.

    Raises:
        MalformedInput: other length, other characters.
    """
    if len(text) == 2 * size:
        try:
            value = bytes.fromhex(text)
        except ValueError:
            value = b""
        if value.hex() == text:
            return value
    raise MalformedInput(
        f"{what} must be {2 * size} lower-case hexadecimal characters", code="malformed-digest"
    )
