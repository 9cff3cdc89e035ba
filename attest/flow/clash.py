"""Claims that contradict each other: both are shown, and the worst decides.

Two claims clash when they answer the same question about the same artifact differently: what kind
of thing it is, whether it is safe to load, how a metric came out, whether a role lets it into an
environment, of which class its personal data is. Claims are compared after their predicates were
read by their own readers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from attest.claim.approval import read_approval
from attest.claim.artifact import read_artifact_claim
from attest.claim.predicates import (
    APPROVAL_PREDICATE,
    ARTIFACT_PREDICATE,
    DATASET_PREDICATE,
    SCAN_PREDICATE,
    TEST_RESULT_PREDICATE,
)
from attest.flow.claimset import VerifiedClaim
from attest.verdict import Finding, Severity

_Answers = Iterable[tuple[str, str]]
"""Question and answer, each for a person."""


def clashes(claims: Iterable[VerifiedClaim], where: str) -> list[Finding]:
    """One refusal for each question that is answered in different ways.

    Args:
        claims: verified, about one artifact, and read without error.
        where: the claims file.
    """
    answers: dict[tuple[str, str], dict[str, list[VerifiedClaim]]] = {}
    for claim in claims:
        questions = _QUESTIONS.get(claim.predicate_type)
        if questions is None:
            continue
        for question, answer in questions(claim.statement.predicate):
            given = answers.setdefault((claim.predicate_type, question), {})
            given.setdefault(answer, []).append(claim)
    return [
        _finding(question, given, where)
        for (_, question), given in answers.items()
        if len(given) > 1
    ]


def _finding(question: str, given: Mapping[str, list[VerifiedClaim]], where: str) -> Finding:
    said = [
        f"{answer!r} by {', '.join(sorted(claim.principals))} (line {claim.line})"
        for answer, claims in given.items()
        for claim in claims[:1]
    ]
    return Finding(
        "claims-clash",
        Severity.FAIL,
        f"{question}: {' but '.join(said)}; the worst decides",
        where=where,
        hint="whoever was wrong withdraws the claim: attest approve withdraw",
        details={
            "question": question,
            "answers": {answer: [claim.id for claim in claims] for answer, claims in given.items()},
        },
    )


def _artifact(predicate: Mapping[str, Any]) -> _Answers:
    claim = read_artifact_claim(predicate)
    version = f", version {claim.version}, counter {claim.rollback_counter}"
    yield "what it is", claim.kind + (version if claim.version is not None else "")


def _scan(predicate: Mapping[str, Any]) -> _Answers:
    yield "whether it is safe to load", str(predicate["result"])


def _approval(predicate: Mapping[str, Any]) -> _Answers:
    approval = read_approval(predicate)
    ring = "" if approval.ring is None else f", ring {approval.ring}"
    yield f"{approval.role} for {approval.environment}{ring}", approval.decision


def _dataset(predicate: Mapping[str, Any]) -> _Answers:
    yield "class of its personal data", str(predicate["personalData"])


def _evaluation(predicate: Mapping[str, Any]) -> _Answers:
    from attest.claim.evaluation import read_test_result

    for each in read_test_result(dict(predicate)).evaluations:
        yield f"{each.name}, version {each.version}", f"{each.value!r} ({each.result})"


_QUESTIONS: Final[Mapping[str, Callable[[Mapping[str, Any]], _Answers]]] = {
    ARTIFACT_PREDICATE: _artifact,
    SCAN_PREDICATE: _scan,
    APPROVAL_PREDICATE: _approval,
    DATASET_PREDICATE: _dataset,
    TEST_RESULT_PREDICATE: _evaluation,
}
