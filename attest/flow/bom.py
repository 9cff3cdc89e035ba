"""Describe an artifact in a BOM: list, read headers and texts, name by digest, assemble, check.

What a BOM says of an artifact is bound to the artifact's digests: only files that its manifest
lists are read, and each that was read is hashed and compared before anything is said. The BOM that
comes out was validated against the official schema.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from attest import limits
from attest.artifact.content import ArtifactContent
from attest.artifact.hashing import Progress
from attest.artifact.names import artifact_name, relative_inside
from attest.bom.components import (
    Contact,
    Hash,
    Organization,
    Property,
    clean_text,
    digest_properties,
)
from attest.bom.dataset import Observation
from attest.bom.document import SPEC_VERSIONS, BomDocument, Composition
from attest.bom.modelparts import Material, Parts
from attest.bom.schema import validate_bom
from attest.claim.artifact import KINDS
from attest.claim.buildtypes import BASE_MODEL, DATASET
from attest.claim.predicates import PROVENANCE_PREDICATE
from attest.claim.provenance import read_provenance
from attest.codec.boms import parse_bom
from attest.codec.reader import Source
from attest.digest import HashAlgorithm
from attest.errors import (
    MalformedInput,
    TooLarge,
    Unavailable,
    Unsupported,
    VerificationFailed,
)
from attest.files import read_bounded, write_atomic
from attest.flow.bomkinds import DESCRIBERS, Naming, recognise_kind
from attest.flow.claimset import VerifiedClaim, about
from attest.flow.subject import ArtifactSubject, list_artifact
from attest.verdict import Finding, Severity

_MAX_NAMED_MISSING: Final = 1000
_INFORMING: Final = frozenset({"weights-not-read", "licence-missing"})


@dataclass(frozen=True, slots=True)
class BomReport:
    """A BOM that was made.

    Attributes:
        document: its parts.
        data: its bytes.
        kind: ``model``, ``dataset`` or ``firmware``.
        subject: the artifact.
        sources: the files that were read, each compared with the manifest.
        findings: what deserves attention; none refuses.
    """

    document: BomDocument
    data: bytes = field(repr=False)
    kind: str
    subject: ArtifactSubject
    sources: tuple[str, ...]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BomOptions:
    """What the files cannot say.

    Attributes:
        kind: None: recognised by the content.
        name, version, supplier: of the artifact.
        author: of the BOM: a person or a pipeline.
        timestamp: when the BOM is made; None leaves it out.
        materials: base models and datasets that verified claims name.
    """

    kind: str | None = None
    name: str | None = None
    version: str | None = None
    supplier: str | None = None
    author: str | None = None
    timestamp: datetime | None = None
    spec_version: str = SPEC_VERSIONS[0]
    materials: tuple[Material, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in (None, *KINDS):
            raise ValueError(f"kind must be one of {', '.join(KINDS)}")
        if self.version is not None and len(self.version) > limits.MAX_BOM_VERSION:
            raise ValueError(f"a version has at most {limits.MAX_BOM_VERSION} characters")
        for text in (self.name, self.version, self.supplier, self.author):
            if text is not None and clean_text(text) != text:
                raise ValueError(
                    "name, version, supplier and author are texts without space around them"
                )


def describe_artifact(
    path: Path,
    *,
    subject: ArtifactSubject | None = None,
    options: BomOptions | None = None,
    follow_symlinks: bool = False,
    progress: Progress | None = None,
) -> BomReport:
    """Describe the artifact at ``path``.

    Args:
        subject: whose digests the BOM names, such as those of a verified signature; default: the
            content that lies there, hashed.
        follow_symlinks: as the artifact was signed.
        progress: told about hashing.

    Raises:
        MalformedInput: ``kind-unclear``; a header that lies; links, devices, odd names.
        DigestMismatch: what was read is not what ``subject`` names.
        VerificationFailed: ``files-missing``, or a file changed meanwhile.
        TooLarge: the result is larger than any reader here takes.
        Unavailable: something cannot be read.
    """
    chosen = options or BomOptions()
    content = ArtifactContent(list_artifact(path, follow_symlinks=follow_symlinks))
    files, findings = _files(content, subject)
    kind = chosen.kind or recognise_kind(files)
    observed: list[Observation] = []
    assemble = DESCRIBERS[kind](files, observed)
    if subject is None:
        subject = _subject(path, content, progress)
    else:
        content.match(subject.manifest, progress=progress)
    parts = assemble(_naming(chosen, subject, single=path.is_file()))
    document = _document(parts, chosen)
    data = document.to_bytes()
    if len(data) > limits.MAX_BOM_BYTES:
        raise TooLarge(f"the BOM has {len(data)} bytes")
    problems = validate_bom(data)
    if problems:  # a defect here, not of the input
        raise AssertionError(f"made an invalid BOM: {problems[0]}")
    findings += [_finding(each) for each in observed]
    return BomReport(document, data, kind, subject, content.opened, tuple(findings))


def _document(parts: Parts, options: BomOptions) -> BomDocument:
    assert parts.component.ref is not None
    supplier = Organization(name=options.supplier) if options.supplier else None
    return BomDocument(
        component=parts.component,
        timestamp=options.timestamp,
        lifecycles=("post-build",),
        supplier=supplier,
        authors=(Contact(name=options.author),) if options.author else (),
        components=parts.materials,
        dependencies=parts.dependencies,
        # Nobody here can say that a card or a claim named everything.
        compositions=(Composition(aggregate="unknown", dependencies=(parts.component.ref,)),),
        spec_version=options.spec_version,
    )


# -- the artifact --------------------------------------------------------------------------------


class _LazySource:
    """A file of the artifact that is opened only while it is read."""

    def __init__(self, content: ArtifactContent, name: str) -> None:
        self._content = content
        self._name = name

    @property
    def size(self) -> int:
        return self._content.size(self._name)

    def read(self, offset: int, length: int) -> bytes:
        with self._content.open(self._name) as source:
            return source.read(offset, length)


def _files(
    content: ArtifactContent, subject: ArtifactSubject | None
) -> tuple[dict[str, Source], list[Finding]]:
    """The files that the subject covers, and what to know about others."""
    names = content.names
    findings: list[Finding] = []
    single = subject is not None and len(names) == 1 and len(subject.manifest) == 1
    if subject is not None and not single:
        covered = set(subject.manifest.names)
        missing = sorted(covered - set(names))
        if missing:
            error = VerificationFailed(
                "is signed and is not there", where=missing[0], code="files-missing"
            )
            error.also = tuple(
                VerificationFailed("is signed and is not there", where=name, code="files-missing")
                for name in missing[1:_MAX_NAMED_MISSING]
            )
            raise error
        findings = [
            Finding(
                "not-covered", Severity.WARN, "is not signed, so the BOM says nothing of it", name
            )
            for name in names
            if name not in covered
        ]
        names = tuple(name for name in names if name in covered)
    return {name: _LazySource(content, name) for name in names}, findings


def _subject(path: Path, content: ArtifactContent, progress: Progress | None) -> ArtifactSubject:
    """The content as it lies there; whatever was read before is part of what is hashed."""
    manifest = content.manifest(progress)
    digests = {"sha256": manifest.root().hex, manifest.tree_name(): manifest.tree_digest().hex}
    single = len(manifest) == 1 and not path.is_dir()
    name = content.names[0] if single else artifact_name(path)
    return ArtifactSubject(name, digests, manifest, "content")


def _naming(options: BomOptions, subject: ArtifactSubject, *, single: bool) -> Naming:
    digests = digest_properties(subject.digests, files=subject.files, size=subject.size)
    return Naming(
        name=options.name or clean_text(subject.name) or "artifact",
        version=options.version,
        supplier=Organization(name=options.supplier) if options.supplier else None,
        properties=(*digests, Property("attest:digests-from", subject.source)),
        hashes=_hashes(subject) if single else (),
        materials=options.materials,
    )


def _hashes(subject: ArtifactSubject) -> tuple[Hash, ...]:
    """The SHA-256 of the one file that the artifact is."""
    manifest = subject.manifest
    if manifest.algorithm is not HashAlgorithm.SHA256 or manifest.ranges is not None:
        return ()
    return (Hash("SHA-256", manifest.digest(0).hex()),)


# -- writing -------------------------------------------------------------------------------------


def default_bom(path: Path) -> Path:
    """``PATH.cdx.json`` beside the artifact, never inside."""
    resolved = path if path.name not in ("", "..") else path.resolve()
    return resolved.with_name(resolved.name + ".cdx.json")


def check_bom_place(path: Path, target: Path) -> None:
    """Refuse a place inside the artifact, or a file that is something other than a BOM.

    Raises:
        MalformedInput: ``bom-inside``.
        Unavailable: ``not-a-bom``, or it cannot be read.
    """
    if path.is_dir() and relative_inside(path, target) is not None:
        raise MalformedInput(
            "a BOM inside the artifact would change what it describes",
            where=str(target),
            code="bom-inside",
        )
    if not os.path.lexists(target):
        return
    try:
        parse_bom(read_bounded(target, limits.MAX_BOM_BYTES, "BOM"))
    except (MalformedInput, Unsupported) as error:
        raise Unavailable(
            f"is no BOM ({error.message}), and is not overwritten",
            where=str(target),
            hint="name another file, or move this one away",
            code="not-a-bom",
        ) from None


def write_bom(path: Path, target: Path, data: bytes) -> None:
    """Write a BOM about the artifact at ``path``; errors as :func:`check_bom_place`."""
    check_bom_place(path, target)
    write_atomic(target, data)


def _finding(observation: Observation) -> Finding:
    severity = Severity.INFO if observation.code in _INFORMING else Severity.WARN
    return Finding(observation.code, severity, observation.message, where=observation.where)


# -- what claims know of what it was made from ---------------------------------------------------


def materials_of_claims(
    claims: Iterable[VerifiedClaim], digests: Mapping[str, str]
) -> Iterator[Material]:
    """The base models and datasets that provenance claims name, with their digests.

    Args:
        claims: that count; those about other artifacts are passed over.
        digests: of the artifact; a claim is about it only if all of them match.

    Raises:
        MalformedInput: a claim of somebody who counts that is no provenance.
    """
    kinds = {BASE_MODEL: "model", DATASET: "dataset"}
    for claim in claims:
        if claim.predicate_type != PROVENANCE_PREDICATE or not about(claim.statement, digests):
            continue
        facts = read_provenance(claim.predicate_type, claim.statement.predicate)
        for each in facts.dependencies if facts.interpreted else ():
            kind = kinds.get(each.role or "")
            name = clean_text(each.name) or clean_text(each.uri)
            if kind is not None and name is not None:
                yield Material(
                    kind=kind,
                    name=name,
                    digests=each.digests,
                    url=each.uri,
                    where=f"claim {claim.id}",
                )
