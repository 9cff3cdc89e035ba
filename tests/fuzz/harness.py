"""Coverage-guided fuzzing of one target: ``python tests/fuzz/fuzz_<name>.py [libFuzzer options]``.

Run by ``make fuzz``. Seeds are written from the vectors to ``.fuzz/seeds-<name>/`` at each start,
so that nothing is stored twice in the repository.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def main(name: str) -> None:
    """Never returns."""
    sys.path[:0] = [str(ROOT), str(ROOT / "cli")]
    import atheris

    with atheris.instrument_imports(include=["attest", "json", "pickletools"]):
        import tests.fuzz.registry as registry

    folder = ROOT / ".fuzz" / f"seeds-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(registry.seeds(name)):
        (folder / f"{number:04d}").write_bytes(seed)

    def one_input(data: bytes) -> None:
        registry.run(name, data)

    options = ["-rss_limit_mb=1024", "-max_len=16384", "-timeout=10"]
    atheris.Setup([*sys.argv, *options, str(folder)], one_input)
    atheris.Fuzz()
