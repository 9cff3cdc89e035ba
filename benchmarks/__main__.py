"""``python -m benchmarks``: measure, and print one table."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from benchmarks import machine, report
from benchmarks.command import CommandFailed
from benchmarks.described import DESCRIBED
from benchmarks.groups import GROUPS as HASHING
from benchmarks.groups import Context
from benchmarks.tools import make_keys, model_signing
from benchmarks.workspace import NEEDED, QUICK, Sizes, Workspace

GROUPS = HASHING | DESCRIBED


def main() -> int:
    options = _arguments()
    sizes = QUICK if options.quick else Sizes()
    free = machine.free_space(options.folder)
    if not options.quick and free < NEEDED:
        print(
            f"{options.folder} has {report.megabytes(free)} free; "
            f"{report.megabytes(NEEDED)} are needed: give another --folder",
            file=sys.stderr,
        )
        return 1
    print(machine.describe())
    if options.quick:
        print("quick: these sizes only try the benchmarks, the figures say nothing")
    print(f"\n{report.heading()}", flush=True)
    with tempfile.TemporaryDirectory(prefix="attest-bench-", dir=options.folder) as folder:
        workspace = Workspace(Path(folder), sizes)
        context = Context(workspace, make_keys(workspace), model_signing(options.peers))
        for name in options.only or GROUPS:
            for row in GROUPS[name](context):
                print(report.line(row, judge=not options.quick), flush=True)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to try it out")
    parser.add_argument("--only", action="append", choices=[*GROUPS], help="this group; repeatable")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()),
        help=f"on the disk to measure on, {report.megabytes(NEEDED)} free (default: %(default)s)",
    )
    parser.add_argument(
        "--peers",
        type=Path,
        default=Path(os.environ.get("ATTEST_PEERS", ".venv-peers/bin")),
        help="bin folder of the environment with model_signing (default: %(default)s)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CommandFailed as error:
        sys.exit(f"a measured command failed: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
