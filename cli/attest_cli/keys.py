"""Who signs: private keys, certificates and security modules, as named on the command line."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from attest.digest import HashAlgorithm
from attest.errors import MalformedInput, Unavailable, Unsupported
from attest_cli import material
from attest_cli.options import FILE, passphrase_options

if TYPE_CHECKING:
    from attest.adapters.pkcs11 import Pkcs11Signer
    from attest.crypto.signer import Signer

_Callback = TypeVar("_Callback", bound=Callable[..., Any])

_OMS_HASHES: Final = (HashAlgorithm.SHA256, HashAlgorithm.BLAKE3)
"""Content hashes of OMS bundles, the only form that carries certificates."""

_PIN_HINT: Final = "put it into a file that only you can read, and ?pin-source=/path into the URI"


def key_options(command: _Callback) -> _Callback:
    """The options that :class:`SigningKeys` takes, by name."""
    for option in (
        passphrase_options,
        click.option("--pkcs11", metavar="URI", help="Key in a security module (RFC 7512 URI)."),
        click.option("--chain", type=FILE, metavar="F", help="Its intermediates, in PEM."),
        click.option(
            "--certificate", type=FILE, metavar="C", help="Certificate of the one key, in PEM."
        ),
        click.option(
            "--key",
            type=FILE,
            multiple=True,
            metavar="K",
            help="Private key; repeatable, outside PATH.",
        ),
    ):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The signer options as given."""

    key: tuple[Path, ...]
    certificate: Path | None
    chain: Path | None
    pkcs11: str | None
    passphrase_file: Path | None
    passphrase_env: str | None

    def check(self, path: Path, algorithm: HashAlgorithm = HashAlgorithm.SHA256) -> None:
        """Raise click.UsageError for what makes no sense, with this artifact and content hash."""
        if self.certificate is not None and self.count != 1:
            raise click.UsageError("--certificate needs exactly one --key or --pkcs11: its own")
        if self.chain is not None and self.certificate is None:
            raise click.UsageError("--chain means nothing without --certificate")
        if self.certificate is not None and algorithm not in _OMS_HASHES:
            raise click.UsageError("--certificate needs --algorithm sha256 or blake3")
        for option, files in (("--key", self.key), ("--passphrase-file", (self.passphrase_file,))):
            for file in files:
                if file is not None and _lies_in(file, path):
                    raise click.UsageError(
                        f"{option} {file}: a secret inside the artifact would be handed out with it"
                    )
        if self.pkcs11 is not None:
            _check_uri(self.pkcs11)
        material.Passphrase(self.passphrase_file, self.passphrase_env)

    @property
    def count(self) -> int:
        return len(self.key) + (self.pkcs11 is not None)

    def open(self, stack: contextlib.ExitStack) -> list[Signer]:
        """The signers; ``stack`` closes the sessions of security modules."""
        passphrase = material.Passphrase(self.passphrase_file, self.passphrase_env)
        signers: list[Signer] = [material.private_key(path, passphrase) for path in self.key]
        if self.pkcs11 is not None:
            # Wrong PINs lock tokens: a passphrase meant for a key file is not tried on one.
            signers.append(
                stack.enter_context(_open_token(self.pkcs11, None if self.key else passphrase))
            )
        if self.certificate is not None:
            signers = [self._certified(signers[0])]
        if len({signer.public_key for signer in signers}) != len(signers):
            raise click.UsageError("the same key twice signs no more than once")
        return signers

    def _certified(self, signer: Signer) -> Signer:
        from cryptography.hazmat.primitives.serialization import Encoding

        from attest.crypto.signer import CertificateSigner

        assert self.certificate is not None
        chain = list(material.certificates(self.certificate, "certificate"))
        if self.chain is not None:
            chain += material.certificates(self.chain, "certificate chain")
        with material.needed(self.certificate):
            if not signer.algorithm.oms:
                raise Unsupported(
                    f"a certificate signs with an ECDSA key, not with {signer.algorithm}",
                    hint="use a P-256, P-384 or P-521 certificate",
                    code="unsupported-certificate-key",
                )
            return CertificateSigner(signer, [one.public_bytes(Encoding.DER) for one in chain])


def _lies_in(file: Path, path: Path) -> bool:
    """Whether ``file`` is, or is inside, the artifact at ``path``; links followed."""
    real = Path(os.path.realpath(file))
    return real.is_relative_to(os.path.realpath(path))


def _check_uri(uri: str) -> None:
    """Raise click.UsageError for a URI that names no key; found before a passphrase is asked."""
    from attest.adapters.pkcs11 import Pkcs11Uri

    try:
        Pkcs11Uri.parse(uri)
    except MalformedInput as error:
        raise _bad_uri(error) from None


def _bad_uri(error: MalformedInput) -> click.UsageError:
    hint = f" ({error.hint})" if error.hint else ""
    return click.UsageError(f"--pkcs11: {error.message}{hint}")


def _open_token(uri: str, passphrase: material.Passphrase | None) -> Pkcs11Signer:
    """The key in a security module; its PIN is asked for only if the URI has none.

    Args:
        passphrase: whose sources hold the PIN; None: they are for key files.
    """
    from attest.adapters.pkcs11 import open_pkcs11_signer

    try:
        try:
            return open_pkcs11_signer(uri, pin=None, module=None)
        except Unavailable as error:
            if error.code != "pin-required":
                raise
        what = "PIN of the token"
        pin = passphrase.get(what, _PIN_HINT) if passphrase else material.ask(what, _PIN_HINT)
        return open_pkcs11_signer(uri, pin=os.fsdecode(pin), module=None)
    except MalformedInput as error:
        if error.where is None:
            raise _bad_uri(error) from None
        raise material.unusable(error) from None
    except Unsupported as error:
        raise material.unusable(error) from None
