"""Public keys that verify, private keys in files that sign.

::

    signer = generate(KeyAlgorithm.ECDSA_P256)
    signature = signer.sign_parts([b"hello, ", b"world"])
    signer.public_key.verify_parts(signature, [b"hello, world"])     # raises BadSignature

Signed content arrives in parts because the manifest of a million files has 400 MB: ECDSA hashes
them one by one, ML-DSA absorbs them into its message representative (FIPS 204 "external mu": the
same signatures as over the whole message), and only Ed25519, which needs two passes, joins them.

Accepted encodings are one PEM block each: SubjectPublicKeyInfo for public keys; PKCS #8, encrypted
PKCS #8 or SEC 1 for private keys. Key material and passphrases never enter a message or a repr.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)

from attest.crypto.algorithms import KeyAlgorithm
from attest.errors import (
    BadSignature,
    MalformedInput,
    NotCanonical,
    TooLarge,
    Unavailable,
    Unsupported,
)
from attest.limits import MAX_KEY_FILE_BYTES, MAX_SIGNATURE_BYTES

_Parts: TypeAlias = Iterable[bytes | memoryview]
_MlDsaPublicKey: TypeAlias = mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey
_MlDsaPrivateKey: TypeAlias = mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey
_LibraryPublicKey: TypeAlias = (
    ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | _MlDsaPublicKey
)
_LibraryPrivateKey: TypeAlias = (
    ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | _MlDsaPrivateKey
)

_CURVES: Final[dict[str, KeyAlgorithm]] = {
    "secp256r1": KeyAlgorithm.ECDSA_P256,
    "secp384r1": KeyAlgorithm.ECDSA_P384,
    "secp521r1": KeyAlgorithm.ECDSA_P521,
}
_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_BLOCK = re.compile(
    rb"-----BEGIN ([A-Z0-9 ]{1,40})-----\r?\n(.*?)-----END \1-----", re.ASCII | re.DOTALL
)
_PRIVATE_LABELS: Final = (b"PRIVATE KEY", b"ENCRYPTED PRIVATE KEY", b"EC PRIVATE KEY")


class PublicKey:
    """One public key of the allow-list. Equal keys have equal SubjectPublicKeyInfo.

    Args:
        key: a key object of :mod:`cryptography`. The constructor is the allow-list: whatever got
            hold of a key (PEM, certificate, security module) passes it here.

    Attributes:
        algorithm: what the key is.
        pem: SubjectPublicKeyInfo in the one canonical PEM spelling, final newline included.
        fingerprint: hex SHA-256 of ``pem``, which is what ``sha256sum key.pub`` prints and what
            model signatures carry as ``hint``.

    Raises:
        Unsupported: RSA, DSA, another curve, another ML-DSA parameter set, …
    """

    __slots__ = ("_key", "algorithm", "fingerprint", "pem")

    algorithm: KeyAlgorithm
    pem: bytes
    fingerprint: str

    def __init__(self, key: object) -> None:
        self._key, self.algorithm = _allowed(key)
        self.pem = self._key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.fingerprint = hashlib.sha256(self.pem).hexdigest()

    def verify_parts(self, signature: bytes, parts: _Parts) -> None:
        """Check ``signature`` over the concatenated ``parts``.

        Args:
            signature: strict DER for ECDSA, raw bytes otherwise. Attacker-controlled.
            parts: what was signed, in order; read once. Attacker-controlled.

        Raises:
            BadSignature: the key did not make it, or it is spelled in another way.
        """
        self.verifier(parts)(signature)

    def verifier(self, parts: _Parts) -> Callable[[bytes], None]:
        """A check of any number of signatures over the same ``parts``, which are read once.

        Returns:
            a function of one signature that raises as :meth:`verify_parts` does.
        """
        key, hash_name = self._key, self.algorithm.hash
        if hash_name is not None:
            digest = _digest(hash_name, parts)
            return lambda signature: self.verify_digest(signature, digest, hash_name)
        if isinstance(key, ed25519.Ed25519PublicKey):
            content = b"".join(parts)
            return lambda signature: _verify_raw(signature, lambda: key.verify(signature, content))
        assert not isinstance(key, ec.EllipticCurvePublicKey)
        mu = _representative(key, parts)
        return lambda signature: _verify_raw(signature, lambda: key.verify_mu(signature, mu))

    def verify_digest(self, signature: bytes, digest: bytes, hash_name: str) -> None:
        """Check an ECDSA ``signature`` over a digest that the caller computed.

        :meth:`verify_parts` ties the hash to the curve. Model signatures of the v0.2 era did not
        (P-384 with SHA-256), which is what this is for.

        Raises:
            BadSignature: the key did not make it, or it is not strict DER.
            Unsupported: ``hash_name`` is not sha256, sha384 or sha512, or the key is not ECDSA.
            ValueError: ``digest`` has not the length of that hash.
        """
        _check_length(signature)
        algorithm = _HASHES.get(hash_name)
        key = self._key
        if algorithm is None or not isinstance(key, ec.EllipticCurvePublicKey):
            raise Unsupported(
                f"{self.algorithm} signatures over a {hash_name[:20]} digest are not supported",
                code="unsupported-hash",
            )
        if len(digest) != algorithm.digest_size:
            raise ValueError(f"a {hash_name} digest has {algorithm.digest_size} bytes")
        _check_strict_der(signature)
        try:
            key.verify(signature, digest, ec.ECDSA(Prehashed(algorithm)))
        except InvalidSignature:
            raise _bad_signature() from None

    def __eq__(self, other: object) -> bool:
        return self.pem == other.pem if isinstance(other, PublicKey) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.pem)

    def __repr__(self) -> str:
        return f"<PublicKey {self.algorithm} {self.fingerprint}>"


class LocalSigner:
    """A private key in this process's memory. Implements :class:`attest.crypto.signer.Signer`.

    Raises:
        Unsupported: a key outside the allow-list.
    """

    __slots__ = ("_key", "public_key")

    public_key: PublicKey

    def __init__(self, key: _LibraryPrivateKey) -> None:
        self._key = key
        self.public_key = PublicKey(key.public_key())

    @property
    def algorithm(self) -> KeyAlgorithm:
        return self.public_key.algorithm

    @property
    def chain(self) -> tuple[bytes, ...]:
        """A bare key has no certificates; see :class:`attest.crypto.signer.CertificateSigner`."""
        return ()

    def sign_parts(self, parts: _Parts) -> bytes:
        """The signature of the concatenated ``parts``: DER for ECDSA, raw bytes otherwise."""
        key = self._key
        if isinstance(key, ec.EllipticCurvePrivateKey):
            hash_name = self.algorithm.hash
            assert hash_name is not None
            digest = _digest(hash_name, parts)
            return key.sign(digest, ec.ECDSA(Prehashed(_HASHES[hash_name])))
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return key.sign(b"".join(parts))
        return key.sign_mu(_representative(key.public_key(), parts))

    def to_pem(self, passphrase: bytes | None) -> bytes:
        """PKCS #8 in PEM; encrypted (PBES2, AES-256) when ``passphrase`` is given.

        The result is a secret: write it with :func:`attest.files.write_new`.

        Raises:
            ValueError: an empty passphrase, which would only look like protection.
        """
        if passphrase is not None and not passphrase:
            raise ValueError("an empty passphrase protects nothing; pass None to say so")
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if passphrase is not None:
            encryption = serialization.BestAvailableEncryption(passphrase)
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        )

    def __repr__(self) -> str:
        return f"<LocalSigner {self.algorithm} {self.public_key.fingerprint}>"


def generate(algorithm: KeyAlgorithm) -> LocalSigner:
    """A fresh private key from the operating system's random numbers."""
    match algorithm:
        case KeyAlgorithm.ECDSA_P256:
            return LocalSigner(ec.generate_private_key(ec.SECP256R1()))
        case KeyAlgorithm.ECDSA_P384:
            return LocalSigner(ec.generate_private_key(ec.SECP384R1()))
        case KeyAlgorithm.ECDSA_P521:
            return LocalSigner(ec.generate_private_key(ec.SECP521R1()))
        case KeyAlgorithm.ED25519:
            return LocalSigner(ed25519.Ed25519PrivateKey.generate())
        case KeyAlgorithm.ML_DSA_65:
            return LocalSigner(mldsa.MLDSA65PrivateKey.generate())
        case KeyAlgorithm.ML_DSA_87:
            return LocalSigner(mldsa.MLDSA87PrivateKey.generate())


