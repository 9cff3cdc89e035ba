"""What the tests of the command line share: running it, and making signatures that lie."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509

from attest.crypto.keys import LocalSigner
from attest_cli.main import main
from tests.support import pki

ROOT = Path(__file__).parents[2]
KEYS_OF_REPORT = {"schema", "outcome", "subject", "findings", "inputs", "at"}


@dataclass(frozen=True)
class Ran:
    """What a command line did."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """The one JSON object on stdout."""
        assert self.out.count("\n") == 1, self.out
        report = json.loads(self.out)
        assert set(report) == KEYS_OF_REPORT
        return report

    @property
    def codes(self) -> set[str]:
        """Codes of the findings that decide against."""
        return {
            finding["code"]
            for finding in self.report["findings"]
            if finding["outcome"] in ("fail", "error")
        }


def attest(*args: str | Path) -> Ran:
    """Run in this process: fast."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(arg) for arg in args])
    assert "Traceback" not in out.getvalue() + err.getvalue()
    return Ran(code, out.getvalue(), err.getvalue())


def environment(**extra: str) -> dict[str, str]:
    """The environment of a child process that finds this checkout, and no colour settings."""
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR") if key in os.environ}
    path = os.pathsep.join(str(ROOT / folder) for folder in (".", "cli"))
    return {**kept, "PYTHONPATH": path, "LC_ALL": "C.UTF-8", **extra}


def command(*args: str | Path) -> list[str]:
    """The command line of a child process."""
    return [sys.executable, "-m", "attest_cli", *map(str, args)]


def attest_process(
    *args: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    under: Sequence[str] = (),
) -> Ran:
    """Run as a user does, without a terminal; ``under`` another program if given."""
    done = subprocess.run(
        [*under, *command(*args)],
        cwd=cwd,
        env=environment(**(env or {})),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        start_new_session=True,
        timeout=120,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return Ran(done.returncode, done.stdout, done.stderr)


def python(code: str, **env: str) -> str:
    """Run Python code in a child process; its stdout."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(**env),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` with its content."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


@contextlib.contextmanager
def unchanged(folder: Path) -> Iterator[None]:
    """Nothing below ``folder`` is written, removed or changed inside."""
    before = snapshot(folder)
    yield
    assert snapshot(folder) == before


def make_model(folder: Path) -> Path:
    """A small directory artifact."""
    model = folder / "model"
    (model / "tokenizer").mkdir(parents=True)
    (model / "config.json").write_text('{"hidden_size": 8}\n')
    (model / "model.safetensors").write_bytes(bytes(range(256)) * 64)
    (model / "tokenizer" / "vocab.txt").write_text("a\nb\nc\n")
    return model


def resources_of(model: Path) -> list[dict[str, Any]]:
    """The honest resource list of a directory."""
    return [
        {"name": name, "algorithm": "sha256", "digest": hashlib.sha256(content).hexdigest()}
        for name, content in snapshot(model).items()
    ]


def statement(
    resources: Sequence[Mapping[str, Any]], *, root: str | None = None, **serialization: Any
) -> dict[str, Any]:
    """An OMS v1.0 statement over ``resources``, however wrong they are."""
    if root is None:
        digests = b"".join(bytes.fromhex(entry["digest"]) for entry in resources)
        root = hashlib.sha256(digests).hexdigest()
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "model", "digest": {"sha256": root}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "resources": list(resources),
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
                "ignore_paths": [],
                **serialization,
            },
        },
    }


def bundle(
    payload: dict[str, Any] | bytes,
    signer: LocalSigner,
    *,
    payload_type: str = "application/vnd.in-toto+json",
    hint: str | None = None,
) -> dict[str, Any]:
    """A validly signed Sigstore bundle, made without the library's own encoder."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    kind = payload_type.encode()
    pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(body), body)
    return {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {
            "publicKey": {"hint": hint or signer.public_key.fingerprint},
            "tlogEntries": [],
        },
        "dsseEnvelope": {
            "payload": base64.b64encode(body).decode(),
            "payloadType": payload_type,
            "signatures": [
                {"sig": base64.b64encode(signer.sign_parts([pae])).decode(), "keyid": ""}
            ],
        },
    }


def write_pki(folder: Path, **knobs: Any) -> None:
    """``ca.pem``, ``chain.pem``, and ``leaf.pem`` with ``leaf.key`` for release@example.com.

    Args:
        knobs: of :func:`tests.support.pki.issue`, to spoil the leaf.
    """
    made = pki.make_pki()
    sans = (x509.RFC822Name("release@example.com"),)
    leaf = made.intermediate.issue("release", **{"sans": sans, **knobs})
    (folder / "ca.pem").write_bytes(pki.pem(made.root))
    (folder / "chain.pem").write_bytes(pki.pem(made.intermediate))
    (folder / "leaf.pem").write_bytes(pki.pem(leaf))
    (folder / "leaf.key").write_bytes(leaf.key_pem)
