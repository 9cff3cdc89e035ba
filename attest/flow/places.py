"""Where signing may write: found out before terabytes are hashed, and never over anything else.

A file that is there is replaced only if it is what would be written there: a signature by a
signature, a claims file by the same with a line more. A mistyped ``--signature`` must not cost a
key, a firmware image or a device node.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attest import limits
from attest.artifact.names import default_signature, relative_inside
from attest.claim.store import split_claims
from attest.codec.bundle import ChainMaterial, KeyMaterial, UnverifiedBundle
from attest.codec.dsse import UnverifiedEnvelope
from attest.codec.signature import parse_signature
from attest.errors import AttestError, MalformedInput, Unavailable
from attest.files import read_bounded

if TYPE_CHECKING:
    from attest.crypto.signer import Signer


def check_signature_place(target: Path, signers: Sequence[Signer], *, replace: bool) -> None:
    """Refuse a target that cannot be written, that holds something other than a signature, or a
    signature by somebody else.

    Args:
        signers: who is about to sign. Whose signature is there is taken from its hints: they are
            unverified, and enough to keep a mistake from happening.
        replace: overwrite a signature by anybody.

    Raises:
        Unavailable: ``file-unwritable``, ``not-a-signature`` or ``signature-by-another``.
    """
    if not _exists_as_file(target):
        return
    try:
        there = parse_signature(read_bounded(target, limits.MAX_BUNDLE_BYTES, "signature"))
    except AttestError as error:
        raise Unavailable(
            f"is no signature ({error.message}), and is not overwritten",
            where=str(target),
            hint="name another file, or move this one away",
            code="not-a-signature",
        ) from None
    if not replace and not _is_by(there, signers):
        raise Unavailable(
            "is a signature by somebody else, and is not overwritten",
            where=str(target),
            hint="keep it and name another file (--signature), or overwrite it (--replace)",
            code="signature-by-another",
        )


def _is_by(there: UnverifiedBundle | UnverifiedEnvelope, signers: Sequence[Signer]) -> bool:
    """Whether one of these signers seems to have made it; a bundle without a hint is nobody's."""
    own = {signer.public_key.fingerprint for signer in signers}
    if isinstance(there, UnverifiedEnvelope):
        return any(signature.keyid in own for signature in there.signatures)
    match there.material:
        case KeyMaterial():
            return there.material.hint in own
        case ChainMaterial():
            leaves = {signer.chain[0] for signer in signers if signer.chain}
            return there.material.certificates[0] in leaves
        case _:
            return False


def default_signatures(path: Path) -> tuple[Path, Path]:
    """Where the signature of ``path`` may lie: as a bundle, as an envelope."""
    return default_signature(path, envelope=False), default_signature(path, envelope=True)


def check_claims_place(path: Path, claims: Path, *signatures: Path) -> None:
    """Refuse a claims file inside the artifact, or one that is something else.

    A torn last line is allowed: the writer repairs it.

    Raises:
        MalformedInput: ``claims-inside``.
        Unavailable: ``file-unwritable`` or ``not-a-claims-file``.
    """
    if path.is_dir() and relative_inside(path, claims) is not None:
        raise MalformedInput(
            "a claims file inside the artifact would be an unsigned file in a signed model",
            where=str(claims),
            code="claims-inside",
        )
    if os.path.realpath(claims) in map(os.path.realpath, signatures):
        raise Unavailable(
            "signature and claims need a file each", where=str(claims), code="not-a-claims-file"
        )
    if not _exists_as_file(claims):
        return
    data = read_bounded(claims, limits.MAX_BUNDLE_BYTES, "claims file")
    whole = data[: data.rfind(b"\n") + 1]
    try:
        for line in split_claims(whole):
            parse_signature(line)
        torn = data[len(whole) :]
        if torn and not torn.startswith(b"{"):
            raise MalformedInput("its last line is no claim")
    except AttestError as error:
        raise Unavailable(
            f"is no claims file ({error.message}), and is not appended to",
            where=str(claims),
            hint="name another file, or move this one away",
            code="not-a-claims-file",
        ) from None


def check_journal_place(path: Path, journal: Path) -> None:
    """Refuse a journal inside the artifact.

    Raises:
        MalformedInput: ``journal-inside``.
    """
    if path.is_dir() and relative_inside(path, journal) is not None:
        raise MalformedInput(
            "a journal inside the artifact would be signed, and is removed afterwards",
            where=str(journal),
            code="journal-inside",
        )


def check_no_folder(place: Path) -> None:
    """What has a signature's name is left out of the signature: it must not be a folder."""
    if os.path.isdir(place):
        raise Unavailable("is a folder", where=str(place), code="file-unwritable")


def _exists_as_file(target: Path) -> bool:
    """Whether a plain file is there; its folder must be writable either way."""
    check_no_folder(target)
    folder = target.parent
    if not folder.is_dir():
        raise Unavailable("folder does not exist", where=str(folder), code="file-unwritable")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Unavailable("folder is not writable", where=str(folder), code="file-unwritable")
    try:
        mode = target.lstat().st_mode
    except OSError:
        return False  # nothing there, or a name that writing will refuse by itself
    if not stat.S_ISREG(mode):
        raise Unavailable(
            "is no plain file, and is not replaced", where=str(target), code="file-unwritable"
        )
    return True
