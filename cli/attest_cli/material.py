"""Keys, certificates and passphrases named on the command line, read and placed in errors.

Files are read once, bounded, and may be pipes (``--key <(vault read …)``). Passphrases come from a
file, an environment variable or the terminal, never from an argument that ``ps`` would show.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from attest.errors import AttestError, TrustUnavailable, Unavailable

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from attest.crypto.keys import LocalSigner, PublicKey

_MAX_PASSPHRASE_BYTES: Final = 4096
_WITHOUT_TERMINAL: Final = "give --passphrase-file F or --passphrase-env VAR"


@contextlib.contextmanager
def about(path: Path) -> Iterator[None]:
    """Errors raised inside name ``path`` unless they already name a place."""
    try:
        yield
    except AttestError as error:
        raise error.at(str(path)) from None


@contextlib.contextmanager
def needed(path: Path) -> Iterator[None]:
    """As :func:`about`, for what the judgement or the signature needs: keys, certificates, roots.

    One that is bad refuses nothing: without it, nothing can be judged (exit 3, not 1).
    """
    try:
        yield
    except AttestError as error:
        if error.code == "extra-missing":  # that is not about the file
            raise
        raise unusable(error).at(str(path)) from None


def unusable(error: AttestError) -> AttestError:
    """The same error, as one about trust material or a service."""
    if isinstance(error, TrustUnavailable | Unavailable):
        return error
    return TrustUnavailable(error.message, where=error.where, hint=error.hint, code=error.code)


def public_key(path: Path) -> PublicKey:
    """The public key in the PEM file at ``path``."""
    from attest.crypto.keys import load_public_key
    from attest.files import read_bounded
    from attest.limits import MAX_KEY_FILE_BYTES

    with needed(path):
        return load_public_key(
            read_bounded(path, MAX_KEY_FILE_BYTES, "public key", allow_pipe=True)
        )


def private_key(path: Path, passphrase: Passphrase) -> LocalSigner:
    """The private key in the PEM file at ``path``; the passphrase is asked for only if needed."""
    from attest.crypto.keys import load_private_key
    from attest.files import read_bounded
    from attest.limits import MAX_KEY_FILE_BYTES

    with needed(path):
        pem = read_bounded(path, MAX_KEY_FILE_BYTES, "private key", allow_pipe=True)
        try:
            return load_private_key(pem, None)
        except Unavailable as error:
            if error.code != "passphrase-required":
                raise
        return load_private_key(pem, passphrase.get(f"passphrase of {path.name}"))


def certificates(path: Path, what: str) -> tuple[Certificate, ...]:
    """The certificates in the PEM file at ``path``, at least one."""
    from attest.crypto.x509 import load_certificates
    from attest.files import read_bounded
    from attest.limits import MAX_CERTIFICATE_BYTES, MAX_CERTIFICATES

    with needed(path):
        limit = 2 * MAX_CERTIFICATES * MAX_CERTIFICATE_BYTES
        return load_certificates(read_bounded(path, limit, what, allow_pipe=True))


def refuse_secret(content: bytes, path: Path) -> None:
    """Refuse to hand out a private key.

    Raises:
        click.UsageError: the file holds one.
    """
    if b"PRIVATE KEY" in content:
        raise click.UsageError(f"{path} holds a private key, which is nobody else's business")


def read_json(path: Path, what: str) -> dict[str, Any]:
    """The JSON object in the file at ``path``, strictly read.

    Raises:
        MalformedInput: it is something else. Unavailable: it cannot be read.
    """
    from attest.codec import jsonstrict
    from attest.files import read_bounded
    from attest.limits import MAX_JSON_BYTES

    with about(path):
        content = read_bounded(path, MAX_JSON_BYTES, what, allow_pipe=True)
        return jsonstrict.typed(jsonstrict.loads(content, what=what), dict, where=what)


@dataclass(frozen=True, slots=True)
class Passphrase:
    """Where a passphrase comes from: ``file``, ``variable``, or the terminal when both are None.

    Raises:
        click.UsageError: both are given.
    """

    file: Path | None
    variable: str | None

    def __post_init__(self) -> None:
        if self.file is not None and self.variable is not None:
            raise click.UsageError("choose one of --passphrase-file and --passphrase-env")

    @property
    def stored(self) -> bool:
        """Whether it can be had without asking."""
        return self.file is not None or self.variable is not None

    def get(self, what: str, hint: str = _WITHOUT_TERMINAL) -> bytes:
        """The passphrase, not empty; ``what`` and ``hint`` as for :func:`ask`.

        Raises:
            Unavailable: no such file or variable, an empty one, or no terminal to ask on.
        """
        if self.file is not None:
            return _from_file(self.file)
        if self.variable is not None:
            return _from_environment(self.variable)
        return ask(what, hint)


def ask(what: str, hint: str = _WITHOUT_TERMINAL) -> bytes:
    """What is typed on the terminal, unseen.

    Args:
        what: is asked for, without an article: ``passphrase of release.key``.
        hint: how to do without a terminal.

    Raises:
        Unavailable: there is no terminal, or nothing was typed.
        KeyboardInterrupt: Ctrl-C, and Ctrl-D as well.
    """
    import getpass
    import warnings

    with warnings.catch_warnings():
        # The warning says that the answer would be visible, or be taken from a pipe: refuse both.
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            typed = getpass.getpass(f"{what[:1].upper()}{what[1:]}: ")
        except EOFError:
            raise KeyboardInterrupt from None
        except (getpass.GetPassWarning, OSError):
            raise Unavailable(
                f"the {what} is needed and there is no terminal to ask for it",
                hint=hint,
                code="passphrase-required",
            ) from None
    return _not_empty(typed.encode("utf-8", "surrogateescape"), "the typed passphrase")


def _from_file(path: Path) -> bytes:
    from attest.files import read_bounded

    with needed(path):
        content = read_bounded(path, _MAX_PASSPHRASE_BYTES, "passphrase", allow_pipe=True)
    line = content.removesuffix(b"\n").removesuffix(b"\r")
    return _not_empty(line, f"the passphrase in {path}")


def _from_environment(variable: str) -> bytes:
    value = os.environb.get(os.fsencode(variable))
    if value is None:
        raise Unavailable(
            "the environment variable with the passphrase is not set",
            where=variable,
            hint="export it, or give --passphrase-file F",
            code="passphrase-required",
        )
    return _not_empty(value, f"the passphrase in ${variable}")


def _not_empty(passphrase: bytes, what: str) -> bytes:
    if passphrase:
        return passphrase
    raise Unavailable(
        f"{what} is empty",
        hint="an empty passphrase protects nothing: give one",
        code="passphrase-required",
    )
