"""``attest verify``: is this artifact what somebody I trust signed?"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from attest.verdict import VERDICT_SCHEMA, Finding, Outcome, Severity, Verdict
from attest_cli import material
from attest_cli.exits import Exit, for_outcome
from attest_cli.options import FILE, Verb, inside, moment
from attest_cli.output import Voice, counted, human_size
from attest_cli.progress import bar

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from attest.crypto.x509 import NameRule
    from attest.trust.signers import CertificateTrust, KeyTrust, SigstoreTrust

FORMS: Final = {
    "oms-bundle": "OMS bundle",
    "dsse-envelope": "multi-signature envelope",
}


@dataclass(frozen=True, slots=True)
class _Trust:
    """The trust options as given. Exactly one kind may be used, and it must be complete."""

    key: tuple[Path, ...]
    ca: Path | None
    san: str | None
    subject: str | None
    legacy_certificate: bool
    sigstore: bool
    identity: str | None
    issuer: str | None
    trusted_root: Path | None
    tsa_ca: Path | None

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


@click.command(
    cls=Verb,
    name="verify",
    schema=VERDICT_SCHEMA,
    examples=(
        "attest verify model --key release.pub",
        "attest verify model --key release.pub --only '*.safetensors' --json",
        "attest verify signed-by-ca --ca ca.pem --san release@example.com",
    ),
)
@click.argument("path", type=FILE)
@click.option(
    "--key", type=FILE, multiple=True, metavar="PUB", help="Public key; repeated: all must sign."
)
@click.option("--ca", type=FILE, metavar="CA", help="Certificates of the CA, in PEM.")
@click.option("--san", metavar="NAME", help="Alternative name that the certificate must carry.")
@click.option("--subject", metavar="DN", help="Subject that the certificate must have (RFC 4514).")
@click.option(
    "--legacy-certificate",
    is_flag=True,
    help="Tolerate what early OMS signers issued: a leaf marked CA, without alternative name.",
)
@click.option("--sigstore", is_flag=True, help="A Sigstore identity signed (extra `sigstore`).")
@click.option("--identity", metavar="I", help="Sigstore: the signer, such as an e-mail address.")
@click.option("--issuer", metavar="U", help="Sigstore: who vouched for the identity.")
@click.option("--trusted-root", type=FILE, metavar="F", help="Sigstore: trusted_root.json.")
@click.option("--tsa-ca", type=FILE, metavar="F", help="Trusted timestamp authorities, in PEM.")
@click.option(
    "--signature", type=FILE, metavar="FILE", help="Default: found beside or inside PATH."
)
@click.option(
    "--only",
    multiple=True,
    metavar="GLOB",
    help="Verify these files only; the outcome is `partial`; repeatable.",
)
@click.option(
    "--allow-ignore",
    multiple=True,
    callback=inside,
    metavar="P",
    help="Path in PATH that the signer may leave unsigned; repeatable.",
)
@click.option("--follow-symlinks", is_flag=True, help="Follow links that stay inside PATH.")
@click.option("--claims", type=FILE, metavar="FILE", help="Default: PATH.claims.jsonl, if there.")
@click.option(
    "--at", callback=moment, metavar="TIME", help="Judge for this time (RFC 3339), not now."
)
@click.option("--fail-on-warn", is_flag=True, help="Refuse where there is a warning.")
@click.pass_obj
def command(
    voice: Voice,
    /,
    path: Path,
    signature: Path | None,
    only: tuple[str, ...],
    allow_ignore: tuple[str, ...],
    follow_symlinks: bool,
    claims: Path | None,
    at: datetime | None,
    fail_on_warn: bool,
    **trust_options: Any,
) -> Exit:
    """Verify PATH, a directory or a file, against its signature. Uses no network.

    Says who signed it and how much was checked, or lists every file that differs. Exactly one kind
    of trust is needed: --key, --ca or --sigstore.
    """
    trust = _Trust(**trust_options).load()

    from attest.flow.verify import verify_artifact

    progress = bar(quiet=voice.quiet)
    with progress or contextlib.nullcontext():
        verdict = verify_artifact(
            path,
            trust=trust,
            at=at or datetime.now(UTC),
            signature=signature,
            only=only,
            allow_ignore=allow_ignore,
            follow_symlinks=follow_symlinks,
            claims=claims,
            progress=progress,
        )
    if fail_on_warn:
        verdict = _warnings_refused(verdict)
    voice.emit(verdict)
    _tell(voice, verdict, str(path))
    return for_outcome(verdict.outcome)


def _warnings_refused(verdict: Verdict) -> Verdict:
    """The same verdict, refused if it warns: text, JSON and exit code must not disagree."""
    warnings = sum(finding.outcome is Severity.WARN for finding in verdict.findings)
    if not warnings:
        return verdict
    refusal = Finding(
        "warnings-refused", Severity.FAIL, f"{counted(warnings, 'warning')} with --fail-on-warn"
    )
    return Verdict.conclude(
        (*verdict.findings, refusal),
        subject=verdict.subject,
        inputs=verdict.inputs,
        at=verdict.at,
        partial=verdict.outcome is Outcome.PARTIAL,
    )


def _tell(voice: Voice, verdict: Verdict, path: str) -> None:
    """The verdict in words: first the outcome, then why."""
    good = verdict.outcome in (Outcome.PASS, Outcome.PARTIAL)
    if good and voice.quiet:
        return
    match verdict.outcome:
        case Outcome.PASS:
            voice.headline("verified", path, "good")
        case Outcome.PARTIAL:
            voice.headline("partial", f"{path}: only what was asked for is verified", "unsure")
        case Outcome.ERROR:
            voice.headline("not judged", path, "unsure")
        case _:
            voice.headline("refused", path, "bad")
    if good:
        for line in _who_and_how_much(verdict):
            voice.say(line)
        for line in () if voice.verbose else _notes(verdict):  # --verbose has them as findings
            voice.say(line)
    shown = {Severity.FAIL, Severity.ERROR, Severity.WARN}
    if voice.verbose:
        shown |= {Severity.INFO, Severity.PASS}
    voice.findings(finding for finding in verdict.findings if finding.outcome in shown)


def _who_and_how_much(verdict: Verdict) -> list[str]:
    subject = verdict.subject
    checked = subject["checked"]
    lines = [
        f"  signed by  {_signer(finding.details['signer'])}"
        for finding in verdict.findings
        if finding.code == "signature-valid"
    ]
    form = subject["form"]
    lines.append(f"  form       {FORMS.get(form, form)}")
    extent = f"{counted(checked['files'], 'file')}, {human_size(checked['bytes'])}"
    if verdict.outcome is Outcome.PARTIAL:
        extent += f" (of {counted(subject['files'], 'signed file')})"
    lines.append(f"  checked    {extent}")
    return lines


def _notes(verdict: Verdict) -> list[str]:
    """What somebody who relies on the verdict should know of it."""
    return [
        f"  note       {finding.message}"
        for finding in verdict.findings
        if finding.outcome is Severity.INFO and finding.where is None
    ]


def _signer(signer: dict[str, Any]) -> str:
    """``key 3f.. (p256)``, ``certificate CN=release (p384, fingerprint 3f..)``."""
    fingerprint = signer["fingerprint"]
    extras = [signer["algorithm"]]
    if "name" in signer:
        extras.append(f"fingerprint {fingerprint}")
    if "signedAt" in signer:
        extras.append(f"timestamped {signer['signedAt']}")
    return f"{signer['type']} {signer.get('name', fingerprint)} ({', '.join(extras)})"
