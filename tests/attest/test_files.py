"""Files: bounds on what is read, and what is on the disk after each way a write can fail."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from attest.errors import TooLarge, Unavailable
from attest.files import read_bounded, write_atomic, write_new
from tests.support.rights import unprivileged

OLD, NEW = b"old signature", b"new signature"
CHUNKS = [NEW[:3], memoryview(NEW)[3:7], b"", NEW[7:]]


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextlib.contextmanager
def umask(value: int) -> Iterator[None]:
    previous = os.umask(value)
    try:
        yield
    finally:
        os.umask(previous)


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Writes beyond ``size`` bytes fail, as they do on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def unavailable(code: str):
    return pytest.raises(Unavailable, check=lambda error: error.code == code)


# Reading


def test_reads_up_to_the_limit(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_bounded(path, 5, "thing") == b"12345"
    assert read_bounded(path, 1 << 40, "thing") == b"12345"
    path.write_bytes(b"")
    assert read_bounded(path, 0, "thing") == b""


def test_one_byte_over_the_limit(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"123456")
    with pytest.raises(TooLarge, match="thing"):
        read_bounded(path, 5, "thing")


def test_huge_sparse_file_is_not_read(tmp_path):
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(TooLarge):
        read_bounded(path, 1000, "thing")


def test_missing_file(tmp_path):
    with unavailable("file-missing"):
        read_bounded(tmp_path / "none", 5, "thing")


def test_folder_instead_of_a_file(tmp_path):
    with unavailable("not-a-file"):
        read_bounded(tmp_path, 5, "thing")


def test_path_through_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with unavailable("file-unreadable"):
        read_bounded(tmp_path / "file" / "below", 5, "thing")


@unprivileged
def test_file_without_read_permission(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"")
    path.chmod(0)
    with unavailable("file-unreadable"):
        read_bounded(path, 5, "thing")


@pytest.mark.timeout(20)
def test_pipe_in_place_of_a_file_does_not_block(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with unavailable("not-a-file"):
        read_bounded(path, 5, "thing")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_device_in_place_of_a_file(device):
    for allow_pipe in (False, True):
        with unavailable("not-a-file"):
            read_bounded(Path(device), 5, "thing", allow_pipe=allow_pipe)


@pytest.mark.timeout(20)
def test_pipe_is_read_to_its_end_where_it_is_allowed():
    reader, writer = os.pipe()

    def write() -> None:
        with open(writer, "wb") as file:
            file.write(b"part one, ")
            file.flush()
            file.write(b"part two")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        path = Path(f"/dev/fd/{reader}")
        assert read_bounded(path, 100, "key", allow_pipe=True) == b"part one, part two"
    finally:
        thread.join()
        os.close(reader)


# Replacing


@pytest.mark.parametrize("data", [NEW, CHUNKS, iter(CHUNKS)], ids=["bytes", "chunks", "stream"])
def test_replaces_the_old_file(tmp_path, data):
    path = tmp_path / "model.sig"
    path.write_bytes(OLD)
    write_atomic(path, data)
    assert path.read_bytes() == NEW
    assert names(tmp_path) == ["model.sig"]


def test_mode_is_less_the_umask(tmp_path):
    for mask, expected in ((0o022, 0o644), (0o077, 0o600)):
        with umask(mask):
            write_atomic(tmp_path / "file", NEW)
        assert mode(tmp_path / "file") == expected


def test_longest_possible_name(tmp_path):
    path = tmp_path / ("n" * 255)
    write_atomic(path, NEW)
    assert path.read_bytes() == NEW


def test_symbolic_link_is_replaced_not_followed(tmp_path):
    victim, link = tmp_path / "victim", tmp_path / "link"
    victim.write_bytes(OLD)
    link.symlink_to(victim)
    write_atomic(link, NEW)
    assert (victim.read_bytes(), link.read_bytes()) == (OLD, NEW)
    assert not link.is_symlink()


def test_disk_full_half_way_keeps_the_old_file(tmp_path):
    path = tmp_path / "model.sig"
    path.write_bytes(OLD)
    with largest_file(10_000), unavailable("disk-full"):
        write_atomic(path, (b"x" * 4096 for _ in range(10)))
    assert path.read_bytes() == OLD
    assert names(tmp_path) == ["model.sig"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_interrupted_half_way_keeps_the_old_file(tmp_path, error):
    path = tmp_path / "model.sig"
    path.write_bytes(OLD)

    def data() -> Iterator[bytes]:
        yield b"x" * (1 << 20)
        assert len(names(tmp_path)) == 2
        raise error

    with pytest.raises(error):
        write_atomic(path, data())
    assert path.read_bytes() == OLD
    assert names(tmp_path) == ["model.sig"]


def test_killed_half_way_keeps_the_old_file(tmp_path):
    path = tmp_path / "model.sig"
    path.write_bytes(OLD)
    script = (
        "import os, signal, sys, pathlib\n"
        "from attest.files import write_atomic\n"
        "def data():\n"
        "    yield b'x' * (1 << 20)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_atomic(pathlib.Path(sys.argv[1]), data())\n"
    )
    done = subprocess.run([sys.executable, "-c", script, path], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == OLD
    left = [name for name in names(tmp_path) if name != "model.sig"]
    assert [name[:8] + name[-4:] for name in left] == [".attest-.tmp"]


def test_missing_folder(tmp_path):
    with unavailable("file-unwritable"):
        write_atomic(tmp_path / "none" / "file", NEW)


def test_target_is_a_folder(tmp_path):
    (tmp_path / "model.sig").mkdir()
    with unavailable("file-unwritable"):
        write_atomic(tmp_path / "model.sig", NEW)
    assert names(tmp_path) == ["model.sig"]


@unprivileged
def test_folder_without_write_permission(tmp_path):
    (tmp_path / "model.sig").write_bytes(OLD)
    tmp_path.chmod(0o500)
    try:
        with unavailable("file-unwritable"):
            write_atomic(tmp_path / "model.sig", NEW)
    finally:
        tmp_path.chmod(0o700)
    assert (tmp_path / "model.sig").read_bytes() == OLD


# Creating


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077], ids=oct)
def test_private_key_file_is_for_its_owner_only(tmp_path, mask):
    with umask(mask):
        write_new(tmp_path / "release.key", NEW)
    assert mode(tmp_path / "release.key") == 0o600
    assert (tmp_path / "release.key").read_bytes() == NEW


def test_public_file_has_the_mode_asked_for(tmp_path):
    with umask(0o022):
        write_new(tmp_path / "release.pub", NEW, 0o644)
    assert mode(tmp_path / "release.pub") == 0o644


def test_existing_file_is_not_overwritten(tmp_path):
    path = tmp_path / "release.key"
    path.write_bytes(OLD)
    with unavailable("already-exists"):
        write_new(path, NEW)
    assert path.read_bytes() == OLD


@pytest.mark.parametrize("dangling", [False, True])
def test_link_is_not_followed_to_create_a_file(tmp_path, dangling):
    target, link = tmp_path / "target", tmp_path / "release.key"
    if not dangling:
        target.write_bytes(OLD)
    link.symlink_to(target)
    with unavailable("already-exists"):
        write_new(link, NEW)
    assert target.exists() is not dangling


def test_disk_full_leaves_no_new_file(tmp_path):
    with largest_file(4), unavailable("disk-full"):
        write_new(tmp_path / "release.key", NEW)
    assert names(tmp_path) == []


def test_new_file_in_missing_folder(tmp_path):
    with unavailable("file-unwritable"):
        write_new(tmp_path / "none" / "release.key", NEW)


def test_message_names_the_file_and_not_its_content(tmp_path):
    path = tmp_path / "release.key"
    path.write_bytes(OLD)
    with pytest.raises(Unavailable) as caught:
        write_new(path, NEW)
    assert caught.value.where == str(path)
    assert NEW.decode() not in f"{caught.value!r}{caught.value.hint}"
