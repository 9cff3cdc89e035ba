"""``attest claim``: add, list, merge, pack, unpack, as a user types them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from attest.claim.store import split_claims
from attest.crypto.algorithms import KeyAlgorithm
from attest.crypto.keys import LocalSigner, generate
from tests.cli.support import Ran, attest, command, environment, snapshot, unchanged
from tests.support import claims as made

ODD = "https://example.com/review/v1"
BOM = "https://cyclonedx.org/bom"
CLAIMS = Path("model.claims.jsonl")


@pytest.fixture
def bob(here: Path) -> LocalSigner:
    signer = generate(KeyAlgorithm.ED25519)
    (here / "bob.key").write_bytes(signer.to_pem(None))
    (here / "bob.pub").write_bytes(signer.public_key.pem)
    return signer


@pytest.fixture
def review(signed: Path, bob: LocalSigner, here: Path) -> Path:
    """``model/`` signed by release.key, and a predicate to claim."""
    (here / "review.json").write_text('{"verdict": "readable"}')
    return signed


def add(*more: str, key: str = "release.key") -> Ran:
    return attest(
        *("claim", "add", "model", "--type", ODD, "--predicate", "review.json"),
        *("--key", key),
        *more,
    )


def listed(*more: str | Path) -> Ran:
    who = ("--principal", "alice=release.pub", "--principal", "bob=bob.pub")
    return attest("claim", "list", "model", *who, *more)


def both(*args: str | Path, code: int) -> Ran:
    """Refused as text and as JSON, with nothing written; the JSON run."""
    here = Path.cwd()
    with unchanged(here):
        text, report = attest(*args), attest(*args, "--json")
    assert (text.code, report.code) == (code, code), text.out + text.err
    assert text.out + text.err
    assert report.report["outcome"] == {1: "fail", 3: "error"}[code]
    return report


def usage(*args: str | Path) -> str:
    """Exit 2, words on stderr, nothing on stdout, nothing written."""
    with unchanged(Path.cwd()):
        ran = attest(*args)
    assert ran.code == 2, ran.out + ran.err
    assert ran.out == ""
    assert "hint: see `attest" in ran.err
    return ran.err


# -- add -----------------------------------------------------------------------------------------


def test_a_claim_is_added_and_listed(review: Path):
    ran = add("--json")
    assert ran.code == 0
    report = ran.report
    assert (report["schema"], report["outcome"]) == ("urn:attest-toolkit:claim-add:v1", "pass")
    claim = report["subject"]["claim"]
    assert report["inputs"] == {"claim": f"sha256:{claim['id']}"}
    assert report["subject"]["source"] == "signature"
    shown = listed("--json").report
    assert shown["schema"] == "urn:attest-toolkit:claim-list:v1"
    (found,) = shown["subject"]["claims"]
    assert (found["id"], found["type"], found["principals"]) == (claim["id"], ODD, ["alice"])
    assert found["subject"][0]["digest"] == report["subject"]["digests"]
    text = listed()
    assert text.code == 0
    assert claim["id"] in text.out
    assert "alice" in text.out
    assert attest("verify", "model", "--key", "release.pub").code == 0


def test_quiet_says_nothing_of_success(review: Path):
    assert add("--quiet").out == ""
    assert listed("--quiet").out == ""
    assert attest("claim", "merge", "all", CLAIMS, "--quiet").out == ""


def test_several_keys_sign_one_claim(review: Path):
    assert add("--key", "bob.key", "--signed-by", "release.pub").code == 0
    (found,) = listed("--json").report["subject"]["claims"]
    assert found["principals"] == ["alice", "bob"]


def test_whose_signature_is_believed(review: Path):
    ran = both(
        *("claim", "add", "model", "--type", ODD, "--predicate", "review.json"),
        *("--key", "bob.key"),
        code=1,
    )
    assert "--signed-by" in json.dumps(ran.report["findings"])
    assert add("--signed-by", "release.pub", key="bob.key").code == 0


def test_rehash_takes_what_lies_there(review: Path):
    (review / "config.json").write_text("changed")
    stated, found = add("--json").report, add("--rehash", "--json").report
    assert found["subject"]["source"] == "content"
    assert stated["subject"]["digests"] != found["subject"]["digests"]
    marked = listed("--json").report["subject"]["claims"]
    assert [each["other-artifact"] for each in marked] == [False, True]


def test_a_certificate_signs_a_claim(review: Path, here: Path):
    from tests.cli.support import write_pki

    write_pki(here)
    ran = add(
        *("--certificate", "leaf.pem", "--chain", "chain.pem", "--signed-by", "release.pub"),
        key="leaf.key",
    )
    assert ran.code == 0, ran.err
    assert b"x509CertificateChain" in CLAIMS.read_bytes()


def test_a_known_type_is_checked_before_it_is_signed(review: Path, here: Path):
    (here / "approval.json").write_text(json.dumps(made.approval(decision="maybe")))
    ran = both(
        *("claim", "add", "model", "--type", made.APPROVAL, "--predicate", "approval.json"),
        *("--key", "release.key"),
        code=1,
    )
    assert "approval.json" in json.dumps(ran.report["findings"])


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "truncated"),
        (b"[]", "wrong-type"),
        (b"{", "truncated"),
        (b'{"a":1,"a":2}', "duplicate-key"),
        (b'{"a":NaN}', "malformed-json"),
        (b"[" * 99, "nested-too-deep"),
        (b'{"a":"\xff"}', "not-utf8"),
    ],
)
def test_predicates_that_are_no_objects(review: Path, here: Path, content: bytes, code: str):
    (here / "review.json").write_bytes(content)
    ran = both(
        *("claim", "add", "model", "--type", ODD, "--predicate", "review.json"),
        *("--key", "release.key"),
        code=1,
    )
    assert ran.codes == {code}


def test_predicates_that_are_not_there(review: Path, here: Path):
    for name in ("absent.json", "model"):
        both(
            *("claim", "add", "model", "--type", ODD, "--predicate", name),
            *("--key", "release.key"),
            code=3,
        )


def test_a_type_that_is_no_uri(review: Path):
    both(
        *("claim", "add", "model", "--type", "review", "--predicate", "review.json"),
        *("--key", "release.key"),
        code=1,
    )


SIGN = ("--type", ODD, "--predicate", "review.json")


@pytest.mark.parametrize(
    "args",
    [
        (),
        SIGN,
        ("--key", "release.key"),
        ("--type", ODD, "--key", "release.key"),
        ("--predicate", "review.json", "--key", "release.key"),
        (*SIGN, "--cosign", "00", "--key", "release.key"),
        (*SIGN, "--signed", "review.dsse.json", "--signed-by", "release.pub"),
        ("--cosign", "00", "--signed", "x", "--key", "release.key"),
        ("--cosign", "", "--key", "release.key"),
        ("--cosign", "00"),
        ("--signed", "x"),
        ("--signed", "x", "--signed-by", "release.pub", "--key", "release.key"),
        ("--signed", "x", "--signed-by", "release.pub", "--tsa", "http://x"),
        ("--signed", "x", "--signed-by", "release.pub", "--chain", "c.pem"),
        ("--signed", "x", "--signed-by", "release.pub", "--passphrase-env", "P"),
        ("--signed", "x", "--signed-by", "release.pub", "--rehash"),
        ("--signed", "x", "--rehash", "--signature", "model/model.sig"),
        (*SIGN, "--key", "release.key", "--rehash", "--signed-by", "release.pub"),
        (*SIGN, "--key", "release.key", "--rehash", "--signature", "model/model.sig"),
        (*SIGN, "--key", "release.key", "--chain", "c.pem"),
        (*SIGN, "--key", "release.key", "--certificate", "c.pem", "--key", "bob.key"),
        (*SIGN, "--key", "release.key", "--tsa", "ftp://x"),
        (*SIGN, "--key", "release.key", "--key", "release.key"),
        (*SIGN, "--key", "model/inside.key"),
        (*SIGN, "--key", "release.key", "--claims", "a", "--claims", "b"),
        (*SIGN, "--key", "release.key", "--bogus"),
        (*SIGN, "--key", "release.key", "another-path"),
    ],
)
def test_what_makes_no_sense_together(review: Path, args: tuple[str, ...]):
    usage("claim", "add", "model", *args)


# -- cosign --------------------------------------------------------------------------------------


def test_a_further_signature(review: Path):
    identity = add("--json").report["subject"]["claim"]["id"]
    more = ("--key", "bob.key", "--signed-by", "release.pub")
    ran = attest("claim", "add", "model", "--cosign", identity, *more, "--json")
    assert ran.code == 0
    assert ran.report["subject"]["claim"]["id"] == identity
    found = listed("--json").report["subject"]["claims"]
    assert [(each["id"], each["principals"]) for each in found] == [
        (identity, ["alice"]),
        (identity, ["bob"]),
    ]
    assert attest("claim", "merge", CLAIMS, CLAIMS).code == 0
    (joined,) = listed("--json").report["subject"]["claims"]
    assert joined["principals"] == ["alice", "bob"]


def test_cosigning_what_is_not_there(review: Path):
    add()
    ran = both("claim", "add", "model", "--cosign", "0" * 64, "--key", "release.key", code=3)
    assert ran.codes == {"claim-missing"}


# -- signed --------------------------------------------------------------------------------------


def subject_digests() -> dict[str, str]:
    return add("--json", "--claims", "scratch.jsonl").report["subject"]["digests"]


def test_a_claim_that_somebody_else_signed(review: Path, bob: LocalSigner, here: Path):
    statement = made.claim(ODD, {"by": "bob"}, subject_digests())
    document = json.loads(made.line(statement, bob))
    (here / "review.dsse.json").write_text(json.dumps(document, indent=1))
    ran = attest(
        *("claim", "add", "model", "--signed", "review.dsse.json"),
        *("--signed-by", "release.pub", "--json"),
    )
    assert ran.code == 0
    assert ran.report["subject"]["claim"] == made.claim_id(statement)
    assert len(split_claims(CLAIMS.read_bytes())) == 1
    (found,) = listed("--json").report["subject"]["claims"]
    assert found["principals"] == ["bob"]
    rehashed = ("--rehash", "--claims", "other.jsonl")
    assert attest("claim", "add", "model", "--signed", "review.dsse.json", *rehashed).code == 0


def test_a_signed_claim_for_another_artifact(review: Path, bob: LocalSigner, here: Path):
    (here / "other.json").write_bytes(made.line(made.claim(ODD, {}), bob))
    for how in (("--signed-by", "release.pub"), ("--rehash",)):
        ran = both("claim", "add", "model", "--signed", "other.json", *how, code=1)
        assert ran.codes == {"claim-for-another-artifact"}


@pytest.mark.parametrize("content", [b"", b"{}", b"junk", b"\x00\xff", b"[" * 9999])
def test_a_signed_claim_that_is_none(review: Path, here: Path, content: bytes):
    (here / "bad.json").write_bytes(content)
    both("claim", "add", "model", "--signed", "bad.json", "--signed-by", "release.pub", code=1)


# -- places --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["inside", "folder", "link", "key", "no folder", "signature"])
def test_places_for_claims_that_are_refused(review: Path, here: Path, kind: str):
    place = {
        "inside": "model/x.jsonl",
        "folder": "model",
        "key": "release.key",
        "no folder": "none/x.jsonl",
        "signature": "model/model.sig",
    }.get(kind, "place")
    if kind == "link":
        (here / "victim").write_bytes(b"")
        (here / "place").symlink_to("victim")
    ran = both(
        *("claim", "add", "model", *SIGN, "--key", "release.key", "--claims", place),
        code=1 if kind in ("inside", "folder", "signature") else 3,
    )
    assert place.split("/")[0] in json.dumps(ran.report["findings"])


def test_a_torn_tail_is_refused_by_readers_and_repaired_by_writers(review: Path):
    add()
    whole = CLAIMS.read_bytes()
    CLAIMS.write_bytes(whole + b'{"payload')
    assert listed("--json").codes == {"torn-line"}
    assert attest("verify", "model", "--key", "release.pub").code == 1
    ran = add()
    assert ran.code == 0
    assert "torn-line-removed" in ran.out
    assert CLAIMS.read_bytes().startswith(whole)
    assert len(listed("--json").report["subject"]["claims"]) == 2


def test_a_file_that_is_no_claims_file_is_not_appended_to(review: Path, here: Path):
    (here / "notes.txt").write_text("remember\nthe milk")
    both(*("claim", "add", "model", *SIGN, "--key", "release.key", "--claims", "notes.txt"), code=3)


@pytest.fixture
def nobody(here: Path) -> Iterator[list[str]]:
    """How to run as somebody without rights; tests mostly run as root."""
    if os.geteuid() == 0:
        yield ["setpriv", "--reuid=65534", "--clear-groups"]
    else:
        yield []


def test_a_folder_that_cannot_be_written(review: Path, here: Path, nobody: list[str]):
    (here / "sealed").mkdir(mode=0o555)
    for path in [here, *here.parents]:
        if path.is_relative_to("/tmp") and path != Path("/tmp"):
            path.chmod(path.stat().st_mode | 0o055)
    (here / "release.key").chmod(0o644)
    line = command(
        *("claim", "add", "model", *SIGN, "--key", "release.key"),
        *("--claims", "sealed/c.jsonl", "--json"),
    )
    try:
        done = subprocess.run(
            [*nobody, *line], env=environment(), cwd=here, capture_output=True, text=True
        )
    except FileNotFoundError:
        pytest.skip("setpriv is not installed")
    if "setpriv" in done.stderr or "Permission denied: '/root" in done.stderr:
        pytest.skip("cannot change the user here")
    assert done.returncode == 3, done.stdout + done.stderr
    assert json.loads(done.stdout)["findings"][0]["code"] == "file-unwritable"
    assert os.listdir(here / "sealed") == []


def test_two_writers_at_once(review: Path, here: Path):
    """Real processes on one file; nothing is lost or mixed."""
    line = command(
        *("claim", "add", "model", *SIGN, "--key", "release.key", "--quiet"),
    )
    loop = f"for i in 1 2 3 4 5; do {' '.join(line)} || exit 1; done"
    writers = [subprocess.Popen(["sh", "-c", loop], env=environment(), cwd=here) for _ in range(2)]
    assert [each.wait(timeout=120) for each in writers] == [0, 0]
    assert len(listed("--json").report["subject"]["claims"]) == 10


# -- list ----------------------------------------------------------------------------------------


def test_contradictions_refuse(review: Path, here: Path):
    for kind in ("model", "dataset"):
        (here / "kind.json").write_text(json.dumps({"kind": kind}))
        args = ("--type", made.ARTIFACT, "--predicate", "kind.json", "--key", "release.key")
        assert attest("claim", "add", "model", *args).code == 0
    ran = listed("--json")
    assert (ran.code, ran.codes) == (1, {"claims-clash"})
    assert len(ran.report["subject"]["claims"]) == 2
    assert attest("verify", "model", "--key", "release.pub").code == 1
    assert "is a dataset" in listed().out


def test_hostile_names_cannot_move_the_cursor(review: Path, here: Path, bob: LocalSigner):
    digests = subject_digests()
    evil = "\x1b[2J\x1b]0;owned\x07\u202e"
    statement = made.claim(f"https://x/{evil}", {"x": evil}, digests)
    typed = made.claim(BOM, {"specVersion": evil}, digests)
    CLAIMS.write_bytes(made.line(statement, bob) + made.line(typed, bob))
    for ran in (listed(), listed("--verbose"), attest("inspect", CLAIMS)):
        assert not {"\x1b", "\x07", "\u202e"} & set(ran.out + ran.err)
    assert "\\x1b" in listed().out
    assert "\x1b" not in listed("--json").out


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("--principal", "alice"),
        ("--principal", "=release.pub"),
        ("--principal", "alice="),
        ("--principal", "al\x1bice=release.pub"),
        ("--principal", "alice=release.pub", "--principal", "mallory=release.pub"),
        ("--principal", "alice=release.pub", "--key", "release.pub"),
        ("--key", "release.pub", "--key", "release.pub"),
        ("--key", "release.pub", "--at", "yesterday"),
        ("--key", "release.pub", "--at", "2026-01-01"),
    ],
)
def test_principals_that_make_no_sense(review: Path, args: tuple[str, ...]):
    add()
    usage("claim", "list", "model", *args)
    usage("claim", "pack", "model", "-o", "p", *args)


def test_one_name_groups_keys(review: Path):
    add("--key", "bob.key", "--signed-by", "release.pub")
    one = ("--principal", "alice=release.pub", "--principal", "alice=bob.pub")
    ran = attest("claim", "list", "model", *one, "--json")
    (found,) = ran.report["subject"]["claims"]
    assert found["principals"] == ["alice"]


def test_keys_that_cannot_be_read(review: Path):
    add()
    for key in ("absent.pub", "release.key", "model"):
        both("claim", "list", "model", "--key", key, code=3)


def test_an_artifact_without_claims(signed: Path):
    both("claim", "list", "model", "--key", "release.pub", code=3)


@pytest.mark.parametrize("bad", [b"junk\n", b"\n", b"{", b'{"a":1,"a":2}\n'])
def test_malformed_claims_files(review: Path, bad: bytes):
    add()
    CLAIMS.write_bytes(CLAIMS.read_bytes() + bad)
    ran = both("claim", "list", "model", "--key", "release.pub", code=1)
    assert ran.report["findings"][0]["where"].startswith(str(CLAIMS))


def test_a_claims_file_by_itself(review: Path):
    add()
    ran = attest("claim", "list", CLAIMS, "--key", "release.pub", "--json")
    assert ran.code == 0
    assert len(ran.report["subject"]["claims"]) == 1
    assert attest("claim", "list", CLAIMS, "--key", "release.pub", "--signed-by", "bob.pub").code


# -- merge ---------------------------------------------------------------------------------------


def test_merge(review: Path, here: Path):
    add()
    add("--signed-by", "release.pub", "--claims", "bobs.jsonl", key="bob.key")
    ran = attest("claim", "merge", "all.jsonl", CLAIMS, "bobs.jsonl", "--json")
    assert ran.code == 0
    assert ran.report["subject"] == {"target": "all.jsonl", "claims": 1, "added": 1, "joined": 1}
    again = attest("claim", "merge", "all.jsonl", "bobs.jsonl", CLAIMS)
    assert again.code == 0
    assert "1 claim, 0 of them new" in again.out
    found = listed("--claims", "all.jsonl", "--json").report["subject"]["claims"]
    assert [each["principals"] for each in found] == [["alice", "bob"]]


def test_merge_says_what_it_repaired(review: Path):
    add()
    CLAIMS.write_bytes(CLAIMS.read_bytes() + b'{"payload')
    both("claim", "merge", "new.jsonl", CLAIMS, code=1)
    ran = attest("claim", "merge", CLAIMS, "/dev/null")
    assert ran.code == 3  # no regular file
    Path("empty.jsonl").touch()
    ran = attest("claim", "merge", CLAIMS, "empty.jsonl")
    assert ran.code == 0
    assert "torn-line-removed" in ran.out


def test_merge_refuses_and_writes_nothing(review: Path, here: Path):
    add()
    (here / "bad.jsonl").write_bytes(b"junk\n")
    both("claim", "merge", "new.jsonl", CLAIMS, "bad.jsonl", code=1)
    both("claim", "merge", CLAIMS, "bad.jsonl", code=1)
    both("claim", "merge", CLAIMS, "absent.jsonl", code=3)
    both("claim", "merge", "model", CLAIMS, code=3)
    both("claim", "merge", "release.key", CLAIMS, code=1)
    usage("claim", "merge", "only-a-target")


# -- pack and unpack -----------------------------------------------------------------------------


@pytest.fixture
def packed(review: Path, here: Path) -> Path:
    assert add().code == 0
    assert add("--signed-by", "release.pub", key="bob.key").code == 0
    ran = attest("claim", "pack", "model", "-o", "model.pack", "--principal", "alice=release.pub")
    assert ran.code == 0, ran.err
    (here / "arrived").mkdir()
    return here / "model.pack"


def test_over_the_air_gap_and_back(packed: Path, here: Path):
    ran = attest(
        *("claim", "unpack", "model.pack", "--into", "arrived"),
        *("--principal", "alice=release.pub", "--principal", "bob=bob.pub", "--json"),
    )
    assert ran.code == 0
    assert ran.report["schema"] == "urn:attest-toolkit:claim-unpack:v1"
    assert set(snapshot(here / "arrived")) == {
        "model.sig",
        "model.claims.jsonl",
        "material/release.pub",
    }
    assert (here / "arrived" / "model.claims.jsonl").read_bytes() == CLAIMS.read_bytes()
    checks = ("--signature", "arrived/model.sig", "--claims", "arrived/model.claims.jsonl")
    (here / "model" / "model.sig").rename(here / "elsewhere.sig")
    assert attest("verify", "model", "--key", "release.pub", *checks).code == 0


def test_what_pack_reports(packed: Path):
    packed.unlink()
    ran = attest("claim", "pack", "model", "-o", "p", "--key", "release.pub", "--json")
    assert ran.code == 0
    report = ran.report
    assert report["schema"] == "urn:attest-toolkit:claim-pack:v1"
    assert set(report["subject"]["members"]) == {
        "signature",
        "claims.jsonl",
        "material/release.pub",
    }
    assert "claims-not-counted" in {each["code"] for each in report["findings"]}
    text = attest("claim", "pack", "model", "-o", "q", "--key", "release.pub")
    assert "claims-not-counted" in text.out
    quiet = attest("claim", "pack", "model", "-o", "r", "--key", "release.pub", "--quiet")
    assert (quiet.code, quiet.out) == (0, "")
    assert Path("p").read_bytes() == Path("q").read_bytes() == Path("r").read_bytes()


def test_further_material_and_private_keys(packed: Path, here: Path):
    more = ("--key", "release.pub", "--material", "review.json")
    assert attest("claim", "pack", "model", "-o", "p", *more).code == 0
    for secret in ("release.key", "bob.key"):
        message = usage(
            *("claim", "pack", "model", "-o", "q", "--key", "release.pub", "--material", secret)
        )
        assert "private key" in message
    (here / "sub").mkdir()
    (here / "sub" / "release.pub").write_bytes(b"another")
    usage(
        *("claim", "pack", "model", "-o", "q", "--key", "release.pub"),
        *("--material", "sub/release.pub"),
    )


@pytest.mark.parametrize("name", ["x" * 101, "a\udcffb"])
def test_names_of_material_that_do_not_fit(packed: Path, here: Path, name: str):
    (here / name).write_bytes(b"x")
    line = ("claim", "pack", "model", "-o", "q", "--key", "release.pub", "--material", name)
    with unchanged(here):
        assert attest(*line).code == 2


def test_pack_refuses(packed: Path, here: Path):
    both("claim", "pack", "model", "-o", "model.pack", "--key", "release.pub", code=3)
    both("claim", "pack", "model", "-o", "p", "--key", "bob.pub", code=1)
    both("claim", "pack", "model", "-o", "none/p", "--key", "release.pub", code=3)
    CLAIMS.write_bytes(b"junk\n")
    both("claim", "pack", "model", "-o", "p", "--key", "release.pub", code=1)
    CLAIMS.unlink()
    both("claim", "pack", "model", "-o", "p", "--key", "release.pub", code=3)


def test_unpack_refuses(packed: Path, here: Path):
    into = ("--into", "arrived")
    both("claim", "unpack", "model.pack", *into, "--key", "bob.pub", code=1)
    both("claim", "unpack", "absent.pack", *into, "--key", "release.pub", code=3)
    both("claim", "unpack", "model.pack", "--into", "none", "--key", "release.pub", code=3)
    both("claim", "unpack", "review.json", *into, "--key", "release.pub", code=1)
    usage("claim", "unpack", "model.pack", *into)
    usage("claim", "unpack", "model.pack", "--key", "release.pub")
    spoiled = bytearray(packed.read_bytes())
    spoiled[600] ^= 1
    packed.write_bytes(spoiled)
    both("claim", "unpack", "model.pack", *into, "--key", "release.pub", code=1)


def test_unpack_overwrites_nothing(packed: Path, here: Path):
    line = ("claim", "unpack", "model.pack", "--into", "arrived", "--key", "release.pub")
    assert attest(*line).code == 0
    ran = both(*line, code=3)
    assert ran.codes == {"already-exists"}
