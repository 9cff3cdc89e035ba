"""The build types of this project: what their external parameters must say.

A build type defines what ``externalParameters`` of a SLSA provenance mean (SLSA v1, "Build model").
Those of others are read and not interpreted beyond their source; see
:mod:`attest.claim.provenance`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from attest import limits
from attest.claim.resources import ResourceDescriptor, read_resource
from attest.codec import jsonstrict
from attest.errors import MalformedInput

PREFIX: Final = "urn:attest-toolkit:build:"

DATASET: Final = "dataset"
BASE_MODEL: Final = "base-model"
CODE: Final = "code"
CONTAINER: Final = "container"
NODE_ATTESTATION: Final = "node-attestation"
ROLES: Final = (DATASET, BASE_MODEL, CODE, CONTAINER, NODE_ATTESTATION)
"""Parts that a dependency can play. Others may be named; they mean nothing here."""


@dataclass(frozen=True, slots=True)
class BuildType:
    """One build type.

    Attributes:
        name: as on the command line.
        required, optional: external parameters beside ``recipe`` -> their JSON type.
        roles: at least one dependency must play each of them.
    """

    name: str
    required: Mapping[str, type] = field(default_factory=dict)
    optional: Mapping[str, type] = field(default_factory=dict)
    roles: tuple[str, ...] = ()

    @property
    def uri(self) -> str:
        return f"{PREFIX}{self.name}:v1"


_COMMON: Final[Mapping[str, type]] = {
    "seed": int,
    "hyperparameters": dict,
    "entryPoint": str,
    "arguments": list,
}

BUILD_TYPES: Final[Mapping[str, BuildType]] = {
    each.name: each
    for each in (
        BuildType("training", optional=_COMMON, roles=(DATASET,)),
        BuildType("fine-tuning", optional={**_COMMON, "method": str}, roles=(BASE_MODEL, DATASET)),
        BuildType(
            "quantisation",
            required={"scheme": str},
            optional={**_COMMON, "calibration": dict},
            roles=(BASE_MODEL,),
        ),
        BuildType(
            "conversion",
            required={"sourceFormat": str, "targetFormat": str},
            optional=_COMMON,
            roles=(BASE_MODEL,),
        ),
        BuildType(
            "firmware",
            required={"target": str},
            optional={**_COMMON, "version": str},
            roles=(CODE,),
        ),
    )
}
"""By name on the command line."""

_BY_URI: Final = {each.uri: each for each in BUILD_TYPES.values()}


def own_build_type(uri: str) -> BuildType | None:
    """The build type of this project with this URI, or None for those of others."""
    return _BY_URI.get(uri)


def check_build(
    build: BuildType,
    external: Mapping[str, Any],
    dependencies: Iterable[ResourceDescriptor],
    *,
    where: str = "externalParameters",
) -> None:
    """Whether parameters and dependencies are what the build type demands.

    Checks: 1. the recipe, by digest or inline; 2. required parameters; 3. types of all known
    parameters; 4. a dependency in each role that such a build cannot do without.

    Raises:
        MalformedInput: what is missing or of another type; others are ignored.
    """
    parameters = dict(external)
    check_recipe(jsonstrict.member(parameters, "recipe", dict, where=where), f"{where}.recipe")
    for name, kind in build.required.items():
        value = jsonstrict.member(parameters, name, kind, where=where)
        if kind is str:
            _check_text(value, f"{where}.{name}")
    for name, kind in build.optional.items():
        jsonstrict.optional(parameters, name, kind, where=where)
    seed = parameters.get("seed")
    if seed is not None and not 0 <= seed < 1 << 64:
        raise MalformedInput("is not between 0 and 2^64-1", where=f"{where}.seed", code="bad-seed")
    for argument in parameters.get("arguments") or ():
        jsonstrict.typed(argument, str, where=f"{where}.arguments")
    played = {each.role for each in dependencies}
    for role in build.roles:
        if role not in played:
            raise MalformedInput(
                f"a {build.name} provenance names no {role}",
                hint=f"name every {role} that went in, by digest",
                code="missing-dependency",
            )


def check_recipe(recipe: dict[str, Any], where: str) -> None:
    """A recipe is a resource with a digest, or ``{"inline": {…}}``; exactly one of the two.

    Raises:
        MalformedInput: ``malformed-recipe`` or what is wrong with the digest.
    """
    if ("inline" in recipe) is ("digest" in recipe):
        raise MalformedInput(
            "needs exactly one of inline and digest", where=where, code="malformed-recipe"
        )
    if "inline" in recipe:
        if not jsonstrict.member(recipe, "inline", dict, where=where):
            raise MalformedInput("is empty", where=where, code="malformed-recipe")
    elif not read_resource(recipe, where).identified:
        raise MalformedInput(
            "has no digest that identifies it", where=where, code="dependency-without-digest"
        )


def _check_text(value: str, where: str) -> None:
    if not 0 < len(value) <= limits.MAX_CLAIM_TEXT:
        raise MalformedInput("is empty or too long", where=where, code="wrong-length")
