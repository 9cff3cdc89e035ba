"""What other scanners find in a folder of files; run by the Python of *their* environment.

``python benchmarks/peer_scanners.py picklescan|modelscan FOLDER`` prints one JSON object: file name
-> ``flagged``, ``error`` or ``silent``. Nothing is loaded: both read opcodes.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path


def picklescan(path: Path) -> str:
    from picklescan.scanner import scan_file_path

    try:
        result = scan_file_path(str(path))
    except Exception:  # whatever a scanner stumbles over, it has not said "clean"
        return "error"
    if result.infected_files or result.issues_count:
        return "flagged"
    return "error" if result.scan_err else "silent"


def modelscan(path: Path) -> str:
    from modelscan.modelscan import ModelScan

    try:
        found = ModelScan().scan(str(path))
    except Exception:
        return "error"
    if found["summary"]["total_issues"]:
        return "flagged"
    return "error" if found["errors"] else "silent"


def main() -> None:
    logging.disable(logging.CRITICAL)
    judge = {"picklescan": picklescan, "modelscan": modelscan}[sys.argv[1]]
    folder = Path(sys.argv[2])
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    print(json.dumps({str(path.relative_to(folder)): judge(path) for path in files}))


if __name__ == "__main__":
    main()
