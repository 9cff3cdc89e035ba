"""in-toto Statements v1: somebody's typed claim about subjects named by digests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from attest.codec import jsonstrict
from attest.errors import MalformedInput, Unsupported

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
OMS_PREDICATE_TYPE: Final = "https://model_signing/signature/v1.0"
OMS_LEGACY_PREDICATE_TYPE: Final = "https://model_signing/Digests/v0.1"

_DIGEST_VALUE: Final = re.compile(r"[0-9a-f]{2,256}")


@dataclass(frozen=True, slots=True)
class Subject:
    """What a statement is about.

    Attributes:
        name: informative.
        digests: digest name -> lower-case hex. A subject of ours matches only if *all* digests that
            it shares with the artifact match (in-toto would accept any one).
    """

    name: str
    digests: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Statement:
    """A parsed statement; as trustworthy as the signature over the bytes that it came from.

    Attributes:
        subjects: at least one.
        predicate_type: URI.
        predicate: untyped; the reader of ``predicate_type`` interprets it.
    """

    subjects: tuple[Subject, ...]
    predicate_type: str
    predicate: dict[str, Any]


def parse_statement(payload: bytes) -> Statement:
    """Parse a statement that fits into memory as objects (not an OMS manifest).

    Raises:
        MalformedInput, Unsupported (another statement version).
    """
    document = jsonstrict.typed(
        jsonstrict.loads(payload, what="statement"), dict, where="statement"
    )
    return read_statement(document)


def read_statement(document: dict[str, Any]) -> Statement:
    """A statement from its parsed members. Unknown members are ignored, as in-toto demands."""
    check_type(document)
    subjects = jsonstrict.member(document, "subject", list, where="statement")
    if not subjects:
        raise MalformedInput("statement has no subject", code="no-subject")
    return Statement(
        tuple(
            read_subject(entry, f"statement.subject[{index}]")
            for index, entry in enumerate(jsonstrict.objects(subjects, where="statement.subject"))
        ),
        jsonstrict.member(document, "predicateType", str, where="statement"),
        jsonstrict.optional(document, "predicate", dict, where="statement") or {},
    )


def check_type(document: dict[str, Any]) -> None:
    """Refuse anything but Statement v1."""
    kind = jsonstrict.member(document, "_type", str, where="statement")
    if kind != STATEMENT_TYPE:
        raise Unsupported(
            f"statement type {kind[:80]!r} is not supported", code="unsupported-statement-type"
        )


def read_subject(entry: dict[str, Any], where: str) -> Subject:
    """One subject with at least one well-formed digest."""
    name = jsonstrict.member(entry, "name", str, where=where)
    digests = jsonstrict.member(entry, "digest", dict, where=where)
    if not digests:
        raise MalformedInput("has no digest", where=where, code="no-digest")
    for key, value in digests.items():
        if not (isinstance(value, str) and _DIGEST_VALUE.fullmatch(value) and len(value) % 2 == 0):
            raise MalformedInput(
                "digest is not lower-case hexadecimal", where=f"{where}.digest.{key[:40]}"
            )
    return Subject(name, dict(digests))


def encode_statement(
    subjects: Iterable[Subject], predicate_type: str, predicate: Mapping[str, Any] | bytes
) -> bytes:
    """The bytes of a statement, compact, members in the order of the specification.

    Args:
        predicate: JSON-compatible; or the text of a JSON object, which is put in as it is, so that
            somebody else's document is not written anew. It must have been read as one object.
    """
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": each.name, "digest": dict(each.digests)} for each in subjects],
        "predicateType": predicate_type,
    }
    head = json.dumps(statement, separators=(",", ":"), allow_nan=False).encode("ascii")
    if not isinstance(predicate, bytes):
        text = json.dumps(predicate, separators=(",", ":"), allow_nan=False)
        predicate = text.encode("ascii")
    return head[:-1] + b',"predicate":' + predicate.strip(b" \t\r\n") + b"}"
