"""Merging claims files: a union that loses nothing, believes nothing and harms nothing."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest import limits
from attest.claim.store import append_claim, split_claims
from attest.codec.bundle import UnverifiedBundle
from attest.codec.signature import parse_signature
from attest.errors import AttestError, MalformedInput, TooLarge, Unavailable, Unsupported
from attest.flow import merge as merge_module
from attest.flow.claimset import read_claims
from attest.flow.merge import MergeReport, merge_claims
from tests.cli.support import environment
from tests.support import claims as made
from tests.support import forge, pki
from tests.support.claims import (
    ALICE,
    BOB,
    CAROL,
    DAN,
    ODD,
    claim,
    claim_id,
    fingerprint,
    line,
    people,
    revoking,
    sign,
    signatures,
)
from tests.support.rights import unprivileged

ONE, TWO = claim(ODD, {"n": 1}), claim(ODD, {"n": 2})
EVERYBODY = people(alice=ALICE, bob=BOB, carol=CAROL, dan=DAN)


def merged(folder: Path, *contents: bytes) -> bytes:
    """What merging these files, the first of which is the target, makes."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / str(number) for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    merge_claims(paths[0], paths[1:])
    return paths[0].read_bytes()


def said(data: bytes) -> set[tuple[str, bytes]]:
    """Statement and signature, each pair once: what a file holds, whatever its order."""
    held = set()
    for each in split_claims(data):
        parsed = parse_signature(each)
        envelope = parsed.envelope if isinstance(parsed, UnverifiedBundle) else parsed
        held |= {(claim_id(envelope.payload), sig.sig) for sig in envelope.signatures}
    return held


def counted(data: bytes) -> dict[str, set[str]]:
    """Claim id -> who counts for it."""
    read = read_claims(data, principals=EVERYBODY, at=pki.NOON, where="c")
    found: dict[str, set[str]] = {}
    for each in read.verified:
        found.setdefault(each.id, set()).update(each.principals)
    return found


# -- the union -----------------------------------------------------------------------------------


def test_a_target_that_is_not_there_is_made(tmp_path):
    (tmp_path / "a").write_bytes(line(ONE, ALICE))
    report = merge_claims(tmp_path / "new", [tmp_path / "a"])
    assert (tmp_path / "new").read_bytes() == line(ONE, ALICE)
    assert report == MergeReport(claims=1, added=1, joined=0, torn=False)


def test_lines_that_nobody_joins_stay_as_they_are(tmp_path):
    odd = line(ONE, ALICE).replace(b",", b" ,\t")
    assert merged(tmp_path, line(TWO, BOB), odd, odd) == line(TWO, BOB) + odd


def test_signatures_of_several_people_end_up_in_one_envelope(tmp_path):
    paths = [tmp_path / name for name in "abc"]
    for path, key in zip(paths, (ALICE, CAROL, DAN), strict=True):
        path.write_bytes(line(ONE, key) + line(TWO, key))
    report = merge_claims(paths[0], paths[1:])
    assert report == MergeReport(claims=2, added=0, joined=4, torn=False)
    data = paths[0].read_bytes()
    everybody = {"alice", "carol", "dan"}
    assert counted(data) == {claim_id(ONE): everybody, claim_id(TWO): everybody}
    assert paths[1].read_bytes() == line(ONE, CAROL) + line(TWO, CAROL)


def test_a_bundle_stays_a_line_of_its_own(tmp_path):
    bundle = made.compact(forge.bundle(ONE, ALICE))
    data = merged(tmp_path, line(ONE, BOB), bundle, bundle + line(ONE, ALICE))
    assert len(split_claims(data)) == 2
    assert bundle in data
    assert counted(data) == {claim_id(ONE): {"alice", "bob"}}


def test_statements_that_differ_in_a_byte_are_two(tmp_path):
    other = ONE.replace(b": ", b":")
    assert len(split_claims(merged(tmp_path, line(ONE, ALICE), line(other, ALICE)))) == 2


def test_timestamps_come_along(tmp_path):
    stamped = json.loads(line(ONE, ALICE))
    stamps = [{"type": "tsp", "data": forge.b64(bytes([n]))} for n in range(3)]
    first = {**stamped, "signatures": [{**stamped["signatures"][0], "timestamps": stamps[:2]}]}
    second = {**stamped, "signatures": [{**stamped["signatures"][0], "timestamps": stamps[1:]}]}
    data = merged(tmp_path, made.compact(first), made.compact(second))
    (sole,) = parse_signature(data).signatures
    assert sole.timestamps == (b"\0", b"\1", b"\2")


