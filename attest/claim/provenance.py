"""SLSA provenance: who built an artifact, from what, and how.

Written: v1 (https://slsa.dev/provenance/v1) with the build types of
:mod:`attest.claim.buildtypes`. Read: v1, v0.2 and v0.1 (Google Cloud Build still writes it), all
brought into the one form of :class:`ProvenanceFacts`. Everything in a provenance is what its signer
says; a builder's id is worth what the trust in the signer is worth.

Of a build type that is not known the common members are read; its parameters are kept and not
interpreted, and it has no source. An own build type must be complete (``check_build``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from attest import limits
from attest.claim.buildtypes import check_build, own_build_type
from attest.claim.predicates import (
    PROVENANCE_PREDICATE,
    PROVENANCE_V01_PREDICATE,
    PROVENANCE_V02_PREDICATE,
)
from attest.claim.resources import (
    ResourceDescriptor,
    check_identified,
    read_resource,
    read_resources,
)
from attest.claim.sources import (
    Source,
    commit_for_sha256,
    find_entry_point,
    find_source,
    is_cloud_build,
    source_of,
)
from attest.claim.texts import write_time
from attest.codec import jsonstrict
from attest.codec.times import parse_time
from attest.errors import MalformedInput, TooLarge, Unsupported

SLSA_VERSIONS: Final[Mapping[str, str]] = {
    PROVENANCE_PREDICATE: "1",
    PROVENANCE_V02_PREDICATE: "0.2",
    PROVENANCE_V01_PREDICATE: "0.1",
}
"""Predicate type -> version of SLSA provenance, for all that are read."""


@dataclass(frozen=True, slots=True)
class ProvenanceFacts:
    """What a provenance says, whichever version it is written in.

    Attributes:
        slsa_version: ``1``, ``0.2`` or ``0.1``.
        builder_id: who ran the build.
        build_type: how to read the parameters.
        source: what was built; None where the build type does not say.
        entry_point: workflow, job or script.
        dependencies, byproducts: what went in (v0.2: materials) and what else came out.
        parameters: those that the builder's user controls.
        invocation_id: of the run, as the builder counts.
        started, finished: as the builder says.
    """

    slsa_version: str
    builder_id: str
    build_type: str
    source: Source | None = None
    entry_point: str | None = None
    dependencies: tuple[ResourceDescriptor, ...] = field(default=(), repr=False)
    byproducts: tuple[ResourceDescriptor, ...] = field(default=(), repr=False)
    parameters: Mapping[str, Any] = field(default_factory=dict, repr=False)
    invocation_id: str | None = None
    started: datetime | None = None
    finished: datetime | None = None

    @property
    def interpreted(self) -> bool:
        """Whether parameters and roles have the meaning of an own build type."""
        return own_build_type(self.build_type) is not None


@dataclass(frozen=True, slots=True)
class Provenance:
    """A provenance to be written, SLSA v1, of an own build type.

    Attributes:
        build_type: URI of an own build type.
        external_parameters: what :mod:`attest.claim.buildtypes` demands for it.
        dependencies, byproducts, builder_dependencies: each with a digest.
        builder_id: URI of who ran it.
        internal_parameters: set by the builder.
        builder_version: component -> version.
        started, finished: timezone-aware.

    Raises:
        MalformedInput: a dependency without digest, what the build type lacks.
        Unsupported: the build type is not ours to write.
    """

    build_type: str
    builder_id: str
    external_parameters: Mapping[str, Any]
    dependencies: tuple[ResourceDescriptor, ...] = field(repr=False)
    byproducts: tuple[ResourceDescriptor, ...] = field(default=(), repr=False)
    builder_dependencies: tuple[ResourceDescriptor, ...] = ()
    internal_parameters: Mapping[str, Any] = field(default_factory=dict)
    builder_version: Mapping[str, str] = field(default_factory=dict)
    invocation_id: str | None = None
    started: datetime | None = None
    finished: datetime | None = None

    def __post_init__(self) -> None:
        build = own_build_type(self.build_type)
        if build is None:
            raise Unsupported(
                f"the build type {self.build_type[:100]!r} is not ours to write",
                code="unknown-build-type",
            )
        _check_uri(self.builder_id, "builder.id")
        for moment in (self.started, self.finished):
            if moment is not None and moment.tzinfo is None:
                raise ValueError("times must be timezone-aware")
        if self.started and self.finished and self.finished < self.started:
            raise MalformedInput("finished before it started", code="times-contradict")
        check_identified(self.dependencies, "dependency")
        check_identified(self.builder_dependencies, "builder dependency")
        check_identified(self.byproducts, "byproduct")
        check_build(build, self.external_parameters, self.dependencies)

    def to_predicate(self) -> dict[str, Any]:
        """The predicate's members, in the order of the specification."""
        definition: dict[str, Any] = {
            "buildType": self.build_type,
            "externalParameters": dict(self.external_parameters),
            "resolvedDependencies": [each.to_json() for each in self.dependencies],
        }
        if self.internal_parameters:
            definition["internalParameters"] = dict(self.internal_parameters)
        builder: dict[str, Any] = {"id": self.builder_id}
        if self.builder_version:
            builder["version"] = dict(self.builder_version)
        if self.builder_dependencies:
            builder["builderDependencies"] = [each.to_json() for each in self.builder_dependencies]
        details: dict[str, Any] = {"builder": builder}
        if metadata := self._metadata():
            details["metadata"] = metadata
        if self.byproducts:
            details["byproducts"] = [each.to_json() for each in self.byproducts]
        return {"buildDefinition": definition, "runDetails": details}

    def _metadata(self) -> dict[str, str]:
        members = {
            "invocationId": self.invocation_id,
            "startedOn": self.started and write_time(self.started),
            "finishedOn": self.finished and write_time(self.finished),
        }
        return {key: value for key, value in members.items() if value}


