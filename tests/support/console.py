"""Documents that are run: what they tell a reader to type works as it stands.

Blocks marked ``console`` are one story, told in one empty folder: each line that begins with ``$``
is a command. A command succeeds unless the line ends with ``# exit N``. Lines without ``$`` are
output, and not compared.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_EXIT = re.compile(r"\s+# exit ([0-9]+)$")


def commands(text: str) -> list[tuple[str, int]]:
    """Every command of a document and the exit status that it promises."""
    found = []
    for block in CONSOLE.findall(text):
        for line in block.splitlines():
            if line.startswith("$ "):
                promised = _EXIT.search(line)
                found.append((_EXIT.sub("", line[2:]), int(promised[1]) if promised else 0))
    return found


def run(text: str, folder: Path) -> None:
    """Run a document's commands below ``folder``, which is empty."""
    home, work = folder / "home", folder / "work"
    home.mkdir()
    work.mkdir()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    environment = {"PATH": path, "HOME": str(home), "LC_ALL": "C.UTF-8"}
    for command, promised in commands(text):
        result = subprocess.run(
            ["bash", "-ec", command],
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        assert result.returncode == promised, f"$ {command}\n{result.stdout}"