def test_a_file_merged_with_itself(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(line(ONE, ALICE) + line(ONE, BOB))
    merge_claims(path, [path])
    assert said(path.read_bytes()) == said(line(ONE, ALICE) + line(ONE, BOB))
    before = path.read_bytes()
    report = merge_claims(path, [path])
    assert path.read_bytes() == before
    assert (report.added, report.joined) == (0, 0)


POOL = [
    *(
        line(statement, *keys, keyids=hinted)
        for statement in (ONE, TWO)
        for keys in ([ALICE], [CAROL], [ALICE, CAROL], [CAROL, ALICE, ALICE])
        for hinted in (True, False)
    ),
    made.compact(forge.bundle(ONE, ALICE)),
    line(revoking(ONE), ALICE),
    signatures(TWO, (sign(BOB, TWO), fingerprint(ALICE))),
]
FILES = st.lists(st.sampled_from(POOL), max_size=5).map(b"".join)


@settings(max_examples=40)
@given(FILES, FILES, FILES)
def test_laws_of_a_union(tmp_path_factory, first, second, third):
    folder = tmp_path_factory.mktemp("laws")
    both = merged(folder / "ab", first, second)
    assert said(both) == said(first) | said(second)
    assert merged(folder / "again", both, second, first, both) == both
    other = merged(folder / "ba", second, first)
    assert said(other) == said(both)
    assert counted(other) == counted(both)
    left = merged(folder / "ab-c", both, third)
    right = merged(folder / "a-bc", first, merged(folder / "bc", second, third))
    assert said(left) == said(right)
    assert counted(left) == counted(right)


# -- files from somebody else --------------------------------------------------------------------


@pytest.mark.parametrize(
    "hostile",
    [
        [(sign(BOB, ONE), fingerprint(ALICE))],
        [(b"junk", fingerprint(ALICE))] * 3,
        [(sign(ALICE, TWO), fingerprint(ALICE)), (b"junk", None)],
    ],
)
def test_no_foreign_signature_takes_a_claim_away(tmp_path, hostile):
    """A failed scan or a rejection must survive the merge with a file that somebody prepared."""
    data = merged(tmp_path, line(ONE, ALICE), signatures(ONE, *hostile))
    assert counted(data) == {claim_id(ONE): {"alice"}}


@pytest.mark.parametrize("mine", [None, fingerprint(ALICE)], ids=["none", "hint"])
@pytest.mark.parametrize(
    "theirs", [None, fingerprint(BOB), "nonsense"], ids=["none", "hint", "nonsense"]
)
@pytest.mark.parametrize("order", [1, -1])
def test_a_disputed_hint_is_dropped(tmp_path, mine, theirs, order):
    """The same signature under the name of another: nobody would try the right key."""
    raw = sign(ALICE, ONE)
    files = [signatures(ONE, (raw, mine)), signatures(ONE, (raw, theirs))][::order]
    data = merged(tmp_path, *files)
    assert counted(data) == {claim_id(ONE): {"alice"}}


def test_a_revocation_counts_wherever_it_lies_in_the_result(tmp_path):
    taken, back = line(ONE, ALICE), line(revoking(ONE), ALICE)
    for number, files in enumerate(([taken, back], [back, taken], [taken + back, taken])):
        data = merged(tmp_path / str(number), *files)
        assert claim_id(ONE) not in counted(data)


# -- what is refused, and leaves things as they are ----------------------------------------------


def refused(folder: Path, *contents: bytes, kind: type[AttestError] = MalformedInput):
    """Merging raises; the target is what it was."""
    with pytest.raises(kind) as caught:
        merged(folder, *contents)
    assert (folder / "0").read_bytes() == contents[0]
    assert sorted(os.listdir(folder)) == [str(number) for number in range(len(contents))]
    return caught.value


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (b"\n", "empty-line"),
        (b"{}\n", "missing-member"),
        (b"junk\n", "malformed-json"),
        (line(b"{}", ALICE), "missing-member"),
        (line(b"no json", ALICE), "malformed-json"),
    ],
)
@pytest.mark.parametrize("place", ["target", "source"])
def test_a_line_that_is_no_claim_refuses_and_is_named(tmp_path, bad, code, place):
    spoiled = line(ONE, ALICE) + bad + line(TWO, ALICE)
    files = [line(TWO, BOB), spoiled] if place == "source" else [spoiled, line(TWO, BOB)]
    error = refused(tmp_path, *files)
    assert error.code == code
    assert str(error.where).startswith(f"{tmp_path / str(int(place == 'source'))}: line 2")


def test_another_payload_type_would_make_the_result_unreadable(tmp_path):
    bad = line(ONE, ALICE, payload_type="text/plain")
    refused(tmp_path, line(ONE, ALICE), bad, kind=Unsupported)


def test_a_torn_source_refuses_and_stays(tmp_path):
    error = refused(tmp_path, line(ONE, ALICE), line(TWO, ALICE)[:-9])
    assert error.code == "torn-line"