def read_provenance(predicate_type: str, predicate: dict[str, Any]) -> ProvenanceFacts:
    """The facts of a provenance predicate.

    Args:
        predicate: as parsed; whoever signed it controls all of it.

    Raises:
        Unsupported: another predicate type.
        MalformedInput: not this predicate, or an own build type that is incomplete.
    """
    version = SLSA_VERSIONS.get(predicate_type)
    if version is None:
        raise Unsupported("not a SLSA provenance", code="unknown-predicate-type")
    return _read_v1(predicate) if version == "1" else _read_v0(predicate, version)


def _read_v1(predicate: dict[str, Any]) -> ProvenanceFacts:
    """SLSA v1.0, "Schema"."""
    place = "predicate.buildDefinition"
    definition = jsonstrict.member(predicate, "buildDefinition", dict, where="predicate")
    build_type = _uri(definition, "buildType", place)
    external = jsonstrict.member(definition, "externalParameters", dict, where=place)
    jsonstrict.optional(definition, "internalParameters", dict, where=place)
    dependencies = _resources(definition, "resolvedDependencies", build_type, place)
    run = "predicate.runDetails"
    details = jsonstrict.member(predicate, "runDetails", dict, where="predicate")
    builder = jsonstrict.member(details, "builder", dict, where=run)
    metadata = jsonstrict.optional(details, "metadata", dict, where=run) or {}
    own = own_build_type(build_type)
    if own is not None:
        check_identified(dependencies, "dependency")
        check_build(own, external, dependencies, where=f"{place}.externalParameters")
    return ProvenanceFacts(
        "1",
        _uri(builder, "id", f"{run}.builder"),
        build_type,
        find_source(build_type, external, dependencies),
        find_entry_point(build_type, external),
        dependencies,
        read_resources(details, "byproducts", where=run),
        external,
        jsonstrict.optional(metadata, "invocationId", str, where=f"{run}.metadata"),
        _time(metadata, "startedOn", f"{run}.metadata"),
        _time(metadata, "finishedOn", f"{run}.metadata"),
    )


