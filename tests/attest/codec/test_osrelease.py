"""os-release files: assignments, quotes, and what a shell would have done with them."""

from __future__ import annotations

import pytest

from attest import limits
from attest.codec.osrelease import parse_os_release
from attest.errors import MalformedInput, TooLarge


def test_a_real_one():
    data = (
        b'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\n'
        b"VERSION_ID=\"12\"\n# a comment\n\nID=debian\r\nHOME_URL='https://www.debian.org/'\n"
        b'BUG_REPORT_URL="a \\"quoted\\" \\$word"\nEMPTY=\n'
    )
    read = parse_os_release(data)
    assert read["PRETTY_NAME"] == "Debian GNU/Linux 12 (bookworm)"
    assert read["ID"] == "debian"
    assert read["HOME_URL"] == "https://www.debian.org/"
    assert read["BUG_REPORT_URL"] == 'a "quoted" $word'
    assert read["EMPTY"] == ""


@pytest.mark.parametrize(
    "data",
    [b"ID=a b", b"ID=$(id)", b"ID=`id`", b'ID="$HOME"', b'ID="a', b"ID='a", b'ID="a"b',
     b"id=debian", b"1D=x", b"ID", b" =x", b"ID=a;reboot", b"ID=a\0", b"\xff=x",
     b"ID=a\nID=b", b'ID="a\\n"', b"export ID=a"],
)  # fmt: skip
def test_bad(data: bytes):
    with pytest.raises(MalformedInput):
        parse_os_release(data)


def test_too_large():
    with pytest.raises(TooLarge):
        parse_os_release(b"#" * (limits.MAX_OS_RELEASE_BYTES + 1))
