"""Whose signature over an artifact is believed: public keys, or a CA and the name it certified."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from attest_cli import material
from attest_cli.options import FILE

if TYPE_CHECKING:
    from attest.trust.principals import Principals
    from attest.trust.signers import CertificateTrust, KeyTrust, Trust

_Callback = TypeVar("_Callback", bound=Callable[..., Any])

SIGNED_BY_OPTIONS: Final = ("signed_by", "signed_by_ca", "signed_by_san")
"""The parameters that :func:`signed_by_options` adds, in the order of :class:`SignedBy`."""

BY_PRINCIPALS: Final = "Who must have signed the artifact; default: any of the principals."


def signed_by_options(text: str) -> Callable[[_Callback], _Callback]:
    """The options that :class:`SignedBy` takes; ``text`` explains the first."""

    def add(command: _Callback) -> _Callback:
        for option in (
            click.option(
                "--signed-by-san", metavar="NAME", help="Name that its certificate must carry."
            ),
            click.option(
                "--signed-by-ca",
                type=FILE,
                metavar="CA",
                help="Instead: it was signed by a certificate of this CA, in PEM.",
            ),
            click.option("--signed-by", type=FILE, multiple=True, metavar="PUB", help=text),
        ):
            command = option(command)
        return command

    return add


@dataclass(frozen=True, slots=True)
class SignedBy:
    """The options as given.

    Attributes:
        keys: public keys that must all have signed.
        ca, san: certificates of a CA, and the name that the signer's certificate must carry.
    """

    keys: tuple[Path, ...] = ()
    ca: Path | None = None
    san: str | None = None

    @property
    def given(self) -> bool:
        """Whether anything was said at all."""
        return bool(self.keys) or self.ca is not None or self.san is not None

    @property
    def files(self) -> tuple[Path, ...]:
        """The public material that was named."""
        return self.keys if self.ca is None else (*self.keys, self.ca)

    def check(self) -> None:
        """Refuse half of a certificate trust, and two kinds at once.

        Raises:
            click.UsageError
        """
        if self.keys and (self.ca is not None or self.san is not None):
            raise click.UsageError("choose one of --signed-by and --signed-by-ca")
        if (self.ca is None) is not (self.san is None):
            raise click.UsageError(
                "--signed-by-ca and --signed-by-san need one another: a CA vouches for many signers"
            )

    def load(self) -> KeyTrust | CertificateTrust | None:
        """Whom to trust; None where nothing was said.

        Raises:
            click.UsageError: as :meth:`check`, or a name that no certificate can carry.
            AttestError: a file cannot be read.
        """
        from attest.trust.signers import KeyTrust

        self.check()
        if self.ca is not None and self.san is not None:
            return certified("--signed-by-san", self.ca, self.san)
        if not self.keys:
            return None
        keys = tuple(material.public_key(path) for path in self.keys)
        if len(set(keys)) != len(keys):
            raise click.UsageError("the same --signed-by twice proves nothing more than once")
        return KeyTrust(keys)

    def ways(self, principals: Principals) -> list[Trust]:
        """In which ways the artifact may be signed: as was said, else as any principal does."""
        trust = self.load()
        return [trust] if trust else [way for member in principals for way in member.ways]


def certified(option: str, ca: Path, san: str) -> CertificateTrust:
    """Trust in certificates of ``ca`` that carry ``san``; ``option`` is named in a usage error.

    Raises:
        click.UsageError: a name that no certificate can carry.
        AttestError: the CA cannot be read.
    """
    from attest.crypto.x509 import SanRule
    from attest.trust.signers import CertificateTrust

    try:
        rule = SanRule(san)
    except ValueError as error:
        raise click.UsageError(f"{option}: {error}") from None
    return CertificateTrust(material.certificates(ca, "CA certificate"), rule)
