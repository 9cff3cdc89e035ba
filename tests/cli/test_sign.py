"""``attest sign``: keys, forms, what it writes, and when it writes nothing."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from attest.crypto.keys import LocalSigner
from attest.crypto.timestamp import build_request
from attest.verdict import format_time
from tests.cli.support import Ran, attest, attest_process, snapshot, unchanged, write_pki
from tests.support import pki
from tests.support.tsa import TimestampAuthority

FIRMWARE = ("--kind", "firmware", "--rollback-counter")


def test_success_says_what_where_and_by_whom(model: Path, key: LocalSigner):
    ran = attest("sign", model, "--key", "release.key")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0] == "signed: model"
    assert "  signature  model/model.sig (OMS bundle)" in lines
    assert f"  signed by  key {key.public_key.fingerprint}" in lines


def test_success_as_json(model: Path, key: LocalSigner):
    report = attest("sign", model, "--key", "release.key", "--json").report
    assert report["schema"] == "urn:attest-toolkit:sign:v1"
    assert report["outcome"] == "pass"
    subject = report["subject"]
    assert subject["signature"] == "model/model.sig"
    assert subject["form"] == "oms-bundle"
    assert subject["files"] == 3
    assert subject["signers"] == [key.public_key.fingerprint]
    assert set(subject["digests"]) == {"sha256", "attestTreeV1"}


@pytest.mark.parametrize(
    ("algorithm", "form", "file"),
    [
        ("p384", "oms-bundle", "model.sig"),
        ("p521", "oms-bundle", "model.sig"),
        ("ed25519", "dsse-envelope", "model.dsse.json"),
        ("ml-dsa-65", "dsse-envelope", "model.dsse.json"),
    ],
)
def test_the_key_decides_the_form(model: Path, algorithm: str, form: str, file: str):
    assert attest("keygen", "k", "--algorithm", algorithm).code == 0
    ran = attest("sign", model, "--key", "k.key", "--json")
    assert ran.report["subject"]["form"] == form
    assert (model / file).exists()
    assert attest("verify", model, "--key", "k.pub").code == 0


@pytest.mark.parametrize("algorithm", ["sha384", "sha512", "blake3"])
def test_other_content_hashes(model: Path, key: LocalSigner, algorithm: str):
    assert attest("sign", model, "--key", "release.key", "--algorithm", algorithm).code == 0
    assert attest("verify", model, "--key", "release.pub").code == 0
    (model / "config.json").write_text("{}")
    assert attest("verify", model, "--key", "release.pub").code == 1


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "say who signs"),
        (["--tsa", "https://tsa.example"], "say who signs"),
        (["--key", "release.key", "--chain", "c.pem"], "--chain means nothing"),
        (["--certificate", "c.pem"], "--certificate needs exactly one"),
        (["--key", "a", "--key", "b", "--certificate", "c"], "--certificate needs exactly one"),
        (["--key", "release.key", "--key", "release.key"], "the same key twice"),
        (["--key", "release.key", "--kind", "firmware"], "--kind firmware needs"),
        (["--key", "release.key", "--fw-version", "1"], "need --kind firmware"),
        (["--key", "release.key", "--kind", "model", "--rollback-counter", "1"], "need --kind"),
        (["--key", "release.key", "--claims", "c.jsonl"], "--claims needs --kind"),
        (["--key", "release.key", "--kind", "code"], "--kind"),
        (["--key", "release.key", "--algorithm", "md5"], "--algorithm"),
        (["--key", "release.key", "--algorithm", "blake2b"], "--algorithm"),
        (["--key", "release.key", "--ignore", "/etc"], "not a path inside"),
        (["--key", "release.key", "--ignore", "."], "not a path inside"),
        (["--key", "release.key", "--tsa", "https://user:pass@tsa.example"], "--tsa: "),
        (["--key", "release.key", "--tsa", "http://[bad"], "--tsa: "),
        (["--key", "release.key", "--tsa", "ftp://tsa.example"], "--tsa: "),
        (["--key", "release.key", "--sigstore"], "--sigstore"),
        (["--key", "k", "--certificate", "c", "--algorithm", "sha512"], "needs --algorithm sha256"),
        (["--key", "k", "--algorithm", "blake3", "--digests", "sums"], "not of blake3"),
        (["--key", "k", "--digests", "a", "--digests", "b"], "--digests is given twice"),
        (["--key", "k", "--claims", "a", "--claims", "b"], "--claims is given twice"),
        (["--key", "k", "--signature", "a", "--signature", "a"], "--signature is given twice"),
        (["--key", "model/in.key"], "--key model/in.key: a secret inside the artifact"),
        (["--key", "./model/../model/x/in.key"], "a secret inside the artifact"),
        (
            ["--key", "release.key", "--passphrase-file", "model/config.json"],
            "--passphrase-file model/config.json: a secret inside",
        ),
        (
            ["--key", "release.key", "--passphrase-file", "a", "--passphrase-env", "B"],
            "choose one of",
        ),
        (["--key", "release.key", *FIRMWARE, "1", "--fw-version", ""], "1 to 200 characters"),
        *(
            (["--key", "release.key", *FIRMWARE, number, "--fw-version", "1"], "whole number")
            for number in ("-1", "+4_2", "\u0663", "1e3", "9223372036854775808", "01", "")
        ),
    ],
)
def test_usage_errors_explain_themselves(
    model: Path, key: LocalSigner, here: Path, args: list[str], says: str
):
    with unchanged(here):
        ran = attest("sign", model, *args, "--json")
    assert ran.code == 2
    assert ran.out == ""
    assert says in ran.err


# -- passphrases ---------------------------------------------------------------------------------


@pytest.fixture
def locked(here: Path) -> None:
    """``locked.key``, with its passphrase in ``secret.txt``."""
    Path("secret.txt").write_text("two words\n")
    assert attest("keygen", "locked", "--passphrase-file", "secret.txt").code == 0


def test_encrypted_keys(model: Path, locked: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SECRET", "two words")
    for source in (["--passphrase-file", "secret.txt"], ["--passphrase-env", "SECRET"]):
        assert attest("sign", model, "--key", "locked.key", *source).code == 0


def test_a_wrong_passphrase(model: Path, locked: None, here: Path):
    Path("wrong.txt").write_text("other words\n")
    with unchanged(here):
        ran = attest(
            "sign", model, "--key", "locked.key", "--passphrase-file", "wrong.txt", "--json"
        )
    assert ran.code == 3
    assert ran.codes == {"wrong-passphrase"}
    assert ran.report["findings"][0]["where"] == "locked.key"


def test_a_key_inside_the_tree_is_not_signed_through_a_link_either(
    model: Path, key: LocalSigner, here: Path
):
    Path("release.key").rename(model / "release.key")
    Path("release.key").symlink_to("model/release.key")
    with unchanged(here):
        ran = attest("sign", model, "--key", "release.key")
        itself = attest("sign", model / "release.key", "--key", model / "release.key")
    assert ran.code == itself.code == 2
    assert "release.key: a secret inside the artifact" in ran.err


def test_one_passphrase_serves_all_keys_as_help_says(model: Path, locked: None):
    assert attest("keygen", "second", "--passphrase-file", "secret.txt").code == 0
    keys = ("--key", "locked.key", "--key", "second.key")
    assert attest("sign", model, *keys, "--passphrase-file", "secret.txt").code == 0
    assert "One passphrase serves all key files." in attest("sign", "--help").out


def test_no_passphrase_and_no_terminal(model: Path, locked: None, here: Path):
    with unchanged(here):
        ran = attest_process("sign", model, "--key", "locked.key", cwd=here)
    assert ran.code == 3
    assert "the passphrase of locked.key is needed" in ran.err
    assert "--passphrase-file" in ran.err


# -- kinds and claims ----------------------------------------------------------------------------


def test_no_kind_no_claim(model: Path, key: LocalSigner):
    assert attest("sign", model, "--key", "release.key").code == 0
    assert not Path("model.claims.jsonl").exists()


def test_firmware_claims_its_version(here: Path, key: LocalSigner):
    Path("fw.bin").write_bytes(b"\x7fFW")
    ran = attest(
        *("sign", "fw.bin", "--key", "release.key", "--kind", "firmware"),
        *("--fw-version", "1.4.2", "--rollback-counter", "7", "--json"),
    )
    assert ran.code == 0
    assert ran.report["subject"]["claims"] == "fw.bin.claims.jsonl"
    shown = attest("inspect", "fw.bin.claims.jsonl", "--json").report["subject"]
    text = json.dumps(shown)
    assert '"rollbackCounter": 7' in text
    assert '"version": "1.4.2"' in text


def test_claims_elsewhere(model: Path, key: LocalSigner):
    args = ("--kind", "model", "--claims", "elsewhere.jsonl")
    assert attest("sign", model, "--key", "release.key", *args).code == 0
    assert Path("elsewhere.jsonl").exists()
    assert not Path("model.claims.jsonl").exists()


# -- digests that are taken over -----------------------------------------------------------------


def digest_list(model: Path, *names: str) -> str:
    return "".join(
        f"{hashlib.sha256((model / name).read_bytes()).hexdigest()}  ./{name}\n" for name in names
    )


def test_given_digests_are_used_and_marked(model: Path, key: LocalSigner):
    Path("sums").write_text(digest_list(model, "model.safetensors"))
    ran = attest("sign", model, "--key", "release.key", "--digests", "sums")
    assert ran.code == 0
    assert "not read   1 file: their digests were given" in ran.out
    verified = attest("verify", model, "--key", "release.pub", "--verbose")
    assert verified.code == 0
    assert "digests-precomputed" in verified.out


def test_a_wrong_given_digest_is_found_by_verify(model: Path, key: LocalSigner):
    Path("sums").write_text(f"{'0' * 64}  model.safetensors\n")
    assert attest("sign", model, "--key", "release.key", "--digests", "sums").code == 0
    ran = attest("verify", model, "--key", "release.pub")
    assert ran.code == 1
    assert "model.safetensors" in ran.out


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"nonsense\n",
        b"0" * 63 + b"  config.json\n",
        b"A" * 64 + b"  config.json\n",
        b"0" * 64 + b"  config.json\n" + b"1" * 64 + b"  config.json\n",
        b"0" * 64 + b"  not-there.json\n",
        b"0" * 64 + b"  ../config.json\n",
    ],
)
def test_bad_digest_lists(model: Path, key: LocalSigner, here: Path, content: bytes):
    Path("sums").write_bytes(content)
    with unchanged(here):
        ran = attest("sign", model, "--key", "release.key", "--digests", "sums", "--json")
    assert ran.code == 1
    assert ran.report["findings"][0]["where"]


# -- trees that cannot be signed -----------------------------------------------------------------


def make_symlink(model: Path) -> str:
    (model / "link.json").symlink_to("config.json")
    return "link.json"


def make_folder_link(model: Path) -> str:
    (model / "folder-link").symlink_to("tokenizer")
    return "folder-link"


def make_fifo(model: Path) -> str:
    os.mkfifo(model / "fifo")
    return "fifo"


def make_odd_name(model: Path) -> str:
    with open(os.fsencode(model) + b"/odd-\xff", "wb"):
        pass
    return "odd-"


def make_incomplete_checkpoint(model: Path) -> str:
    (model / "model-00001-of-00002.safetensors").write_bytes(b"\0")
    return "model-00002-of-00002.safetensors"


@pytest.mark.parametrize(
    "make",
    [make_symlink, make_folder_link, make_fifo, make_odd_name, make_incomplete_checkpoint],
)
def test_trees_that_cannot_be_signed_are_refused_by_name(
    model: Path, key: LocalSigner, here: Path, make
):
    name = make(model)
    with unchanged(here):
        ran = attest("sign", model, "--key", "release.key")
        report = attest("sign", model, "--key", "release.key", "--json")
    assert ran.code == report.code == 1
    assert name in ran.err
    assert report.report["outcome"] == "fail"
    assert name in report.report["findings"][0]["where"]


def test_many_problems_are_grouped_and_counted(model: Path, key: LocalSigner):
    for number in range(30):
        (model / f"link-{number:02}").symlink_to("config.json")
    ran = attest("sign", model, "--key", "release.key")
    assert ran.code == 1
    assert ran.err.startswith("attest: error: 30 problems\n")
    assert "link-19" in ran.err
    assert "link-20" not in ran.err
    assert "... and 10 more" in ran.err


def test_links_inside_can_be_followed(model: Path, key: LocalSigner):
    make_symlink(model)
    make_folder_link(model)
    assert attest("sign", model, "--key", "release.key", "--follow-symlinks").code == 0
    assert attest("verify", model, "--key", "release.pub").code == 1
    assert attest("verify", model, "--key", "release.pub", "--follow-symlinks").code == 0


def test_an_incomplete_checkpoint_can_be_signed_on_request(model: Path, key: LocalSigner):
    make_incomplete_checkpoint(model)
    assert attest("sign", model, "--key", "release.key", "--allow-incomplete").code == 0


@pytest.mark.parametrize("kind", ["missing", "empty folder"])
def test_nothing_to_sign(here: Path, key: LocalSigner, kind: str):
    if kind != "missing":
        Path("model").mkdir()
    ran = attest("sign", "model", "--key", "release.key", "--json")
    assert ran.code == (3 if kind == "missing" else 1)
    assert ran.report["findings"][0]["where"] == "model"
    assert set(snapshot(here)) == {"release.key", "release.pub"}


# -- certificates --------------------------------------------------------------------------------


def test_a_certificate_for_another_key(model: Path, key: LocalSigner, here: Path):
    write_pki(here)
    with unchanged(here):
        ran = attest("sign", model, "--key", "release.key", "--certificate", "leaf.pem", "--json")
    assert ran.code == 3
    assert ran.codes == {"certificate-key-mismatch"}
    assert ran.report["findings"][0]["where"] == "leaf.pem"


def test_a_certificate_for_a_key_outside_oms_is_not_judged(model: Path, here: Path):
    write_pki(here)
    assert attest("keygen", "k", "--algorithm", "ed25519").code == 0
    with unchanged(here):
        ran = attest("sign", model, "--key", "k.key", "--certificate", "leaf.pem", "--json")
    assert ran.code == 3
    assert ran.codes == {"unsupported-certificate-key"}
    assert ran.report["findings"][0]["where"] == "leaf.pem"


@pytest.mark.parametrize("bad", ["leaf.key", "leaf.pem", "chain.pem"])
def test_key_and_certificates_that_are_malformed_are_exit_3(model: Path, here: Path, bad: str):
    write_pki(here)
    Path(bad).write_bytes(b"garbage")
    line = ("--key", "leaf.key", "--certificate", "leaf.pem", "--chain", "chain.pem")
    with unchanged(here):
        ran = attest("sign", model, *line, "--json")
    assert ran.code == 3
    assert ran.report["outcome"] == "error"
    assert ran.report["findings"][0]["where"] == bad


def test_signing_with_a_certificate_names_it_as_verify_does(model: Path, here: Path):
    write_pki(here)
    line = ("sign", model, "--key", "leaf.key", "--certificate", "leaf.pem")
    ran = attest(*line, "--chain", "chain.pem")
    assert ran.code == 0
    named = "signed by  certificate release@example.com, CN=release,O=Example ("
    assert named in ran.out
    at = ("--at", "2026-06-01T12:00:00Z")
    trust = ("--ca", "ca.pem", "--san", "release@example.com")
    assert named in attest("verify", model, *trust, *at).out
    said = attest(*line, "--chain", "chain.pem", "--json").report["subject"]["certificate"]
    assert said["name"] == "release@example.com, CN=release,O=Example"
    assert said["fingerprint"] in ran.out


# -- timestamps ----------------------------------------------------------------------------------


def test_a_timestamp_request_is_written_for_carrying(model: Path, key: LocalSigner):
    ran = attest("sign", model, "--key", "release.key", "--tsa", "request.tsq")
    assert ran.code == 0
    assert "request in request.tsq" in ran.out
    signature = json.loads((model / "model.sig").read_text())
    raw = signature["dsseEnvelope"]["signatures"][0]["sig"]
    imprint = hashlib.sha256(base64.b64decode(raw)).digest()
    assert imprint in Path("request.tsq").read_bytes()


def test_a_timestamp_request_overwrites_nothing(model: Path, key: LocalSigner, here: Path):
    Path("request.tsq").write_text("precious")
    with unchanged(here):
        ran = attest("sign", model, "--key", "release.key", "--tsa", "request.tsq", "--json")
    assert ran.code == 3
    assert ran.codes == {"already-exists"}


def test_a_timestamp_request_that_cannot_be_written_is_found_before_signing(
    model: Path, key: LocalSigner, here: Path
):
    with unchanged(here):
        ran = attest("sign", model, "--key", "release.key", "--tsa", "nowhere/r.tsq", "--json")
    assert ran.code == 3
    assert ran.codes == {"file-unwritable"}
    assert ran.report["findings"][0]["where"] == "nowhere/r.tsq"


def test_a_request_is_about_one_signature(model: Path, key: LocalSigner):
    attest("keygen", "second")
    ran = attest("sign", model, "--key", "release.key", "--key", "second.key", "--tsa", "r.tsq")
    assert ran.code == 2


def test_an_authority_that_is_not_there(model: Path, key: LocalSigner, here: Path):
    with unchanged(here):
        ran = attest(
            "sign", model, "--key", "release.key", "--tsa", "http://127.0.0.1:1/", "--json"
        )
    assert ran.code == 3
    assert ran.report["findings"][0]["where"] == "http://127.0.0.1:1/"


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x30\x03\x02\x01\x00"])
def test_a_response_that_is_none_is_not_attached(signed: Path, here: Path, content: bytes):
    Path("response.tsr").write_bytes(content)
    with unchanged(here):
        ran = attest("sign", signed, "--tsa", "response.tsr", "--json")
    assert ran.code == 1
    assert ran.report["findings"][0]["where"] == "response.tsr"


@pytest.fixture(scope="module")
def authority() -> TimestampAuthority:
    return TimestampAuthority.make()


def verify_timestamped(authority: TimestampAuthority) -> Ran:
    """Verify ``model`` with a proved time."""
    Path("tsa.pem").write_bytes(pki.pem(authority.root))
    return attest("verify", "model", "--key", "release.pub", "--tsa-ca", "tsa.pem", "--json")


def signed_at(ran: Ran) -> str:
    findings = {finding["code"]: finding for finding in ran.report["findings"]}
    return findings["signature-valid"]["signer"]["signedAt"]


def test_a_timestamp_from_an_authority(
    model: Path, key: LocalSigner, authority: TimestampAuthority
):
    with authority.serve() as url:
        ran = attest("sign", model, "--key", "release.key", "--tsa", url)
    assert ran.code == 0
    verified = verify_timestamped(authority)
    assert verified.code == 0
    assert signed_at(verified) == format_time(pki.NOON)
    text = attest("verify", model, "--key", "release.pub", "--tsa-ca", "tsa.pem").out
    assert f"timestamped {format_time(pki.NOON)}" in text


def test_a_timestamp_carried_over_by_hand(
    model: Path, key: LocalSigner, authority: TimestampAuthority
):
    assert attest("sign", model, "--key", "release.key", "--tsa", "request.tsq").code == 0
    assert verify_timestamped(authority).codes == {"timestamp-missing"}
    Path("response.tsr").write_bytes(authority.respond(Path("request.tsq").read_bytes()))
    ran = attest("sign", model, "--tsa", "response.tsr")
    assert ran.code == 0
    assert "attached the timestamp in response.tsr to model/model.sig" in ran.out
    assert signed_at(verify_timestamped(authority)) == format_time(pki.NOON)


def test_a_response_about_another_signature_is_not_attached(
    signed: Path, here: Path, authority: TimestampAuthority
):
    request = build_request(b"another signature").der
    Path("response.tsr").write_bytes(authority.respond(request))
    with unchanged(here):
        ran = attest("sign", signed, "--tsa", "response.tsr", "--json")
    assert ran.code == 1
    assert ran.codes == {"timestamp-mismatch"}


def test_a_refusing_authority_leaves_nothing(
    model: Path, key: LocalSigner, here: Path, authority: TimestampAuthority
):
    with authority.serve(status="rejection") as url, unchanged(here):
        ran = attest("sign", model, "--key", "release.key", "--tsa", url, "--json")
    assert ran.code == 3
    assert ran.codes == {"timestamp-not-granted"}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/html", b"<html>"),
        ("application/timestamp-reply", b"nonsense"),
        ("application/timestamp-reply", b"\0" * 2_000_000),
    ],
)
def test_an_authority_that_answers_nonsense_is_a_broken_service(
    model: Path, key: LocalSigner, here: Path, content_type: str, body: bytes
):
    class Nonsense(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Nonsense) as server, unchanged(here):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        ran = attest("sign", model, "--key", "release.key", "--tsa", url, "--json")
        server.shutdown()
    assert ran.code == 3
    assert ran.report["outcome"] == "error"
    assert ran.report["findings"][0]["where"] == url


# -- security modules ----------------------------------------------------------------------------

SOFTHSM = Path("/usr/lib/softhsm/libsofthsm2.so")

MAKE_TOKEN_KEY = """
import sys, pkcs11
from pkcs11.util.ec import encode_named_curve_parameters
token = pkcs11.lib(sys.argv[1]).get_token(token_label="release")
with token.open(rw=True, user_pin="1234") as session:
    session.create_domain_parameters(
        pkcs11.KeyType.EC,
        {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")},
        local=True,
    ).generate_keypair(id=b"1", label="k1", store=True)
"""


@pytest.fixture
def token(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of a P-256 key in a fresh SoftHSM token, without its PIN, which is 1234."""
    pytest.importorskip("pkcs11")
    if not SOFTHSM.exists():
        pytest.skip("SoftHSM2 is not installed")
    (tmp_path / "tokens").mkdir()
    config = tmp_path / "softhsm2.conf"
    config.write_text(f"directories.tokendir = {tmp_path / 'tokens'}\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(config))
    pins = ("--pin", "1234", "--so-pin", "5678")
    for line in (
        ["softhsm2-util", "--init-token", "--free", "--label", "release", *pins],
        [sys.executable, "-c", MAKE_TOKEN_KEY, str(SOFTHSM)],
    ):
        subprocess.run(line, check=True, capture_output=True)
    return f"pkcs11:token=release;object=k1?module-path={SOFTHSM}"


def sign_with_token(uri: str, *args: str | Path) -> Ran:
    """In a process of its own: the module reads its configuration once."""
    env = {"SOFTHSM2_CONF": os.environ["SOFTHSM2_CONF"]}
    return attest_process("sign", "model", "--pkcs11", uri, "--json", *args, env=env)


def test_a_key_in_a_security_module(model: Path, token: str, here: Path):
    Path("pin").write_text("1234\n")
    ran = sign_with_token(f"{token}&pin-source={here}/pin")
    assert ran.code == 0, ran
    assert ran.report["subject"]["form"] == "oms-bundle"
    assert sign_with_token(token, "--passphrase-file", "pin").code == 0


def test_a_security_module_without_its_pin(model: Path, token: str, here: Path):
    with unchanged(here):
        ran = sign_with_token(token)
    assert ran.code == 3
    assert ran.codes == {"passphrase-required"}


def test_a_passphrase_for_a_key_file_is_never_tried_on_a_token(
    model: Path, locked: None, token: str
):
    ran = sign_with_token(token, "--key", "locked.key", "--passphrase-file", "secret.txt")
    assert ran.code == 3
    assert ran.codes == {"passphrase-required"}
    said = ran.report["findings"][0]  # it was given --passphrase-file: say what is missing
    assert "PIN of the token" in said["message"]
    assert "pin-source" in said["hint"]


@pytest.mark.parametrize("uri", ["pkcs11:", "token=a", "pkcs11:token=a;object=b?module-path=x.so"])
def test_bad_pkcs11_uris(model: Path, here: Path, uri: str):
    with unchanged(here):
        ran = attest("sign", model, "--pkcs11", uri, "--json")
    assert ran.code == 2
    assert ran.out == ""
    assert "--pkcs11: " in ran.err


# -- resuming ------------------------------------------------------------------------------------


def test_resume_keeps_its_journal_private_and_removes_it(
    model: Path, key: LocalSigner, tmp_path: Path
):
    ran = attest("sign", model, "--key", "release.key", "--resume")
    assert ran.code == 0
    folder = tmp_path / "state" / "attest" / "journals"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert list(folder.iterdir()) == []
    assert attest("verify", model, "--key", "release.pub").code == 0


def test_without_resume_there_is_no_journal(signed: Path, tmp_path: Path):
    assert not (tmp_path / "state").exists()
