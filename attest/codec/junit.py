"""JUnit XML reports, as pytest, Maven Surefire, Gradle, GoogleTest and others write them.

The XML is read by expat with everything refused that a report does not need: document types, and
with them entities of any kind; encodings other than UTF-8; depth and size over a bound. There is no
standard for the format; what is read is what all have in common::

    testsuites? > testsuite* > (testsuite | testcase > (failure | error | skipped)*)*

A test passed only if nothing says otherwise: ``failure`` and ``error`` beat ``skipped``; a test
that was disabled, suppressed or not run is skipped; one that passed only on another try
(``flakyFailure``, ``flakyError``), or whose ``status`` is an unknown one, has failed. Totals that a
suite declares, and the failures that the whole declares, are held against what is there: tests that
are counted and not listed did not pass.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn
from xml.parsers import expat

from attest import limits
from attest.errors import MalformedInput, TooLarge, Truncated

_SUITES: Final = ("testsuites", "testsuite")
_BAD: Final = {
    "failure": "failed",
    "flakyFailure": "failed",
    "rerunFailure": "failed",
    "error": "errors",
    "flakyError": "errors",
    "rerunError": "errors",
    "skipped": "skipped",
}
_FATAL: Final = ("failures", "errors")
_RUN: Final = {"", "run", "completed", "passed", "pass", "success", "successful", "ok"}
_NOT_RUN: Final = {"notrun", "disabled", "suppressed", "skipped", "ignored", "pending"}
"""States that some writers put into attributes of a test; any other is none of a passed test."""
_WORSE: Final = ("passed", "skipped", "failed", "errors")
_COUNT: Final = re.compile(r"0|[1-9][0-9]{0,8}")
_MAX_NAME: Final = 1000


@dataclass(slots=True)
class JUnitSuite:
    """One suite.

    Attributes:
        name: as in the report; may be empty.
        counts: ``passed``, ``failed``, ``errors`` and ``skipped`` -> how many tests.
        declared: totals that its attributes state, less what suites inside it list: most writers
            count those in, and then the rest are its own.
        below: as ``counts``, of all suites inside it.
    """

    name: str
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_WORSE, 0))
    declared: dict[str, int] = field(default_factory=dict)
    below: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_WORSE, 0))

    @property
    def total(self) -> int:
        """Tests, those included that are declared and not listed: as such, or as failures."""
        bad = sum(self.declared.get(attribute, 0) for attribute in _DECLARED)
        return max(sum(self.counts.values()), self.declared.get("tests", 0), bad)

    @property
    def passed(self) -> int:
        """Listed tests that passed, less what the declared totals say did not."""
        worse = sum(
            max(0, self.declared.get(attribute, 0) - self.counts[outcome])
            for attribute, outcome in _DECLARED.items()
        )
        return max(0, self.counts["passed"] - worse)

    def close(self, inner: JUnitSuite) -> None:
        """Account for a suite inside this one, which is complete."""
        for outcome in _WORSE:
            self.below[outcome] += inner.counts[outcome] + inner.below[outcome]
        listed = sum(inner.counts.values()) + sum(inner.below.values())
        self._less("tests", listed)
        for attribute, outcome in _DECLARED.items():
            self._less(attribute, inner.counts[outcome] + inner.below[outcome])

    def _less(self, attribute: str, number: int) -> None:
        if attribute in self.declared:
            self.declared[attribute] = max(0, self.declared[attribute] - number)


_DECLARED: Final = {"failures": "failed", "errors": "errors", "skipped": "skipped"}
"""Attribute of a suite -> the outcome that it counts."""


def parse_junit(data: bytes) -> tuple[JUnitSuite, ...]:
    """The suites of a report that have tests of their own, in order.

    Args:
        data: whoever made the report controls every byte.

    Raises:
        TooLarge, Truncated, MalformedInput.
    """
    if len(data) > limits.MAX_HARNESS_BYTES:
        raise TooLarge(f"report has {len(data)} bytes; at most {limits.MAX_HARNESS_BYTES}")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedInput(f"is not UTF-8 (byte {error.start})", code="not-utf8") from None
    if not data.strip():
        raise Truncated("the report is empty")
    return _Reader().read(data)


class _Reader:
    """One report. The state is the stack of open elements."""

    def __init__(self) -> None:
        self._suites: list[JUnitSuite] = []
        self._open: list[str] = []
        self._inside: list[JUnitSuite] = []
        self._outcome: str | None = None
        self._elements = 0

    def read(self, data: bytes) -> tuple[JUnitSuite, ...]:
        # The encoding is fixed here, so that what the document declares cannot choose another.
        parser = expat.ParserCreate("utf-8")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.EntityDeclHandler = _refuse_doctype
        parser.ExternalEntityRefHandler = _refuse_doctype
        parser.SkippedEntityHandler = _refuse_doctype
        try:
            parser.Parse(data, True)
        except expat.ExpatError as error:
            raise MalformedInput(
                f"is not XML: {expat.ErrorString(error.code)} at line {error.lineno}",
                code="malformed-xml",
            ) from None
        return tuple(suite for suite in self._suites if suite.total)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        self._elements += 1
        if self._elements > limits.MAX_JUNIT_ELEMENTS:
            raise TooLarge(f"more than {limits.MAX_JUNIT_ELEMENTS} elements")
        if len(self._open) >= limits.MAX_JUNIT_DEPTH:
            raise MalformedInput("is nested too deep", code="nested-too-deep")
        self._check_place(name)
        self._open.append(name)
        if name in _SUITES:
            suite = JUnitSuite(_text(attributes, "name"), declared=_declared(attributes))
            if name == "testsuites":  # some writers count tests of inner suites twice there
                suite.declared = {each: suite.declared.get(each, 0) for each in _FATAL}
            self._inside.append(suite)
            self._suites.append(suite)
        elif name == "testcase":
            self._outcome = max(
                (_state(attributes.get(key, "")) for key in ("status", "result")),
                key=_WORSE.index,
            )
        elif self._outcome is not None and name in _BAD:
            self._outcome = max(self._outcome, _BAD[name], key=_WORSE.index)

    def _check_place(self, name: str) -> None:
        """Suites and tests only where they belong: a test anywhere else would not be counted."""
        parent = self._open[-1] if self._open else None
        fits = {
            "testsuites": parent is None,
            "testsuite": parent is None or parent in _SUITES,
            "testcase": parent == "testsuite",
        }.get(name, parent is not None)
        if not fits:
            raise MalformedInput(
                f"{name[:40]!r} does not belong into {(parent or 'the document')[:40]!r}",
                code="not-a-junit-report",
            )

    def _end(self, name: str) -> None:
        name = self._open.pop()
        if name in _SUITES:
            closed = self._inside.pop()
            if self._inside:
                self._inside[-1].close(closed)
        elif name == "testcase" and self._outcome is not None:
            self._inside[-1].counts[self._outcome] += 1
            self._outcome = None


def _refuse_doctype(*details: Any) -> NoReturn:
    raise MalformedInput(
        "has a document type: a report needs none, and entities hide what is read",
        code="document-type",
    )


def _state(written: str) -> str:
    """What an attribute of a test says of it."""
    word = written.strip().lower().replace("_", "").replace("-", "").replace(" ", "")
    if word in _RUN:
        return "passed"
    return "skipped" if word in _NOT_RUN else "failed"


def _text(attributes: dict[str, str], key: str) -> str:
    text = attributes.get(key, "")
    if len(text) > _MAX_NAME:
        raise TooLarge(f"a {key} has {len(text)} characters")
    return text


def _declared(attributes: dict[str, str]) -> dict[str, int]:
    """The totals that a suite states about itself."""
    found = {}
    for key in ("tests", *_DECLARED):
        text = attributes.get(key, "")
        if text:
            if not _COUNT.fullmatch(text):
                raise MalformedInput(f"{key} is no number", where="testsuite", code="wrong-type")
            found[key] = int(text)
    return found
