"""Pin every dependency with the hashes of all its files: ``make lock``.

The files that this writes name packages, versions and hashes, and nothing else: no registry, no
index option, no path. Anyone can install from a registry or mirror of their choice, and the hashes
decide. All published files are hashed, so one lock serves every Python version and processor.

The machine's pip configuration is left out, because a folder of local wheels there would replace
the registry's set of hashes by its own. Set ``PIP_CONFIG_FILE`` to go through a mirror on purpose.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "requirements"


@dataclass(frozen=True, slots=True)
class Lock:
    """One file under ``requirements/``: what goes in, and which locks it must agree with."""

    name: str
    source: str
    extras: tuple[str, ...] = ()
    agrees_with: tuple[str, ...] = field(default=())
    no_deps: bool = False


LOCKS = (
    Lock("runtime", "pyproject.toml"),
    Lock("build", "requirements/build.in", agrees_with=("runtime",)),
    Lock(
        "extras",
        "pyproject.toml",
        extras=("sigstore", "pkcs11", "in-toto"),
        agrees_with=("runtime",),
    ),
    Lock("dev", "requirements/dev.in", agrees_with=("runtime", "build", "extras")),
    Lock("fuzz", "requirements/fuzz.in", agrees_with=("runtime", "dev")),
    Lock("model", "requirements/model.in", no_deps=True),
    Lock("peers", "requirements/peers.in"),
    Lock("scanners", "requirements/scanners.in"),
)

FOREIGN = re.compile(r"://|--(?:index|extra-index|find-links|trusted)|^\s*-[a-z]\b|file:|(?:^|\s)/")
"""What no line of a lock may hold."""


def tidy(text: str, title: str) -> str:
    """The lines of ``pip-compile`` without its remarks, under a header of ours.

    Raises:
        ValueError: a line names a registry, an option or a path.
    """
    kept = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for line in kept:
        if FOREIGN.search(line):
            raise ValueError(f"{title}: a lock must not hold {line.strip()!r}")
    return f"# {title}: made by `make lock`, do not edit.\n" + "\n".join(kept) + "\n"


def lock_alone(lock: Lock) -> str:
    """Pin what ``lock`` names and nothing it needs, by pip's own report of what it would fetch."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--no-deps"]
    command += ["--ignore-installed", "--report=-", f"--requirement={lock.source}"]
    result = subprocess.run(command, cwd=ROOT, env=environment(), check=True, capture_output=True)
    lines = []
    for item in json.loads(result.stdout)["install"]:
        metadata, archive = item["metadata"], item["download_info"]["archive_info"]
        lines.append(f"{metadata['name']}=={metadata['version']} \\")
        lines.append(f"    --hash=sha256:{archive['hashes']['sha256']}")
    return "\n".join(lines)


def environment() -> dict[str, str]:
    """The caller's environment without the machine's own package sources."""
    variables = {**os.environ, "PIP_CONFIG_FILE": os.environ.get("PIP_CONFIG_FILE", os.devnull)}
    variables.pop("PIP_FIND_LINKS", None)
    variables.pop("PIP_EXTRA_INDEX_URL", None)
    return variables


def compile_lock(lock: Lock, folder: Path, upgrade: bool) -> str:
    """Run pip-compile; return the text of the lock."""
    output = folder / f"{lock.name}.txt"
    current = FOLDER / output.name
    if current.exists() and not upgrade:
        output.write_bytes(current.read_bytes())  # pip-compile keeps pins that it finds
    command = [sys.executable, "-m", "piptools", "compile", "--quiet", "--generate-hashes"]
    command += ["--strip-extras", "--allow-unsafe", "--no-annotate", "--no-header"]
    command += ["--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host"]
    command += ["--no-emit-options", f"--output-file={output}"]
    command += [f"--extra={extra}" for extra in lock.extras]
    command += [f"--constraint={folder / name}.txt" for name in lock.agrees_with]
    subprocess.run([*command, lock.source], cwd=ROOT, env=environment(), check=True)
    return output.read_text()


def main(arguments: list[str]) -> int:
    upgrade = "--upgrade" in arguments
    wanted = [argument for argument in arguments if not argument.startswith("-")]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for lock in LOCKS:
            target = FOLDER / f"{lock.name}.txt"
            if wanted and lock.name not in wanted:
                (folder / target.name).write_bytes(target.read_bytes())
                continue
            text = lock_alone(lock) if lock.no_deps else compile_lock(lock, folder, upgrade)
            text = tidy(text, target.name)
            target.write_text(text)
            pins = sum("==" in line for line in text.splitlines())
            sys.stdout.write(f"requirements/{lock.name}.txt: {pins} pinned\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
