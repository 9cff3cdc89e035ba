"""Sign an artifact: list, hash, state, sign, write.

Nothing is written unless everything before it succeeded, and a signature that was there before
survives until the new one is complete on disk.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from attest import limits
from attest.artifact.hashing import Hashed, Progress, hash_listed
from attest.artifact.journal import Journal
from attest.artifact.layout import describe_layout, shard_problems
from attest.artifact.names import (
    GIT_PATHS,
    SIGNATURE_NAMES,
    covering_path,
    default_claims,
    default_signature,
    normalise_ignored,
    relative_inside,
    text_name,
)
from attest.artifact.walk import Listing, Problem, list_files
from attest.claim.artifact import ArtifactClaim, encode_artifact_claim
from attest.codec.manifest import Manifest
from attest.codec.oms import encode_oms
from attest.digest import HashAlgorithm
from attest.errors import (
    MalformedInput,
    Unavailable,
    Unsupported,
    VerificationFailed,
)
from attest.files import is_temporary, read_bounded, write_atomic
from attest.flow.places import (
    check_claims_place,
    check_journal_place,
    check_no_folder,
    check_signature_place,
)
from attest.flow.seal import Timestamper, append_statement, check_signers, seal
from attest.verdict import Finding, Severity

if TYPE_CHECKING:
    from attest.crypto.signer import Signer

OMS_HASHES = frozenset({HashAlgorithm.SHA256, HashAlgorithm.BLAKE3})
"""Content hashes that OMS v1.0 allows and that are written here."""


@dataclass(frozen=True, slots=True)
class SignReport:
    """What was signed.

    Attributes:
        signature: the file that was written.
        form: ``oms-bundle`` or ``dsse-envelope``.
        name: of the artifact.
        files, size: how many files and bytes are covered.
        digests: of the subject.
        signers: fingerprints of the public keys.
        claims: the claims file that was appended to, if any.
        layout: which shards belong together, for a person; None where there are none.
        reused: files whose digest came from a journal.
        precomputed: files whose digest was given, not computed.
        findings: warnings.
    """

    signature: Path
    form: str
    name: str
    files: int
    size: int
    digests: Mapping[str, str]
    signers: tuple[str, ...]
    claims: Path | None = None
    layout: str | None = None
    reused: int = 0
    precomputed: int = 0
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class SignOptions:
    """What is hashed, and how; every field has the safe, interoperable default.

    Attributes:
        algorithm: content hash. SHA-384 and SHA-512 are outside OMS: they are written as an
            envelope, never as a bundle.
        ignore: paths left out, recorded in the signature; a verifier must allow each.
        follow_symlinks: cover what links point to, inside the root.
        digests: name -> raw digest of files that need not be read; marked in the signature.
        chunk_digests: record SHA-256 of each 16 MiB, so that ranges can be checked later. Costs a
            second hash over files beyond that size.
        git_paths: cover :data:`attest.artifact.names.GIT_PATHS` too; then other OMS tools refuse
            the signature unless they are told to include them.
        allow_incomplete: sign a sharded checkpoint although shards are missing or too many.
        replace: overwrite a signature that somebody else has made.
        journal: resume from and record to this file; see :mod:`attest.artifact.journal`.
        workers: hashing threads; default is the number of usable processors.
    """

    algorithm: HashAlgorithm = HashAlgorithm.SHA256
    ignore: tuple[str, ...] = ()
    follow_symlinks: bool = False
    digests: Mapping[str, bytes] = field(default_factory=dict)
    chunk_digests: bool = True
    git_paths: bool = False
    allow_incomplete: bool = False
    replace: bool = False
    journal: Path | None = None
    workers: int | None = None


def sign_artifact(
    path: str | os.PathLike[str],
    signers: Sequence[Signer],
    *,
    signature: Path | None = None,
    options: SignOptions | None = None,
    timestamp: Timestamper | None = None,
    claim: ArtifactClaim | None = None,
    claims: Path | None = None,
    progress: Progress | None = None,
) -> SignReport:
    """Sign a directory or a file.

    One ECDSA signer and an OMS content hash make an OMS bundle; anything else makes a
    multi-signature envelope over the same statement.

    Args:
        path: the artifact.
        signers: at least one, all with different keys.
        signature: where to write; default ``PATH/model.sig``, ``PATH.sig`` or the ``.dsse.json``
            counterpart.
        options: what is hashed, and how.
        timestamp: asked once for each signature.
        claim: also record what the artifact is, in ``claims`` (default ``PATH.claims.jsonl``).
        progress: told about hashing.

    Example:
        >>> import attest, pathlib, tempfile
        >>> model = pathlib.Path(tempfile.mkdtemp()) / "model"
        >>> model.mkdir()
        >>> _ = (model / "config.json").write_text("{}")
        >>> keys = [attest.generate_key(kind) for kind in ("p256", "ml-dsa-65")]
        >>> attest.sign(model, keys).signature.name
        'model.dsse.json'

    Raises:
        MalformedInput: the tree has links, devices, odd names, or nothing at all.
        VerificationFailed: files changed meanwhile, or shards are missing.
        Unsupported: certificates with several signers, or with a key outside OMS.
        Unavailable: something cannot be read or written.
        ValueError: no signer, or one key twice; ``ignore`` leads out of the artifact.
    """
    path = Path(path)
    chosen = options or SignOptions()
    check_signers(signers)
    is_bundle = _is_bundle(signers, chosen.algorithm)
    target = signature or default_signature(path, envelope=not is_bundle)
    claims_target = (claims or default_claims(path)) if claim else None
    for name in SIGNATURE_NAMES:
        check_no_folder(path / name)
    check_signature_place(target, signers, replace=chosen.replace)
    if claims_target is not None:
        check_claims_place(path, claims_target, target)
    if chosen.journal is not None:
        check_journal_place(path, chosen.journal)
    ignored = _ignored(path, chosen, target)
    left_out: set[str] = set()
    listing = list_files(
        path,
        follow_symlinks=chosen.follow_symlinks,
        skip=lambda name: _is_ignored(name, ignored, left_out),
    )
    _check_listing(listing, chosen)
    findings = _warnings(path, listing, target)
    findings += _told(normalise_ignored(chosen.ignore), left_out)
    name = listing.names[0] if listing.single else text_name(path)
    with _journal(path, chosen) as resumed:
        manifest = _hash(listing, chosen, resumed, progress)
        payload = encode_oms(
            name,
            manifest,
            ignore_paths=() if listing.single else ignored,
            allow_symlinks=chosen.follow_symlinks,
        )
        write_atomic(target, seal(payload, signers, as_bundle=is_bundle, timestamp=timestamp))
        del payload
        if resumed is not None:
            resumed.discard()
    report = SignReport(
        target,
        "oms-bundle" if is_bundle else "dsse-envelope",
        name,
        len(manifest),
        manifest.total_size() or 0,
        {"sha256": manifest.root().hex, manifest.tree_name(): manifest.tree_digest().hex},
        tuple(signer.public_key.fingerprint for signer in signers),
        claims_target,
        describe_layout(listing.names),
        resumed.reused if resumed else 0,
        len(manifest.assumed),
        tuple(findings),
    )
    if claim is None or claims_target is None:
        return report
    statement = encode_artifact_claim(
        claim, name=name, digests=report.digests, files=report.files, size=report.size
    )
    return replace(
        report,
        findings=report.findings + append_statement(statement, signers, claims_target, timestamp),
    )


def _journal(path: Path, options: SignOptions) -> contextlib.AbstractContextManager[Journal | None]:
    if options.journal is None:
        return contextlib.nullcontext()
    return Journal(options.journal, path, options.algorithm, chunk_digests=options.chunk_digests)


def _is_bundle(signers: Sequence[Signer], algorithm: HashAlgorithm) -> bool:
    if signers[0].chain and algorithm not in OMS_HASHES:
        raise Unsupported(
            f"{algorithm} is not an OMS content hash; certificate signatures need one",
            code="unsupported-hash",
            hint="use sha256 or blake3",
        )
    if algorithm is HashAlgorithm.BLAKE2B:
        raise Unsupported("blake2b is read, not written", code="unsupported-hash")
    return len(signers) == 1 and signers[0].algorithm.oms and algorithm in OMS_HASHES


def _ignored(path: Path, options: SignOptions, target: Path) -> tuple[str, ...]:
    """What the signature will say that it leaves out: signatures, and what the caller named."""
    names = set(normalise_ignored(options.ignore)) | SIGNATURE_NAMES
    if not options.git_paths:
        names |= set(GIT_PATHS)
    inside = relative_inside(path, target)
    if inside is not None:
        names.add(inside)
    return tuple(sorted(names))


def _check_listing(listing: Listing, options: SignOptions) -> None:
    if listing.problems:
        raise _refusal(listing.problems)
    if not listing.names:
        raise MalformedInput(
            "holds no file to sign", where=str(listing.root), code="nothing-to-sign"
        )
    leftover = next((name for name in listing.names if is_temporary(name)), None)
    if leftover is not None:
        raise MalformedInput(
            "is a temporary file of another run, or of one that was interrupted",
            where=leftover,
            hint="wait for the other run; if there is none, remove the file and sign again",
            code="leftover-file",
        )
    if not (options.allow_incomplete or listing.single):
        problems = shard_problems(
            listing.names,
            lambda name: read_bounded(listing.root / name, limits.MAX_JSON_BYTES, "index file"),
        )
        if problems:
            error = _refusal(problems, kind=VerificationFailed)
            error.hint = "complete the checkpoint, or sign it as it is with --allow-incomplete"
            raise error


def _refusal(
    problems: Sequence[Problem],
    kind: type[MalformedInput] | type[VerificationFailed] = MalformedInput,
) -> MalformedInput | VerificationFailed | Unavailable:
    """One error for all problems: the first is the headline, all of them are attached."""

    def error(
        problem: Problem,
    ) -> MalformedInput | VerificationFailed | Unavailable:
        made = Unavailable if problem.unreadable else kind
        name = problem.name.encode("utf-8", "backslashreplace").decode("utf-8")
        hint = None
        if problem.code == "symlink-refused":
            hint = "replace it by the file itself, leave it out (--ignore), or --follow-symlinks"
        return made(problem.message, where=name, code=problem.code, hint=hint)

    first, *others = [error(problem) for problem in problems]
    first.also = tuple(others)
    return first


def _is_ignored(name: str, ignored: Sequence[str], left_out: set[str]) -> bool:
    covering = covering_path(name, ignored)
    if covering is None:
        return False
    left_out.add(covering)
    return True


def _told(ignored: Sequence[str], left_out: set[str]) -> list[Finding]:
    """What was left out unasked, and what was to be left out and is not there."""
    return [
        Finding(
            "git-path-left-out",
            Severity.INFO,
            "is not signed: OMS tools leave it out when they verify",
            where=path,
            hint="to cover git's files, for this tool only: --git-paths",
        )
        for path in GIT_PATHS
        if path in left_out and path not in ignored
    ] + [
        Finding(
            "ignore-matches-nothing",
            Severity.WARN,
            "there is nothing here that could be left out",
            where=path,
            hint="--ignore takes a path inside the artifact, not a pattern",
        )
        for path in ignored
        if path not in left_out
    ]


def _warnings(path: Path, listing: Listing, target: Path) -> list[Finding]:
    """What is allowed, and will surprise somebody later."""
    tops = {name.partition("/")[0] for name in listing.names} if not listing.single else set()
    findings = [
        Finding(
            "git-path-signed",
            Severity.WARN,
            "is signed; other OMS tools leave it out when they verify, and then refuse",
            where=name,
            hint="leave out --git-paths, or tell them to include git paths",
        )
        for name in GIT_PATHS
        if name in tops
    ]
    for envelope in (False, True):
        other = default_signature(path, envelope=envelope)
        if os.path.lexists(other) and other.absolute() != target.absolute():
            findings.append(
                Finding(
                    "other-signature",
                    Severity.WARN,
                    "lies there as well and was not renewed",
                    where=str(other),
                    hint="remove it if it is out of date: verifiers may look at it first",
                )
            )
    return findings


def _hash(
    listing: Listing, options: SignOptions, journal: Journal | None, progress: Progress | None
) -> Manifest:
    given = options.digests
    unknown = given.keys() - set(listing.names) if given else set()
    if unknown:
        raise MalformedInput(
            "a digest was given for a file that is not there",
            where=min(unknown),
            code="digest-without-file",
        )
    positions: Sequence[int] = range(len(listing.names))
    if given:
        positions = [at for at in positions if listing.names[at] not in given]
    hashed = hash_listed(
        listing,
        positions,
        options.algorithm,
        chunk_digests=options.chunk_digests,
        known=journal,
        progress=progress,
        workers=options.workers,
    )
    if hashed.problems:
        raise _refusal(hashed.problems, kind=VerificationFailed)
    manifest = Manifest(options.algorithm, listing.names, hashed.digests, listing.sizes)
    if given:
        _merge_given(manifest, hashed, positions, given)
    else:
        manifest.chunks = hashed.chunks
    manifest.check_names()
    return manifest


def _merge_given(
    manifest: Manifest, hashed: Hashed, positions: Sequence[int], given: Mapping[str, bytes]
) -> None:
    """Put computed and given digests together, and mark the given ones."""
    width = manifest.algorithm.size
    digests = bytearray(width * len(manifest.names))
    for at, position in enumerate(positions):
        digests[position * width : (position + 1) * width] = hashed.digests[
            at * width : (at + 1) * width
        ]
        if at in hashed.chunks:
            manifest.chunks[position] = hashed.chunks[at]
    for position, name in enumerate(manifest.names):
        if name in given:
            digests[position * width : (position + 1) * width] = given[name]
            manifest.assumed.add(position)
    manifest.digests = digests
