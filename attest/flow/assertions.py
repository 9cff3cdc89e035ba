"""What each kind of claim says about where things come from.

Read: SLSA provenance (v1, v0.2, v0.1), in-toto links, results of in-toto layouts, dataset cards,
artifact claims. Any other claim only says that its subject is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from attest import limits
from attest.claim.artifact import read_artifact_claim
from attest.claim.dataset import read_dataset
from attest.claim.layout import read_layout_result
from attest.claim.mentions import Assertion, Mention, digest_pairs
from attest.claim.predicates import (
    ARTIFACT_PREDICATE,
    DATASET_PREDICATE,
    LAYOUT_PREDICATE,
    LINK_PREDICATE,
    PROVENANCE_PREDICATE,
    PROVENANCE_V01_PREDICATE,
    PROVENANCE_V02_PREDICATE,
)
from attest.claim.resources import ROLE, ResourceDescriptor
from attest.codec import jsonstrict
from attest.codec.statement import Statement
from attest.errors import AttestError, MalformedInput, TooLarge
from attest.flow.claimset import VerifiedClaim
from attest.verdict import Finding, Severity

_MAX_NAME: Final = limits.MAX_CLAIM_TEXT
_MAX_ROLE: Final = 64
_CONTAINERS: Final = ("docker:", "oci:", "pkg:docker/", "pkg:oci/")


class _Resource(NamedTuple):
    """A thing that a predicate names. Digests are as they were written."""

    digests: Mapping[str, Any]
    name: str
    uri: str
    role: str


@dataclass(frozen=True, slots=True)
class _Said:
    """What a predicate says.

    Attributes:
        kind: of the subjects.
        inputs: what they were made from.
        byproducts: what else came out.
        passed_on: an input may come out unchanged, and is then no input.
    """

    kind: str = ""
    inputs: Sequence[_Resource] = ()
    byproducts: Sequence[_Resource] = ()
    passed_on: bool = False


class Assertions:
    """Reads claims, and keeps what many of them mention once.

    Attributes:
        findings: claims that count and could not be understood.
    """

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self._shared: dict[Any, Any] = {}
        self._mentions: dict[Any, Mention] = {}

    def read(self, claim: VerifiedClaim, where: str) -> Assertion:
        """What a verified claim says. A malformed predicate says only what it is about."""
        statement, said = claim.statement, _Said()
        reader = _READERS.get(statement.predicate_type)
        try:
            said = said if reader is None else reader(statement)
        except AttestError as error:
            self.findings.append(_not_understood(error, where))
        outputs = [
            self._mention(_Resource(each.digests, each.name, "", "")) for each in statement.subjects
        ]
        inputs = [self._mention(each) for each in said.inputs]
        if said.passed_on:
            passed = {pair for each in outputs for pair in each.digests}
            inputs = [each for each in inputs if passed.isdisjoint(each.digests)]
        outputs += [self._mention(each) for each in said.byproducts]
        return Assertion(
            claim.id,
            self._once(statement.predicate_type),
            where,
            self._once(tuple(sorted(claim.principals))),
            self._once(tuple(sorted({each.fingerprint for each in claim.signers}))),
            tuple(outputs),
            tuple(inputs),
            said.kind,
        )

    def _mention(self, resource: _Resource) -> Mention:
        digests, name, uri, role = resource
        try:
            key = (name, uri, role, *digests.items())
            known = self._mentions.get(key)
        except TypeError:  # a value that is no text: it identifies nothing
            digests = {each: value for each, value in digests.items() if isinstance(value, str)}
            return self._mention(_Resource(digests, name, uri, role))
        if known is None:
            pairs = self._once(digest_pairs(digests, git=_in_git(uri)))
            known = self._mentions[key] = Mention(pairs, name or uri, role)
        return known

    def _once(self, value: Any) -> Any:
        """The first value that was equal to this one."""
        return self._shared.setdefault(value, value)


def _provenance(statement: Statement) -> _Said:
    """SLSA v1, or an older one with materials. Only what went in and came out is read here: the
    rest is :mod:`attest.claim.provenance`'s, and takes five times as long."""
    predicate, where = statement.predicate, "predicate"
    if statement.predicate_type != PROVENANCE_PREDICATE:
        return _Said("", _resources(predicate, "materials", where, "dependency"))
    definition = jsonstrict.member(predicate, "buildDefinition", dict, where=where)
    place = f"{where}.buildDefinition"
    inputs = _resources(definition, "resolvedDependencies", place, "dependency")
    details = jsonstrict.optional(predicate, "runDetails", dict, where=where) or {}
    made = _resources(details, "byproducts", f"{where}.runDetails", "byproduct")
    return _Said("", inputs, [each for each in made if each.digests])


