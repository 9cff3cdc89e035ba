"""Feed a file to BLAKE3 without copying it, safely.

BLAKE3 outruns the copy from the page cache that ``read`` makes, so it needs a memory map. A mapped
file that somebody truncates kills the process (SIGBUS). Linux can forbid that: with a read lease
(``fcntl(2)``, F_SETLEASE) a truncation or an open for writing *waits* until the lease is given
back, or until ``/proc/sys/fs/lease-break-time`` (45 s) has passed. A window of 64 MiB takes
milliseconds to hash, and between windows the lease is checked. Where no lease is to be had
(another owner, an open writer, a network file system) the caller reads instead.
"""

from __future__ import annotations

import fcntl
import mmap
import signal
from collections.abc import Callable
from typing import Final

from attest import limits

WINDOW: Final = 64 * limits.MIB

_F_SETSIG: Final = 10
"""Linux: which signal announces that somebody waits for the lease. SIGIO, the default, would end
the process; SIGURG is ignored unless asked for."""


def feed_mapped(
    handle: int, size: int, sink: Callable[[mmap.mmap], object], done: Callable[[int], None]
) -> int:
    """Feed an open file to ``sink`` in mapped windows, for as long as a read lease is held.

    Args:
        handle: open for reading.
        size: bytes; not more is mapped.
        done: told the bytes of each window.

    Returns:
        bytes that were fed; less than ``size`` where the lease was refused or called back. The
        caller goes on from there by reading.
    """
    try:
        fcntl.fcntl(handle, _F_SETSIG, signal.SIGURG)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError:
        return 0
    offset = 0
    try:
        while offset < size and fcntl.fcntl(handle, fcntl.F_GETLEASE) == fcntl.F_RDLCK:
            length = min(WINDOW, size - offset)
            with mmap.mmap(handle, length, prot=mmap.PROT_READ, offset=offset) as window:
                sink(window)
            offset += length
            done(length)
    except ValueError:  # mmap: the file is shorter than it was
        return offset
    finally:
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return offset
