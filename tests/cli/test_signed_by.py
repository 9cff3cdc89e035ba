"""Claims about an artifact that a certificate signed, and places that are checked first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from attest.crypto.algorithms import KeyAlgorithm
from attest.crypto.keys import generate
from attest.flow import subject
from tests.cli.support import attest, unchanged, write_pki

BY_CA = ("--signed-by-ca", "ca.pem", "--signed-by-san", "release@example.com")
APPROVE = (
    *("approve", "model", "--as", "Alice", "--role", "release", "--environment", "production"),
    *("--key", "alice.key"),
)
CHECK = (
    *("approve", "check", "model", "--role", "release", "--environment", "production"),
    *("--principal", "alice=alice.pub"),
)


@pytest.fixture
def certified(model: Path, here: Path) -> Path:
    """``model/``, signed by a certificate; Alice has a key of her own."""
    write_pki(here)
    alice = generate(KeyAlgorithm.ED25519)
    (here / "alice.key").write_bytes(alice.to_pem(None))
    (here / "alice.pub").write_bytes(alice.public_key.pem)
    ran = attest(
        *("sign", model, "--key", "leaf.key", "--certificate", "leaf.pem", "--chain", "chain.pem")
    )
    assert ran.code == 0, ran.err
    return model


def test_the_whole_way_without_hashing_anything(certified: Path, here: Path):
    (here / "into").mkdir()
    (here / "model" / "config.json").write_text("changed: nobody reads it")
    people = ("--principal", "alice=alice.pub")
    for args in (
        (*APPROVE, *BY_CA),
        (*CHECK, *BY_CA),
        ("claim", "list", "model", *people, *BY_CA),
        ("claim", "pack", "model", "-o", "a.pack", *people, *BY_CA),
        ("claim", "unpack", "a.pack", "--into", "into", *people, *BY_CA),
        ("lineage", "show", "model", *people, *BY_CA),
    ):
        ran = attest(*args)
        assert ran.code == 0, (args, ran.out, ran.err)
    assert (here / "into" / "material" / "ca.pem").read_bytes() == (here / "ca.pem").read_bytes()


def test_a_signed_claim_is_added(certified: Path, here: Path):
    assert attest(*APPROVE, *BY_CA).code == 0
    claims = here / "model.claims.jsonl"
    claims.rename(here / "signed.json")
    ran = attest("claim", "add", "model", "--signed", "signed.json", *BY_CA)
    assert ran.code == 0, ran.err
    assert json.loads(claims.read_bytes()) == json.loads((here / "signed.json").read_bytes())


@pytest.mark.parametrize(
    ("spoil", "code"), [("name", "name-mismatch"), ("authority", "issuer-not-found")]
)
def test_another_name_or_authority(certified: Path, here: Path, spoil: str, code: str):
    san = "other@example.com" if spoil == "name" else "release@example.com"
    if spoil == "authority":
        write_pki(here)
    who = ("--signed-by-ca", "ca.pem", "--signed-by-san", san)
    with unchanged(here):
        for args in ((*APPROVE, *who, "--json"), (*CHECK, *who, "--json")):
            ran = attest(*args)
            assert ran.code == 1
            if spoil == "name":
                assert ran.codes == {code}


def test_who_does_not_say_it_is_told(certified: Path):
    ran = attest(*APPROVE, "--json")
    assert ran.code == 1
    assert "--signed-by-ca" in json.dumps(ran.report["findings"])


@pytest.mark.parametrize(
    "who",
    [
        ("--signed-by-ca", "ca.pem"),
        ("--signed-by-san", "release@example.com"),
        (*BY_CA, "--signed-by", "alice.pub"),
        ("--signed-by-ca", "ca.pem", "--signed-by-san", ""),
        ("--signed-by", "alice.pub", "--signed-by", "alice.pub"),
    ],
)
@pytest.mark.parametrize("verb", [APPROVE, CHECK])
def test_what_makes_no_sense_together(certified: Path, here: Path, verb, who):
    with unchanged(here):
        assert attest(*verb, *who).code == 2


@pytest.mark.parametrize("who", [BY_CA, ("--rehash", *BY_CA)])
def test_options_that_mean_nothing(certified: Path, who):
    assert attest("scan", "model", *who).code == 2


# -- places --------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["inside", "no claims file", "folder"])
@pytest.mark.parametrize("verb", ["approve", "claim add --signed", "scan"])
def test_the_place_is_checked_before_anything_is_hashed(
    certified: Path, here: Path, monkeypatch: pytest.MonkeyPatch, verb: str, place: str
):
    def hashed(*_: object, **__: object) -> None:
        raise AssertionError("hashed")

    monkeypatch.setattr(subject, "subject_from_content", hashed)
    (here / "signed.json").write_bytes(b"")
    (here / "text").write_text("something else")
    claims = {"inside": "model/c.claims.jsonl", "no claims file": "text", "folder": "model"}[place]
    args = {
        "approve": APPROVE,
        "claim add --signed": ("claim", "add", "model", "--signed", "signed.json"),
        "scan": ("scan", "model", "--key", "alice.key"),
    }[verb]
    with unchanged(here):
        assert attest(*args, "--rehash", "--claims", claims).code in (1, 3)


CERTIFIED = ("--principal-ca", "releases", "ca.pem", "release@example.com")


def test_a_claim_signed_by_a_certificate_counts(certified: Path, here: Path):
    approve = [*APPROVE[:-2], "--key", "leaf.key", "--certificate", "leaf.pem"]
    ran = attest(*approve, "--chain", "chain.pem", *BY_CA)
    assert ran.code == 0
    assert "signed by  certificate, key" in ran.out
    (here / "into").mkdir()
    for args in (
        ("approve", "check", *CHECK[2:7], *CERTIFIED),
        ("claim", "list", "model", *CERTIFIED),
        ("claim", "pack", "model", "-o", "a.pack", *CERTIFIED),
        ("claim", "unpack", "a.pack", "--into", "into", *CERTIFIED),
        ("lineage", "show", "model", *CERTIFIED, *BY_CA),
    ):
        ran = attest(*args)
        assert ran.code == 0, (args, ran.out, ran.err)
    wrong = ("--principal-ca", "releases", "ca.pem", "other@example.com")
    assert attest("claim", "list", "model", *wrong, *BY_CA).code == 1


def test_one_certified_name_is_one_principal(certified: Path):
    ran = attest("claim", "list", "model", *CERTIFIED, "--principal-ca", "b", *CERTIFIED[2:])
    assert ran.code == 2