def _read_v0(predicate: dict[str, Any], version: str) -> ProvenanceFacts:
    """SLSA v0.2, and v0.1, which calls the invocation a recipe."""
    where = "predicate"
    builder = jsonstrict.member(predicate, "builder", dict, where=where)
    how = "invocation" if version == "0.2" else "recipe"
    run = jsonstrict.optional(predicate, how, dict, where=where) or {}
    if version == "0.2":
        build_type = _uri(predicate, "buildType", where)
    else:
        build_type = _uri(run, "type", f"{where}.recipe")
    materials = _resources(predicate, "materials", build_type, where)
    metadata = jsonstrict.optional(predicate, "metadata", dict, where=where) or {}
    source, entry_point = _source_v0(run, version, build_type, materials, f"{where}.{how}")
    parameters = "parameters" if version == "0.2" else "arguments"
    given = run.get(parameters)
    return ProvenanceFacts(
        version,
        _uri(builder, "id", f"{where}.builder"),
        build_type,
        source,
        entry_point,
        materials,
        (),
        given if isinstance(given, dict) else {},
        jsonstrict.optional(metadata, "buildInvocationId", str, where=f"{where}.metadata")
        or jsonstrict.optional(metadata, "buildInvocationID", str, where=f"{where}.metadata"),
        _time(metadata, "buildStartedOn", f"{where}.metadata"),
        _time(metadata, "buildFinishedOn", f"{where}.metadata"),
    )


def _source_v0(
    run: dict[str, Any],
    version: str,
    build_type: str,
    materials: tuple[ResourceDescriptor, ...],
    where: str,
) -> tuple[Source | None, str | None]:
    """Source and entry point: v0.2 has a member for it, v0.1 an index into the materials."""
    if version == "0.2":
        config = jsonstrict.optional(run, "configSource", dict, where=where) or {}
        place = f"{where}.configSource"
        entry_point = jsonstrict.optional(config, "entryPoint", str, where=place)
        if not config.get("uri"):
            return None, entry_point
        read = read_resource(commit_for_sha256(build_type, config), place)
        return source_of(read.uri or "", read.digests), entry_point
    entry_point = jsonstrict.optional(run, "entryPoint", str, where=where)
    index = _index(run, where)
    if index is None and is_cloud_build(build_type):
        index = 0
    if index is None or not 0 <= index < len(materials) or materials[index].uri is None:
        return None, entry_point
    return source_of(materials[index].uri or "", materials[index].digests), entry_point


def _index(run: dict[str, Any], where: str) -> int | None:
    """``definedInMaterial``. Google writes it as text, as protobuf's JSON does, and -1 for none."""
    value = run.get("definedInMaterial")
    if isinstance(value, str) and re.fullmatch(r"-1|0|[1-9][0-9]{0,5}", value):
        value = int(value)
    return (
        None
        if value in (None, -1)
        else jsonstrict.typed(value, int, where=f"{where}.definedInMaterial")
    )


def _resources(
    holder: dict[str, Any], key: str, build_type: str, where: str
) -> tuple[ResourceDescriptor, ...]:
    listed = jsonstrict.optional(holder, key, list, where=where) or []
    renamed = [
        commit_for_sha256(build_type, entry) if isinstance(entry, dict) else entry
        for entry in listed
    ]
    return read_resources({key: renamed}, key, where=where)


def _uri(holder: dict[str, Any], key: str, where: str) -> str:
    text = jsonstrict.member(holder, key, str, where=where)
    _check_uri(text, f"{where}.{key}")
    return text


def _check_uri(text: str, where: str) -> None:
    """A name that is compared as text: not empty, nothing that does not print."""
    if len(text) > limits.MAX_CLAIM_TEXT:
        raise TooLarge(f"has {len(text)} characters", where=where)
    if not text or not text.isprintable() or " " in text:
        raise MalformedInput("is no URI", where=where, code="malformed-uri")


def _time(holder: dict[str, Any], key: str, where: str) -> datetime | None:
    text = jsonstrict.optional(holder, key, str, where=where)
    return None if text is None else parse_time(text, where=f"{where}.{key}")
