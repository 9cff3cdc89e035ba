"""The parts of a CycloneDX component, as typed values.

Values that follow a grammar (kinds of components, purls, hash algorithms, SPDX ids, URLs) are
checked by :mod:`cyclonedx`. Its model of a BOM is not used: it has no model card, no component
``data``, no formulation, drops them from what it reads, and takes quadratic time to serialise.

Every class here is frozen and complete on construction: a wrong value is a :class:`ValueError`
there and then, never a BOM that fails its schema later. Texts that come from outside are therefore
passed through :func:`clean_text`, :func:`clean_url`, :func:`clean_purl` first, which say None to
what cannot be carried.

The JSON form is made by :func:`to_json` from the fields: ``snake_case`` becomes ``camelCase``,
what is None or empty is left out, and members keep the order of the fields.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from attest import limits

if TYPE_CHECKING:
    from attest.bom.modelcard import ComponentData, ModelCard

_SPELLINGS: Final = {
    "ref": "bom-ref",
    "mime_type": "mime-type",
    "licences": "licenses",
}
"""Members whose name is not the field's in camel case."""

_HASH_SIZES: Final = {
    "SHA-256": 64, "SHA-384": 96, "SHA-512": 128, "SHA3-256": 64, "SHA3-384": 96,
    "SHA3-512": 128, "BLAKE2b-256": 64, "BLAKE2b-384": 96, "BLAKE2b-512": 128, "BLAKE3": 64,
}  # fmt: skip
"""CycloneDX hash algorithms that are written -> hexadecimal digits. MD5 and SHA-1 name nothing:
two files can be made to share one."""

_HEX: Final = re.compile(r"[0-9a-f]+")
_URL: Final = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]{0,31}:(?:[A-Za-z0-9._~:/?@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+"
    r"(?:#(?:[A-Za-z0-9._~:/?@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)?"
)
_ACTIVE_SCHEMES: Final = frozenset({"data", "javascript", "vbscript"})
_MIME: Final = re.compile(r"[-+a-z0-9.]+/[-+a-z0-9.]+")


def to_json(value: Any) -> Any:
    """The JSON form of any part of a BOM.

    A class with an ``as_json`` method of its own decides for itself.

    Raises:
        ValueError: a text holds a lone surrogate.
    """
    if isinstance(value, str):
        value.encode("utf-8")
        return value
    own = getattr(value, "as_json", None)
    if own is not None:
        return own()
    if isinstance(value, tuple):
        return [to_json(each) for each in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return members(value)
    return value


def members(value: Any) -> dict[str, Any]:
    """The fields of a part as JSON members; None, empty texts and empty tuples are left out."""
    out = {}
    for each in dataclasses.fields(value):
        found = getattr(value, each.name)
        if found is None or found == () or found == "":
            continue
        out[_SPELLINGS.get(each.name) or _camel(each.name)] = to_json(found)
    return out


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


# -- texts from outside --------------------------------------------------------------------------


def clean_text(value: object, most: int = limits.MAX_BOM_TEXT) -> str | None:
    """A text that came from outside, as a BOM can carry it, or None.

    None for what is no text, is empty, is not encodable (lone surrogates) or has more than ``most``
    characters: a text is never cut, because a cut text says something else.
    """
    if not isinstance(value, str):
        return None
    text = value.strip()
    if len(text) > most:
        return None
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return None
    return text or None


def clean_version(value: object) -> str | None:
    """As :func:`clean_text`, for the version of a component."""
    return clean_text(value, limits.MAX_BOM_VERSION)


def clean_url(value: object) -> str | None:
    """A URL from outside, or None. It is never fetched.

    Absolute, in ASCII, only characters of RFC 3986, and of no scheme that a browser would run.
    """
    text = clean_text(value, limits.MAX_BOM_URL)
    if text is None or _URL.fullmatch(text) is None:
        return None
    return None if text.partition(":")[0].lower() in _ACTIVE_SCHEMES else text


def clean_purl(value: object) -> str | None:
    """A package URL from outside, in its canonical spelling, or None."""
    text = clean_text(value)
    if text is None or not text.isprintable():
        return None
    from packageurl import PackageURL

    try:
        return PackageURL.from_string(text).to_string()
    except ValueError:
        return None


def hugging_face_purl(model_id: str, version: str | None = None) -> str | None:
    """``pkg:huggingface/owner/name@version`` for an id such as ``owner/name``, or None."""
    owner, slash, name = model_id.rpartition("/")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}", name):
        return None
    if slash and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}", owner):
        return None
    from packageurl import PackageURL

    return PackageURL("huggingface", owner or None, name, version).to_string()


