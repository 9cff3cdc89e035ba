"""What a provenance is expected to say, and whether it does.

An expectation that was stated is met, or it refuses: a provenance that is silent about it refuses
like one that says something else. Comparison is exact, on the one spelling of
:mod:`attest.claim.sources`; there are no prefixes, suffixes or patterns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from attest.claim.provenance import ProvenanceFacts
from attest.claim.sources import is_repository, split_repository
from attest.verdict import Finding, Severity

_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_VERSION: Final = re.compile(r"v?(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){0,2}")


@dataclass(frozen=True, slots=True)
class Expectations:
    """What must hold. A builder is always expected: without one, anybody's build would do.

    Attributes:
        builder_id: the builder's URI, exactly.
        source_uri: ``https://host/path``, also as ``git+https://…`` or without a scheme.
        source_ref: such as ``refs/heads/main``, exactly.
        version: a release tag as semantic version or a leading part of one: ``v13`` is met by
            the tag ``v13.0.30``, and not by ``v1`` or ``v130``.
        source_commit: hex name of the commit.
        build_type: URI, exactly.

    Raises:
        ValueError: empty, or not in such a form.
    """

    builder_id: str
    source_uri: str | None = None
    source_ref: str | None = None
    version: str | None = None
    source_commit: str | None = None
    build_type: str | None = None

    def __post_init__(self) -> None:
        for text in (self.builder_id, self.source_ref, self.build_type):
            if text is not None and not text.strip():
                raise ValueError("an empty text expects nothing")
        if self.source_uri is not None:
            object.__setattr__(self, "source_uri", normal_source(self.source_uri))
        if self.version is not None and not _VERSION.fullmatch(self.version):
            raise ValueError(f"{self.version!r} is no version such as v1, v1.2 or v1.2.3")
        if self.source_commit is not None and not _COMMIT.fullmatch(self.source_commit):
            raise ValueError("a commit has 40 or 64 lower-case hexadecimal characters")

    def to_inputs(self) -> dict[str, str]:
        """What was asked for, for the verdict's ``inputs``."""
        members = {
            "builderId": self.builder_id,
            "sourceUri": self.source_uri,
            "sourceRef": self.source_ref,
            "version": self.version,
            "sourceCommit": self.source_commit,
            "buildType": self.build_type,
        }
        return {key: value for key, value in members.items() if value is not None}


def normal_source(text: str) -> str:
    """The spelling that a source is compared in.

    Raises:
        ValueError: a reference is appended, or it is neither a repository nor another URI.
    """
    uri, ref = split_repository(text)
    if ref is not None:
        raise ValueError("give the reference as an expectation of its own, not behind '@'")
    if "://" not in uri and is_repository(f"https://{uri}"):
        return f"https://{uri}"
    if is_repository(uri):
        return uri
    if uri.startswith(("https:", "git+https:")) or "://" not in uri:
        raise ValueError(f"{text!r} is no repository such as https://github.com/org/repo")
    return uri


def check_expectations(
    facts: ProvenanceFacts, expected: Expectations, *, where: str
) -> Iterator[Finding]:
    """One finding for each expectation, in the order builder, build type, source."""
    uri = ref = commit = None
    if facts.source is not None:
        uri, ref, commit = facts.source.uri, facts.source.ref, facts.source.commit
    yield _compare("builder", expected.builder_id, facts.builder_id, where)
    if expected.build_type is not None:
        yield _compare("build-type", expected.build_type, facts.build_type, where)
    if expected.source_uri is not None:
        yield _compare("source", expected.source_uri, uri, where)
    if expected.source_ref is not None:
        yield _compare("source-ref", expected.source_ref, ref, where)
    if expected.version is not None:
        yield _version(expected.version, ref, where)
    if expected.source_commit is not None:
        yield _compare("source-commit", expected.source_commit, commit, where)


def _compare(what: str, expected: str, said: str | None, where: str) -> Finding:
    noun = what.replace("-", " ")
    if said is None:
        return Finding(
            f"{what}-absent",
            Severity.FAIL,
            f"the provenance names no {noun}, and {expected!r} was expected",
            where=where,
            hint="a build type that is not known here has no source",
        )
    if said != expected:
        message = f"the {noun} is {said[:300]!r}, not {expected!r}"
        return Finding(f"{what}-mismatch", Severity.FAIL, message, where=where)
    return Finding(f"{what}-matches", Severity.PASS, f"the {noun} is {said}", where=where)


def _version(expected: str, ref: str | None, where: str) -> Finding:
    """Part by part, so that ``v1`` is not met by ``v13``."""
    prefix = "refs/tags/"
    tag = ref.removeprefix(prefix) if ref is not None and ref.startswith(prefix) else None
    if tag is None:
        return _compare("source-tag", expected, None, where)
    wanted, found = expected.removeprefix("v").split("."), tag.removeprefix("v").split(".")
    if _VERSION.fullmatch(tag) and found[: len(wanted)] == wanted:
        return Finding("source-tag-matches", Severity.PASS, f"the tag is {tag}", where=where)
    message = f"the tag {tag[:300]!r} is no release of {expected!r}"
    return Finding("source-tag-mismatch", Severity.FAIL, message, where=where)
