"""Keys of in-toto layouts: loaded, compared and judged before the package verifies with them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from attest.codec.layoutkeys import is_gpg
from attest.errors import MalformedInput, Unsupported

_MIN_RSA_BITS: Final = 2048


def layout_key(pem: bytes) -> dict[str, Any]:
    """A PEM public key as the package wants it.

    Raises:
        MalformedInput, Unsupported.
    """
    from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]

    if b"PGP PUBLIC KEY" in pem:
        raise Unsupported(
            "GPG keys cannot sign the layout itself here",
            hint="give the owner's key as a PEM public key",
            code="unsupported-key",
        )
    public = _load_pem(pem, "layout key")
    try:
        key = SSlibKey.from_crypto(public)  # type: ignore[arg-type]
    except ValueError:
        raise _unsupported("layout key") from None
    _check_strength(public, "layout key")
    return {**key.to_dict(), "keyid": key.keyid}


def key_identity(key: Mapping[str, Any], where: str) -> object:
    """What two spellings of one key have in common.

    Raises:
        MalformedInput: no such key. Unsupported: too weak, or not what its scheme says.
    """
    if is_gpg(key):
        return _gpg_identity(key["keyval"]["public"], where)
    if key["keytype"] == "ed25519":
        return "ed25519", key["keyval"]["public"]
    public = _load_pem(key["keyval"]["public"].encode(), where)
    _check_strength(public, where)
    return _public_identity(public, key["scheme"], where)


def _public_identity(public: object, scheme: str, where: str) -> object:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if isinstance(public, rsa.RSAPublicKey) and scheme.startswith("rsa"):
        numbers = public.public_numbers()
        return "rsa", numbers.n, numbers.e
    if isinstance(public, ec.EllipticCurvePublicKey) and scheme == (
        f"ecdsa-sha2-nistp{public.curve.key_size}"
    ):
        point = public.public_numbers()
        return "ecdsa", public.curve.name, point.x, point.y
    raise Unsupported(f"the key is not for {scheme}", where=where, code="unsupported-key")


def _gpg_identity(public: Mapping[str, str], where: str) -> object:
    if "q" in public:
        if len(public["q"]) != 64:
            raise MalformedInput("is no Ed25519 key", where=where, code="malformed-key")
        return "ed25519", public["q"]
    modulus = int(public["n"], 16)
    if modulus.bit_length() < _MIN_RSA_BITS:
        raise _too_short(where)
    return "rsa", modulus, int(public["e"], 16)


def _load_pem(pem: bytes, where: str) -> object:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        return load_pem_public_key(pem)
    except UnsupportedAlgorithm:
        raise _unsupported(where) from None
    except ValueError:
        raise MalformedInput(
            "is no PEM public key",
            where=where,
            hint="give the .pub file, or extract it: openssl pkey -in KEY -pubout",
            code="malformed-key",
        ) from None


def _check_strength(public: object, where: str) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa

    if isinstance(public, rsa.RSAPublicKey) and public.key_size < _MIN_RSA_BITS:
        raise _too_short(where)


def _too_short(where: str) -> Unsupported:
    return Unsupported(
        f"RSA keys have {_MIN_RSA_BITS} bits or more", where=where, code="unsupported-key"
    )


def _unsupported(where: str) -> Unsupported:
    return Unsupported("this kind of key is not supported", where=where, code="unsupported-key")


def judge_validity(key: dict[str, Any], at: datetime) -> None:
    """A GPG key's validity at ``at``, in a form on which the package's clock agrees."""
    created, period = key.get("creation_time"), key.get("validity_period")
    if not (created and period):
        return
    del key["validity_period"]
    if at.timestamp() > created + period:
        key.update(creation_time=1, validity_period=1)  # expired in 1970, by any clock
