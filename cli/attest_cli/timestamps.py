"""``attest sign --tsa``: a timestamp from an authority that is asked, or by a request on file.

The second way is for sites where the machine that signs reaches no authority: the request is
carried out, the response back, and attached by ``attest sign PATH --tsa RESPONSE`` without a key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from attest.errors import AttestError, Unavailable

if TYPE_CHECKING:
    from attest.crypto.algorithms import KeyAlgorithm
    from attest.crypto.keys import PublicKey
    from attest.crypto.signer import Signer

_TIMEOUT: Final = 30.0
"""Seconds that an authority has to answer."""


class Noted:
    """A signer that keeps its first signature, the artifact's: a request by hand is about it."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self.signature = b""

    @property
    def algorithm(self) -> KeyAlgorithm:
        return self._signer.algorithm

    @property
    def public_key(self) -> PublicKey:
        return self._signer.public_key

    @property
    def chain(self) -> tuple[bytes, ...]:
        return self._signer.chain

    def sign_parts(self, parts: Iterable[bytes | memoryview]) -> bytes:
        """As the signer itself does."""
        signature = self._signer.sign_parts(parts)
        self.signature = self.signature or signature
        return signature


def is_url(tsa: str) -> bool:
    """Whether ``--tsa`` names an authority to ask, rather than a file."""
    return tsa.startswith(("http://", "https://"))


def asking(tsa: str | None) -> Callable[[bytes], bytes] | None:
    """What asks the authority at the URL ``tsa``; None if there is no URL to ask."""
    if tsa is None or not is_url(tsa):
        return None
    from urllib.parse import urlsplit

    from attest.adapters.tsa import timestamper

    try:
        parts = urlsplit(tsa)
        usable = parts.hostname and not (parts.username or parts.password)
    except ValueError:
        usable = False
    if not usable:  # found out now, not after hours of hashing
        raise click.UsageError("--tsa: not the address of a host, or one with a password in it")
    ask = timestamper(tsa, timeout=_TIMEOUT)

    def answer(signature: bytes) -> bytes:
        try:
            return ask(signature)
        except Unavailable:
            raise
        except AttestError as error:  # nonsense from a service: broken, and no fault of the input
            raise Unavailable(
                error.message, where=error.where or tsa, hint=error.hint, code=error.code
            ) from None

    return answer


def request_file(tsa: str | None, signers: int) -> Path | None:
    """Where the timestamp request goes, if it is carried by hand; checked before signing."""
    if tsa is None or is_url(tsa):
        return None
    if "://" in tsa:
        raise click.UsageError("--tsa: an address starts with http:// or https://")
    if signers != 1:
        raise click.UsageError("--tsa FILE needs a single key: one request is about one signature")
    file = Path(tsa)
    if file.exists() or file.is_symlink():
        raise Unavailable(
            "the timestamp request would overwrite this file",
            where=tsa,
            hint="name a new file; to attach a response, give --tsa RESPONSE without --key",
            code="already-exists",
        )
    if not file.absolute().parent.is_dir():
        raise Unavailable("folder does not exist", where=tsa, code="file-unwritable")
    return file


def write_request(file: Path, signature: bytes) -> None:
    """Write the request for a timestamp over ``signature``; never over an existing file."""
    from attest.crypto.timestamp import build_request
    from attest.files import write_new

    write_new(file, build_request(signature).der, mode=0o644)