def load_public_key(pem: bytes) -> PublicKey:
    """The public key in one PEM ``PUBLIC KEY`` block.

    Raises:
        MalformedInput: not exactly one block, not a public key. A private key given by mistake is
            named as such and not shown.
        NotCanonical: a key with a second spelling (compressed point, other line length): its
            fingerprint would depend on the file.
        Unsupported: outside the allow-list.
    """
    label, body = _one_block(pem, "public key")
    if label.endswith(b"PRIVATE KEY"):
        raise MalformedInput(
            "this is a private key, where a public key is needed",
            hint="give the .pub file, and treat this private key as exposed if it was sent here",
            code="private-key-given",
        )
    if label == b"CERTIFICATE":
        raise MalformedInput(
            "this is a certificate, where a public key is needed",
            hint="verify with the CA that issued it, or extract the key: openssl x509 -pubkey",
            code="certificate-given",
        )
    if label != b"PUBLIC KEY":
        raise _malformed_key("public key", f"PEM label {label.decode('ascii')!r} is not known")
    try:
        library_key = serialization.load_pem_public_key(pem)
    except UnsupportedAlgorithm:
        raise _unsupported_key() from None
    except ValueError:
        raise _malformed_key("public key", "not a SubjectPublicKeyInfo") from None
    key = PublicKey(library_key)
    if _one_block(key.pem, "public key")[1] != body.replace(b"\r\n", b"\n"):
        raise NotCanonical(
            "the public key is not in its canonical spelling",
            hint="rewrite it: openssl pkey -pubin -in KEY -ec_conv_form uncompressed -out NEW",
            code="non-canonical-key",
        )
    return key


