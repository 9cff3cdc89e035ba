"""Where source came from: repository URIs in one spelling, and where each builder writes them.

Comparing URIs as text is how prefix and suffix attacks work (``github.com/org/repo-evil``,
``github.com/evil/github.com/org/repo``). So: an https repository URI is taken apart by one strict
expression, and what does not fit it is kept as it is and equals nothing but itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from attest.claim.buildtypes import CODE, own_build_type
from attest.claim.resources import ResourceDescriptor, read_resource
from attest.codec import jsonstrict

_REPOSITORY: Final = re.compile(
    r"(?P<git>git\+)?(?P<uri>https://[a-z0-9]+(?:[.-][a-z0-9]+)*(?::[0-9]{1,5})?"
    r"(?:/(?!\.{1,2}(?:[/@]|\Z))[A-Za-z0-9._~-]+)+)"
    r"(?:@(?P<ref>refs/[!-~]+|[!-?A-~]+))?"
)
"""Lower-case host, no user, query, fragment or escape, no empty or dotted segment. A reference may
hold ``@`` only below ``refs/`` (``refs/tags/@scope/package@1.0.0``)."""

_GITHUB_WORKFLOWS: Final = (
    "https://actions.github.io/buildtypes/workflow/v1",
    "https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1",
)
_GENERATOR: Final = (
    "https://github.com/slsa-framework/slsa-github-generator/",
    "https://slsa.dev/container-based-build/v0.1",
)
_GITLAB: Final = (
    "https://gitlab.com/gitlab-org/gitlab-runner/-/blob/",
    "https://docs.gitlab.com/ci/pipeline_security/slsa/provenance_v1",
)
_CLOUD_BUILD: Final = "https://cloudbuild.googleapis.com/CloudBuild"


@dataclass(frozen=True, slots=True)
class Source:
    """What was built, as the provenance says.

    Attributes:
        uri: ``https://host/path`` without ``git+`` and reference where it is a repository; else
            as it was written.
        ref: such as ``refs/tags/v1``; None where none was named.
        digests: of the commit, by ``gitCommit`` or ``sha1``.
    """

    uri: str
    ref: str | None = None
    digests: Mapping[str, str] = field(default_factory=dict)

    @property
    def commit(self) -> str | None:
        """Hex name of the commit, if exactly one was named."""
        named = {self.digests[name] for name in ("gitCommit", "sha1") if name in self.digests}
        return named.pop() if len(named) == 1 else None


def split_repository(text: str) -> tuple[str, str | None]:
    """URI and reference of a repository; anything else is returned as it is, without a reference.

    Only ``git+https`` URIs carry a reference: in others ``@`` is part of the path.
    """
    found = _REPOSITORY.fullmatch(text)
    if found is None or (found["ref"] is not None and found["git"] is None):
        return text, None
    return found["uri"], found["ref"]


def is_repository(text: str) -> bool:
    """Whether ``text`` is an https repository URI in the spelling that sources are compared in."""
    found = _REPOSITORY.fullmatch(text)
    return found is not None and found["git"] is None and found["ref"] is None


def source_of(uri: str, digests: Mapping[str, str], ref: str | None = None) -> Source:
    """A source from its URI, whose own reference must not differ from a separately given one."""
    repository, own_ref = split_repository(uri)
    if ref is not None and own_ref not in (None, ref):
        return Source(uri, None, digests)
    return Source(repository, ref or own_ref, digests)


def find_source(
    build_type: str, external: dict[str, Any], dependencies: Sequence[ResourceDescriptor]
) -> Source | None:
    """Source of a SLSA v1 provenance; None where the build type does not say, or is not known.

    Raises:
        MalformedInput: a parameter of a known build type has another type.
    """
    if own_build_type(build_type) is not None:
        return _only([each for each in dependencies if each.role == CODE])
    if build_type in _GITHUB_WORKFLOWS:
        return _github(external, dependencies)
    if build_type.startswith(_GITLAB):
        return _gitlab(external, dependencies)
    if build_type.startswith(_GENERATOR):
        return _generator(external, dependencies)
    return None


def find_entry_point(build_type: str, external: dict[str, Any]) -> str | None:
    """Workflow, job or script that the build started with; None where it is not said.

    Raises:
        MalformedInput: as for :func:`find_source`.
    """
    where = "externalParameters"
    if build_type in _GITHUB_WORKFLOWS:
        workflow = jsonstrict.member(external, "workflow", dict, where=where)
        return jsonstrict.optional(workflow, "path", str, where=f"{where}.workflow")
    if build_type.startswith(_GITLAB) or own_build_type(build_type) is not None:
        return jsonstrict.optional(external, "entryPoint", str, where=where)
    return None


def is_cloud_build(build_type: str) -> bool:
    """Google Cloud Build's first material is its source (v0.1 names it nowhere else)."""
    return build_type.startswith(_CLOUD_BUILD)


def commit_for_sha256(build_type: str, entry: dict[str, Any]) -> dict[str, Any]:
    """A resource as GitLab's runner writes it, with the commit under its right name.

    The runner writes git commits as ``{"sha256": <40 characters>}``: no SHA-256, and it would be
    refused as one.
    """
    digest = entry.get("digest")
    if not (build_type.startswith(_GITLAB) and isinstance(digest, dict) and len(digest) == 1):
        return entry
    value = digest.get("sha256")
    if isinstance(value, str) and len(value) == 40:
        return {**entry, "digest": {"gitCommit": value}}
    return entry


def _only(found: Sequence[ResourceDescriptor]) -> Source | None:
    """One source, or none: of several, none is *the* source."""
    if len(found) != 1 or found[0].uri is None:
        return None
    return source_of(found[0].uri, found[0].digests)


def _github(external: dict[str, Any], dependencies: Sequence[ResourceDescriptor]) -> Source:
    where = "externalParameters.workflow"
    workflow = jsonstrict.member(external, "workflow", dict, where="externalParameters")
    repository = jsonstrict.member(workflow, "repository", str, where=where)
    ref = jsonstrict.member(workflow, "ref", str, where=where)
    named = [each for each in dependencies if each.uri == f"git+{repository}@{ref}"]
    return source_of(repository, named[0].digests if len(named) == 1 else {}, ref)


def _gitlab(external: dict[str, Any], dependencies: Sequence[ResourceDescriptor]) -> Source | None:
    uri = jsonstrict.optional(external, "source", str, where="externalParameters")
    if uri is None:
        return None
    named = [each for each in dependencies if each.uri == uri]
    return source_of(uri, named[0].digests if len(named) == 1 else {})


def _generator(
    external: dict[str, Any], dependencies: Sequence[ResourceDescriptor]
) -> Source | None:
    """Container-based builds name their source; for delegated ones it is the first dependency."""
    where = "externalParameters.source"
    source = jsonstrict.optional(external, "source", dict, where="externalParameters")
    if source is not None:
        return _only([read_resource(source, where)])
    return _only(dependencies[:1])
