"""The kinds of trust that a caller can hand to a verification. There is no default.

Each names *who* must have signed. A kind of trust never verifies another kind's signature: a bundle
signed by a certificate is refused under :class:`KeyTrust`, even if the key happens to match.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from attest.crypto.keys import PublicKey
    from attest.crypto.x509 import NameRule


@dataclass(frozen=True, slots=True)
class SignerIdentity:
    """One signer whose signature was verified.

    Attributes:
        type: ``key``, ``certificate`` or ``sigstore``.
        fingerprint: hex SHA-256 of the PEM public key (for ``key``) or of the DER certificate.
        algorithm: of the key.
        name: subject, SAN or identity; None for bare keys.
        signed_at: proved by an RFC 3161 token; None where no time was proved.
    """

    type: str
    fingerprint: str
    algorithm: str
    name: str | None = None
    signed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeyTrust:
    """Every one of these keys must have signed.

    Attributes:
        keys: at least one, all different.
        tsa_roots: if given, each signature must carry a timestamp that leads to one of them.
    """

    keys: tuple[PublicKey, ...]
    tsa_roots: tuple[Certificate, ...] = ()

    def __post_init__(self) -> None:
        if not self.keys:
            raise ValueError("KeyTrust needs at least one key")
        if len({key.fingerprint for key in self.keys}) != len(self.keys):
            raise ValueError("the same key was given twice")


@dataclass(frozen=True, slots=True)
class CertificateTrust:
    """The signer's certificate leads to one of these roots and carries this name.

    Attributes:
        roots: at least one.
        name: which SAN or subject the leaf must have.
        legacy: tolerate leaves marked as CA and the like; see :mod:`attest.crypto.x509`.
        tsa_roots: if given, the signature must carry a timestamp that leads to one of them, and the
            certificate is judged at that time.
    """

    roots: tuple[Certificate, ...]
    name: NameRule
    legacy: bool = False
    tsa_roots: tuple[Certificate, ...] = ()

    def __post_init__(self) -> None:
        if not self.roots:
            raise ValueError("CertificateTrust needs at least one root")


SigstoreCheck: TypeAlias = Callable[[bytes], tuple[str, bytes, SignerIdentity]]
"""Verifies a whole Sigstore bundle; returns payload type, payload and signer, or raises."""


@dataclass(frozen=True, slots=True)
class SigstoreTrust:
    """The bundle verifies against an explicitly given Sigstore trusted root, for one identity.

    Made by :func:`attest.adapters.sigstore.sigstore_trust` (extra ``sigstore``).

    Attributes:
        identity, issuer: what the signer's certificate must say, exactly.
        check: does the work.
    """

    identity: str
    issuer: str
    check: SigstoreCheck = field(repr=False)


Trust: TypeAlias = KeyTrust | CertificateTrust | SigstoreTrust
