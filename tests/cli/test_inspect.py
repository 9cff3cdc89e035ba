"""``attest inspect``: shows, and never vouches."""

from __future__ import annotations

from pathlib import Path

import pytest

from attest.crypto.keys import LocalSigner
from tests.cli.support import attest, write_pki

BANNER = "UNVERIFIED: this is only what the file says. Nothing of it was checked."


def test_a_signature(signed: Path, key: LocalSigner):
    ran = attest("inspect", signed / "model.sig")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[0] == BANNER
    assert key.public_key.fingerprint in ran.out
    assert "name: model.safetensors" in ran.out


def test_a_tampered_signature_is_shown_all_the_same(signed: Path):
    text = (signed / "model.sig").read_text()
    (signed / "model.sig").write_text(text.replace('"sig":"MEU', '"sig":"MEV'))
    ran = attest("inspect", signed / "model.sig")
    assert ran.code == 0
    assert ran.out.startswith(BANNER)


@pytest.mark.parametrize("file", ["model/model.sig", "release.pub", "ca.pem"])
def test_json_never_says_pass_or_verified(signed: Path, here: Path, file: str):
    write_pki(here)
    ran = attest("inspect", file, "--json")
    report = ran.report
    assert ran.code == 0
    assert report["schema"] == "urn:attest-toolkit:inspect:v1"
    assert report["outcome"] == "partial"
    assert report["subject"]["verified"] is False
    assert report["subject"]["type"]
    assert [finding["code"] for finding in report["findings"]] == ["not-verified"]


def test_long_lists_are_cut_in_text_and_say_how_much_json_has(here: Path, key: LocalSigner):
    Path("many").mkdir()
    for number in range(30):
        Path(f"many/f{number:02}").write_text("x")
    assert attest("sign", "many", "--key", "release.key").code == 0
    text = attest("inspect", "many/model.sig").out
    assert "name: f19" in text
    assert "name: f20" not in text
    assert "... and 10 more (--json lists up to 1000)" in text
    subject = attest("inspect", "many/model.sig", "--json").report["subject"]
    assert len(subject["payload"]["files"]) == 30


def test_a_private_key_is_not_shown(here: Path, key: LocalSigner):
    ran = attest("inspect", "release.key")
    assert ran.code == 1
    secret = Path("release.key").read_text().splitlines()[1]
    assert secret not in ran.out + ran.err


def test_control_characters_of_a_hostile_signer(here: Path, key: LocalSigner):
    Path("m").mkdir()
    Path("m/a\x1b[2Jb").write_text("x")
    assert attest("sign", "m", "--key", "release.key").code == 0
    ran = attest("inspect", "m/model.sig")
    assert "\x1b" not in ran.out
    assert "a\\x1b[2Jb" in ran.out


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 100, b"{}", b"[]", b"{" * 10_000, b"\xff\xfe", b"-----BEGIN "]
)
def test_files_that_say_nothing_known(here: Path, content: bytes):
    Path("file").write_bytes(content)
    ran = attest("inspect", "file", "--json")
    assert ran.code == 1
    assert ran.report["outcome"] == "fail"
    assert ran.report["findings"][0]["where"]


@pytest.mark.parametrize("path", ["nowhere", "."])
def test_files_that_cannot_be_read(here: Path, path: str):
    ran = attest("inspect", path, "--json")
    assert ran.code == 3
    assert ran.report["findings"][0]["where"] == path
