"""Put signatures around a payload, and append signed statements to a claims file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attest.claim.store import append_claim
from attest.codec.bundle import encode_bundle
from attest.codec.dsse import (
    IN_TOTO_PAYLOAD_TYPE,
    EnvelopeSignature,
    encode_envelope,
    pae_parts,
)
from attest.errors import Unsupported
from attest.verdict import Finding, Severity

if TYPE_CHECKING:
    from attest.crypto.signer import Signer

Timestamper = Callable[[bytes], bytes]
"""Raw signature -> RFC 3161 response over it."""


def check_signers(signers: Sequence[Signer]) -> None:
    """Refuse sets of signers that no form can carry.

    Raises:
        ValueError: no signer, or one key twice.
        Unsupported: a certificate beside other signers, or with a key outside OMS.
    """
    if not signers:
        raise ValueError("at least one signer is needed")
    if len({signer.public_key.fingerprint for signer in signers}) != len(signers):
        raise ValueError("the same key was given twice")
    for signer in signers:
        if signer.chain and (len(signers) > 1 or not signer.algorithm.oms):
            raise Unsupported(
                "a certificate signs alone, with an ECDSA key",
                code="unsupported-certificate-key",
                hint="use a P-256, P-384 or P-521 certificate and no further key",
            )


def seal(
    payload: bytes | bytearray,
    signers: Sequence[Signer],
    *,
    as_bundle: bool,
    timestamp: Timestamper | None = None,
) -> Iterator[bytes]:
    """The signature file over an in-toto ``payload``, in pieces, ended by a newline.

    Args:
        signers: as :func:`check_signers` allows them.
        as_bundle: a Sigstore bundle, which carries one signature; else an envelope.
        timestamp: asked once for each signature.
    """
    signatures = []
    for signer in signers:
        raw = signer.sign_parts(pae_parts(IN_TOTO_PAYLOAD_TYPE, payload))
        stamps = (timestamp(raw),) if timestamp else ()
        signatures.append(EnvelopeSignature(raw, signer.public_key.fingerprint, stamps))
    if as_bundle:
        sole = signatures[0]
        return encode_bundle(
            payload,
            sole.sig,
            hint=sole.keyid,
            chain=signers[0].chain,
            timestamps=sole.timestamps,
        )
    return encode_envelope(IN_TOTO_PAYLOAD_TYPE, payload, signatures)


def append_statement(
    statement: bytes,
    signers: Sequence[Signer],
    claims: Path,
    timestamp: Timestamper | None = None,
) -> tuple[Finding, ...]:
    """Sign a statement and append it to a claims file; keys make an envelope, certificates a
    bundle.

    Returns:
        what deserves attention: a torn line that was removed.

    Raises:
        Unavailable: the file cannot be written. MalformedInput: it is no plain file.
    """
    pieces = seal(statement, signers, as_bundle=bool(signers[0].chain), timestamp=timestamp)
    return append_line(b"".join(pieces).rstrip(b"\n"), claims)


def append_line(line: bytes, claims: Path) -> tuple[Finding, ...]:
    """Append a signed claim; returns and raises as :func:`append_statement`."""
    if not append_claim(claims, line):
        return ()
    torn = Finding(
        "torn-line-removed",
        Severity.WARN,
        "a claim that was cut off at the end of the file was removed",
        where=str(claims),
    )
    return (torn,)
