"""``attest verify``: choosing trust, what success and refusal say, options."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
from pathlib import Path

import pytest

from attest.crypto.keys import LocalSigner
from tests.cli.support import Ran, attest, attest_process, bundle, resources_of, statement
from tests.support.fixtures import fixture


def verify(path: str | Path = "model", *args: str | Path) -> Ran:
    return attest("verify", path, "--key", "release.pub", *args)


def test_success_says_who_how_much_and_which_form(signed: Path, key: LocalSigner):
    ran = verify()
    assert (ran.code, ran.err) == (0, "")
    size = sum(len(content) for content in (b'{"hidden_size": 8}\n', b"a\nb\nc\n")) + 256 * 64
    assert ran.out.splitlines() == [
        "verified: model",
        f"  signed by  key {key.public_key.fingerprint} (p256)",
        "  form       OMS bundle",
        f"  checked    3 files, {size / 1024:.1f} KiB",
    ]


def test_success_as_json(signed: Path, key: LocalSigner):
    ran = verify("model", "--json")
    report = ran.report
    assert (ran.code, ran.err) == (0, "")
    assert report["schema"] == "urn:attest-toolkit:verdict:v1"
    assert report["outcome"] == "pass"
    assert report["subject"]["name"] == "model"
    assert report["subject"]["form"] == "oms-bundle"
    assert report["subject"]["files"] == report["subject"]["checked"]["files"] == 3
    assert set(report["subject"]["digests"]) == {"sha256", "attestTreeV1"}
    signature = hashlib.sha256((signed / "model.sig").read_bytes()).hexdigest()
    assert report["inputs"]["signature"] == f"sha256:{signature}"
    codes = {finding["code"]: finding for finding in report["findings"]}
    assert codes["signature-valid"]["signer"]["fingerprint"] == key.public_key.fingerprint
    assert codes["files-match"]["files"] == 3


def test_the_same_inputs_give_the_same_bytes(signed: Path):
    at = ("--json", "--at", "2026-11-20T12:00:00Z")
    first = verify("model", *at)
    assert first.out == verify("model", *at).out
    assert first.report["at"] == "2026-11-20T12:00:00Z"


def test_a_refusal_lists_every_file_grouped(signed: Path):
    for number in range(25):
        (signed / f"extra-{number:02}.py").write_text("import os\n")
    (signed / "config.json").write_text("{}")
    (signed / "tokenizer" / "vocab.txt").unlink()
    ran = verify()
    lines = ran.out.splitlines()
    assert ran.code == 1
    assert lines[0] == "refused: model"
    assert "    config.json" in lines
    assert "    tokenizer/vocab.txt" in lines
    assert sum(line.startswith("    extra-") for line in lines) == 20
    assert "    ... and 5 more (--json lists all)" in lines
    report = verify("model", "--json").report
    assert report["outcome"] == "fail"
    named = {finding["where"] for finding in report["findings"] if finding["outcome"] == "fail"}
    assert len(named) == 27


def test_partial(signed: Path):
    ran = verify("model", "--only", "*.safetensors")
    assert ran.code == 0
    assert ran.out.startswith("partial: model: only what was asked for is verified\n")
    assert "1 file, 16.0 KiB (of 3 signed files)" in ran.out
    assert verify("model", "--only", "*.safetensors", "--json").report["outcome"] == "partial"


def test_partial_does_not_look_at_other_files(signed: Path):
    (signed / "config.json").write_text("{}")
    assert verify("model", "--only", "*.safetensors").code == 0
    assert verify("model", "--only", "*.json").code == 1


def test_only_that_matches_nothing_is_refused(signed: Path):
    ran = verify("model", "--only", "*.gguf", "--json")
    assert ran.code == 1
    assert ran.codes == {"only-matches-nothing"}


def test_only_given_twice_checks_both(signed: Path):
    both = ("--only", "*.safetensors", "--only", "config.json")
    ran = verify("model", *both)
    assert ran.code == 0
    assert "2 files" in ran.out
    (signed / "model.safetensors").write_bytes(b"changed")
    ran = verify("model", *both, "--json")
    assert ran.code == 1
    assert {finding["where"] for finding in ran.report["findings"] if "where" in finding} == {
        "model.safetensors"
    }


def test_each_only_must_match(signed: Path):
    ran = verify("model", "--only", "*.safetensors", "--only", "*.gguf", "--json")
    assert ran.code == 1
    assert ran.codes == {"only-matches-nothing"}
    assert [
        finding["where"] for finding in ran.report["findings"] if finding["outcome"] == "fail"
    ] == ["*.gguf"]


@pytest.mark.parametrize(
    "option",
    ["--signature", "--at", "--ca", "--san", "--subject", "--claims", "--tsa-ca", "--identity"],
)
def test_an_option_of_one_value_given_twice_is_a_usage_error(signed: Path, option: str):
    ran = verify("model", option, "2026-11-20T12:00:00Z", option, "2026-11-20T12:00:00Z")
    assert ran.code == 2
    assert ran.out == ""
    assert f"{option} is given twice" in ran.err


def test_a_switch_given_twice_is_harmless(signed: Path):
    assert verify("model", "--json", "--json", "-q", "--quiet").code == 0


# -- exactly one kind of trust -------------------------------------------------------------------

SIGSTORE = ("--identity", "a@example.com", "--issuer", "https://issuer", "--trusted-root", "r.json")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "say whom you trust"),
        (["--key", "release.pub", "--ca", "ca.pem", "--san", "a"], "not --key and --ca"),
        (["--key", "release.pub", "--sigstore", *SIGSTORE], "not --key and --sigstore"),
        (["--ca", "ca.pem"], "--ca needs one of"),
        (["--ca", "ca.pem", "--san", "a", "--subject", "CN=a"], "--ca needs one of"),
        (["--sigstore"], "--sigstore needs"),
        (["--sigstore", *SIGSTORE[:4]], "--sigstore needs"),
        (["--san", "a"], "say whom you trust"),
        (["--key", "release.pub", "--san", "a"], "--san means nothing with --key"),
        (["--key", "release.pub", "--legacy-certificate"], "means nothing with --key"),
        (["--key", "release.pub", "--issuer", "u"], "--issuer means nothing with --key"),
        (["--sigstore", *SIGSTORE, "--tsa-ca", "c"], "--tsa-ca means nothing with --sigstore"),
        (["--key", "release.pub", "--key", "release.pub"], "same --key twice"),
        (["--ca", "ca.pem", "--subject", "not a name"], "--subject: "),
        (["--ca", "ca.pem", "--san", ""], "--san: "),
        (["--key", "release.pub", "--at", "yesterday"], "RFC 3339"),
        (["--key", "release.pub", "--at", "2026-11-20"], "RFC 3339"),
        (["--key", "release.pub", "--at", "2026-11-20T12:00:00"], "RFC 3339"),
        (["--key", "release.pub", "--at", "2026-13-20T12:00:00Z"], "RFC 3339"),
        (["--key", "release.pub", "--allow-ignore", "../x"], "not a path inside"),
    ],
)
def test_usage_errors_explain_themselves(signed: Path, args: list[str], says: str):
    ran = attest("verify", signed, *args, "--json")
    assert ran.code == 2
    assert ran.out == ""
    assert says in ran.err
    assert "hint: see `attest verify --help`" in ran.err


@pytest.mark.parametrize(
    "args",
    [
        ["--key", "nowhere.pub"],
        ["--ca", "nowhere.pem", "--san", "a"],
        ["--key", "release.pub", "--tsa-ca", "nowhere.pem"],
        ["--sigstore", *SIGSTORE],
        ["--key", "model"],
    ],
)
def test_trust_that_cannot_be_read_is_not_judged(signed: Path, args: list[str]):
    ran = attest("verify", signed, *args, "--json")
    assert ran.code == 3
    assert ran.report["outcome"] == "error"
    missing = "r.json" if "--sigstore" in args else args[-1] if "--tsa-ca" in args else args[1]
    assert ran.report["findings"][0]["where"] == missing
    assert missing in attest("verify", signed, *args).err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "public key"),
        (b"garbage", "public key"),
        (b"\xff" * 100, "public key"),
        (b"A" * 100_000, "public key"),
    ],
)
def test_a_key_file_that_is_no_key_is_not_judged(signed: Path, content: bytes, says: str):
    Path("bad.pub").write_bytes(content)
    ran = attest("verify", signed, "--key", "bad.pub")
    assert ran.code == 3
    assert ran.err.startswith("attest: error: bad.pub: ")
    assert says in ran.err


def test_a_bad_public_key_is_told_to_be_the_pub_file(signed: Path):
    Path("bad.pub").write_bytes(b"garbage")
    assert "hint: give the .pub file" in attest("verify", signed, "--key", "bad.pub").err


@pytest.mark.parametrize("content", [b"", b"garbage", b"A" * 5_000_000])
@pytest.mark.parametrize(
    "args",
    [
        ["--ca", "bad", "--san", "a"],
        ["--key", "release.pub", "--tsa-ca", "bad"],
        ["--sigstore", *SIGSTORE[:5], "bad"],
    ],
)
def test_trust_material_that_is_malformed_is_not_judged(
    signed: Path, args: list[str], content: bytes
):
    if "--sigstore" in args:
        pytest.importorskip("sigstore")
    Path("bad").write_bytes(content)
    ran = attest("verify", signed, *args, "--json")
    assert ran.code == 3
    assert ran.report["outcome"] == "error"
    assert ran.report["findings"][0]["where"].startswith("bad")


def test_an_unsupported_key_is_not_judged(signed: Path):
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = rsa.generate_private_key(65537, 2048).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    Path("rsa.pub").write_bytes(pem)
    ran = attest("verify", signed, "--key", "rsa.pub", "--json")
    assert ran.code == 3
    assert ran.codes == {"unsupported-key"}
    assert ran.report["findings"][0]["where"] == "rsa.pub"


def test_an_extra_that_is_not_installed_is_not_judged(
    signed: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "sigstore.verify", None)
    Path("r.json").write_text("{}")
    ran = attest("verify", signed, "--sigstore", *SIGSTORE, "--json")
    assert ran.code == 3
    assert ran.codes == {"extra-missing"}
    assert "where" not in ran.report["findings"][0]


def test_a_key_that_may_not_be_read_is_found_on_reading(
    signed: Path, monkeypatch: pytest.MonkeyPatch
):
    Path("release.pub").chmod(0)
    with monkeypatch.context() as patched:
        patched.setattr(os, "access", lambda *args, **options: False)
        ran = verify()
    assert ran.code == (0 if os.geteuid() == 0 else 3)


def test_a_private_key_given_as_public_is_not_echoed(signed: Path):
    ran = attest("verify", signed, "--key", "release.key", "--json")
    assert ran.code == 3
    assert ran.codes == {"private-key-given"}
    secret = Path("release.key").read_text().splitlines()[1]
    assert secret not in ran.out + attest("verify", signed, "--key", "release.key").err


def test_a_key_from_a_pipe(signed: Path, here: Path):
    os.mkfifo("pipe.pub")
    content = Path("release.pub").read_bytes()
    writer = threading.Thread(target=Path("pipe.pub").write_bytes, args=(content,))
    writer.start()
    ran = attest_process("verify", signed, "--key", "pipe.pub", cwd=here)
    writer.join()
    assert ran.code == 0


# -- ignored paths, warnings ---------------------------------------------------------------------


@pytest.fixture
def partly_signed(model: Path, key: LocalSigner) -> Path:
    """``model/`` with an ignored file that is there."""
    (model / "notes.txt").write_text("draft")
    assert attest("sign", model, "--key", "release.key", "--ignore", "notes.txt").code == 0
    return model


def test_what_the_signer_ignored_needs_the_consumer_s_consent(partly_signed: Path):
    ran = verify()
    assert ran.code == 1
    assert "notes.txt" in ran.out


def test_allowed_uncovered_files_are_a_warning(partly_signed: Path):
    ran = verify("model", "--allow-ignore", "notes.txt")
    assert ran.code == 0
    assert "warn: " in ran.out
    assert "notes.txt" in ran.out


def test_fail_on_warn_refuses_in_text_json_and_code(partly_signed: Path):
    args = ("--allow-ignore", "notes.txt", "--fail-on-warn")
    ran = verify("model", *args)
    assert ran.code == 1
    assert ran.out.startswith("refused: model\n")
    report = verify("model", *args, "--json")
    assert report.code == 1
    assert report.report["outcome"] == "fail"
    assert "warnings-refused" in report.codes


def test_fail_on_warn_without_a_warning(signed: Path):
    assert verify("model", "--fail-on-warn").code == 0


# -- forms and other signers ---------------------------------------------------------------------


def test_several_keys_must_all_have_signed(model: Path, key: LocalSigner):
    for name in ("second", "third"):
        assert attest("keygen", name, "--algorithm", "ed25519").code == 0
    ran = attest("sign", model, "--key", "release.key", "--key", "second.key", "--json")
    assert ran.report["subject"]["form"] == "dsse-envelope"
    both = verify("model", "--key", "second.pub")
    assert both.code == 0
    assert "form       multi-signature envelope" in both.out
    assert both.out.count("signed by  key ") == 2
    assert verify("model", "--key", "third.pub").code == 1


def test_another_tool_s_signature_is_read(model: Path, key: LocalSigner):
    document = bundle(statement(resources_of(model)), key)
    (model / "model.sig").write_text(json.dumps(document))
    ran = verify()
    assert ran.code == 0, ran


def test_a_single_file(here: Path, key: LocalSigner):
    Path("weights.bin").write_bytes(b"\0" * 1000)
    assert attest("sign", "weights.bin", "--key", "release.key").code == 0
    assert Path("weights.bin.sig").exists()
    assert verify("weights.bin").code == 0
    Path("weights.bin").write_bytes(b"\1" * 1000)
    ran = verify("weights.bin")
    assert ran.code == 1
    assert "weights.bin" in ran.out


def test_signature_elsewhere(model: Path, key: LocalSigner):
    assert attest("sign", model, "--key", "release.key", "--signature", "away.sig").code == 0
    assert not (model / "model.sig").exists()
    assert verify("model", "--signature", "away.sig").code == 0
    ran = verify("model", "--json")
    assert ran.code == 1  # an unsigned artifact is refused
    assert ran.codes == {"signature-missing"}
    assert ran.report["findings"][0]["where"] == "model"
    ran = verify("model", "--signature", "nowhere.sig", "--json")
    assert ran.code == 3
    assert ran.report["findings"][0]["where"] == "nowhere.sig"


def test_a_trusted_root_that_is_none(signed: Path):
    pytest.importorskip("sigstore")
    Path("r.json").write_text("{}")
    ran = attest("verify", signed, "--sigstore", *SIGSTORE, "--json")
    assert ran.code == 3
    assert ran.report["findings"][0]["where"] == "r.json"


def test_a_sigstore_signature():
    pytest.importorskip("sigstore")
    model = fixture("oms", "mt", "v1.1.0-sigstore")
    root = fixture("oms", "mt", "golden", "signing", "custom_trust_config.json")
    line = ("verify", model, "--sigstore", "--trusted-root", root, "--allow-ignore", "ignore-me")
    issuer = "https://sigstore.verify.ibm.com/oauth2"
    ran = attest(*line, "--issuer", issuer, "--identity", "stefanb@us.ibm.com")
    assert ran.code == 0
    assert "signed by  sigstore stefanb@us.ibm.com via https://" in ran.out
    other = attest(*line, "--issuer", issuer, "--identity", "other@us.ibm.com", "--json")
    assert other.code == 1


def test_a_legacy_certificate_needs_its_switch():
    model = fixture("oms", "mt", "v1.1.0-certificate")
    ca = fixture("oms", "mt", "keys", "certificate", "ca-cert.pem")
    at = ("--at", "2026-11-20T12:00:00Z", "--allow-ignore", "ignore-me")
    line = ("verify", model, "--ca", ca, "--subject", "CN=intermediate-ca", *at)
    refused = attest(*line)
    assert refused.code == 1
    assert "accept it with --legacy-certificate" in refused.out
    ran = attest(*line, "--legacy-certificate")
    assert ran.code == 0
    assert "signed by  certificate CN=intermediate-ca (p384, fingerprint " in ran.out
