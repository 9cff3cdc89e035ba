"""What can sign: one small interface over a key file, a security module, a certificate.

A signer knows its own algorithm; no caller chooses one. New places where keys live implement
:class:`Signer` in ``attest.adapters`` and change nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from attest.crypto.algorithms import KeyAlgorithm
from attest.crypto.keys import PublicKey
from attest.errors import MalformedInput, VerificationFailed
from attest.limits import MAX_CHAIN_LENGTH


class Signer(Protocol):
    """A private key that signs, wherever it lives.

    Attributes:
        algorithm: of the key.
        public_key: verifies what :meth:`sign_parts` returns.
        chain: DER certificates, leaf first; empty for a bare key.
    """

    @property
    def algorithm(self) -> KeyAlgorithm: ...

    @property
    def public_key(self) -> PublicKey: ...

    @property
    def chain(self) -> tuple[bytes, ...]: ...

    def sign_parts(self, parts: Iterable[bytes | memoryview]) -> bytes:
        """The signature of the concatenated ``parts``: DER for ECDSA, raw bytes otherwise."""
        ...


class CertificateSigner:
    """A signer that presents an X.509 chain for its key.

    The chain is not judged here (the verifier does that, at its own time and with its own roots);
    only the mistakes that no verifier could forgive are: a certificate for another key, or for
    another use.

    Args:
        signer: signs; its own chain, if any, is replaced.
        chain: DER certificates, leaf first, 1 to ``MAX_CHAIN_LENGTH``.

    Raises:
        MalformedInput: no certificate, too many, or one that cannot be read.
        Unsupported: the certificate's key is outside the allow-list.
        VerificationFailed: ``certificate-key-mismatch``, ``wrong-key-usage`` or
            ``wrong-extended-key-usage``.
    """

    def __init__(self, signer: Signer, chain: Sequence[bytes]) -> None:
        from cryptography.x509.oid import ExtendedKeyUsageOID

        from attest.crypto.path import check_leaf_usage, parse_certificate

        if not 1 <= len(chain) <= MAX_CHAIN_LENGTH:
            raise MalformedInput(
                f"a signer's chain has 1 to {MAX_CHAIN_LENGTH} certificates, not {len(chain)}",
                code="chain-length",
            )
        leaf = [parse_certificate(der) for der in chain][0]
        if PublicKey(leaf.public_key()) != signer.public_key:
            raise VerificationFailed(
                "the signing certificate belongs to another key",
                hint="give the certificate that was issued for this key, leaf first",
                code="certificate-key-mismatch",
            )
        check_leaf_usage(leaf, ExtendedKeyUsageOID.CODE_SIGNING, "code signing")
        self._signer = signer
        self._chain = tuple(chain)

    @property
    def algorithm(self) -> KeyAlgorithm:
        return self._signer.algorithm

    @property
    def public_key(self) -> PublicKey:
        return self._signer.public_key

    @property
    def chain(self) -> tuple[bytes, ...]:
        return self._chain

    def sign_parts(self, parts: Iterable[bytes | memoryview]) -> bytes:
        return self._signer.sign_parts(parts)

    def __repr__(self) -> str:
        return f"<CertificateSigner {self.algorithm} {self.public_key.fingerprint}>"
