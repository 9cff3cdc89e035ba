"""What a claim is about: an artifact's two digests, and where they are known from.

Whoever signs a claim vouches for digests, not for a path. They come from the artifact's signature,
verified under the keys that its reader trusts, or from hashing the content that lies there now.
Neither is a default for the other: a signature that anybody could have put there names whatever
digests its author liked.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from attest.artifact.content import ArtifactContent
from attest.artifact.hashing import Progress
from attest.artifact.names import GIT_PATHS, SIGNATURE_NAMES, covering_path, text_name
from attest.artifact.walk import Listing, Problem, list_files
from attest.codec.manifest import Manifest
from attest.codec.statement import Subject
from attest.errors import (
    AttestError,
    BadSignature,
    MalformedInput,
    Unavailable,
    UntrustedIdentity,
    VerificationFailed,
)
from attest.flow.verify import (
    SignatureFile,
    SignedStatement,
    find_signature,
    parse_signature_file,
    read_signature,
    verify_signature,
)
from attest.trust.signers import SignerIdentity, Trust


@dataclass(frozen=True, slots=True)
class ArtifactSubject:
    """An artifact as a claim names it.

    Attributes:
        name: base name of the path, or what the signature calls it.
        digests: OMS root and tree digest, lower-case hex, by their names in a subject.
        manifest: the files and digests that the two are computed from.
        source: ``signature`` or ``content``.
        signers: of the signature; empty for ``content``.
        ignored: what the signer left out, or is left out here, if it exists.
    """

    name: str
    digests: Mapping[str, str]
    manifest: Manifest = field(repr=False)
    source: str
    signers: tuple[SignerIdentity, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def files(self) -> int:
        return len(self.manifest)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return self.manifest.total_size() or 0

    def as_statement_subject(self) -> Subject:
        """The one subject of a statement."""
        return Subject(self.name, self.digests)


def subject_from_signature(
    path: Path, trust: Trust, at: datetime, *, signature: Path | None = None
) -> ArtifactSubject:
    """The subject that a verified signature states.

    A signature by another tool states neither names nor sizes in its digests: then the content is
    hashed and compared with the digests that were signed, and the subject computed from both.

    Args:
        path: the artifact; with a signature of ours its content is not read, and it need not be
            there if ``signature`` is given.
        trust: who must have signed it.
        at: the time to judge certificates and timestamps for.

    Raises:
        VerificationFailed and its kinds: among them ``signature-missing``, and ``no-tree-digest``
            (byte ranges, or no content to compute it from).
        MalformedInput, Unsupported, Unavailable.
    """
    return _subject(read_signature(signature or find_signature(path, trust)), trust, at, path)


def subject_from_bytes(
    data: bytes, where: str, ways: Sequence[Trust], at: datetime
) -> ArtifactSubject:
    """As :func:`subject_from_any`, from the content of a signature file called ``where``."""
    return _first(
        ways, lambda way: _subject(parse_signature_file(data, Path(where)), way, at, None)
    )


def _subject(file: SignatureFile, trust: Trust, at: datetime, path: Path | None) -> ArtifactSubject:
    signed = verify_signature(file, trust, at)
    statement = signed.statement
    if not statement.carries_tree_digest and statement.manifest.ranges is None and path is not None:
        return _with_content(path, signed)
    if not statement.carries_tree_digest or statement.manifest.ranges is not None:
        raise VerificationFailed(
            "the signature has no tree digest, so that a claim cannot name the artifact",
            where=str(file.path),
            hint="sign it with attest as well, into another file (attest sign --signature FILE), or"
            " where a claim is signed: hash the content (--rehash)",
            code="no-tree-digest",
        )
    manifest = statement.manifest
    return ArtifactSubject(
        statement.subject.name,
        _ours(statement.subject.digests, manifest),
        manifest,
        "signature",
        signed.signers,
        statement.ignore_paths,
    )


def _with_content(path: Path, signed: SignedStatement) -> ArtifactSubject:
    """The subject of what another tool has signed, once the content is found to be that."""
    listing = list_artifact(path)
    content, stated = ArtifactContent(listing), signed.statement.manifest
    names = listing.names if listing.single and len(stated) == 1 else sorted(stated.names)
    missing = set(names) - set(listing.names)
    if missing:
        raise VerificationFailed(
            "is signed and is not there", where=min(missing), code="file-missing"
        )
    content.match(stated, names)
    index = {name: number for number, name in enumerate(stated.names)}
    places = [0] if len(names) == 1 else [index[name] for name in names]
    manifest = Manifest(
        stated.algorithm,
        list(names),
        bytearray(b"".join(map(stated.digest, places))),
        array("Q", [content.size(name) for name in names]),
    )
    digests = {"sha256": manifest.root().hex, manifest.tree_name(): manifest.tree_digest().hex}
    name = names[0] if listing.single else text_name(path)
    ignored = signed.statement.ignore_paths
    return ArtifactSubject(name, digests, manifest, "signature", signed.signers, ignored)


def subject_from_any(
    path: Path, ways: Sequence[Trust], at: datetime, *, signature: Path | None = None
) -> ArtifactSubject:
    """As :func:`subject_from_signature`, signed in any one of several ways.

    Args:
        ways: at least one, tried in order.

    Raises:
        the error of the last way.
    """
    try:
        return _first(ways, lambda way: subject_from_signature(path, way, at, signature=signature))
    except (BadSignature, UntrustedIdentity) as error:
        error.hint = "say who has signed the artifact itself: --signed-by PUB"
        raise


def _first(ways: Sequence[Trust], attempt: Callable[[Trust], ArtifactSubject]) -> ArtifactSubject:
    """The result of the first way that does not fail to verify."""
    if not ways:
        raise ValueError("nobody is trusted to have signed")
    for way in ways[:-1]:
        try:
            return attempt(way)
        except VerificationFailed:
            continue
    return attempt(ways[-1])


def subject_from_content(
    path: Path, *, follow_symlinks: bool = False, progress: Progress | None = None
) -> ArtifactSubject:
    """The subject of what lies at ``path`` now: the digests that signing it would state.

    Signature files and git's own paths at the root are left out, as :func:`attest.sign` does.

    Raises:
        MalformedInput: links, devices, odd names, no file. VerificationFailed: a file changed.
        Unavailable: something cannot be read.
    """
    listing = list_artifact(path, follow_symlinks=follow_symlinks)
    manifest = ArtifactContent(listing).manifest(progress)
    digests = {"sha256": manifest.root().hex, manifest.tree_name(): manifest.tree_digest().hex}
    name = listing.names[0] if listing.single else text_name(path)
    return ArtifactSubject(name, digests, manifest, "content")


def list_artifact(path: Path, *, follow_symlinks: bool = False) -> Listing:
    """The files of an artifact without its signatures and git's own paths.

    Raises:
        MalformedInput: links, devices, odd names, no file at all. Unavailable.
    """
    plain = {name for name in SIGNATURE_NAMES if not os.path.isdir(path / name)}
    skipped = (*GIT_PATHS, *plain)  # a folder of a signature's name may hold anything
    listing = list_files(
        path,
        follow_symlinks=follow_symlinks,
        skip=lambda name: covering_path(name, skipped) is not None,
    )
    if listing.problems:
        first, *rest = [_error(problem) for problem in listing.problems]
        first.also = tuple(rest)
        raise first
    if not listing.names:
        raise MalformedInput("holds no file", where=str(path), code="nothing-to-claim")
    return listing


def _ours(digests: Mapping[str, str], manifest: Manifest) -> dict[str, str]:
    """The two digests that claims carry, of those that a signature states."""
    return {name: digests[name] for name in ("sha256", manifest.tree_name())}


def _error(problem: Problem) -> AttestError:
    kind = Unavailable if problem.unreadable else MalformedInput
    return kind(problem.message, where=problem.name, code=problem.code)
