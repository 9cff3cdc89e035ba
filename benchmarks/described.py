"""The comparisons about claims: scanning, bills of materials, reading claims, lineage."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import lineage as lineage_rows
from benchmarks.command import ROOT, Action, in_turns, run
from benchmarks.groups import Context
from benchmarks.report import Row, below, milliseconds
from benchmarks.tools import attest_command, probe

SCAN_SECONDS = 0.5
"""For a torch zip of 1 GiB, warm."""
BOM_SECONDS = 2.0
"""For a BOM of 100 000 components."""


def scan(context: Context) -> Iterator[Row]:
    """A large checkpoint, and a folder of crafted files, through three scanners."""
    sizes = context.workspace.sizes
    size = sizes.file // 4
    path = context.workspace.path("checkpoint.pt")
    write_torch_zip(path, size)
    os.sync()
    actions: dict[str, Action] = {
        "attest": lambda: run([*attest_command(), "scan", path, "--quiet"]),
        "engine": probe("scan", path),
    }
    picklescan, modelscan = _scanner("picklescan"), _scanner("modelscan")
    if picklescan:
        actions["picklescan"] = lambda: run([picklescan, "-p", path])
    if modelscan:
        actions["modelscan"] = lambda: run([modelscan, "-p", path], accept=(0, 3))
    cost = in_turns(sizes.long_rounds, actions)
    path.unlink()
    what = f"{size >> 20} MiB torch zip: "
    wall = cost["engine"].wall
    yield below(what + "scan, engine", milliseconds(wall), wall, SCAN_SECONDS, "500 ms")
    for name in ("picklescan", "modelscan"):
        if name in cost:
            other, own = cost[name].wall, cost["attest"].wall
            label = f"{name}, which skips tensor data"
            yield Row(
                f"{what}scan, process", milliseconds(own), milliseconds(other), label, other / own
            )
    yield from _detections(context)


def _detections(context: Context) -> Iterator[Row]:
    """How many of the crafted malicious files each scanner does not wave through."""
    fixtures = Path(os.environ.get("ATTEST_FIXTURES", ROOT.parent / "shared" / "fixtures"))
    folder = fixtures / "pickles"
    if not (folder / "EXPECTED.json").is_file():
        return
    expected = json.loads((folder / "EXPECTED.json").read_text())
    bad = {name for name, entry in expected.items() if entry["verdict"] == "malicious"}
    done = subprocess.run(
        [*attest_command(), "scan", str(folder), "--json"], capture_output=True, check=False
    )
    found = json.loads(done.stdout)["findings"]
    refused = {finding.get("where") for finding in found if finding["outcome"] == "fail"}
    for name in ("picklescan", "modelscan"):
        python = _scanner("python")
        if not python or not _scanner(name):
            yield Row("crafted malicious files refused", f"{len(bad & refused)} of {len(bad)}")
            return
        said = subprocess.run(
            [python, ROOT / "benchmarks" / "peer_scanners.py", name, folder],
            capture_output=True,
            check=True,
        )
        theirs = json.loads(said.stdout)
        loud = {file for file, answer in theirs.items() if answer != "silent"}
        yield Row(
            "crafted malicious files refused",
            f"{len(bad & refused)} of {len(bad)}",
            f"{len(bad & loud)} of {len(bad)}",
            f"{name}, errors counted as refusals",
            len(bad & refused) / max(1, len(bad & loud)),
        )


def boms(context: Context) -> Iterator[Row]:
    """Validating bills of materials of two sizes."""
    sizes = context.workspace.sizes
    large, small = 100_000 * sizes.rounds // 5, 1_000
    paths = {count: context.workspace.path(f"bom-{count}.json") for count in (large, small)}
    for count, path in paths.items():
        path.write_bytes(make_bom(count))
    cost = in_turns(
        sizes.long_rounds,
        {
            "large": probe("validate_bom", paths[large]),
            "small": probe("validate_bom", paths[small]),
            "library": probe("validate_bom_library", paths[small]),
        },
    )
    wall = {name: found.wall for name, found in cost.items()}
    what = f"BOM of {large} components: validate"
    yield below(what, milliseconds(wall["large"]), wall["large"], BOM_SECONDS, "2000 ms")
    ratio = wall["library"] / wall["small"]
    other = "cyclonedx-python-lib, strict JSON"
    what = f"BOM of {small} components: validate"
    yield Row(what, milliseconds(wall["small"]), milliseconds(wall["library"]), other, ratio)


def lineage(context: Context) -> Iterator[Row]:
    """A graph over 100 000 claims, parsed and with their signatures."""
    folder = context.workspace.path("lineage")
    folder.mkdir()
    yield from lineage_rows.rows(folder, 100_000 * context.workspace.sizes.rounds // 5)


def write_torch_zip(path: Path, size: int) -> None:
    """What ``torch.save`` writes of one tensor of ``size`` bytes, made without torch."""
    count = size // 4

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    number = b"\x8a\x08" + struct.pack("<q", count)
    ordered = b"ccollections\nOrderedDict\n)R"
    pickle = b"\x80\x02" + ordered + b"(" + text("weight")
    pickle += b"ctorch._utils\n_rebuild_tensor_v2\n(("
    pickle += text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + number
    pickle += b"tQK\x00" + number + b"\x85K\x01\x85\x89" + ordered + b"tRu."
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        archive.writestr("archive/data.pkl", pickle)
        archive.writestr("archive/byteorder", "little")
        piece = os.urandom(1 << 20)
        info = zipfile.ZipInfo("archive/data/0")
        with archive.open(info, "w", force_zip64=size >= 1 << 31) as member:
            for _ in range(size >> 20):
                member.write(piece)
        archive.writestr("archive/version", "3\n")


def make_bom(count: int) -> bytes:
    """A CycloneDX 1.6 BOM of ``count`` libraries that all depend on the next."""
    components: list[dict[str, Any]] = [
        {
            "type": "library",
            "bom-ref": f"library-{number}",
            "name": f"library-{number}",
            "version": "1.0",
            "purl": f"pkg:pypi/library-{number}@1.0",
            "hashes": [{"alg": "SHA-256", "content": f"{number:064x}"}],
            "licenses": [{"license": {"id": "Apache-2.0"}}],
        }
        for number in range(count)
    ]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "components": components,
        "dependencies": [
            {"ref": f"library-{number}", "dependsOn": [f"library-{number + 1}"]}
            for number in range(count - 1)
        ],
    }
    return json.dumps(document).encode()


def _scanner(name: str) -> str | None:
    """A command of the scanners' environment."""
    folder = Path(os.environ.get("ATTEST_SCANNERS", ".venv-scanners/bin"))
    found = ROOT / folder / name
    return str(found) if found.exists() else None


DESCRIBED = {"scan": scan, "boms": boms, "lineage": lineage}
"""Groups of this module."""
