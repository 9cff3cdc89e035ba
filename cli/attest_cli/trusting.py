"""Whom to trust for one signature: keys, a certificate authority with a name, or Sigstore."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from attest_cli import material
from attest_cli.options import FILE

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from attest.crypto.x509 import NameRule
    from attest.trust.signers import CertificateTrust, KeyTrust, SigstoreTrust

_Callback = TypeVar("_Callback", bound=Callable[..., Any])


def trust_options(command: _Callback) -> _Callback:
    """The options that :class:`TrustOptions` takes, by name, but for ``legacy_certificate``."""
    for option in (
        click.option("--tsa-ca", type=FILE, metavar="F", help="Timestamp authorities, in PEM."),
        click.option("--trusted-root", type=FILE, metavar="F", help="Sigstore: trusted_root.json."),
        click.option("--issuer", metavar="U", help="Sigstore: who vouched for the identity."),
        click.option("--identity", metavar="I", help="Sigstore: the signer, exactly."),
        click.option("--sigstore", is_flag=True, help="A Sigstore identity signed (an extra)."),
        click.option("--subject", metavar="DN", help="Subject that it must have (RFC 4514)."),
        click.option("--san", metavar="NAME", help="Name that the certificate must carry."),
        click.option("--ca", type=FILE, metavar="CA", help="Certificates of the CA, in PEM."),
        click.option(
            "--key",
            type=FILE,
            multiple=True,
            metavar="PUB",
            help="Public key; repeated: all must sign.",
        ),
    ):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class TrustOptions:
    """The trust options as given. Exactly one kind may be used, and it must be complete."""

    key: tuple[Path, ...]
    ca: Path | None
    san: str | None
    subject: str | None
    sigstore: bool
    identity: str | None
    issuer: str | None
    trusted_root: Path | None
    tsa_ca: Path | None
    legacy_certificate: bool = False

    def load(self) -> KeyTrust | CertificateTrust | SigstoreTrust:
        """Read what the options name.

        Raises:
            click.UsageError: no kind of trust, several, or half of one.
            AttestError: a file is missing or not what it should be.
        """
        self._check()
        if self.sigstore:
            return self._sigstore_trust()
        return self._key_trust() if self.key else self._certificate_trust()

    def _check(self) -> None:
        kinds = [
            name
            for name, given in (
                ("--key", bool(self.key)),
                ("--ca", self.ca is not None),
                ("--sigstore", self.sigstore),
            )
            if given
        ]
        if not kinds:
            raise click.UsageError(
                "say whom you trust: --key PUB, or --ca CA with --san NAME or --subject DN,"
                " or --sigstore with --identity I --issuer U --trusted-root F"
            )
        if len(kinds) > 1:
            raise click.UsageError(f"choose one kind of trust, not {' and '.join(kinds)}")
        if self.ca is not None and (self.san is None) is (self.subject is None):
            raise click.UsageError(
                "--ca needs one of --san NAME and --subject DN: a CA vouches for many signers"
            )
        if self.sigstore and None in (self.identity, self.issuer, self.trusted_root):
            raise click.UsageError("--sigstore needs --identity, --issuer and --trusted-root")
        self._check_strays(kinds[0])

    def _check_strays(self, kind: str) -> None:
        """An option of another kind of trust would be ignored: say so instead."""
        strays = {
            "--san": (self.san is not None, {"--ca"}),
            "--subject": (self.subject is not None, {"--ca"}),
            "--legacy-certificate": (self.legacy_certificate, {"--ca"}),
            "--identity": (self.identity is not None, {"--sigstore"}),
            "--issuer": (self.issuer is not None, {"--sigstore"}),
            "--trusted-root": (self.trusted_root is not None, {"--sigstore"}),
            "--tsa-ca": (self.tsa_ca is not None, {"--key", "--ca"}),
        }
        for name, (given, kinds) in strays.items():
            if given and kind not in kinds:
                raise click.UsageError(f"{name} means nothing with {kind}")

    def _key_trust(self) -> KeyTrust:
        from attest.trust.signers import KeyTrust

        keys = tuple(material.public_key(path) for path in self.key)
        if len(set(keys)) != len(keys):
            raise click.UsageError("the same --key twice proves nothing more than once")
        return KeyTrust(keys, tsa_roots=self._tsa_roots())

    def _certificate_trust(self) -> CertificateTrust:
        from attest.trust.signers import CertificateTrust

        assert self.ca is not None
        name = self._name_rule()
        roots = material.certificates(self.ca, "CA certificate")
        return CertificateTrust(
            roots, name, legacy=self.legacy_certificate, tsa_roots=self._tsa_roots()
        )

    def _name_rule(self) -> NameRule:
        from attest.crypto.x509 import SanRule, SubjectRule

        try:
            if self.san is not None:
                return SanRule(self.san)
            assert self.subject is not None
            return SubjectRule(self.subject)
        except ValueError as error:
            option = "--subject" if self.san is None else "--san"
            raise click.UsageError(f"{option}: {error}") from None

    def _sigstore_trust(self) -> SigstoreTrust:
        from attest.adapters.sigstore import sigstore_trust
        from attest.files import read_bounded
        from attest.limits import MAX_JSON_BYTES

        assert self.trusted_root is not None
        assert self.identity is not None
        assert self.issuer is not None
        with material.needed(self.trusted_root):
            root = read_bounded(self.trusted_root, MAX_JSON_BYTES, "trusted root", allow_pipe=True)
            return sigstore_trust(root, identity=self.identity, issuer=self.issuer)

    def _tsa_roots(self) -> tuple[Certificate, ...]:
        return material.certificates(self.tsa_ca, "TSA certificate") if self.tsa_ca else ()
