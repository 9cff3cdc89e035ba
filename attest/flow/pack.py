"""One file for an air gap: an artifact's signature, its claims, and what verifies them.

A pack is plain ustar (:mod:`attest.codec.ustar`) with these members, in this order::

    pack.json            {"schema", "artifact": {"name", "digests"}, "members": [{"name", "role",
                          "size", "sha256"}]}
    signature            the artifact's signature file
    claims.jsonl         its claims
    material/NAME        public keys, certificates, a trusted root: for looking at

Material comes in code-point order of its names: the same parts make the same bytes, and the reader
accepts nothing else. Nothing in a pack is trusted because it is in it: whoever opens one brings
their own keys, and ``material/`` is there so that they can compare. Packing and unpacking both
verify.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from attest import limits
from attest.artifact.names import BUNDLE_NAME, SIGNATURE_NAMES, default_claims, relative_inside
from attest.codec import jsonstrict
from attest.codec.manifest import check_name
from attest.codec.reader import BytesSource, Source
from attest.codec.ustar import TarMember, encode_header, encode_ustar, read_ustar_strict
from attest.digest import Digest
from attest.errors import (
    AttestError,
    DigestMismatch,
    MalformedInput,
    TooLarge,
    Unavailable,
    VerificationFailed,
)
from attest.files import open_source, read_bounded, write_new
from attest.flow.claimset import ClaimsRead, about, read_claims
from attest.flow.subject import ArtifactSubject, subject_from_bytes
from attest.flow.verify import find_signature
from attest.trust.principals import Principals
from attest.trust.signers import Trust
from attest.verdict import Finding, Severity

PACK_SCHEMA: Final = "urn:attest-toolkit:pack:v1"
_INDEX: Final = "pack.json"
_SIGNATURE: Final = "signature"
_CLAIMS: Final = "claims.jsonl"
_MATERIAL: Final = "material/"
_ROLES: Final = {_SIGNATURE: "signature", _CLAIMS: "claims"}


@dataclass(frozen=True, slots=True)
class PackReport:
    """What a pack holds, verified.

    Attributes:
        subject: the artifact.
        claims: what counts of the claims.
        members: name -> bytes, in the order of the file.
        material: names of what came along for comparison; trusted by nobody.
    """

    subject: ArtifactSubject
    claims: ClaimsRead
    members: Mapping[str, int]
    material: tuple[str, ...] = field(default=())


def pack(
    path: Path,
    target: Path,
    *,
    ways: Sequence[Trust],
    principals: Principals,
    at: datetime,
    signature: Path | None = None,
    claims: Path | None = None,
    material: Mapping[str, bytes] | None = None,
) -> PackReport:
    """Verify an artifact's signature and claims, and write both into one file.

    Args:
        path: the artifact; its content is not read.
        target: the new pack; nothing is overwritten.
        ways: in any of which the artifact must be signed.
        principals: whose claims count; claims by others are packed as well.
        material: name -> content of what helps to verify.

    Raises:
        VerificationFailed and its kinds, MalformedInput, Unsupported: what would be packed does
            not hold. Unavailable: a file cannot be read or written, or is there already.
        ValueError: a name in ``material`` is no plain file name, or too long.
    """
    along = {}
    for name, content in sorted((material or {}).items()):
        if "/" in name:
            raise ValueError(f"{name!r} is no plain file name")
        encode_header(_MATERIAL + name, len(content))  # ValueError for what ustar cannot hold
        along[_MATERIAL + name] = content
    if path.is_dir() and relative_inside(path, target) is not None:
        raise MalformedInput(
            "a pack inside the artifact would be an unsigned file in a signed artifact",
            where=str(target),
            code="pack-inside",
        )
    subject, signed = _signed(path, ways, at, signature)
    contents = {
        _SIGNATURE: signed,
        _CLAIMS: read_bounded(claims or default_claims(path), limits.MAX_BUNDLE_BYTES, "claims"),
        **along,
    }
    report = _verify(contents, subject, principals, at)
    contents = {_INDEX: _index(report.subject, contents), **contents}
    pieces = encode_ustar((name, len(data), (data,)) for name, data in contents.items())
    write_new(target, pieces, mode=0o644)
    return report


def _signed(
    path: Path, ways: Sequence[Trust], at: datetime, signature: Path | None
) -> tuple[ArtifactSubject, bytes]:
    """The artifact, and the signature file that verifies in one of the ways.

    Each way has its own file where a bundle and an envelope lie side by side.
    """
    refusal: VerificationFailed | None = None
    for way in ways:
        try:
            file = signature or find_signature(path, way)
            data = read_bounded(file, limits.MAX_BUNDLE_BYTES, "signature")
            return subject_from_bytes(data, str(file), (way,), at), data
        except VerificationFailed as error:
            refusal = error
    if refusal is None:
        raise ValueError("nobody is trusted to have signed")
    raise refusal


def unpack(
    source: Path,
    into: Path,
    *,
    ways: Sequence[Trust],
    principals: Principals,
    at: datetime,
) -> tuple[PackReport, tuple[Path, ...]]:
    """Verify a pack and write its parts as ``NAME.sig``, ``NAME.claims.jsonl`` and ``material/``.

    Args:
        into: an existing folder; nothing in it is overwritten.
        ways: in any of which the artifact must be signed.
        principals: whose claims count.

    Returns:
        the report, and the files that were written: nothing unless everything holds.

    Raises:
        MalformedInput, Unsupported, VerificationFailed and its kinds: the pack does not hold.
        MalformedInput: ``unpack-inside``: the folder is part of the artifact.
        Unavailable: it cannot be read, or a file cannot be written or is there already.
    """
    with open_source(source, "pack") as opened:
        try:
            index, contents = _read(opened)
            subject = subject_from_bytes(contents[_SIGNATURE], _SIGNATURE, ways, at)
            report = _verify(contents, subject, principals, at)
            _check_index(index, report, contents)
        except AttestError as error:
            raise error.within(str(source)) from None
    _check_outside(into, report.subject)
    name = report.subject.name
    places = {
        _SIGNATURE: into / f"{name}{_suffix(contents[_SIGNATURE])}",
        _CLAIMS: into / f"{name}.claims.jsonl",
        **{member: into / member for member in report.material},
    }
    for place in places.values():
        if os.path.lexists(place):
            raise Unavailable(
                "already exists and is not overwritten", where=str(place), code="already-exists"
            )
    _write({place: contents[member] for member, place in places.items()}, into / _MATERIAL)
    return report, tuple(places.values())


def _check_outside(into: Path, subject: ArtifactSubject) -> None:
    """Refuse a folder inside the artifact: what is written there would be unsigned files in it.

    It is recognised by a signature that lies in it, or by all of its files: it may have travelled
    without one. A single file has no inside.
    """
    resolved = Path(os.path.realpath(into))  # of a loop of links it makes something, too
    for folder in (resolved, *resolved.parents):
        if _is_artifact(folder, subject):
            raise MalformedInput(
                f"is inside the artifact {folder}: what is written there would be unsigned",
                where=str(into),
                hint="name a folder beside it",
                code="unpack-inside",
            )


def _is_artifact(folder: Path, subject: ArtifactSubject) -> bool:
    # `model.sig` is also the signature of something called `model` beside it, here or to come.
    stem = folder / BUNDLE_NAME.partition(".")[0]
    beside = subject.name == stem.name or any(map(os.path.lexists, (stem, default_claims(stem))))
    if not beside and any(os.path.lexists(folder / name) for name in SIGNATURE_NAMES):
        return True
    names = subject.manifest.names
    single = len(names) == 1 and names[0] in (".", subject.name)
    return not single and all(os.path.lexists(folder / name) for name in names)


def _write(files: Mapping[Path, bytes], folder: Path) -> None:
    """All of the files, or none; ``folder`` is made if one of them lies in it."""
    written = list[Path]()
    try:
        if any(place.parent == folder for place in files):
            folder.mkdir(exist_ok=True)
            if folder.is_symlink():  # it could lead anywhere
                raise Unavailable(
                    "is a link, and is not written through", where=str(folder), code="not-a-folder"
                )
        for place, content in files.items():
            write_new(place, content, mode=0o644)
            written.append(place)
    except BaseException as error:
        for place in written:
            place.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise Unavailable(
                f"cannot be made ({error.strerror})", where=str(folder), code="file-unwritable"
            ) from None
        raise


def describe_pack(data: bytes) -> dict[str, Any]:
    """What a pack holds, unverified: its index, and the size of each member.

    Raises:
        MalformedInput: it is no pack.
    """
    source = BytesSource(data)
    _read(source)
    members = read_ustar_strict(source)
    index = _content(source, members[0], limits.MAX_JSON_BYTES)
    return {
        "index": jsonstrict.loads(index, what=_INDEX),
        "members": {member.name: member.size for member in members},
    }


def _index(subject: ArtifactSubject, contents: Mapping[str, bytes]) -> bytes:
    document = {
        "schema": PACK_SCHEMA,
        "artifact": {"name": subject.name, "digests": dict(subject.digests)},
        "members": [
            {
                "name": name,
                "role": _ROLES.get(name, "material"),
                "size": len(data),
                "sha256": Digest.of(data).hex,
            }
            for name, data in contents.items()
        ],
    }
    return json.dumps(document, indent=1).encode("ascii") + b"\n"


def _read(source: Source) -> tuple[bytes, dict[str, bytes]]:
    """The index of a pack, and its other members, held against it."""
    members = read_ustar_strict(source)
    if [member.name for member in members[:3]] != [_INDEX, _SIGNATURE, _CLAIMS]:
        raise MalformedInput("is no pack: its first members are others", code="not-a-pack")
    if sum(member.size for member in members) > 2 * limits.MAX_BUNDLE_BYTES:
        raise TooLarge("the members are larger together than a reader accepts")
    index = _content(source, members[0], limits.MAX_JSON_BYTES)
    listed = _listed(index)
    contents = {}
    for member, (name, digest) in zip(members[1:], listed, strict=False):
        data = _content(source, member, limits.MAX_BUNDLE_BYTES)
        if member.name != name or Digest.of(data).hex != digest:
            raise DigestMismatch("is not what the index says", where=member.name)
        contents[name] = data
    if len(listed) != len(members) - 1:
        raise MalformedInput("index and members differ in number", where=_INDEX)
    return index, contents


def _check_index(index: bytes, report: PackReport, contents: Mapping[str, bytes]) -> None:
    """The index is the one that this content makes, in this order: nothing in it is a lie."""
    along = sorted(report.material)
    ordered = {name: contents[name] for name in (_SIGNATURE, _CLAIMS, *along)}
    if index != _index(report.subject, ordered):
        raise DigestMismatch(
            "is not the index of what is in the pack", where=_INDEX, code="wrong-index"
        )


def _listed(data: bytes) -> list[tuple[str, str]]:
    """Names and digests of the index, in order."""
    document = jsonstrict.typed(jsonstrict.loads(data, what=_INDEX), dict, where=_INDEX)
    if jsonstrict.member(document, "schema", str, where=_INDEX) != PACK_SCHEMA:
        raise MalformedInput("is no pack that is known here", where=_INDEX, code="not-a-pack")
    entries = jsonstrict.member(document, "members", list, where=_INDEX)
    listed = []
    for entry in jsonstrict.objects(entries, where=f"{_INDEX}: members"):
        name = jsonstrict.member(entry, "name", str, where=_INDEX)
        if name not in _ROLES:
            inner = name.removeprefix(_MATERIAL)
            check_name(inner)
            if not name.startswith(_MATERIAL) or "/" in inner:
                raise MalformedInput(f"does not belong into a pack: {name!r}", where=_INDEX)
        listed.append((name, jsonstrict.member(entry, "sha256", str, where=_INDEX)))
    return listed


def _content(source: Source, member: TarMember, most: int) -> bytes:
    if member.size > most:
        raise TooLarge(f"has {member.size} bytes; at most {most} are read", where=member.name)
    return source.read(member.offset, member.size)


def _verify(
    contents: Mapping[str, bytes], subject: ArtifactSubject, principals: Principals, at: datetime
) -> PackReport:
    read = read_claims(contents[_CLAIMS], principals=principals, at=at, where=_CLAIMS)
    if "/" in subject.name or subject.name in ("", ".", ".."):
        raise MalformedInput("the artifact's name is no file name", where=_SIGNATURE)
    check_name(subject.name)
    return _report(subject, read, {name: len(data) for name, data in contents.items()})


def _report(subject: ArtifactSubject, read: ClaimsRead, members: Mapping[str, int]) -> PackReport:
    material = tuple(name for name in members if name.startswith(_MATERIAL))
    return PackReport(subject, read, members, material)


def _suffix(signature: bytes) -> str:
    return ".sig" if b'"dsseEnvelope"' in signature else ".dsse.json"


def pack_findings(report: PackReport) -> list[Finding]:
    """What a pack holds, one finding a claim; those about other artifacts are warned of."""
    findings = list(report.claims.findings)
    text = f"the signature over {report.subject.name} verifies"
    findings.append(Finding("signature-valid", Severity.PASS, text))
    for claim in report.claims.verified:
        own = about(claim.statement, report.subject.digests)
        who = ", ".join(sorted(claim.principals))
        findings.append(
            Finding(
                "claim-verified" if own else "claim-about-another",
                Severity.INFO if own else Severity.WARN,
                f"{claim.predicate_type}, by {who}",
                where=f"line {claim.line}",
                details={"claim": claim.id, "principals": sorted(claim.principals)},
            )
        )
    if report.claims.others:
        text = f"{report.claims.others} claim(s) by nobody who was named"
        findings.append(Finding("claims-not-counted", Severity.WARN, text))
    return findings
