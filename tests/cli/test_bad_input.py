"""Bad input at the prompt, each defect by name.

For each: the exit code of the contract, the file or field named, a stable code under ``--json``, no
traceback, nothing written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from attest.crypto.algorithms import KeyAlgorithm
from attest.crypto.keys import LocalSigner, generate
from tests.cli.support import (
    Ran,
    attest,
    bundle,
    resources_of,
    snapshot,
    statement,
    unchanged,
    write_pki,
)
from tests.support import pki


def refused(here: Path, *args: str | Path, code: int = 1) -> Ran:
    """Verify ``model`` as text and as JSON; the JSON run."""
    line = ("verify", "model", *(args or ("--key", "release.pub")))
    with unchanged(here):
        text, report = attest(*line), attest(*line, "--json")
    assert text.code == report.code == code
    assert text.out + text.err
    assert report.report["outcome"] == {1: "fail", 3: "error"}[code]
    for finding in report.report["findings"]:
        if finding["outcome"] in ("fail", "error"):
            assert finding["message"]
            assert finding["code"] in text.out + text.err or finding["message"] in text.err
    return report


def places(ran: Ran) -> set[str]:
    return {
        finding.get("where", "")
        for finding in ran.report["findings"]
        if finding["outcome"] in ("fail", "error")
    }


# -- the files -----------------------------------------------------------------------------------


def change(model: Path) -> None:
    data = bytearray((model / "model.safetensors").read_bytes())
    data[100] ^= 1
    (model / "model.safetensors").write_bytes(data)


def truncate(model: Path) -> None:
    os.truncate(model / "model.safetensors", 1000)


def lengthen(model: Path) -> None:
    with (model / "model.safetensors").open("ab") as file:
        file.write(b"\0")


def empty(model: Path) -> None:
    os.truncate(model / "model.safetensors", 0)


def remove(model: Path) -> None:
    (model / "model.safetensors").unlink()


def add(model: Path) -> None:
    (model / "tokenizer" / "extra.py").write_text("import os\n")


def rename(model: Path) -> None:
    (model / "config.json").rename(model / "modeling_x.py")


def replace_by_link(model: Path) -> None:
    (model / "config.json").rename(model.parent / "config.json")
    (model / "config.json").symlink_to("../config.json")


def replace_by_fifo(model: Path) -> None:
    (model / "config.json").unlink()
    os.mkfifo(model / "config.json")


def replace_by_folder(model: Path) -> None:
    (model / "config.json").unlink()
    (model / "config.json").mkdir()


@pytest.mark.parametrize(
    ("spoil", "codes", "named"),
    [
        (change, {"file-changed"}, {"model.safetensors"}),
        (truncate, {"file-changed"}, {"model.safetensors"}),
        (lengthen, {"file-changed"}, {"model.safetensors"}),
        (empty, {"file-changed"}, {"model.safetensors"}),
        (remove, {"file-missing"}, {"model.safetensors"}),
        (add, {"file-extra"}, {"tokenizer/extra.py"}),
        (rename, {"file-missing", "file-extra"}, {"config.json", "modeling_x.py"}),
        (replace_by_link, {"symlink-refused"}, {"config.json"}),
        (replace_by_fifo, {"special-file"}, {"config.json"}),
        (replace_by_folder, {"file-missing"}, {"config.json"}),
    ],
)
def test_files(
    signed: Path, here: Path, spoil: Callable[[Path], None], codes: set[str], named: set[str]
):
    spoil(signed)
    ran = refused(here)
    assert codes <= ran.codes
    assert named <= places(ran)


def test_a_name_that_is_not_utf8(signed: Path, here: Path):
    with open(os.fsencode(signed) + b"/odd-\xff", "wb"):
        pass
    ran = refused(here)
    assert any("odd-" in place for place in places(ran))


def test_a_missing_and_an_extra_shard_are_named_as_such(here: Path, key: LocalSigner):
    Path("model").mkdir()
    for number in (1, 2, 3):
        Path(f"model/model-0000{number}-of-00003.safetensors").write_bytes(bytes([number]))
    assert attest("sign", "model", "--key", "release.key").code == 0
    Path("model/model-00002-of-00003.safetensors").rename("model/model-00004-of-00004.safetensors")
    ran = refused(here)
    assert {"shard-missing", "shard-extra"} <= ran.codes
    assert "model-00002-of-00003.safetensors" in places(ran)


def test_a_folder_link_whose_target_changed(model: Path, key: LocalSigner, here: Path):
    (model / "alias").symlink_to("tokenizer")
    assert attest("sign", model, "--key", "release.key", "--follow-symlinks").code == 0
    line = ("--key", "release.pub", "--follow-symlinks")
    assert attest("verify", model, *line).code == 0
    (model / "other").mkdir()
    (model / "other" / "vocab.txt").write_text("changed\n")
    (model / "alias").unlink()
    (model / "alias").symlink_to("other")
    ran = refused(here, *line)
    assert "alias/vocab.txt" in places(ran)


def test_a_folder_link_that_leads_out(signed: Path, here: Path):
    Path("outside").mkdir()
    (signed / "link").symlink_to("../outside")
    ran = refused(here, "--key", "release.pub", "--follow-symlinks")
    assert "link" in places(ran)


def test_an_artifact_that_is_not_there(here: Path, key: LocalSigner):
    assert "model" in places(refused(here, code=3))


# -- the statement, validly signed ---------------------------------------------------------------


def lie(document: dict[str, Any], *path: str | int, value: Any) -> dict[str, Any]:
    """``document`` with one member replaced."""
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return document


def with_names(*names: str) -> Callable[[Path], dict[str, Any]]:
    """A statement that also lists these names."""

    def make(model: Path) -> dict[str, Any]:
        digest = "0" * 64
        extra = [{"name": name, "algorithm": "sha256", "digest": digest} for name in names]
        return statement([*resources_of(model), *extra])

    return make


def honest(model: Path) -> dict[str, Any]:
    return statement(resources_of(model))


STATEMENTS: dict[str, tuple[Callable[[Path], dict[str, Any] | bytes], str]] = {
    "duplicate name": (with_names("config.json"), "duplicate-name"),
    "absolute name": (with_names("/etc/passwd"), "unsafe-name"),
    "climbing name": (with_names("../outside"), "unsafe-name"),
    "climbing name in the middle": (with_names("a/../../outside"), "unsafe-name"),
    "dot name": (with_names("./config.json"), "unsafe-name"),
    "empty name": (with_names(""), "unsafe-name"),
    "name with NUL": (with_names("a\0b"), "unsafe-name"),
    "names that collide when normalised": (with_names("\u00e9", "e\u0301"), "colliding-names"),
    "no resources": (lambda _: statement([]), "no-resources"),
    "ignores everything": (lambda _: statement([], ignore_paths=["."]), "no-resources"),
    "another algorithm than declared": (
        lambda model: statement(
            [{**entry, "algorithm": "sha512"} for entry in resources_of(model)]
        ),
        "algorithm-mismatch",
    ),
    "mixed algorithms": (
        lambda model: lie(honest(model), "predicate", "resources", 0, "algorithm", value="blake3"),
        "algorithm-mismatch",
    ),
    "unknown algorithm": (
        lambda model: lie(honest(model), "predicate", "serialization", "hash_type", value="md5"),
        "unsupported-hash",
    ),
    "unknown method": (
        lambda model: statement(resources_of(model), method="guess"),
        "unknown-method",
    ),
    "wrong root digest": (
        lambda model: statement(resources_of(model), root="0" * 64),
        "wrong-root",
    ),
    "two subjects": (
        lambda model: lie(honest(model), "subject", value=honest(model)["subject"] * 2),
        "subject-count",
    ),
    "no subject": (lambda model: lie(honest(model), "subject", value=[]), "subject-count"),
    "unknown predicate type": (
        lambda model: lie(honest(model), "predicateType", value="https://example.com/x"),
        "unknown-predicate-type",
    ),
    "duplicate keys": (
        lambda model: json.dumps(honest(model)).encode().replace(b"{", b'{"_type": "x", ', 1),
        "duplicate-key",
    ),
    "not JSON": (lambda _: b"hello", "malformed-json"),
}


@pytest.mark.parametrize("case", STATEMENTS)
def test_statements(case: str, model: Path, key: LocalSigner, here: Path):
    make, code = STATEMENTS[case]
    (model / "model.sig").write_text(json.dumps(bundle(make(model), key)))
    ran = refused(here)
    assert ran.codes == {code}
    assert places(ran)


def test_a_signer_that_ignores_the_rest(model: Path, key: LocalSigner, here: Path):
    only_config = [entry for entry in resources_of(model) if entry["name"] == "config.json"]
    document = bundle(statement(only_config, ignore_paths=["."]), key)
    (model / "model.sig").write_text(json.dumps(document))
    ran = refused(here)
    assert ran.codes == {"file-uncovered"}
    assert "2 files" in ran.report["findings"][-1]["message"]


# -- the bundle ----------------------------------------------------------------------------------


def rewritten(model: Path, change: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads((model / "model.sig").read_text())
    change(document)
    (model / "model.sig").write_text(json.dumps(document))


def change_media_type(document: dict[str, Any]) -> None:
    document["mediaType"] = "application/vnd.dev.sigstore.bundle.v9+json"


def change_payload_type(document: dict[str, Any]) -> None:
    document["dsseEnvelope"]["payloadType"] = "text/plain"


def remove_signatures(document: dict[str, Any]) -> None:
    document["dsseEnvelope"]["signatures"] = []


def change_hint(document: dict[str, Any]) -> None:
    document["verificationMaterial"]["publicKey"]["hint"] = "0" * 64


def change_signature(document: dict[str, Any]) -> None:
    document["dsseEnvelope"]["signatures"][0]["sig"] = "MAYCAQECAQE="


def break_base64(document: dict[str, Any]) -> None:
    document["dsseEnvelope"]["payload"] += "\n"


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        (change_media_type, {"unknown-media-type"}),
        (change_payload_type, {"unknown-payload-type", "bad-signature"}),
        (remove_signatures, {"no-signature", "signature-count", "malformed-input"}),
        (change_hint, {"key-hint-mismatch"}),
        (change_signature, {"bad-signature"}),
        (break_base64, {"malformed-base64", "not-canonical"}),
    ],
)
def test_bundles(
    signed: Path, here: Path, change: Callable[[dict[str, Any]], None], codes: set[str]
):
    rewritten(signed, change)
    ran = refused(here)
    assert ran.codes & codes
    assert any(places(ran))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\xff\xfe",
        b'{"mediaType": "a", "mediaType": "b"}',
        b'{"mediaType": NaN}',
        b'{"mediaType": ' + b"9" * 10_000 + b"}",
        b'"\\ud800"',
        b"null",
    ],
    ids=lambda content: repr(content[:20]),
)
def test_files_that_are_no_bundle(signed: Path, here: Path, content: bytes):
    (signed / "model.sig").write_bytes(content)
    assert any(places(refused(here)))


@pytest.mark.parametrize("keep", [1, 100, -2])
def test_truncated_bundles(signed: Path, here: Path, keep: int):
    data = (signed / "model.sig").read_bytes()
    (signed / "model.sig").write_bytes(data.rstrip()[:keep])
    assert any(places(refused(here)))


def test_a_bundle_of_a_gigabyte_is_not_read(signed: Path):
    os.truncate(signed / "model.sig", 1 << 30)
    ran = attest("verify", signed, "--key", "release.pub", "--json")
    assert ran.code == 1
    assert ran.codes == {"too-large"}
    assert places(ran) == {"model/model.sig"}


@pytest.mark.parametrize("kind", ["fifo", "folder", "dangling link"])
def test_a_signature_that_is_no_file(signed: Path, kind: str):
    (signed / "model.sig").unlink()
    if kind == "fifo":
        os.mkfifo(signed / "model.sig")
    elif kind == "folder":
        (signed / "model.sig").mkdir()
    else:
        (signed / "model.sig").symlink_to("nowhere")
    ran = attest("verify", signed, "--key", "release.pub", "--json")
    assert ran.code == 3
    assert places(ran) == {"model/model.sig"}


# -- keys ----------------------------------------------------------------------------------------


def test_a_wrong_key(signed: Path, here: Path):
    assert attest("keygen", "other").code == 0
    ran = refused(here, "--key", "other.pub")
    assert ran.codes == {"key-hint-mismatch"}
    assert places(ran) == {"model/model.sig"}


def test_a_wrong_key_behind_the_right_hint(model: Path, key: LocalSigner, here: Path):
    other = generate(KeyAlgorithm.ECDSA_P256)
    hint = key.public_key.fingerprint
    document = bundle(honest(model), other, hint=hint)
    (model / "model.sig").write_text(json.dumps(document))
    assert refused(here).codes == {"bad-signature"}


def test_no_signature_at_all(model: Path, key: LocalSigner, here: Path):
    assert refused(here).codes == {"signature-missing"}


def test_the_second_of_two_signatures_is_bad(model: Path, key: LocalSigner, here: Path):
    assert attest("keygen", "second", "--algorithm", "ed25519").code == 0
    assert attest("sign", model, "--key", "release.key", "--key", "second.key").code == 0
    path = model / "model.dsse.json"
    document = json.loads(path.read_text())
    assert len(document["signatures"]) == 2
    document["signatures"][1]["sig"] = document["signatures"][0]["sig"]
    path.write_text(json.dumps(document))
    ran = refused(here, "--key", "release.pub", "--key", "second.pub")
    assert ran.codes == {"bad-signature"}


def test_a_kind_of_trust_never_verifies_another_kind_of_signer(signed: Path, here: Path):
    write_pki(here)
    ran = refused(here, "--ca", "ca.pem", "--san", "release@example.com")
    assert ran.codes == {"other-kind-of-signer"}


# -- certificates --------------------------------------------------------------------------------

NOON = ("--at", "2026-06-01T12:00:00Z")


CERTIFIED = ("--certificate", "leaf.pem", "--chain", "chain.pem", "--key", "leaf.key")


class CarelessSigner:
    """A signer of another tool: presents its certificates without looking at them."""

    def __init__(self, here: Path) -> None:
        from attest.crypto.keys import load_private_key
        from attest.crypto.x509 import load_certificates

        self._key = load_private_key((here / "leaf.key").read_bytes(), None)
        pem = (here / "leaf.pem").read_bytes() + (here / "chain.pem").read_bytes()
        encoding = serialization.Encoding.DER
        self.chain = tuple(each.public_bytes(encoding) for each in load_certificates(pem))
        self.algorithm = self._key.algorithm
        self.public_key = self._key.public_key

    def sign_parts(self, parts: Iterable[bytes | memoryview]) -> bytes:
        return self._key.sign_parts(parts)


def sign_with_certificate(here: Path, **knobs: Any) -> None:
    from attest.flow.sign import sign_artifact

    write_pki(here, **knobs)
    sign_artifact(here / "model", [CarelessSigner(here)])


def test_certificate_that_could_never_verify_is_refused_when_signing(model: Path, here: Path):
    write_pki(here, usages=(pki.SERVER_AUTH,))
    ran = attest("sign", "model", *CERTIFIED, "--json")
    assert ran.code == 3
    assert ran.codes == {"wrong-extended-key-usage"}
    assert not (here / "model/model.sig").exists()


def test_certificate_signs(model: Path, here: Path):
    write_pki(here)
    assert attest("sign", "model", *CERTIFIED).code == 0


def test_a_good_certificate(model: Path, here: Path):
    sign_with_certificate(here)
    line = ("verify", model, "--ca", "ca.pem", *NOON)
    by_name = attest(*line, "--san", "release@example.com")
    assert by_name.code == 0
    assert "signed by  certificate release@example.com, CN=release,O=Example (p256, " in by_name.out
    assert attest(*line, "--subject", "CN=release,O=Example").code == 0


@pytest.mark.parametrize(
    ("knobs", "args", "code"),
    [
        ({"not_after": pki.NOON - timedelta(days=1)}, NOON, "certificate-expired"),
        ({"not_before": pki.NOON + timedelta(days=1)}, NOON, "certificate-not-yet-valid"),
        ({}, ("--at", "2040-01-01T00:00:00Z"), "certificate-expired"),
        ({}, ("--at", "2001-01-01T00:00:00Z"), "certificate-not-yet-valid"),
        ({"usages": (pki.SERVER_AUTH,)}, NOON, "wrong-extended-key-usage"),
        ({"sans": pki.every_san()[0][:1]}, NOON, "name-mismatch"),
    ],
)
def test_certificates(
    model: Path,
    here: Path,
    knobs: dict[str, Any],
    args: tuple[str, ...],
    code: str,
):
    sign_with_certificate(here, **knobs)
    ran = refused(here, "--ca", "ca.pem", "--san", "release@example.com", *args)
    assert ran.codes == {code}
    assert places(ran) == {"model/model.sig"}


def test_a_certificate_of_another_ca(model: Path, here: Path):
    sign_with_certificate(here)
    Path("ca.pem").write_bytes(pki.pem(pki.make_pki().root))
    ran = refused(here, "--ca", "ca.pem", "--san", "release@example.com", *NOON)
    assert any(places(ran))


def test_nothing_but_the_verdict_comes_out_of_a_refusal(signed: Path, here: Path):
    change(signed)
    before = snapshot(here)
    ran = attest("verify", signed, "--key", "release.pub")
    assert ran.err == ""
    assert snapshot(here) == before
