"""Sigstore bundles, verified by the ``sigstore`` package (extra ``sigstore``).

Verified against an explicitly given trusted root, without network. Two things are not judged here:
the end of the validity of log, CT and CA keys, and any time but the bundle's own (the package reads
the wall clock for nothing else than a warning).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from attest.codec import jsonstrict
from attest.errors import (
    BadSignature,
    MalformedInput,
    TrustUnavailable,
    Unavailable,
    Unsupported,
    UntrustedIdentity,
    VerificationFailed,
)
from attest.trust.signers import SignerIdentity, SigstoreTrust

if TYPE_CHECKING:
    from sigstore.verify import Verifier


def sigstore_trust(trusted_root: bytes, *, identity: str, issuer: str) -> SigstoreTrust:
    """Trust one identity, as certified by one Sigstore instance.

    Args:
        trusted_root: JSON of a ``TrustedRoot``, or of a ``ClientTrustConfig`` that holds one.
        identity: the certificate's SAN, exactly.
        issuer: the OIDC issuer, exactly.

    Raises:
        Unavailable: ``extra-missing``.
        TrustUnavailable: the trusted root cannot be read.
    """
    try:
        from sigstore.verify import Verifier
    except ImportError:
        raise Unavailable(
            "Sigstore support is not installed",
            hint="pip install 'attest-toolkit[sigstore]'",
            code="extra-missing",
        ) from None
    verifier = Verifier(trusted_root=_load_root(trusted_root))

    def check(bundle: bytes) -> tuple[str, bytes, SignerIdentity]:
        return _check(verifier, bundle, identity, issuer)

    return SigstoreTrust(identity, issuer, hashlib.sha256(trusted_root).hexdigest(), check)


def _load_root(data: bytes) -> Any:
    from sigstore.models import ClientTrustConfig, TrustedRoot
    from sigstore_models.trustroot.v1 import TrustedRoot as Inner

    try:
        document = jsonstrict.typed(
            jsonstrict.loads(data, what="trusted root"), dict, where="trusted root"
        )
        if "signingConfig" in document or "trustedRoot" in document:
            return ClientTrustConfig.from_json(data.decode()).trusted_root
        return TrustedRoot(Inner.from_json(data))
    except Exception as error:  # the package lets pydantic's and its own errors through
        raise TrustUnavailable(
            f"the trusted root cannot be used ({type(error).__name__})",
            hint="give a Sigstore trusted_root.json",
            code="malformed-trusted-root",
        ) from error


def _check(
    verifier: Verifier, data: bytes, identity: str, issuer: str
) -> tuple[str, bytes, SignerIdentity]:
    from cryptography.hazmat.primitives.serialization import Encoding
    from sigstore.errors import Error as SigstoreError
    from sigstore.errors import VerificationError
    from sigstore.models import Bundle, InvalidBundle
    from sigstore.verify.policy import Identity

    try:
        bundle = Bundle.from_json(data)
        kind, payload = verifier.verify_dsse(bundle, Identity(identity=identity, issuer=issuer))
    except InvalidBundle as error:
        raise MalformedInput(f"not a Sigstore bundle: {_line(error)}") from None
    except VerificationError as error:
        text = _line(error)
        if text.startswith("Unsupported DSSE log entry type"):
            raise Unsupported(
                text[0].lower() + text[1:],
                hint="the `sigstore` package verifies dsse and hashedrekord entries only",
                code="unsupported-log-entry",
            ) from None
        if "identity" in text.lower() or "issuer" in text.lower() or "SAN" in text:
            raise UntrustedIdentity(text, hint="check --identity and --issuer") from None
        raise BadSignature(text) from None
    except SigstoreError as error:
        raise VerificationFailed(_line(error)) from None
    except (ValueError, TypeError, KeyError) as error:  # malformed certificates and entries
        raise MalformedInput(f"not a Sigstore bundle: {_line(error)}") from None
    certificate = bundle.signing_certificate
    fingerprint = hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
    signer = SignerIdentity("sigstore", fingerprint, "p256", f"{identity} via {issuer}")
    return kind, payload, signer


def _line(error: Exception) -> str:
    """The first line of a library's message, short."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
