"""The rules of speech that attest_cli.output starts with, one by one."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.errors import Unavailable
from attest.verdict import Finding, Severity
from attest_cli.output import NAMED_PER_CODE, Voice, human_size, printable
from tests.cli.support import attest, attest_process, command, environment


def findings(count: int, code: str = "file-changed", message: str = "content differs"):
    return [Finding(code, Severity.FAIL, message, where=f"f{n:03}") for n in range(count)]


def test_findings_are_grouped_and_cut_after_twenty(capsys: pytest.CaptureFixture[str]):
    Voice().findings([*findings(45), *findings(1, "file-missing", "is not there")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "  file-changed (45): content differs"
    assert lines[1:21] == [f"    f{n:03}" for n in range(NAMED_PER_CODE)]
    assert lines[21] == "    ... and 25 more (--json lists all)"
    assert lines[22:] == ["  file-missing: is not there", "    f000"]


def test_different_messages_of_a_group_stay_with_their_files(capsys: pytest.CaptureFixture[str]):
    one, two = findings(1, message="is a fifo"), findings(1, message="is a socket")
    Voice().findings([*one, *two])
    assert capsys.readouterr().out.splitlines() == [
        "  file-changed (2)",
        "    f000: is a fifo",
        "    f000: is a socket",
    ]


def test_a_hint_is_said_once_per_group(capsys: pytest.CaptureFixture[str]):
    same = Finding("x", Severity.FAIL, "no", where="a", hint="do this")
    Voice().findings([same, same])
    assert capsys.readouterr().out.count("do this") == 1


def test_one_hint_per_group_and_none_twice(capsys: pytest.CaptureFixture[str]):
    def finding(code: str, hint: str) -> Finding:
        return Finding(code, Severity.FAIL, "no", where="a", hint=hint)

    given = [finding("x", "do this"), finding("x", "do that"), finding("y", "do this")]
    Voice().findings([*given, finding("z", "do more")])
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "hint" in line] == ["    hint: do this", "    hint: do more"]


def test_warnings_are_marked(capsys: pytest.CaptureFixture[str]):
    Voice().findings([Finding("uncovered", Severity.WARN, "is not signed", where="a")])
    assert capsys.readouterr().out.startswith("  warn: uncovered: is not signed")


@given(st.text())
def test_whatever_is_said_is_printable(text: str):
    shown = printable(text)
    assert shown.isprintable() or not shown
    assert printable(shown) == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain é.bin", "plain é.bin"),
        ("\x1b[2Jevil", "\\x1b[2Jevil"),
        ("a\nattest: error: b", "a\\nattest: error: b"),
        ("gpj.\u202etxt", "gpj.\\u202etxt"),
        ("\udcff", "\\udcff"),
        ("\x9b31m", "\\x9b31m"),
    ],
)
def test_terminal_controls_are_escaped(name: str, shown: str):
    assert printable(name) == shown


def test_a_hostile_path_cannot_write_to_the_terminal(here: Path):
    ran = attest("inspect", "\x1b[31mred\x07")
    assert ran.code == 3
    assert "\x1b" not in ran.err
    assert "\\x1b[31mred\\x07" in ran.err


def test_an_error_has_prefix_place_and_hint(capsys: pytest.CaptureFixture[str]):
    Voice().refusal(Unavailable("cannot be read", where="a.pub", hint="check the path"))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "attest: error: a.pub: cannot be read\nhint: check the path\n"


def test_an_error_under_json_is_one_object_and_no_text(capsys: pytest.CaptureFixture[str]):
    voice = Voice()
    voice.json = True
    voice.refusal(Unavailable("cannot be read", where="a.pub", code="file-unreadable"))
    captured = capsys.readouterr()
    assert captured.err == ""
    report = json.loads(captured.out)
    assert report["outcome"] == "error"
    assert report["findings"][0]["code"] == "file-unreadable"
    assert report["findings"][0]["where"] == "a.pub"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (90868376, "86.7 MiB"),
        (3 << 40, "3.0 TiB"),
        (5000 << 40, "5000.0 TiB"),
    ],
)
def test_sizes_for_people(size: int, text: str):
    assert human_size(size) == text


def internal_error(*args: str):
    """A defect inside ``attest inspect``: its library function is broken."""
    code = (
        "import sys, attest_cli.commands.inspect as verb, attest_cli.main as entry\n"
        "def broken(*a, **k): raise KeyError('secret content')\n"
        "verb.command.callback = broken\n"
        f"sys.exit(entry.main({['inspect', 'x', *args]!r}))"
    )
    return subprocess.run(
        [*command()[:1], "-c", code], env=environment(), capture_output=True, text=True
    )


def test_an_internal_error_says_how_to_report_it_and_nothing_else():
    ran = internal_error()
    assert ran.returncode == 70
    assert ran.stdout == ""
    assert ran.stderr.startswith("attest: error: internal error (KeyError)\nhint: ")
    assert "report" in ran.stderr
    assert "secret content" not in ran.stderr
    assert "Traceback" not in ran.stderr


def test_an_internal_error_has_its_traceback_with_verbose():
    ran = internal_error("--verbose")
    assert ran.returncode == 70
    assert "Traceback" in ran.stderr


def test_an_internal_error_under_json():
    ran = internal_error("--json")
    assert ran.returncode == 70
    report = json.loads(ran.stdout)
    assert report["outcome"] == "error"
    assert report["findings"][0]["code"] == "internal-error"


def test_a_reader_that_goes_away_changes_nothing(signed: Path, here: Path):
    reading, writing = os.pipe()
    os.close(reading)
    for args, code in ((("--key", "release.pub"), 0), (("--key", "missing.pub", "--json"), 3)):
        ran = subprocess.run(
            command("verify", signed, *args),
            cwd=here,
            env=environment(),
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert (ran.returncode, ran.stderr) == (code, "")
    os.close(writing)


def test_a_result_that_cannot_be_written_is_told(signed: Path, here: Path):
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            command("verify", signed, "--key", "release.pub"),
            cwd=here,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert ran.returncode == 3
    assert ran.stderr.startswith("attest: error: standard output: No space left on device\n")


@pytest.mark.parametrize("stream", [1, 2])
def test_a_closed_stream_is_no_crash(signed: Path, here: Path, stream: int):
    line = f'exec "$0" "$@" {stream}>&-'
    args = command("verify", signed, "--key", "release.pub")
    ran = subprocess.run(
        ["sh", "-c", line, *args], cwd=here, env=environment(), capture_output=True, text=True
    )
    assert ran.returncode == 0
    assert ran.stderr == ""


def test_a_locale_without_the_letters_is_no_crash(here: Path):
    ran = attest_process("inspect", "né", cwd=here, env={"PYTHONIOENCODING": "ascii"})
    assert ran.code == 3
    assert "n\\xe9" in ran.err


def on_a_terminal(*args: str | Path, cwd: Path, **env: str) -> tuple[int, bytes]:
    """Exit code and everything that a terminal would have been sent."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        command(*args),
        cwd=cwd,
        env=environment(**{"TERM": "xterm", **env}),
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    seen = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:  # how Linux says that the other side is closed
            break
        if not piece:
            break
        seen += piece
    os.close(leader)
    return process.wait(), seen