# -- small parts ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Property:
    """A name-value pair. Names of ours start with ``attest:`` and are listed in the docs."""

    name: str
    value: str

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a property has a name")


def source_of(element: str, where: str) -> Property:
    """Says where an element of the same component was read from.

    Args:
        element: the member's path inside the component, such as ``licenses`` or
            ``modelCard.modelParameters.task``, or the name of a property of ours.
        where: the file, and after ``#`` the place in it: ``README.md#license``.
    """
    return Property(f"attest:source:{element}", where)


@dataclass(frozen=True, slots=True)
class Hash:
    """A digest of the bytes of one file; a digest of a manifest is a property instead.

    Attributes:
        alg: as CycloneDX spells it (``SHA-256``).
        content: lower-case hexadecimal of exactly that algorithm's length.
    """

    alg: str
    content: str

    def __post_init__(self) -> None:
        if _HASH_SIZES.get(self.alg) != len(self.content) or not _HEX.fullmatch(self.content):
            raise ValueError(f"not a {self.alg} digest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A person."""

    name: str | None = None
    email: str | None = None
    phone: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """An organization: ``supplier``, ``manufacturer``, a party of data governance."""

    name: str | None = None
    url: tuple[str, ...] = ()
    contact: tuple[Contact, ...] = ()

    def __post_init__(self) -> None:
        _check_urls(self.url)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A short text inside the BOM."""

    content: str
    content_type: str | None = None
    encoding: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """One licence, or one expression of several; exactly one of ``id``, ``name``, ``expression``.

    Attributes:
        id: of the SPDX list.
        name: anything else, such as ``LicenseRef-llama3``.
        expression: SPDX expression; the only entry of its list in CycloneDX 1.6.
        acknowledgement: ``declared`` by the makers, or ``concluded`` from the files.
        url: where its text is published.
    """

    id: str | None = None
    name: str | None = None
    expression: str | None = None
    acknowledgement: str | None = None
    url: str | None = None
    properties: tuple[Property, ...] = ()

    def __post_init__(self) -> None:
        if len([each for each in (self.id, self.name, self.expression) if each]) != 1:
            raise ValueError("a licence has one of id, name and expression")
        if self.acknowledgement not in (None, "declared", "concluded"):
            raise ValueError("a licence is declared or concluded")
        if self.id is not None:
            from cyclonedx.spdx import is_supported_id

            if not is_supported_id(self.id):
                raise ValueError(f"{self.id!r} is not on the SPDX list")
        _check_urls((self.url,) if self.url else ())

    def as_json(self) -> dict[str, Any]:
        """``{"license": …}`` or ``{"expression": …}``."""
        made = members(self)
        if self.expression is None:
            return {"license": made}
        return {key: made[key] for key in ("expression", "acknowledgement") if key in made}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalReference:
    """A place elsewhere. ``type`` is one of CycloneDX's, such as ``website`` or ``model-card``."""

    type: str
    url: str
    comment: str | None = None
    hashes: tuple[Hash, ...] = ()

    def __post_init__(self) -> None:
        if self.type not in reference_types():
            raise ValueError(f"{self.type!r} is not a type of external reference")
        _check_urls((self.url,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pedigree:
    """What a component was made from. Ancestors are components of their own, without a ref."""

    ancestors: tuple[Component, ...] = ()
    notes: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the files show, as far as a BOM can say it: licence texts that were recognised."""

    licences: tuple[Licence, ...] = ()

    def __post_init__(self) -> None:
        check_licences(self.licences)


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One component: an artifact, what it was made from, or a part of it.

    Attributes:
        type: ``machine-learning-model``, ``data``, ``firmware``, ``file``, ``library``, ….
        ref: unique inside the BOM; None only inside a pedigree.
        hashes: of a single file. The digest of a directory's manifest is no hash of any bytes that
            a reader could hash, so it is a property (``attest:oms-root:sha256``).
        model_card: of a ``machine-learning-model`` only.
        data: of a ``data`` component only.
    """

    type: str
    mime_type: str | None = None
    ref: str | None = None
    supplier: Organization | None = None
    manufacturer: Organization | None = None
    authors: tuple[Contact, ...] = ()
    publisher: str | None = None
    group: str | None = None
    name: str
    version: str | None = None
    description: str | None = None
    scope: str | None = None
    hashes: tuple[Hash, ...] = ()
    licences: tuple[Licence, ...] = ()
    copyright: str | None = None
    cpe: str | None = None
    purl: str | None = None
    pedigree: Pedigree | None = None
    external_references: tuple[ExternalReference, ...] = ()
    components: tuple[Component, ...] = ()
    evidence: Evidence | None = None
    model_card: ModelCard | None = None
    data: tuple[ComponentData, ...] = ()
    properties: tuple[Property, ...] = ()
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.type not in component_types():
            raise ValueError(f"{self.type!r} is not a type of component")
        if not self.name:
            raise ValueError("a component has a name")
        if self.ref == "" or (self.ref or "").startswith("urn:cdx:"):
            raise ValueError("a bom-ref is not empty and does not look like a BOM-Link")
        if self.model_card is not None and self.type != "machine-learning-model":
            raise ValueError("only a machine-learning-model has a model card")
        if self.data and self.type != "data":
            raise ValueError("only a data component has data")
        if self.purl is not None and clean_purl(self.purl) != self.purl:
            raise ValueError(f"{self.purl!r} is not a canonical package URL")
        if self.mime_type is not None and not _MIME.fullmatch(self.mime_type):
            raise ValueError(f"{self.mime_type!r} is not a media type")
        if self.scope not in (None, "required", "optional", "excluded"):
            raise ValueError(f"{self.scope!r} is not a scope")
        check_licences(self.licences)

    def property(self, name: str) -> str | None:
        """The value of the first property of that name."""
        return next((each.value for each in self.properties if each.name == name), None)


def check_licences(licences: tuple[Licence, ...]) -> None:
    """Until CycloneDX 1.7 an expression stands alone; what is written here reads as both."""
    if len(licences) > 1 and any(each.expression for each in licences):
        raise ValueError("a licence expression stands alone")


def digest_properties(digests: Mapping[str, str], *, files: int, size: int) -> tuple[Property, ...]:
    """What names an artifact: its manifest's digests, and how much it covers.

    Args:
        digests: of the artifact's subject: ``sha256`` is the OMS root, the rest tree digests.
    """
    named = [
        Property("attest:oms-root:sha256" if name == "sha256" else f"attest:{name}", digests[name])
        for name in sorted(digests)
    ]
    return (
        *named,
        Property("attest:files", str(files)),
        Property("attest:bytes", str(size)),
    )


@functools.cache
def component_types() -> frozenset[str]:
    """The kinds of components that CycloneDX knows."""
    from cyclonedx.model.component import ComponentType

    return frozenset(each.value for each in ComponentType)


@functools.cache
def reference_types() -> frozenset[str]:
    """The kinds of external references that CycloneDX knows."""
    from cyclonedx.model import ExternalReferenceType

    return frozenset(each.value for each in ExternalReferenceType)


def _check_urls(urls: tuple[str, ...]) -> None:
    for url in urls:
        if clean_url(url) != url:
            raise ValueError(f"{url!r} is not a URL as CycloneDX spells it")
