"""What changed between two BOMs, by anybody, about releases of one thing.

Components are paired in rounds, each over what the one before left: the same purl; the same purl
without its version; the same type, group and name; the same ``bom-ref``; the same content, for what
has none of these. ``metadata.component`` is paired with ``metadata.component``. Of several that
share a key, those with the same version and hashes are paired first, the rest in their order.

Of a pair, what is compared is what a reviewer of a release asks about: version, hashes, licences,
identity and producer, the facts of the model card, data, and properties. Nothing is weighed: a
difference is a difference. Linear in the size of the BOMs.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

_PLAIN: Final = (
    "type", "version", "purl", "cpe", "name", "group", "publisher", "author", "description",
    "copyright", "scope", "mime-type", "swhid", "omniborId", "versionRange", "isExternal",
)  # fmt: skip
"""Members that are compared as they are."""
_DEEP: Final = (
    "supplier", "manufacturer", "authors", "modelCard", "data", "pedigree", "externalReferences",
    "evidence", "releaseNotes", "swid", "cryptoProperties", "tags",
)  # fmt: skip
"""Members that are compared leaf by leaf."""
_MOST_TEXT: Final = 500


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two components.

    Attributes:
        field: member path (``modelCard.modelParameters.task``), ``hashes.SHA-256``, ``licenses``,
            or ``properties.<name>``.
        before, after: as text, None where it is absent; long ones are cut.
    """

    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class ComponentDiff:
    """A component in both with differences."""

    label: str
    type: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class BomDiff:
    """Everything that differs.

    Attributes:
        subject: of ``metadata.component``, or None where it is the same.
        added, removed: (type, label) of components.
        changed: components in both.
        dependencies_added, dependencies_removed: (from, to) labels.
        vulnerabilities_added, vulnerabilities_removed: (id, label of what it affects).
        vulnerabilities_changed: the same with the change of state.
        document: changes of the document itself (format version, tools, authors).
        unchanged: components that are the same in both.
    """

    subject: ComponentDiff | None
    added: tuple[tuple[str, str], ...]
    removed: tuple[tuple[str, str], ...]
    changed: tuple[ComponentDiff, ...]
    dependencies_added: tuple[tuple[str, str], ...]
    dependencies_removed: tuple[tuple[str, str], ...]
    vulnerabilities_added: tuple[tuple[str, str], ...]
    vulnerabilities_removed: tuple[tuple[str, str], ...]
    vulnerabilities_changed: tuple[tuple[str, str, Change], ...]
    document: tuple[Change, ...]
    unchanged: int

    @property
    def same(self) -> bool:
        """Whether nothing that is compared differs."""
        return self.counts() == {}

    def counts(self) -> dict[str, int]:
        """How many differences of each kind; kinds without one are left out."""
        counted = {
            "subject": len(self.subject.changes) if self.subject else 0,
            "added": len(self.added),
            "removed": len(self.removed),
            "changed": len(self.changed),
            "dependencies-added": len(self.dependencies_added),
            "dependencies-removed": len(self.dependencies_removed),
            "vulnerabilities-added": len(self.vulnerabilities_added),
            "vulnerabilities-removed": len(self.vulnerabilities_removed),
            "vulnerabilities-changed": len(self.vulnerabilities_changed),
            "document": len(self.document),
        }
        return {kind: number for kind, number in counted.items() if number}


def diff_boms(before: dict[str, Any], after: dict[str, Any]) -> BomDiff:
    """Compare two BOMs.

    Args:
        before, after: parsed CycloneDX documents (:func:`attest.codec.boms.parse_bom`); whoever
            sent them controls every member. Members of wrong types are passed over.
    """
    old, new = _Side(before), _Side(after)
    pairs = _pair(old.components, new.components)
    names = _names(pairs, old, new)
    changed = [_compare(one, other) for one, other in pairs]
    subject = None
    if old.subject is not None or new.subject is not None:
        subject = _compare(old.subject or {}, new.subject or {})
    old_edges, new_edges = set(_edges(old, names[0])), set(_edges(new, names[1]))
    old_found, new_found = _vulnerabilities(old, names[0]), _vulnerabilities(new, names[1])
    left_old, left_new = _unpaired(old, pairs, 0), _unpaired(new, pairs, 1)
    differing = [each for each in changed if each.changes]
    return BomDiff(
        subject=subject if subject and subject.changes else None,
        added=tuple(sorted((_kind(each), _label(each)) for each in left_new)),
        removed=tuple(sorted((_kind(each), _label(each)) for each in left_old)),
        changed=tuple(sorted(differing, key=lambda each: (each.type, each.label))),
        dependencies_added=tuple(sorted(new_edges - old_edges)),
        dependencies_removed=tuple(sorted(old_edges - new_edges)),
        vulnerabilities_added=tuple(sorted(new_found.keys() - old_found.keys())),
        vulnerabilities_removed=tuple(sorted(old_found.keys() - new_found.keys())),
        vulnerabilities_changed=tuple(_state_changes(old_found, new_found)),
        document=tuple(_changes(dict(_document(before)), dict(_document(after)))),
        unchanged=len(changed) - len(differing),
    )


