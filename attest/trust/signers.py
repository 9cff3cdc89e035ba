"""The kinds of trust that a caller can hand to a verification. There is no default.

Each names *who* must have signed. A kind of trust never verifies another kind's signature: a bundle
signed by a certificate is refused under :class:`KeyTrust`, even if the key happens to match.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from attest.digest import Digest

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
        if not all(hasattr(key, "verify_parts") for key in self.keys):
            raise TypeError("KeyTrust takes public keys; see attest.load_public_key")
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
        root_digest: hex SHA-256 of the trusted root's JSON.
        check: does the work.
    """

    identity: str
    issuer: str
    root_digest: str
    check: SigstoreCheck = field(repr=False)


Trust: TypeAlias = KeyTrust | CertificateTrust | SigstoreTrust


def trust_digest(trust: Trust) -> Digest:
    """SHA-256 over what was trusted, so that a stored verdict can be held against it.

    Over canonical JSON: fingerprints of keys or roots, the name rule, the switches; for Sigstore
    identity, issuer and the digest of the trusted root.
    """
    described: dict[str, object]
    match trust:
        case KeyTrust():
            described = {"keys": sorted(key.fingerprint for key in trust.keys)}
        case CertificateTrust():
            described = {
                "roots": _fingerprints(trust.roots),
                "name": repr(trust.name),
                "legacy": trust.legacy,
            }
        case SigstoreTrust():
            described = {
                "identity": trust.identity,
                "issuer": trust.issuer,
                "root": trust.root_digest,
            }
    if not isinstance(trust, SigstoreTrust):
        described["tsa"] = _fingerprints(trust.tsa_roots)
    text = json.dumps(described, sort_keys=True, separators=(",", ":"))
    return Digest.of(text.encode("ascii"))


def _fingerprints(certificates: Sequence[Certificate]) -> list[str]:
    from cryptography.hazmat.primitives.serialization import Encoding

    return sorted(Digest.of(each.public_bytes(Encoding.DER)).hex for each in certificates)
