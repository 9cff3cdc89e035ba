"""The exit codes of the contract, and how several become one."""

from __future__ import annotations

import itertools

import pytest

from attest import errors
from attest.verdict import Outcome
from attest_cli.exits import Exit, combine, for_error, for_outcome


def test_codes_are_the_contract():
    assert {code.name: code.value for code in Exit} == {
        "OK": 0,
        "REFUSED": 1,
        "USAGE": 2,
        "UNJUDGED": 3,
        "BREAK_GLASS": 4,
        "INTERNAL": 70,
        "INTERRUPTED": 130,
    }


@pytest.mark.parametrize(
    ("outcome", "code"),
    [("pass", 0), ("partial", 0), ("fail", 1), ("error", 3), ("break-glass", 4)],
)
def test_every_outcome_has_its_code(outcome: str, code: int):
    assert for_outcome(Outcome(outcome)) == code


def test_no_outcome_is_forgotten():
    assert all(isinstance(for_outcome(outcome), Exit) for outcome in Outcome)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.AttestError, 1),
        (errors.MalformedInput, 1),
        (errors.TooLarge, 1),
        (errors.Unsupported, 1),
        (errors.VerificationFailed, 1),
        (errors.BadSignature, 1),
        (errors.OutsideValidity, 1),
        (errors.TrustUnavailable, 3),
        (errors.InvalidPolicy, 3),
        (errors.Unavailable, 3),
    ],
)
def test_every_error_has_its_code(error: type[errors.AttestError], code: int):
    assert for_error(error("why")) == code


def test_combination_order():
    order = [70, 1, 3, 4, 0]
    for size in range(1, len(order) + 1):
        for codes in itertools.permutations(order, size):
            assert combine(map(Exit, codes)) == min(codes, key=order.index)


def test_nothing_done_is_not_success():
    with pytest.raises(ValueError, match="no exit code"):
        combine([])


@pytest.mark.parametrize("code", [Exit.USAGE, Exit.INTERRUPTED])
def test_codes_that_end_a_run_do_not_combine(code: Exit):
    with pytest.raises(ValueError, match="not combinable"):
        combine([Exit.OK, code])