# -- pairing -------------------------------------------------------------------------------------


class _Side:
    """One of the two BOMs: its subject and its components, nested ones included."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        metadata = _dict(document.get("metadata"))
        subject = metadata.get("component")
        self.subject = subject if isinstance(subject, dict) else None
        self.components: list[dict[str, Any]] = []
        waiting = [*_dicts(document.get("components"))]
        if self.subject is not None:
            waiting += _dicts(self.subject.get("components"))
        for each in waiting:  # grows while it is read: no depth is trusted
            self.components.append(each)
            waiting += _dicts(each.get("components"))


_Key = Callable[[dict[str, Any]], Hashable | None]


def _pair(
    old: list[dict[str, Any]], new: list[dict[str, Any]]
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Rounds of matching; each component is in at most one pair."""
    pairs: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for key in (_exact, _purl, _unversioned, _named, _ref, _json):
        matched = list(_round(old, new, key))
        pairs += matched
        used = {id(each) for pair in matched for each in pair}
        old = [each for each in old if id(each) not in used]
        new = [each for each in new if id(each) not in used]
    return pairs


def _round(
    old: list[dict[str, Any]], new: list[dict[str, Any]], key: _Key
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    waiting: dict[Hashable, list[dict[str, Any]]] = defaultdict(list)
    for each in reversed(new):
        found = key(each)
        if found is not None:
            waiting[found].append(each)
    for each in old:
        found = key(each)
        if found is not None and waiting.get(found):
            yield each, waiting[found].pop()


def _exact(component: dict[str, Any]) -> Hashable | None:
    """What is the same in both is paired first, so that duplicates do not pair crosswise."""
    identity = _purl(component)
    if identity is None:
        identity = _named(component)
    if identity is None:
        return None
    hashes = tuple(sorted(_hashes(component)))
    return identity, _text(component.get("version")), hashes


def _purl(component: dict[str, Any]) -> Hashable | None:
    return _text(component.get("purl"))


def _unversioned(component: dict[str, Any]) -> Hashable | None:
    """``pkg:npm/%40a/b@1.2?x=y`` without ``@1.2``. An ``@`` of a name is escaped in a purl."""
    purl = _text(component.get("purl"))
    if purl is None:
        return None
    end = min(at for at in (purl.find("?"), purl.find("#"), len(purl)) if at >= 0)
    body, rest = purl[:end], purl[end:]
    at = body.rfind("@")
    return (body[:at] if at > body.rfind("/") else body) + rest


def _named(component: dict[str, Any]) -> Hashable | None:
    name = _text(component.get("name"))
    return None if name is None else (_kind(component), _text(component.get("group")), name)


def _ref(component: dict[str, Any]) -> Hashable | None:
    return _text(component.get("bom-ref"))


def _unpaired(
    side: _Side, pairs: list[tuple[dict[str, Any], dict[str, Any]]], which: int
) -> list[dict[str, Any]]:
    used = {id(pair[which]) for pair in pairs}
    return [each for each in side.components if id(each) not in used]


# -- comparing -----------------------------------------------------------------------------------


def _compare(old: dict[str, Any], new: dict[str, Any]) -> ComponentDiff:
    chosen = new or old
    if old == new:
        return ComponentDiff(_label(chosen), _kind(chosen), ())
    changes = tuple(_changes(dict(_fields(old)), dict(_fields(new))))
    return ComponentDiff(_label(chosen), _kind(chosen), changes)


def _changes(old: dict[str, str], new: dict[str, str]) -> Iterator[Change]:
    for field in dict.fromkeys((*old, *new)):
        if old.get(field) != new.get(field):
            yield Change(field, _cut(old.get(field)), _cut(new.get(field)))


def _fields(component: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What is compared of a component, as texts."""
    for name in _PLAIN:
        value = component.get(name)
        if value is not None and value != "":
            yield name, value if isinstance(value, str) else _json(value)
    yield from _joined("hashes", _hashes(component))
    licences = sorted(_licences(component))
    if licences:
        yield "licenses", ", ".join(licences)
    for name in _DEEP:
        if name in component:
            yield from _leaves(component[name], name)
    yield from _joined("properties", _properties(component))


def _hashes(component: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for each in _dicts(component.get("hashes")):
        algorithm, content = _text(each.get("alg")), _text(each.get("content"))
        if algorithm is not None and content is not None:
            yield algorithm, content.lower()


def _licences(component: dict[str, Any]) -> Iterator[str]:
    for each in _dicts(component.get("licenses")):
        licence = _dict(each.get("license"))
        named = (
            _text(each.get("expression")) or _text(licence.get("id")) or _text(licence.get("name"))
        )
        if named is not None:
            yield named


def _properties(component: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for each in _dicts(component.get("properties")):
        name = _text(each.get("name"))
        if name is not None:
            yield name, _text(each.get("value")) or ""


def _joined(prefix: str, pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Pairs by name; of one name all values, sorted: their order says nothing."""
    values: dict[str, list[str]] = defaultdict(list)
    for name, value in pairs:
        values[name].append(value)
    for name, listed in values.items():
        yield f"{prefix}.{name}", ", ".join(sorted(listed))


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every leaf with its path. An array of texts is one leaf; one of objects is numbered.

    Iterative, though JSON's depth is bounded: nothing here depends on that.
    """
    waiting = [(path, value)]
    while waiting:
        where, each = waiting.pop()
        if isinstance(each, dict):
            waiting += [(f"{where}.{key[:100]}", each[key]) for key in sorted(each, reverse=True)]
        elif isinstance(each, list) and any(isinstance(one, dict | list) for one in each):
            waiting += [(f"{where}.{at}", one) for at, one in enumerate(each)][::-1]
        elif each is not None and each != [] and each != "":
            yield where, each if isinstance(each, str) else _json(each)


def _document(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What is compared of the document. Serial number, version and timestamp always differ."""
    version = _text(document.get("specVersion"))
    if version is not None:
        yield "specVersion", version
    metadata = _dict(document.get("metadata"))
    for name in ("lifecycles", "tools", "authors", "manufacturer", "supplier", "licenses"):
        if name in metadata:
            yield from _leaves(metadata[name], f"metadata.{name}")


# -- relations -----------------------------------------------------------------------------------


def _names(
    pairs: list[tuple[dict[str, Any], dict[str, Any]]], old: _Side, new: _Side
) -> tuple[dict[str, str], dict[str, str]]:
    """Refs of both sides -> one name for each component, the same for both of a pair.

    The name of a pair has no version, so that an update is no change of dependencies; unless the
    BOM has several components of that name.
    """
    names: tuple[dict[str, str], dict[str, str]] = ({}, {})
    common = Counter(_plain_label(each) for side in (old, new) for each in side.components)
    for which, side in enumerate((old, new)):
        for each in side.components:
            _name(names[which], each, _label(each))
        if side.subject is not None:
            _name(names[which], side.subject, "(subject)")
    for one, other in pairs:
        plain = _plain_label(other)
        label = plain if common[plain] <= 2 else _label(other)
        _name(names[0], one, label)
        _name(names[1], other, label)
    return names


def _name(names: dict[str, str], component: dict[str, Any], label: str) -> None:
    ref = _text(component.get("bom-ref"))
    if ref is not None:
        names[ref] = label


def _edges(side: _Side, names: dict[str, str]) -> Iterator[tuple[str, str]]:
    for each in _dicts(side.document.get("dependencies")):
        ref = _text(each.get("ref"))
        needs = each.get("dependsOn")
        for other in needs if isinstance(needs, list) else ():
            if ref is not None and isinstance(other, str):
                yield names.get(ref, ref), names.get(other, other)


def _vulnerabilities(side: _Side, names: dict[str, str]) -> dict[tuple[str, str], str]:
    """(id, what it affects) -> state and worst rating, as written."""
    found = {}
    for each in _dicts(side.document.get("vulnerabilities")):
        identity = _text(each.get("id"))
        if identity is None:
            continue
        state = _text(_dict(each.get("analysis")).get("state")) or "no analysis"
        ratings = {_text(rating.get("severity")) for rating in _dicts(each.get("ratings"))}
        told = ", ".join([state, *sorted(rating for rating in ratings if rating)])
        refs = [_text(one.get("ref")) for one in _dicts(each.get("affects"))]
        for ref in refs or [None]:
            found[identity, names.get(ref or "", ref or "(document)")] = told
    return found


def _state_changes(
    old: dict[tuple[str, str], str], new: dict[tuple[str, str], str]
) -> Iterator[tuple[str, str, Change]]:
    for key in sorted(old.keys() & new.keys()):
        if old[key] != new[key]:
            yield *key, Change("analysis", _cut(old[key]), _cut(new[key]))


# -- values --------------------------------------------------------------------------------------


def _label(component: dict[str, Any]) -> str:
    """``group/name@version``, or what else names it."""
    version = _text(component.get("version"))
    plain = _plain_label(component)
    return plain if version is None else f"{plain}@{version}"


def _plain_label(component: dict[str, Any]) -> str:
    name = _text(component.get("name"))
    group = _text(component.get("group"))
    if name is None:
        return _text(component.get("purl")) or _text(component.get("bom-ref")) or "(unnamed)"
    return name if group is None else f"{group}/{name}"


def _kind(component: dict[str, Any]) -> str:
    return _text(component.get("type")) or "unknown"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> Iterable[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _cut(text: str | None) -> str | None:
    """A long text by its beginning and its digest: two that differ never look the same."""
    if text is None or len(text) <= _MOST_TEXT:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[:_MOST_TEXT]}… ({len(text)} characters, SHA-256 {digest})"
