"""``attest verify``: is this artifact what somebody I trust signed?"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from attest.verdict import VERDICT_SCHEMA, Finding, Outcome, Severity, Verdict
from attest_cli.exits import Exit, for_outcome
from attest_cli.options import FILE, Verb, inside, moment
from attest_cli.output import Voice, counted, human_size
from attest_cli.progress import bar
from attest_cli.trusting import TrustOptions, trust_options

FORMS: Final = {
    "oms-bundle": "OMS bundle",
    "dsse-envelope": "multi-signature envelope",
}


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
@trust_options
@click.option(
    "--legacy-certificate",
    is_flag=True,
    help="Tolerate what early OMS signers issued: a leaf marked CA, without alternative name.",
)
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
    **trusted: Any,
) -> Exit:
    """Verify PATH, a directory or a file, against its signature. Uses no network.

    Says who signed it and how much was checked, or lists every file that differs. Exactly one kind
    of trust is needed: --key, --ca or --sigstore.
    """
    trust = TrustOptions(**trusted).load()

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
    left = "only what was asked for is verified"
    voice.outcome(verdict.outcome, path, passed="verified", partial=left)
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
