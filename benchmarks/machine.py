"""One line about the machine, so that figures can be compared with other figures."""

from __future__ import annotations

import os
import platform
import shutil
import ssl
import subprocess
from pathlib import Path

from benchmarks.tools import CORES, openssl


def describe() -> str:
    """Processor, cores, kernel, Python and OpenSSL, and how busy the machine was before."""
    return "\n".join(
        (
            f"{_processor()}, {CORES} cores, {_memory()}, Linux {platform.release()}",
            f"Python {platform.python_version()}, {ssl.OPENSSL_VERSION}; command {_openssl()}",
            f"load before: {os.getloadavg()[0]:.2f}",
        )
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory() -> str:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{pages / (1 << 30):.0f} GiB"


def _openssl() -> str:
    found = openssl()
    if found is None:
        return "openssl: none"
    said = subprocess.run([found, "version"], capture_output=True, text=True, check=True)
    return " ".join(said.stdout.split()[:2])


def free_space(folder: Path) -> int:
    return shutil.disk_usage(folder).free