def load_private_key(pem: bytes, passphrase: bytes | None) -> LocalSigner:
    """The private key in one PEM block.

    Args:
        pem: PKCS #8, encrypted PKCS #8 or SEC 1. Secret.
        passphrase: used if the key is encrypted, otherwise ignored, so that one passphrase source
            can serve several keys. Secret.

    Raises:
        MalformedInput: not exactly one block, not a private key.
        Unsupported: outside the allow-list.
        Unavailable: ``passphrase-required`` or ``wrong-passphrase``.
    """
    label, body = _one_block(pem, "private key")
    if label not in _PRIVATE_LABELS:
        shown = label.decode("ascii")
        raise _malformed_key("private key", f"PEM label {shown!r} is not a private key")
    encrypted = label == b"ENCRYPTED PRIVATE KEY" or body.startswith(b"Proc-Type:")
    if encrypted and not passphrase:
        raise Unavailable(
            "the private key is encrypted and no passphrase was given",
            hint="give its passphrase",
            code="passphrase-required",
        )
    try:
        key = serialization.load_pem_private_key(pem, passphrase if encrypted else None)
    except UnsupportedAlgorithm:
        raise _unsupported_key() from None
    except (ValueError, TypeError):
        # One answer for a wrong passphrase and for damaged ciphertext: they cannot be told apart.
        if encrypted:
            raise Unavailable(
                "the private key cannot be decrypted: wrong passphrase, or a damaged file",
                hint="give the passphrase that the key was made with",
                code="wrong-passphrase",
            ) from None
        raise _malformed_key("private key", "not PKCS #8 or SEC 1") from None
    if isinstance(
        key,
        ec.EllipticCurvePrivateKey
        | ed25519.Ed25519PrivateKey
        | mldsa.MLDSA65PrivateKey
        | mldsa.MLDSA87PrivateKey,
    ):
        return LocalSigner(key)
    raise _unsupported_key()