def test_a_torn_target_is_repaired_and_told(tmp_path):
    paths = tmp_path / "0", tmp_path / "1"
    paths[0].write_bytes(line(ONE, ALICE) + b'{"payload')
    paths[1].write_bytes(line(TWO, ALICE))
    assert merge_claims(paths[0], paths[1:]).torn
    assert paths[0].read_bytes() == line(ONE, ALICE) + line(TWO, ALICE)


def test_a_target_that_is_no_claims_file_is_not_taken_for_a_torn_line(tmp_path):
    """One line without a newline: a token, a password."""
    error = refused(tmp_path, b"hunter2", line(ONE, ALICE))
    assert error.code == "not-a-claims-file"


def test_a_new_target_is_not_left_behind(tmp_path):
    (tmp_path / "bad").write_bytes(b"junk\n")
    with pytest.raises(MalformedInput):
        merge_claims(tmp_path / "new", [tmp_path / "bad"])
    with pytest.raises(Unavailable):
        merge_claims(tmp_path / "new", [tmp_path / "absent"])
    assert sorted(os.listdir(tmp_path)) == ["bad"]


def test_an_empty_target_that_was_there_stays(tmp_path):
    refused(tmp_path, b"", b"junk\n")


def many(start: int, count: int) -> bytes:
    return signatures(ONE, *[(b"%d" % (start + n), None) for n in range(count)])


def test_sixty_four_signatures_and_one_more(tmp_path):
    whole = merged(tmp_path / "ok", many(0, 32), many(32, 32))
    assert len(parse_signature(whole).signatures) == limits.MAX_SIGNATURES == 64
    refused(tmp_path / "over", many(0, 32), many(32, 33), kind=TooLarge)


def test_too_many_timestamps(tmp_path):
    def stamped(start: int) -> bytes:
        document = json.loads(signatures(ONE, (b"s", None)))
        document["signatures"][0]["timestamps"] = [
            {"type": "tsp", "data": forge.b64(bytes([start + n]))} for n in range(9)
        ]
        return made.compact(document)

    refused(tmp_path, stamped(0), stamped(9), kind=TooLarge)


@pytest.mark.parametrize(
    ("limit", "value"), [("MAX_CLAIMS", 1), ("MAX_JSON_BYTES", 800), ("MAX_BUNDLE_BYTES", 1450)]
)
def test_a_result_that_no_reader_would_accept(tmp_path, monkeypatch, limit, value):
    files = [line(ONE, ALICE), line(ONE, BOB) + line(TWO, BOB)]
    assert len(files[0]) < 800
    assert len(files[1]) < 1450
    monkeypatch.setattr(merge_module.limits, limit, value)
    refused(tmp_path, *files, kind=TooLarge)


@pytest.mark.parametrize("kind", ["link", "folder", "fifo"])
def test_odd_targets(tmp_path, kind):
    target, source = tmp_path / "t", tmp_path / "s"
    source.write_bytes(line(ONE, ALICE))
    if kind == "link":
        (tmp_path / "victim").write_bytes(line(TWO, ALICE))
        target.symlink_to("victim")
    elif kind == "folder":
        target.mkdir()
    else:
        os.mkfifo(target)
    with pytest.raises((Unavailable, MalformedInput)):
        merge_claims(target, [source])
    if kind == "link":
        assert (tmp_path / "victim").read_bytes() == line(TWO, ALICE)


@unprivileged
def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "s").write_bytes(line(ONE, ALICE))
    (tmp_path / "f").mkdir(mode=0o500)
    with pytest.raises(Unavailable):
        merge_claims(tmp_path / "f" / "t", [tmp_path / "s"])


def test_permissions_are_kept(tmp_path):
    (tmp_path / "1").write_bytes(line(ONE, ALICE))
    (tmp_path / "0").touch(0o600)
    (tmp_path / "0").chmod(0o600)
    merge_claims(tmp_path / "0", [tmp_path / "1"])
    assert stat.S_IMODE((tmp_path / "0").stat().st_mode) == 0o600


# -- writers at once -----------------------------------------------------------------------------

MERGER = """
import sys
from pathlib import Path
from attest.flow.merge import merge_claims
target, source, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
for _ in range(count):
    merge_claims(target, [source])
"""


def test_merging_loses_nothing_that_others_append(tmp_path):
    target, source = tmp_path / "t", tmp_path / "s"
    source.write_bytes(line(ONE, BOB) + line(TWO, CAROL))
    command = [sys.executable, "-B", "-c", MERGER, str(target), str(source), "60"]
    process = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True)
    appended = [line(claim(ODD, {"a": number}), ALICE) for number in range(120)]
    for each in appended:
        append_claim(target, each.rstrip(b"\n"))
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    data = target.read_bytes()
    assert set(split_claims(data)) >= {each.rstrip(b"\n") for each in appended}
    assert said(data) == said(b"".join(appended) + source.read_bytes())
