"""``attest bom``: write a bill of materials, and claim it if somebody signs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from attest.verdict import Finding, Severity, Verdict
from attest_cli import material
from attest_cli.claiming import Author, claim_options
from attest_cli.exits import Exit, for_outcome
from attest_cli.options import FILE, Verb, moment
from attest_cli.output import Voice, counted

if TYPE_CHECKING:
    from attest.bom.modelparts import Material
    from attest.flow.bom import BomOptions, BomReport
    from attest.flow.subject import ArtifactSubject


@click.command(
    cls=Verb,
    name="bom",
    schema="urn:attest-toolkit:bom:v1",
    examples=(
        "attest bom model",
        "attest bom model --name small-encoder --version 1.0 --supplier Example"
        " -o release.cdx.json --key release.key",
    ),
)
@click.argument("path", type=FILE)
@click.option(
    "--kind",
    type=click.Choice(("model", "dataset", "firmware")),
    help="What PATH is. Default: what its content shows.",
)
@click.option(
    "-o", "output", metavar="FILE", help="Default: PATH.cdx.json. `-`: to standard output."
)
@click.option("--spec", type=click.Choice(("1.6", "1.7")), default="1.6", help="CycloneDX version.")
@click.option("--name", metavar="N", help="Of the component. Default: the name of PATH.")
@click.option("--version", metavar="V", help="Of the component.")
@click.option("--supplier", metavar="S", help="Of the component.")
@click.option("--author", metavar="A", help="Who vouches for the BOM: a person or a pipeline.")
@click.option(
    "--claims-by",
    type=FILE,
    multiple=True,
    metavar="PUB",
    help="Take base models and datasets from provenance claims that this key signed; repeatable.",
)
@click.option(
    "--timestamp",
    callback=moment,
    metavar="TIME",
    help="When the BOM is made. Default: SOURCE_DATE_EPOCH, else now.",
)
@click.option("--follow-symlinks", is_flag=True, help="Describe what links point to, inside PATH.")
@claim_options
@click.pass_obj
def command(
    voice: Voice,
    /,
    path: Path,
    kind: str | None,
    output: str | None,
    spec: str,
    name: str | None,
    version: str | None,
    supplier: str | None,
    author: str | None,
    claims_by: tuple[Path, ...],
    timestamp: datetime | None,
    follow_symlinks: bool,
    **options: Any,
) -> Exit:
    """Write a CycloneDX BOM of the artifact at PATH, from its headers, configuration and card.

    Nothing is loaded or fetched. With a key the BOM is also claimed: signed, whole, beside the
    artifact; it then names the digests that the artifact's signature states, and what was read is
    compared with them. Without one it names those of the content that lies there.
    """
    signing = Author.of(path, options, required=False)
    if output == "-" and (signing.signs or voice.json):
        raise click.UsageError(
            "-o -: standard output holds the BOM alone: not with a key or --json"
        )

    from attest.flow.bom import BomOptions, check_bom_place, default_bom

    target = None if output == "-" else Path(output) if output else default_bom(path)
    if target is not None:
        check_bom_place(path, target)
    try:
        chosen = BomOptions(
            kind=kind,
            name=name,
            version=version,
            supplier=supplier,
            author=author,
            timestamp=timestamp or _moment_of_build(),
            spec_version=spec,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    run = _Run(voice, path, target, chosen, claims_by, options["claims"], follow_symlinks)
    if not signing.signs:
        return run.alone()

    from attest.claim.predicates import BOM_PREDICATE
    from attest.errors import TooLarge

    with signing.session(voice) as session:
        report = run.describe(session.subject)
        run.write(report)
        try:
            recorded = session.record(BOM_PREDICATE, report.data)
        except TooLarge as error:
            error.hint = error.hint or f"{target} is written; sign it as a file of its own"
            raise
        return session.report(
            recorded,
            "bill of materials",
            list(run.lines(report)),
            details=run.details(report),
            findings=report.findings,
        )


class _Run:
    """One call of the verb."""

    def __init__(
        self,
        voice: Voice,
        path: Path,
        target: Path | None,
        options: BomOptions,
        claims_by: tuple[Path, ...],
        claims: Path | None,
        follow_symlinks: bool,
    ) -> None:
        self.voice = voice
        self.path = path
        self.target = target
        self.options = options
        self.claims_by = claims_by
        self.claims = claims
        self.follow_symlinks = follow_symlinks

    def alone(self) -> Exit:
        """Without a claim."""
        subject = self._content() if self.claims_by else None
        report = self.describe(subject)
        self.write(report)
        if self.target is None:
            return Exit.OK
        self.voice.tell(f"described: {report.document.component.name}")
        for line in self.lines(report):
            self.voice.tell(f"  {line}")
        if not self.voice.quiet:
            self.voice.findings(report.findings)
        done = Finding("bom-written", Severity.PASS, "the BOM was written", str(self.target))
        verdict = Verdict.conclude(
            (done, *report.findings),
            subject={
                "name": report.subject.name,
                "digests": dict(report.subject.digests),
                "source": report.subject.source,
                **self.details(report),
            },
            inputs={"bom": _digest(report)},
            at=datetime.now(UTC),
        )
        self.voice.emit(verdict)
        return for_outcome(verdict.outcome)

    def describe(self, subject: ArtifactSubject | None) -> BomReport:
        from dataclasses import replace

        from attest.errors import MalformedInput
        from attest.flow.bom import describe_artifact

        options = self.options
        if subject is not None:
            options = replace(options, materials=self._materials(subject.digests))
        try:
            return describe_artifact(
                self.path, subject=subject, options=options, follow_symlinks=self.follow_symlinks
            )
        except MalformedInput as error:
            if error.code != "kind-unclear":
                raise
            raise click.UsageError(f"{self.path}: {error.message}; {error.hint}") from None

    def write(self, report: BomReport) -> None:
        from attest.flow.bom import write_bom

        if self.target is not None:
            write_bom(self.path, self.target, report.data)
            return
        for line in report.data.decode("ascii").splitlines():
            self.voice.say(line)

    def lines(self, report: BomReport) -> Iterator[str]:
        """What the BOM says, for a person."""
        document = report.document
        component = document.component
        yield f"bom        {self.target} (CycloneDX {document.spec_version})"
        yield f"kind       {report.kind}"
        parameters = component.property("attest:model:parameters")
        if parameters is not None:
            form = component.property("attest:model:format")
            yield f"parameters {int(parameters):,} ({form})"
        licences = [each.expression or each.id or each.name or "" for each in component.licences]
        yield f"licence    {', '.join(dict.fromkeys(licences)) or 'none found'}"
        for each in component.properties:
            if each.name.startswith("attest:licence:classes:"):
                yield f"restricts  {each.name.rpartition(':')[2]}: {each.value}"
        if document.components:
            yield f"made from  {counted(len(document.components), 'component')}"
        yield f"read       {counted(len(report.sources), 'file')}"

    def details(self, report: BomReport) -> dict[str, Any]:
        """The same for ``--json``."""
        document = report.document
        return {
            "kind": report.kind,
            "bom": {
                "file": None if self.target is None else str(self.target),
                "digest": _digest(report),
                "serialNumber": document.serial_number,
                "specVersion": document.spec_version,
                "components": len(document.components),
            },
            "read": list(report.sources),
        }

    def _materials(self, digests: Mapping[str, str]) -> tuple[Material, ...]:
        """What claims by the keys of --claims-by say that it was made from."""
        if not self.claims_by:
            return ()
        from attest.artifact.names import default_claims
        from attest.flow.bom import materials_of_claims
        from attest.flow.claimset import load_claims
        from attest.trust.principals import Principal, Principals
        from attest.trust.signers import KeyTrust

        keys = [material.public_key(file) for file in self.claims_by]
        principals = Principals(
            Principal(f"key {key.fingerprint[:16]}", (KeyTrust((key,)),)) for key in keys
        )
        place = self.claims or default_claims(self.path)
        _, read = load_claims(place, principals=principals, at=datetime.now(UTC))
        return tuple(materials_of_claims(read.verified, digests))

    def _content(self) -> ArtifactSubject:
        from attest.flow.subject import subject_from_content

        return subject_from_content(self.path, follow_symlinks=self.follow_symlinks)


def _digest(report: BomReport) -> str:
    from attest.digest import Digest

    return str(Digest.of(report.data))


def _moment_of_build() -> datetime:
    """``SOURCE_DATE_EPOCH`` (reproducible-builds.org), else now; in whole seconds."""
    stated = os.environ.get("SOURCE_DATE_EPOCH")
    if stated is None:
        return datetime.now(UTC).replace(microsecond=0)
    if not re.fullmatch(r"0|[1-9][0-9]{0,11}", stated):
        raise click.UsageError("SOURCE_DATE_EPOCH is not a number of seconds")
    try:
        return datetime.fromtimestamp(int(stated), UTC)
    except (ValueError, OverflowError, OSError):
        raise click.UsageError("SOURCE_DATE_EPOCH is no time") from None