def ecdsa_signature_from_raw(raw: bytes) -> bytes:
    """Strict DER from ``r || s`` of equal lengths, as PKCS #11 (section 6.3) returns it.

    Raises:
        BadSignature: no bytes, or an odd number of them.
    """
    half, odd = divmod(len(raw), 2)
    if odd or not half:
        raise _bad_signature("a raw ECDSA signature is two integers of equal length")
    return encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))


def _allowed(key: object) -> tuple[_LibraryPublicKey, KeyAlgorithm]:
    match key:
        case ec.EllipticCurvePublicKey():
            algorithm = _CURVES.get(key.curve.name)
            if algorithm is not None:
                return key, algorithm
        case ed25519.Ed25519PublicKey():
            return key, KeyAlgorithm.ED25519
        case mldsa.MLDSA65PublicKey():
            return key, KeyAlgorithm.ML_DSA_65
        case mldsa.MLDSA87PublicKey():
            return key, KeyAlgorithm.ML_DSA_87
    raise _unsupported_key()


def _digest(hash_name: str, parts: _Parts) -> bytes:
    hasher = hashlib.new(hash_name)
    for part in parts:
        hasher.update(part)
    return hasher.digest()


def _representative(key: _MlDsaPublicKey, parts: _Parts) -> bytes:
    """FIPS 204 section 6.2: mu of pure ML-DSA (not pre-hash) with an empty context."""
    hasher = mldsa.MLDSAMuHasher(key)
    for part in parts:
        hasher.update(part)
    return hasher.finalize()


def _verify_raw(signature: bytes, verify: Callable[[], None]) -> None:
    _check_length(signature)
    try:
        verify()
    except InvalidSignature:
        raise _bad_signature() from None


def signature_identity(algorithm: KeyAlgorithm, signature: bytes) -> bytes:
    """What two signatures share if one was made from the other without the private key.

    From one ECDSA signature anybody can compute a second key, or a second spelling (r, n-s), under
    which it verifies too; the ``r`` stays. So signatures with one identity count once.

    Args:
        signature: one that was verified.
    """
    if not algorithm.oms:
        return signature
    r, _ = decode_dss_signature(signature)
    return r.to_bytes(66, "big")


def _check_length(signature: bytes) -> None:
    if not 0 < len(signature) <= MAX_SIGNATURE_BYTES:
        raise _bad_signature(f"a signature has 1 to {MAX_SIGNATURE_BYTES} bytes")


def _check_strict_der(signature: bytes) -> None:
    # One spelling of the two numbers. (r, n-s) is another signature that verifies: see
    # signature_identity.
    try:
        canonical = encode_dss_signature(*decode_dss_signature(signature))
    except ValueError:
        canonical = b""
    if canonical != signature:
        raise _bad_signature("the ECDSA signature is not strict DER")


def _one_block(pem: bytes, what: str) -> tuple[bytes, bytes]:
    """Label and body of the only PEM block; text around it is allowed (RFC 7468 section 2)."""
    if len(pem) > MAX_KEY_FILE_BYTES:
        raise TooLarge(f"a {what} file has at most {MAX_KEY_FILE_BYTES} bytes")
    block = _BLOCK.search(pem)
    if block is None or pem.count(b"-----BEGIN ") != 1:
        raise _malformed_key(what, "not exactly one PEM block")
    return block[1], block[2]


def _malformed_key(what: str, why: str) -> MalformedInput:
    hint = "rewrite it (openssl pkey -in OLD -out NEW), or make one with: attest keygen NAME"
    if what == "public key":
        hint = "give the .pub file, or extract it: openssl pkey -in KEY -pubout -out KEY.pub"
    return MalformedInput(
        f"the {what} cannot be read: {why}",
        hint=hint,
        code="malformed-key",
    )


def _unsupported_key() -> Unsupported:
    return Unsupported(
        "this kind of key is not allowed",
        hint=f"allowed: {', '.join(KeyAlgorithm)}",
        code="unsupported-key",
    )


def _bad_signature(message: str = "the signature is not by this key") -> BadSignature:
    return BadSignature(message, hint="check that this is the signer's key, and the right file")