def _link(statement: Statement) -> _Said:
    """in-toto link v0.3: the subjects are the products."""
    materials = _resources(statement.predicate, "materials", "predicate", "material")
    return _Said("", materials, (), True)


def _layout_result(statement: Statement) -> _Said:
    result = read_layout_result(statement.predicate)
    return _Said("", [_described(each, "material") for each in result.materials], (), True)


def _dataset(statement: Statement) -> _Said:
    """A dataset card: its sources, the tools of its steps; what the steps passed on came out."""
    card = read_dataset(statement.predicate)
    inputs = [_described(source.resource, "dataset") for source in card.sources]
    steps = card.transformations
    inputs += [_described(step.tool, "tool") for step in steps if step.tool is not None]
    between = [_described(step.output, "byproduct") for step in steps if step.output is not None]
    return _Said("dataset", inputs, between, True)


def _artifact(statement: Statement) -> _Said:
    return _Said(read_artifact_claim(statement.predicate).kind)


_READERS: Final[Mapping[str, Callable[[Statement], _Said]]] = {
    ARTIFACT_PREDICATE: _artifact,
    DATASET_PREDICATE: _dataset,
    LAYOUT_PREDICATE: _layout_result,
    LINK_PREDICATE: _link,
    PROVENANCE_PREDICATE: _provenance,
    PROVENANCE_V01_PREDICATE: _provenance,
    PROVENANCE_V02_PREDICATE: _provenance,
}


def _resources(holder: dict[str, Any], key: str, where: str, otherwise: str) -> list[_Resource]:
    """The resource descriptors in ``holder[key]`` that name anything.

    Raises:
        MalformedInput: something else is there.
    """
    listed = jsonstrict.optional(holder, key, list, where=where) or []
    if len(listed) > limits.MAX_RESOURCES:
        raise TooLarge(f"has {len(listed)} entries", where=f"{where}.{key}")
    found = []
    for index, entry in enumerate(listed):
        try:
            resource = _read(entry, otherwise)
        except (AttributeError, TypeError):
            raise MalformedInput(
                "is no resource descriptor", where=f"{where}.{key}[{index}]", code="wrong-type"
            ) from None
        if resource.digests or resource.name or resource.uri:
            found.append(resource)
    return found


def _read(entry: Any, otherwise: str) -> _Resource:
    """One descriptor; AttributeError or TypeError where it is none."""
    digests = entry.get("digest") or {}
    name, uri = entry.get("name") or "", entry.get("uri") or ""
    said = (entry.get("annotations") or {}).get(ROLE)
    if not (isinstance(digests, dict) and isinstance(name, str) and isinstance(uri, str)):
        raise TypeError
    wrong = digests.get("sha256")
    if isinstance(wrong, str) and len(wrong) == 40 and len(digests) == 1:
        digests = {"gitCommit": wrong}  # GitLab's runner writes commits so
    role = said if isinstance(said, str) and said else _role(digests, uri, otherwise)
    return _Resource(digests, name[:_MAX_NAME], uri[:_MAX_NAME], role[:_MAX_ROLE])


def _described(each: ResourceDescriptor, otherwise: str) -> _Resource:
    uri = each.uri or ""
    role = each.role or _role(each.digests, uri, otherwise)
    return _Resource(each.digests, each.name or "", uri, role[:_MAX_ROLE])


def _role(digests: Mapping[str, Any], uri: str, otherwise: str) -> str:
    """What a dependency was used as, by where it comes from."""
    if "gitCommit" in digests or _in_git(uri):
        return "code"
    return "container" if uri.startswith(_CONTAINERS) else otherwise


def _in_git(uri: str) -> bool:
    return uri.startswith(("git+", "git:"))


def _not_understood(error: AttestError, where: str) -> Finding:
    return Finding(
        "claim-not-understood",
        Severity.WARN,
        f"what it says of where things come from is not known: {error}",
        where,
        details={"reason": error.code},
    )
