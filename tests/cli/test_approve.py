"""``attest approve``, ``approve check`` and ``approve withdraw``, as a user types them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from attest.crypto.algorithms import KeyAlgorithm
from attest.crypto.keys import LocalSigner, generate
from tests.cli.support import Ran, attest, unchanged
from tests.support import claims as made

CLAIMS = Path("model.claims.jsonl")
SCOPE = ("--role", "release", "--environment", "production")
PEOPLE = ("--principal", "alice=release.pub", "--principal", "bob=bob.pub")


@pytest.fixture
def bob(here: Path) -> LocalSigner:
    signer = generate(KeyAlgorithm.ECDSA_P256)
    (here / "bob.key").write_bytes(signer.to_pem(None))
    (here / "bob.pub").write_bytes(signer.public_key.pem)
    return signer


@pytest.fixture
def ready(signed: Path, bob: LocalSigner) -> Path:
    """``model/`` signed by release.key; Bob has a key."""
    return signed


def approve(*more: str, key: str = "release.key", **options: str) -> Ran:
    given = {"as": "Alice", "role": "release", "environment": "production", **options}
    flags = [part for name, value in given.items() for part in (f"--{name}", value)]
    who = () if key == "release.key" else ("--signed-by", "release.pub")
    return attest("approve", "model", *flags, "--key", key, *who, *more)


def approved(*more: str, **options: str) -> str:
    """Approve; the id of the claim."""
    ran = approve("--json", *more, **options)
    assert ran.code == 0, ran.err
    identity: str = ran.report["subject"]["claim"]["id"]
    return identity


def check(*more: str) -> Ran:
    """As JSON; text has the same exit code."""
    line = ("approve", "check", "model", *SCOPE, *PEOPLE, *more)
    with unchanged(Path.cwd()):
        text, ran = attest(*line), attest(*line, "--json")
    assert text.code == ran.code
    word = {0: "approved", 1: "refused", 3: "not judged"}[ran.code]
    assert text.out.startswith(f"{word}: model")
    return ran


def usage(*args: str | Path) -> str:
    with unchanged(Path.cwd()):
        ran = attest(*args)
    assert ran.code == 2, ran.out + ran.err
    assert ran.out == ""
    return ran.err


# -- approving and checking ----------------------------------------------------------------------


def test_approved_and_checked(ready: Path):
    ran = approve("--json", "--comment", "looks good")
    assert ran.code == 0
    report = ran.report
    assert (report["schema"], report["outcome"]) == ("urn:attest-toolkit:approve:v1", "pass")
    assert report["subject"]["approval"]["comment"] == "looks good"
    verdict = check().report
    assert verdict["outcome"] == "pass"
    assert verdict["subject"]["scope"] == {
        "role": "release",
        "environment": "production",
        "ring": None,
        "threshold": 1,
        "conditions": [],
    }
    assert verdict["subject"]["digests"] == report["subject"]["digests"]
    counted = next(each for each in verdict["findings"] if each["code"] == "approval-counted")
    assert counted["claim"] == report["subject"]["claim"]["id"]


def test_what_people_read(ready: Path):
    ran = approve(
        "--ring", "canary", "--condition", "eu only", "--valid-until", "2099-01-01T00:00:00Z"
    )
    assert ran.out.startswith("claimed: approval of model\n")
    for line in (
        "  decision   approve",
        "  for        production, ring canary",
        "  until      2099-01-01T00:00:00Z",
        "  condition  eu only",
    ):
        assert line in ran.out.splitlines()
    assert approve("--quiet").out == ""
    text = attest("approve", "check", "model", *SCOPE, *PEOPLE)
    assert "1 of 1 approvals for production in the role release by alice" in text.out
    assert attest("approve", "check", "model", *SCOPE, *PEOPLE, "--quiet").out == ""


def test_nobody_has_approved(ready: Path):
    ran = check()
    assert (ran.code, ran.codes) == (1, {"approvals-missing"})


def test_two_people_and_two_keys_of_one(ready: Path):
    approve()
    assert check("--threshold", "2").code == 1
    approve(key="bob.key")
    assert check("--threshold", "2").code == 0
    assert check("--threshold", "3").code == 1
    one = ("--principal", "alice=release.pub", "--principal", "alice=bob.pub")
    line = ("approve", "check", "model", *SCOPE, *one, "--json")
    assert attest(*line, "--threshold", "2").code == 1
    assert attest(*line).code == 0


def test_one_rejection(ready: Path):
    approve()
    approve("--reject", key="bob.key")
    ran = check()
    assert (ran.code, ran.codes) == (1, {"approval-rejected"})
    listing = attest("claim", "list", "model", *PEOPLE, "--json")
    assert (listing.code, listing.codes) == (1, {"claims-clash"})


@pytest.mark.parametrize(
    ("options", "asked", "code"),
    [
        ({"role": "safety"}, (), 1),
        ({"environment": "staging"}, (), 1),
        ({"environment": "any"}, (), 0),
        ({"ring": "canary"}, (), 1),
        ({"ring": "canary"}, ("--ring", "canary"), 0),
        ({"ring": "canary"}, ("--ring", "wide"), 1),
        ({}, ("--ring", "canary"), 0),
        ({"condition": "eu only"}, (), 1),
        ({"condition": "eu only"}, ("--accept", "eu only"), 0),
        ({"condition": "eu only"}, ("--accept", "EU only"), 1),
    ],
)
def test_scopes(ready: Path, options: dict[str, str], asked: tuple[str, ...], code: int):
    approved(**options)
    assert check(*asked).code == code


def test_its_last_second(ready: Path):
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    approved("--valid-until", end.isoformat())
    assert check("--at", end.isoformat()).code == 0
    assert check("--at", (end + timedelta(seconds=1)).isoformat()).code == 1
    assert check("--at", "2020-01-01T00:00:00Z").code == 1


def test_an_approval_of_the_digests_and_not_of_the_folder(ready: Path):
    approved()
    (ready / "config.json").write_text("changed")
    ran = check()
    assert ran.code == 0
    assert "content-not-read" in {each["code"] for each in ran.report["findings"]}
    assert attest("sign", "model", "--key", "release.key").code == 0
    assert check().codes == {"approvals-missing"}


def test_reviewed_claims_are_named(ready: Path):
    first = approved()
    ran = approve("--reviewed", first, "--json", key="bob.key")
    assert ran.report["subject"]["approval"]["reviewed"] == [{"sha256": first}]


def test_who_must_have_signed_the_artifact(ready: Path):
    approve(key="bob.key")
    bob_alone = ("--principal", "bob=bob.pub")
    line = ("approve", "check", "model", *SCOPE, *bob_alone)
    assert attest(*line).code == 1
    assert attest(*line, "--signed-by", "release.pub").code == 0
    assert attest(*line, "--signed-by", "absent.pub").code == 3


@pytest.mark.parametrize("bad", [b"junk\n", b"{", b"\n"])
def test_malformed_claims_are_no_approval(ready: Path, bad: bytes):
    approved()
    CLAIMS.write_bytes(CLAIMS.read_bytes() + bad)
    assert check().code == 1


def test_a_malformed_approval_by_somebody_who_counts(ready: Path, bob: LocalSigner):
    digests = approve("--json").report["subject"]["digests"]
    bad = made.claim(made.APPROVAL, made.approval(decision="perhaps"), digests)
    CLAIMS.write_bytes(CLAIMS.read_bytes() + made.line(bad, bob))
    ran = check()
    assert ran.code == 1
    assert "line 2" in json.dumps(ran.report["findings"])


def test_hostile_text_is_escaped_or_refused(ready: Path, bob: LocalSigner):
    digests = approve("--json").report["subject"]["digests"]
    for member in ("approver", "comment", "role", "environment"):
        evil = made.approval(**{member: "\x1b[2J\u202e"})
        CLAIMS.write_bytes(made.line(made.claim(made.APPROVAL, evil, digests), bob))
        for args in (
            ("claim", "list", "model", *PEOPLE),
            ("approve", "check", "model", *SCOPE, *PEOPLE),
        ):
            ran = attest(*args)
            assert ran.code == 1
            assert not {"\x1b", "\u202e"} & set(ran.out + ran.err)
    wide = made.approval(approver="two\nlines\tand a tab", comment="\U0001f680")
    CLAIMS.write_bytes(made.line(made.claim(made.APPROVAL, wide, digests), bob))
    ran = attest("claim", "list", "model", *PEOPLE)
    assert ran.code == 0
    assert "two\\nlines\\tand a tab" in ran.out


# -- withdrawing ---------------------------------------------------------------------------------


def withdraw(claim: str, *more: str, key: str = "release.key") -> Ran:
    who = () if key == "release.key" else ("--signed-by", "release.pub")
    return attest(
        *("approve", "withdraw", "model", claim, "--reason", "regression"),
        *("--key", key),
        *who,
        *more,
    )


def test_withdrawn(ready: Path):
    identity = approved()
    ran = withdraw(identity, "--json")
    assert ran.code == 0
    assert ran.report["schema"] == "urn:attest-toolkit:withdraw:v1"
    assert ran.report["subject"]["revocation"]["claim"] == {"sha256": identity}
    assert check().codes == {"approvals-missing"}
    listing = attest("claim", "list", "model", *PEOPLE, "--json").report
    marked = {each["id"]: each["withdrawn"] for each in listing["subject"]["claims"]}
    assert marked[identity] is True
    # What is taken back stays so; an approval of the same words is another claim.
    assert approved("--comment", "again") != identity
    assert check().code == 0


def test_nobody_withdraws_for_another(ready: Path):
    identity = approved()
    ran = withdraw(identity, key="bob.key")
    assert ran.code == 0
    assert "warn: claim-of-others" in ran.out
    assert check().code == 0
    assert "claim-of-others" not in withdraw(identity).out


def test_a_cut_out_withdrawal_undoes_it_as_documented(ready: Path):
    """Trap 16b: claims only add; the help text says that others must hear of it too."""
    identity = approved()
    before = CLAIMS.read_bytes()
    withdraw(identity)
    CLAIMS.write_bytes(before)
    assert check().code == 0
    assert "another way" in attest("approve", "withdraw", "--help").out


def test_a_claim_that_is_not_here_is_warned_of(ready: Path):
    ran = withdraw("ab" * 32)
    assert ran.code == 0
    assert "claim-unknown" in ran.out
    identity = approved()
    assert "claim-unknown" not in withdraw(identity).out
    CLAIMS.rename("elsewhere.jsonl")
    assert "claim-unknown" in withdraw(identity).out
    assert attest("claim", "merge", CLAIMS, "elsewhere.jsonl").code == 0
    assert check().code == 1


# -- usage ---------------------------------------------------------------------------------------

GIVEN = ("--as", "Alice", *SCOPE, "--key", "release.key")


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("--as", "Alice", *SCOPE),
        ("--as", "Alice", "--role", "release", "--key", "release.key"),
        ("--as", "Alice", "--environment", "production", "--key", "release.key"),
        (*SCOPE, "--key", "release.key"),
        (*GIVEN, "--valid-until", "tomorrow"),
        (*GIVEN, "--valid-until", "2020-01-01T00:00:00Z"),
        (*GIVEN, "--reviewed", "not-an-id"),
        (*GIVEN, "--reviewed", "AB" * 32),
        (*GIVEN, "--condition", ""),
        (*GIVEN, "--comment", "x" * 2001),
        (*GIVEN, "--comment", "\x1b[2J"),
        (*GIVEN, "--ring", ""),
        (*GIVEN, "--rehash", "--signed-by", "release.pub"),
        (*GIVEN, "--role", "again"),
        (*GIVEN, "--key", "model/x.key"),
        ("--as", "", *SCOPE, "--key", "release.key"),
        ("--as", "\udcff", *SCOPE, "--key", "release.key"),
        ("--as", "x" * 201, *SCOPE, "--key", "release.key"),
    ],
)
def test_approvals_that_make_no_sense(ready: Path, args: tuple[str, ...]):
    usage("approve", "model", *args)


@pytest.mark.parametrize(
    "args",
    [
        (),
        SCOPE,
        (*SCOPE, *PEOPLE, "--threshold", "0"),
        (*SCOPE, *PEOPLE, "--threshold", "-1"),
        (*SCOPE, *PEOPLE, "--threshold", "many"),
        (*SCOPE, *PEOPLE, "--threshold", "1001"),
        (*SCOPE, *PEOPLE, "--at", "now"),
        (*SCOPE, *PEOPLE, "--key", "bob.pub"),
        ("--role", "release", *PEOPLE),
        ("--environment", "production", *PEOPLE),
    ],
)
def test_questions_that_make_no_sense(ready: Path, args: tuple[str, ...]):
    usage("approve", "check", "model", *args)


@pytest.mark.parametrize(
    "args",
    [
        ("ab" * 32, "--key", "release.key"),
        ("ab" * 32, "--reason", "x"),
        ("ab" * 31, "--reason", "x", "--key", "release.key"),
        ("AB" * 32, "--reason", "x", "--key", "release.key"),
        ("ab" * 32, "--reason", "", "--key", "release.key"),
        ("--reason", "x", "--key", "release.key"),
    ],
)
def test_withdrawals_that_make_no_sense(ready: Path, args: tuple[str, ...]):
    usage("approve", "withdraw", "model", *args)


def test_a_file_called_like_a_second_word(here: Path, key: LocalSigner):
    Path("check").write_bytes(b"firmware")
    assert attest("sign", "check", "--key", "release.key").code == 0
    assert attest("approve", "./check", *GIVEN).code == 0
    assert Path("check.claims.jsonl").exists()
