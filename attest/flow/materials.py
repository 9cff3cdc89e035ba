"""Dependencies of a build, each with the digest that identifies it.

A signed artifact is named by the two digests of its verified signature; any other file by the hash
of its bytes; code by its commit and a container by its image digest. What has no digest is refused:
a name alone could mean anything tomorrow.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attest.claim.buildtypes import CODE, CONTAINER
from attest.claim.resources import ResourceDescriptor, read_digests, resource
from attest.claim.sources import split_repository
from attest.digest import HashAlgorithm
from attest.errors import AttestError, MalformedInput, UntrustedIdentity, VerificationFailed
from attest.files import open_source
from attest.flow.subject import subject_from_signature
from attest.trust.signers import KeyTrust

if TYPE_CHECKING:
    from attest.crypto.keys import PublicKey

_DIGEST: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}:[0-9a-f]+")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_BLOCK: Final = 1 << 20


def parse_digests(text: str) -> dict[str, str] | None:
    """``sha256:3f…`` or several, separated by commas; None if it does not look like digests.

    Raises:
        MalformedInput: it does, and one of them is none or is named twice.
    """
    parts = text.split(",")
    if not all(_DIGEST.fullmatch(part) for part in parts):
        return None
    pairs = [part.split(":") for part in parts]
    if len({name for name, _ in pairs}) != len(pairs):
        raise MalformedInput("names one kind of digest twice", where=text[:100])
    return read_digests(dict(pairs), where="digest")


def artifact_material(
    role: str, name: str, path: Path, *, keys: Sequence[PublicKey], at: datetime
) -> ResourceDescriptor:
    """A signed artifact as a dependency, by what one of ``keys`` has signed; not read itself.

    Raises:
        VerificationFailed and its kinds: unsigned, or signed by none of them.
        MalformedInput, Unsupported, Unavailable.
    """
    refusal: AttestError | None = None
    for key in keys:
        try:
            subject = subject_from_signature(path, KeyTrust((key,)), at)
        except VerificationFailed as error:
            refusal = error
            continue
        return resource(role, subject.digests, name=name)
    if refusal is None:
        raise UntrustedIdentity("no key to verify it with was given", where=str(path))
    refusal.hint = (
        "name whose signature over it you believe with --material-key PUB,"
        " or give its digests: NAME=sha256:…,attestTreeV1:…"
    )
    raise refusal.at(str(path))


def file_material(role: str, path: Path, *, name: str | None = None) -> ResourceDescriptor:
    """A file as a dependency, by the SHA-256 of its bytes.

    Raises:
        Unavailable: it cannot be read, or is no regular file.
    """
    return resource(role, {"sha256": hash_file(path)}, name=name or path.name)


def byproduct(path: Path) -> ResourceDescriptor:
    """A file that came out beside the artifact, such as a log."""
    return ResourceDescriptor({"sha256": hash_file(path)}, path.name)


def hash_file(path: Path) -> str:
    """Hex SHA-256 of a regular file of any size.

    Raises:
        Unavailable.
    """
    hasher = HashAlgorithm.SHA256.new()
    with open_source(path, "file") as source:
        for offset in range(0, source.size, _BLOCK):
            hasher.update(source.read(offset, min(_BLOCK, source.size - offset)))
    return hasher.hexdigest()


def recipe(path: Path) -> dict[str, Any]:
    """A recipe file as an external parameter."""
    return {"name": path.name, "digest": {"sha256": hash_file(path)}}


def code_material(text: str) -> ResourceDescriptor:
    """``git+https://host/path@COMMIT`` as a dependency.

    Raises:
        MalformedInput: not in this form; a branch or tag can move, so the commit is demanded.
    """
    uri, commit = split_repository(text)
    if commit is None or not _COMMIT.fullmatch(commit):
        raise MalformedInput(
            "code is named as git+https://host/repository@COMMIT, with the full commit",
            where=text[:200],
            hint="branches and tags can be moved to other commits",
            code="malformed-code",
        )
    return resource(CODE, {"gitCommit": commit}, uri=f"git+{uri}")


def container_material(text: str) -> ResourceDescriptor:
    """``registry/image[:tag]@sha256:…`` as a dependency.

    Raises:
        MalformedInput: no digest: a tag can be moved to another image.
    """
    image, _, digest = text.rpartition("@")
    digests = parse_digests(digest)
    if not image or digests is None or not image.isprintable() or " " in image:
        raise MalformedInput(
            "a container is named as REFERENCE@sha256:DIGEST",
            where=text[:200],
            hint="tags can be moved to other images",
            code="malformed-container",
        )
    return resource(CONTAINER, digests, name=image, uri=f"oci://{image}")
