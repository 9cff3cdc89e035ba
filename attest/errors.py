"""Every error that this library raises on purpose.

::

    AttestError(code, message, where, hint)
    ├ MalformedInput        the bytes are not what the format says
    │ ├ TooLarge            over a cap of attest.limits
    │ ├ Truncated           ends before it is complete
    │ ├ TrailingData        goes on after it is complete
    │ └ NotCanonical        readable, but not the one allowed spelling
    ├ Unsupported           algorithm, version or format outside the allow-list
    ├ VerificationFailed    cryptography, identity or content does not hold
    │ ├ BadSignature        no valid signature by the key that was asked for
    │ ├ DigestMismatch      content and signed digest differ
    │ ├ UntrustedIdentity   valid signature, wrong signer
    │ ├ NotLogged           no proof of inclusion in a transparency log
    │ ├ OutsideValidity     certificate, key or token not valid at the judged time
    │ ├ StaleEvidence       older than allowed
    │ └ ReplayMismatch      a log does not replay to the quoted value
    ├ TrustUnavailable      missing, expired or rolled-back trust material
    ├ InvalidPolicy         a policy cannot be loaded or evaluated (not a denial)
    └ Unavailable           I/O or a dependency; retrying may help

Misuse by the caller is ``TypeError`` or ``ValueError`` instead. Nothing here knows exit codes or
HTTP. A message never holds secrets or raw evidence; ``hint`` says what to do next.
"""

from __future__ import annotations

from typing import ClassVar


class AttestError(Exception):
    """Base of all deliberate errors.

    Args:
        message: one sentence for a person, without a final full stop.
        where: the file, field or offset that is at fault, as the caller named it.
        hint: what to do next.
        code: stable kebab-case reason, part of the API (``--json``); each class has a default.

    Attributes:
        also: further errors of the same kind that were found at once (other files of a tree).
    """

    default_code: ClassVar[str] = "error"

    def __init__(
        self,
        message: str,
        *,
        where: str | None = None,
        hint: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint
        self.code = code or self.default_code
        self.also: tuple[AttestError, ...] = ()

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message

    def at(self, where: str) -> AttestError:
        """Return self, placed at ``where`` unless a deeper layer already placed it."""
        if self.where is None:
            self.where = where
        return self

    def within(self, place: str) -> AttestError:
        """Return self with ``place`` in front of where it already is."""
        self.where = place if self.where is None else f"{place}: {self.where}"
        return self


class MalformedInput(AttestError):
    default_code = "malformed-input"


class TooLarge(MalformedInput):
    default_code = "too-large"


class Truncated(MalformedInput):
    default_code = "truncated"


class TrailingData(MalformedInput):
    default_code = "trailing-data"


class NotCanonical(MalformedInput):
    default_code = "not-canonical"


class Unsupported(AttestError):
    default_code = "unsupported"


class VerificationFailed(AttestError):
    default_code = "verification-failed"


class BadSignature(VerificationFailed):
    default_code = "bad-signature"


class DigestMismatch(VerificationFailed):
    default_code = "digest-mismatch"


class UntrustedIdentity(VerificationFailed):
    default_code = "untrusted-identity"


class NotLogged(VerificationFailed):
    default_code = "not-logged"


class OutsideValidity(VerificationFailed):
    default_code = "outside-validity"


class StaleEvidence(VerificationFailed):
    default_code = "stale-evidence"


class ReplayMismatch(VerificationFailed):
    default_code = "replay-mismatch"


class TrustUnavailable(AttestError):
    default_code = "trust-unavailable"


class InvalidPolicy(AttestError):
    default_code = "invalid-policy"


class Unavailable(AttestError):
    default_code = "unavailable"