def test_colour_on_a_terminal(signed: Path, here: Path):
    code, seen = on_a_terminal("verify", signed, "--key", "release.pub", cwd=here)
    assert code == 0
    assert b"\x1b[1;32mverified\x1b[0m" in seen


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_where_it_is_not_wanted(signed: Path, here: Path, env: dict[str, str]):
    code, seen = on_a_terminal("verify", signed, "--key", "release.pub", cwd=here, **env)
    assert code == 0
    assert b"\x1b" not in seen
    assert b"verified" in seen


def test_no_colour_in_a_pipe(signed: Path, here: Path):
    ran = attest_process("verify", signed, "--key", "release.pub", cwd=here)
    assert "\x1b" not in ran.out + ran.err


def test_quiet_success_says_nothing(signed: Path):
    ran = attest("verify", signed, "--key", "release.pub", "--quiet")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_quiet_refusal_still_speaks(signed: Path):
    (signed / "config.json").write_text("{}")
    ran = attest("verify", signed, "--key", "release.pub", "--quiet")
    assert ran.code == 1
    assert "config.json" in ran.out


def test_quiet_json_still_prints(signed: Path):
    ran = attest("verify", signed, "--key", "release.pub", "--quiet", "--json")
    assert ran.report["outcome"] == "pass"


def test_verbose_also_tells_what_passed(signed: Path):
    ran = attest("verify", signed, "--key", "release.pub", "--verbose")
    assert "signature-valid" in ran.out
