"""``attest keygen``: a private key that only its owner reads, and the public key beside it."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path

import click

from attest.errors import Unavailable
from attest.verdict import Finding, Severity, Verdict
from attest_cli import material
from attest_cli.exits import Exit
from attest_cli.options import FILE, Verb, passphrase_options
from attest_cli.output import Voice

# attest.crypto.algorithms.KeyAlgorithm, spelled out so that --help does not load cryptography.
ALGORITHMS = ("p256", "p384", "p521", "ed25519", "ml-dsa-65", "ml-dsa-87")


def _with_base_name(ctx: click.Context, param: click.Parameter, value: Path) -> Path:
    """Option callback: a path whose last part can carry ``.key`` and ``.pub``."""
    if value.name in ("", ".."):
        raise click.BadParameter(f"{str(value)!r} is a folder: give the name of a key in it")
    return value


@click.command(
    cls=Verb,
    name="keygen",
    schema="urn:attest-toolkit:keygen:v1",
    examples=(
        "attest keygen release",
        "attest keygen archive --algorithm ml-dsa-87 --passphrase-file secret.txt",
    ),
)
@click.argument("name", type=FILE, callback=_with_base_name)
@click.option(
    "--algorithm",
    type=click.Choice(ALGORITHMS),
    default="p256",
    show_default=True,
    help="p256, p384 and p521 make signatures that every OMS tool reads.",
)
@click.option("--passphrase", "ask", is_flag=True, help="Encrypt the key; asks twice.")
@passphrase_options
@click.pass_obj
def command(
    voice: Voice,
    name: Path,
    algorithm: str,
    ask: bool,
    passphrase_file: Path | None,
    passphrase_env: str | None,
) -> Exit:
    """Make a key pair: NAME.key (mode 0600, keep it secret) and NAME.pub (hand it out).

    Never overwrites: if either file exists, nothing is written and the exit code is 3.
    """
    source = material.Passphrase(passphrase_file, passphrase_env)
    if ask and source.stored:
        raise click.UsageError("choose one of --passphrase, --passphrase-file, --passphrase-env")
    private, public = name.with_name(f"{name.name}.key"), name.with_name(f"{name.name}.pub")
    _refuse_existing(private, public)
    passphrase = source.get("passphrase") if source.stored else _typed_twice() if ask else None

    from attest.crypto.algorithms import KeyAlgorithm
    from attest.crypto.keys import generate

    signer = generate(KeyAlgorithm(algorithm))
    _write_pair(private, signer.to_pem(passphrase), public, signer.public_key.pem)
    fingerprint = signer.public_key.fingerprint
    voice.tell(
        f"wrote {private} ({'encrypted' if passphrase else 'not encrypted'}; keep it secret)"
    )
    voice.tell(f"wrote {public} (give it to those who verify)")
    voice.tell(f"{algorithm} key, fingerprint {fingerprint}")
    subject = {
        "algorithm": algorithm,
        "encrypted": passphrase is not None,
        "fingerprint": fingerprint,
        "private_key": str(private),
        "public_key": str(public),
    }
    made = Finding("key-generated", Severity.PASS, "a key pair was made", where=str(private))
    voice.emit(Verdict.conclude([made], subject=subject, inputs={}, at=datetime.now(UTC)))
    return Exit.OK


def _refuse_existing(*paths: Path) -> None:
    # Before any question is asked; writing refuses again by itself, whatever happens in between.
    for path in paths:
        if path.exists() or path.is_symlink():
            raise Unavailable(
                "the file already exists and is not overwritten",
                where=str(path),
                hint="choose another name, or move the old key away",
                code="already-exists",
            )


def _typed_twice() -> bytes:
    first = material.ask("new passphrase")
    if material.ask("same passphrase again") != first:
        raise Unavailable(
            "the two passphrases differ", hint="run it again", code="passphrases-differ"
        )
    return first


def _write_pair(private: Path, secret: bytes, public: Path, pem: bytes) -> None:
    """Both files or neither."""
    from attest.files import write_new

    write_new(private, secret, mode=0o600)
    try:
        write_new(public, pem, mode=0o644)
    except BaseException:
        with contextlib.suppress(OSError):
            private.unlink()
        raise
