"""Our own vectors (tests/vectors), each driven through every way of reading a signature file.

``index.json`` says what must happen and, for refusals, the reason that must be given.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from attest.crypto.keys import load_public_key
from attest.crypto.x509 import SanRule
from attest.errors import MalformedInput, Unsupported
from attest.flow.inspect import inspect_file
from attest.flow.verify import verify_artifact
from attest.trust.signers import CertificateTrust, KeyTrust, Trust
from attest.verdict import Outcome
from tests.cli.support import attest, attest_process
from tests.support.forge import refusals
from tests.support.pki import NOON

VECTORS = Path(__file__).parent / "vectors"
INDEX: list[dict[str, Any]] = json.loads((VECTORS / "index.json").read_bytes())
AT = NOON.isoformat().replace("+00:00", "Z")

CONTENT_ONLY = {
    "file-changed",
    "file-extra",
    "file-missing",
    "file-uncovered",
    "wrong-root",
    "wrong-tree-digest",
}
"""Reasons that need the artifact or a computation over the whole manifest."""

SIGNER_ONLY = {
    "bad-signature",
    "key-hint-mismatch",
    "no-signature-by-key",
    "other-kind-of-signer",
    "certificate-expired",
    "certificate-not-yet-valid",
    "unsupported-key",
    "leaf-is-ca",
    "name-mismatch",
    "untrusted-issuer",
    "wrong-extended-key-usage",
}
"""Reasons that need trust."""

every_vector = pytest.mark.parametrize("vector", INDEX, ids=lambda vector: vector["name"])


def trust_of(vector: dict[str, Any]) -> Trust:
    if vector["keys"]:
        pems = [(VECTORS / key).read_bytes() for key in vector["keys"]]
        return KeyTrust(tuple(load_public_key(pem) for pem in pems))
    roots = x509.load_pem_x509_certificates((VECTORS / "root.pem").read_bytes())
    return CertificateTrust(tuple(roots), SanRule("release@example.org"))


def command(vector: dict[str, Any]) -> list[str | Path]:
    trust: list[str | Path] = []
    for key in vector["keys"]:
        trust += ["--key", VECTORS / key]
    if not trust:
        trust = ["--ca", VECTORS / "root.pem", "--san", "release@example.org"]
    place = VECTORS / vector["path"]
    return ["verify", place, "--signature", VECTORS / vector["file"], *trust, "--at", AT, "--json"]


@every_vector
def test_library(vector):
    verdict = verify_artifact(
        VECTORS / vector["path"],
        trust=trust_of(vector),
        at=NOON,
        signature=VECTORS / vector["file"],
    )
    wanted = Outcome.PASS if vector["want"] == "accept" else Outcome.FAIL
    assert (verdict.outcome, set(refusals(verdict))) == (
        wanted,
        {vector["code"]} - {None},
    ), verdict.findings


@every_vector
def test_command_line(vector):
    ran = attest(*command(vector))
    assert ran.codes == {vector["code"]} - {None}
    assert ran.code == (0 if vector["want"] == "accept" else 1)
    assert ran.err == ""


@every_vector
def test_inspect(vector):
    path = VECTORS / vector["file"]
    if vector["code"] in {None, *CONTENT_ONLY, *SIGNER_ONLY}:
        assert inspect_file(path)["verified"] is False
    elif vector["code"] in ("unknown-payload-type", "unknown-predicate-type"):
        described = inspect_file(path)["payload"]
        assert "files" not in described
    else:
        with pytest.raises((MalformedInput, Unsupported)) as caught:
            inspect_file(path)
        assert caught.value.code == vector["code"]


def test_in_a_process_of_its_own():
    ran = attest_process(*command(next(v for v in INDEX if v["name"] == "name-surrogate")))
    assert (ran.code, ran.codes) == (1, {"unsafe-name"})


@every_vector
def test_words_for_a_person(vector):
    ran = attest(*[part for part in command(vector) if part != "--json"])
    assert ran.code == (0 if vector["want"] == "accept" else 1)
    (ran.out + ran.err).encode("utf-8")


def test_each_file_is_listed_once_and_no_other_lies_there():
    files = [vector["file"] for vector in INDEX]
    assert len(set(files)) == len(files)
    there = {p.relative_to(VECTORS).as_posix() for p in VECTORS.glob("*/*.sig")}
    assert there == set(files)


def test_vectors_are_what_their_maker_makes():
    from tests.vectors import make

    made = [*make.good(), *make.bad_files(), *make.bad_signatures(), *make.bad_statements()]
    stored = {vector["name"]: (VECTORS / vector["file"]).read_bytes() for vector in INDEX}
    assert [vector.name for vector in made] == list(stored)
    for vector in made:
        if "ml-dsa-65" not in vector.keys:
            assert stored[vector.name] == vector.data, vector.name


def test_no_private_key_is_stored():
    for path in VECTORS.rglob("*"):
        if path.is_file() and path.suffix != ".py":
            assert b"PRIVATE KEY" not in path.read_bytes()
