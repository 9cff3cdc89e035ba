"""What the `sigstore` package cannot judge is not called a bad signature."""

from __future__ import annotations

from typing import Any

import pytest

from attest.adapters import sigstore
from attest.errors import AttestError, BadSignature, Unsupported, UntrustedIdentity

pytest.importorskip("sigstore")


class _Refusing:
    """A verifier with one answer."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def verify_dsse(self, *_: Any) -> None:
        raise self._error


@pytest.mark.parametrize(
    ("text", "kind", "code"),
    [
        (
            "Unsupported DSSE log entry type: intoto/0.0.2",
            Unsupported,
            "unsupported-log-entry",
        ),
        ("invalid signature", BadSignature, "bad-signature"),
        ("Certificate's SANs do not match", UntrustedIdentity, None),
    ],
)
def test_refusals_by_the_package(monkeypatch, text: str, kind: type[AttestError], code):
    from sigstore.errors import VerificationError
    from sigstore.models import Bundle

    monkeypatch.setattr(Bundle, "from_json", classmethod(lambda cls, data: object()))
    verifier: Any = _Refusing(VerificationError(text))
    with pytest.raises(kind) as caught:
        sigstore._check(verifier, b"{}", "somebody", "https://issuer.example.com")
    if code is not None:
        assert caught.value.code == code
