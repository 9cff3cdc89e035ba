"""The allow-list of signature algorithms.

There is no algorithm field to negotiate: a key *is* of one algorithm, and the hash follows from
it (FIPS 186-5 for ECDSA, with the hash as strong as the curve; RFC 8032; pure ML-DSA of FIPS 204
with an empty context).
"""

from __future__ import annotations

import enum

from attest.errors import Unsupported


class KeyAlgorithm(enum.StrEnum):
    """What a key is, spelled as on the command line."""

    ECDSA_P256 = "p256"
    ECDSA_P384 = "p384"
    ECDSA_P521 = "p521"
    ED25519 = "ed25519"
    ML_DSA_65 = "ml-dsa-65"
    ML_DSA_87 = "ml-dsa-87"

    @property
    def hash(self) -> str | None:
        """:mod:`hashlib` name of the hash that is signed; None where the message itself is."""
        return _ECDSA_HASHES.get(self)

    @property
    def oms(self) -> bool:
        """Whether a bundle of OpenSSF Model Signing may carry it (ECDSA only)."""
        return self in _ECDSA_HASHES

    @property
    def post_quantum(self) -> bool:
        """Whether it is believed to withstand a quantum computer."""
        return self in (KeyAlgorithm.ML_DSA_65, KeyAlgorithm.ML_DSA_87)

    @classmethod
    def parse(cls, name: str) -> KeyAlgorithm:
        """The algorithm called ``name``.

        Raises:
            Unsupported: not in the allow-list.
        """
        try:
            return cls(name)
        except ValueError:
            raise Unsupported(
                f"key algorithm {name[:40]!r} is not allowed",
                hint=f"allowed: {', '.join(cls)}",
                code="unsupported-key",
            ) from None


_ECDSA_HASHES = {
    KeyAlgorithm.ECDSA_P256: "sha256",
    KeyAlgorithm.ECDSA_P384: "sha384",
    KeyAlgorithm.ECDSA_P521: "sha512",
}
