"""People and services whose claims count, and how each of them signs.

A threshold counts principals, never signatures: two keys of one person are one voice, and one key
is one person's. Until a trust folder says who holds which key, the caller does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from attest import limits
from attest.codec.bundle import ChainMaterial, KeyMaterial, SigstoreMaterial, UnverifiedBundle
from attest.codec.dsse import UnverifiedEnvelope
from attest.digest import Digest
from attest.errors import (
    AttestError,
    BadSignature,
    Unsupported,
    UntrustedIdentity,
    VerificationFailed,
)
from attest.trust.signature import (
    VerifiedPayload,
    check_payload_type,
    verify_bundle,
    verify_envelope,
)
from attest.trust.signers import (
    CertificateTrust,
    KeyTrust,
    SignerIdentity,
    SigstoreTrust,
    Trust,
    trust_digest,
)

_CERTIFIED: Final = b"key:"

COUNTED_TWICE: Final = frozenset({"signature-counted-twice", "key-counted-twice"})
"""Codes of :func:`check_one_owner`."""


@dataclass(frozen=True, slots=True)
class Principal:
    """One person or service.

    Attributes:
        name: how verdicts call it; 1 to 200 printable characters.
        ways: how it signs; any one of them is enough. A key trust of several keys demands them all.
    """

    name: str
    ways: tuple[Trust, ...]

    def __post_init__(self) -> None:
        if not (0 < len(self.name) <= 200 and self.name.isprintable()):
            raise ValueError("a principal's name has 1 to 200 printable characters")
        if not self.ways:
            raise ValueError(f"the principal {self.name!r} has no key")


class Principals:
    """Everybody whose claims count.

    Args:
        members: at least one; names differ, and no key or certified name belongs to two.

    Raises:
        ValueError: otherwise.
    """

    def __init__(self, members: Iterable[Principal]) -> None:
        self.members = tuple(members)
        if not 0 < len(self.members) <= limits.MAX_PRINCIPALS:
            raise ValueError(f"1 to {limits.MAX_PRINCIPALS} principals can be named")
        if len({member.name for member in self.members}) != len(self.members):
            raise ValueError("two principals have one name")
        self.owners: dict[str, str] = {}
        """Fingerprint of each key, digest of each other trust -> name of its owner."""
        for member in self.members:
            for mark in _marks(member):
                if self.owners.setdefault(mark, member.name) != member.name:
                    raise ValueError(
                        f"one key or name cannot be two people: {member.name!r} and"
                        f" {self.owners[mark]!r} share {mark.removeprefix('sha256:')[:16]}…"
                    )

    def __iter__(self) -> Iterator[Principal]:
        return iter(self.members)

    @property
    def digest(self) -> Digest:
        """SHA-256 over names and what each trusts, so that a verdict can be held against it."""
        described = sorted(
            (member.name, sorted(str(trust_digest(way)) for way in member.ways))
            for member in self.members
        )
        return Digest.of(json.dumps(described, separators=(",", ":")).encode("ascii"))


@dataclass(frozen=True, slots=True)
class Endorsed:
    """A payload and who signed it. Only :func:`verify_for_principals` makes one.

    Attributes:
        payload: the original bytes.
        principals: names; empty where nobody who counts has signed.
        signers: the keys and certificates that they used.
        refusals: why what may be a signature by somebody else who counts does not, such as a
            certificate that was not valid at the judged time. Who that is, nobody has proved.
        used: SHA-256 of what identifies each signature that was counted, and each certified key
            behind ``key:`` -> who counts for it; see :func:`check_one_owner`.
    """

    payload: bytes = field(repr=False)
    principals: frozenset[str]
    signers: tuple[SignerIdentity, ...] = ()
    refusals: tuple[AttestError, ...] = ()
    used: Mapping[bytes, str] = field(default_factory=dict, repr=False)


def verify_for_principals(
    parsed: UnverifiedBundle | UnverifiedEnvelope, principals: Principals, at: datetime
) -> Endorsed:
    """Find out which principals have signed.

    Args:
        at: the time that is judged for, timezone-aware.

    Raises:
        Unsupported: the payload is no in-toto statement.
        MalformedInput: a certificate that cannot be read.
        BadSignature: ``signature-counted-twice``: see :func:`check_one_owner`.
    """
    envelope = parsed.envelope if isinstance(parsed, UnverifiedBundle) else parsed
    check_payload_type(envelope.payload_type)
    names, signers = set[str](), list[SignerIdentity]()
    used: dict[bytes, str] = {}
    refusals: dict[tuple[str, str], AttestError] = {}
    for member in principals:
        verified, refused = _signed_by(parsed, member, principals, at)
        for each in verified:
            names.add(member.name)
            signers += each.signers
            marks = [hashlib.sha256(identity).digest() for identity in each.used]
            check_one_owner(used, dict.fromkeys(marks, member.name))
            if each.certified is not None:
                mark = _CERTIFIED + bytes.fromhex(each.certified)
                owner = principals.owners.get(each.certified, member.name)
                check_one_owner(used, {mark: owner})
                check_one_owner(used, {mark: member.name})
        if not verified:
            refusals |= {(error.code, error.message): error for error in refused}
    return Endorsed(
        envelope.payload, frozenset(names), tuple(signers), tuple(refusals.values()), used
    )


def check_one_owner(owners: dict[bytes, str], used: Mapping[bytes, str]) -> None:
    """Add ``used`` to ``owners``, whose signatures were counted before.

    From one ECDSA signature a second key can be computed under which it verifies too, in the same
    envelope or in a copy of it. And who is trusted by a CA's word may sign with a key that is
    trusted as somebody else's: which key it is shows only with the signature.

    Raises:
        BadSignature: ``signature-counted-twice`` or ``key-counted-twice``: one signature or key
            stands for two principals.
    """
    for identity, name in used.items():
        known = owners.setdefault(identity, name)
        if known != name and identity.startswith(_CERTIFIED):
            raise BadSignature(
                f"one key cannot be two people, {known!r} and {name!r}",
                hint="a certificate of one names a key of the other: say that both are one person",
                code="key-counted-twice",
            )
        if known != name:
            raise BadSignature(
                f"one signature cannot stand for two principals, {known!r} and {name!r}",
                hint="a key of theirs was computed from a signature, or one certificate names both:"
                " ask for proof",
                code="signature-counted-twice",
            )


def _signed_by(
    parsed: UnverifiedBundle | UnverifiedEnvelope,
    member: Principal,
    principals: Principals,
    at: datetime,
) -> tuple[list[VerifiedPayload], list[AttestError]]:
    """In which ways a principal has signed, and why other ways do not count."""
    verified, refused = [], list[AttestError]()
    for way in member.ways:
        try:
            if isinstance(parsed, UnverifiedBundle):
                if _fits(parsed, way):
                    verified.append(verify_bundle(parsed, way, at))
            elif isinstance(way, KeyTrust) and (tried := _to_try(parsed, way, principals)):
                verified.append(verify_envelope(tried, way, at))
        except (BadSignature, UntrustedIdentity):
            continue
        except (VerificationFailed, Unsupported) as error:
            refused.append(error)
    return verified, refused


def _fits(bundle: UnverifiedBundle, way: Trust) -> bool:
    """Whether this kind of trust can verify this kind of bundle at all."""
    match bundle.material:
        case KeyMaterial():
            return isinstance(way, KeyTrust) and len(way.keys) == 1 and way.keys[0].algorithm.oms
        case ChainMaterial():
            return isinstance(way, CertificateTrust)
        case SigstoreMaterial():
            return isinstance(way, SigstoreTrust)


def _to_try(
    envelope: UnverifiedEnvelope, way: KeyTrust, principals: Principals
) -> UnverifiedEnvelope | None:
    """The signatures that ``way`` can have made. Wrong hints can only make a signature not count.

    A hint is trusted for one thing: a signature that names a key of these principals is tried with
    that key alone. Without it, a file of 10^5 claims would be tried with everybody's.
    It is left out then, so that a bad signature under a good name does no harm to a good one.
    """
    own = {key.fingerprint for key in way.keys}
    tried = tuple(
        replace(signature, keyid=None)
        for signature in envelope.signatures
        if signature.keyid in own or signature.keyid not in principals.owners
    )
    return replace(envelope, signatures=tried) if tried else None


def _marks(member: Principal) -> set[str]:
    """What must not belong to two principals."""
    marks = set()
    for way in member.ways:
        if isinstance(way, KeyTrust):
            marks |= {key.fingerprint for key in way.keys}
        else:
            marks.add(str(trust_digest(way)))
    return marks
