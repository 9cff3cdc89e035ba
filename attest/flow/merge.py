"""Merge claims files: the union of what they say.

Nothing is verified here and nothing is believed: merging is for people who pass files around. So a
file from somebody else must not be able to make a claim count for less: every signature is kept,
and where two files disagree about whose it is, the hint is dropped.

Signatures by several people over one statement end up in one envelope, so that a reader sees them
together; members of an envelope that are not known here do not come along then. A bundle carries
one signature and stays a line of its own. The result of merging twice is that of merging once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from attest import limits
from attest.claim.store import rewrite_claims, split_claims
from attest.codec.bundle import UnverifiedBundle
from attest.codec.dsse import EnvelopeSignature, UnverifiedEnvelope, encode_envelope
from attest.codec.signature import parse_signature
from attest.codec.statement import parse_statement
from attest.errors import AttestError, MalformedInput, TooLarge
from attest.files import read_bounded
from attest.trust.signature import check_payload_type


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What merging did.

    Attributes:
        claims: lines of the result.
        added: lines that the target did not have.
        joined: statements that got further signatures.
        torn: a line that was cut off at the end of the target was removed.
    """

    claims: int
    added: int
    joined: int
    torn: bool


def merge_claims(target: Path, sources: Sequence[Path]) -> MergeReport:
    """Merge ``sources`` into ``target``, which is created if absent and may be one of them.

    Raises:
        MalformedInput, Unsupported: a line of any file is no claim; nothing is written then.
        TooLarge: the result could not be read back; nothing is written then.
        Unavailable: a file cannot be read or written.
    """
    read = [
        (str(source), read_bounded(source, limits.MAX_BUNDLE_BYTES, "claims file"))
        for source in sources
    ]
    union = _Union()

    def change(data: bytes) -> Iterable[bytes]:
        whole = data[: data.rfind(b"\n") + 1]  # only the holder of the lock may repair
        union.torn = whole != data
        if union.torn and data[len(whole) : len(whole) + 1] != b"{":
            raise MalformedInput(
                "its last line is no claim, and is not removed",
                where=str(target),
                hint="name another file, or move this one away",
                code="not-a-claims-file",
            )
        union.add(str(target), whole)
        before = len(union.lines)
        for name, content in read:
            union.add(name, content)
        union.added = len(union.lines) - before
        lines = [entry.line for entry in union.lines]
        most = max(map(len, lines), default=0)
        total = sum(map(len, lines)) + len(lines)
        if (
            most > limits.MAX_JSON_BYTES
            or total > limits.MAX_BUNDLE_BYTES
            or len(lines) > limits.MAX_CLAIMS
        ):
            raise TooLarge("the merged claims are more than a reader accepts", where=str(target))
        return (line + b"\n" for line in lines)

    rewrite_claims(target, change)
    return MergeReport(len(union.lines), union.added, union.joined, union.torn)


class _Entry:
    """One line of the result: as it was read until a signature is added."""

    def __init__(self, line: bytes, parsed: UnverifiedBundle | UnverifiedEnvelope) -> None:
        self.line = line
        self.parsed = parsed

    def join(self, other: UnverifiedEnvelope) -> bool:
        """Take over the signatures that are new; whether there were any."""
        assert isinstance(self.parsed, UnverifiedEnvelope)
        joined = _united((*self.parsed.signatures, *other.signatures))
        if joined == self.parsed.signatures:
            return False
        if len(joined) > limits.MAX_SIGNATURES:
            raise TooLarge(f"a claim would have {len(joined)} signatures")
        if any(len(signature.timestamps) > limits.MAX_TIMESTAMPS for signature in joined):
            raise TooLarge(f"a signature would have more than {limits.MAX_TIMESTAMPS} timestamps")
        self.parsed = UnverifiedEnvelope(self.parsed.payload_type, self.parsed.payload, joined)
        pieces = encode_envelope(self.parsed.payload_type, self.parsed.payload, joined)
        self.line = b"".join(pieces).rstrip(b"\n")
        return True


def _united(signatures: Iterable[EnvelopeSignature]) -> tuple[EnvelopeSignature, ...]:
    """Each signature once, with all timestamps, and the hint that all copies of it agree on."""
    known: dict[bytes, EnvelopeSignature] = {}
    for each in signatures:
        mine = known.get(each.sig, each)
        stamps = dict.fromkeys((*mine.timestamps, *each.timestamps))
        keyid = mine.keyid if mine.keyid == each.keyid else None
        known[each.sig] = EnvelopeSignature(each.sig, keyid, tuple(stamps))
    return tuple(known.values())


class _Union:
    """Statements in the order in which they were first seen."""

    def __init__(self) -> None:
        self.lines: list[_Entry] = []
        self.added = 0
        self.joined = 0
        self.torn = False
        self._exact: set[bytes] = set()
        self._envelopes: dict[tuple[str, bytes], _Entry] = {}

    def add(self, name: str, data: bytes) -> None:
        try:
            lines = split_claims(data)
        except AttestError as error:
            raise error.within(name) from None
        for number, line in enumerate(lines, 1):
            if line in self._exact:
                continue
            try:
                self._add(line)
            except AttestError as error:
                raise error.within(f"{name}: line {number}") from None

    def _add(self, line: bytes) -> None:
        parsed = parse_signature(line)
        bundle = isinstance(parsed, UnverifiedBundle)
        envelope = parsed.envelope if isinstance(parsed, UnverifiedBundle) else parsed
        check_payload_type(envelope.payload_type)
        parse_statement(envelope.payload)
        self._exact.add(line)
        key = envelope.payload_type, envelope.payload
        known = None if bundle else self._envelopes.get(key)
        if known is not None:
            self.joined += known.join(envelope)
            return
        entry = _Entry(line, parsed)
        self.lines.append(entry)
        if not bundle:
            self._envelopes[key] = entry
