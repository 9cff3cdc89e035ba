"""in-toto layouts and links, made and signed with in-toto's own classes.

::

    chain = Chain(tmp_path)
    chain.step("build", [chain.worker(1)], products={"fw.bin": b"..."})
    chain.verify()                       # the package's own verdict, or what ours is compared with

Keys come from one cache per test run.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

pytest.importorskip("in_toto", reason="the extra in-toto is not installed")

from in_toto.models.layout import Inspection, Layout, Step
from in_toto.models.link import Link
from in_toto.models.metadata import Envelope, Metablock
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

__all__ = ["Inspection", "Layout"]

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
EXPIRES = "2030-01-01T00:00:00Z"


@dataclass(frozen=True)
class Worker:
    """Somebody with a key."""

    signer: CryptoSigner

    @property
    def keyid(self) -> str:
        return self.signer.public_key.keyid

    @property
    def key(self) -> dict[str, Any]:
        """As a layout lists it."""
        return {**self.signer.public_key.to_dict(), "keyid": self.keyid}

    @property
    def pem(self) -> bytes:
        public = self.signer._private_key.public_key()
        return public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


@functools.cache
def worker(number: int = 0, kind: str = "ed25519") -> Worker:
    """One of any number of people."""
    keys = {
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
        "rsa1024": lambda: rsa.generate_private_key(65537, 1024),
    }
    return Worker(CryptoSigner(keys[kind]()))


OWNER = worker(1000)


def hashed(files: Mapping[str, bytes]) -> dict[str, dict[str, str]]:
    """Artifacts of a link."""
    return {name: {"sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()}


def signed(payload: Any, *by: Worker, dsse: bool = False) -> dict[str, Any]:
    """Metadata, signed by each."""
    metadata = Envelope.from_signable(payload) if dsse else Metablock(signed=payload)
    for each in by:
        metadata.create_signature(each.signer)
    return metadata.to_dict()


@dataclass
class Chain:
    """A layout and its links in a folder."""

    folder: Path
    dsse: bool = False
    owner: Worker = OWNER
    steps: list[Step] = field(default_factory=list)
    inspections: list[Inspection] = field(default_factory=list)
    keys: dict[str, Any] = field(default_factory=dict)
    expires: str = EXPIRES

    @property
    def links(self) -> Path:
        return self.folder / "links"

    @property
    def path(self) -> Path:
        return self.folder / "root.layout"

    def step(
        self,
        name: str,
        workers: Sequence[Worker],
        *,
        threshold: int = 1,
        materials: Mapping[str, bytes] | None = None,
        products: Mapping[str, bytes] | None = None,
        expected_materials: Sequence[Sequence[str]] = (),
        expected_products: Sequence[Sequence[str]] = (),
        signers: Sequence[Worker] | None = None,
        command: Sequence[str] = (),
    ) -> None:
        """A step, and a link by each of ``signers`` (default: all workers)."""
        for each in workers:
            self.keys[each.keyid] = each.key
        self.steps.append(
            Step(
                name=name,
                pubkeys=[each.keyid for each in workers],
                threshold=threshold,
                expected_materials=[list(rule) for rule in expected_materials],
                expected_products=[list(rule) for rule in expected_products],
            )
        )
        for each in workers if signers is None else signers:
            self.link(name, each, materials or {}, products or {}, command=command)

    def link(
        self,
        name: str,
        by: Worker,
        materials: Mapping[str, bytes],
        products: Mapping[str, bytes],
        *,
        keyid: str | None = None,
        command: Sequence[str] = (),
        says: str | None = None,
    ) -> Path:
        """One link file, under ``keyid`` if that is not the signer's."""
        link = Link(
            name=says or name,
            materials=hashed(materials),
            products=hashed(products),
            command=list(command),
        )
        return self.write(name, keyid or by.keyid, signed(link, by, dsse=self.dsse))

    def write(self, step: str, keyid: str, document: Mapping[str, Any]) -> Path:
        self.links.mkdir(parents=True, exist_ok=True)
        path = self.links / f"{step}.{keyid[:8]}.link"
        path.write_text(json.dumps(document))
        return path

    def layout(self) -> Layout:
        return Layout(
            steps=self.steps,
            inspect=self.inspections,
            keys=self.keys,
            expires=self.expires,
            readme="",
        )

    def save(self, *by: Worker) -> Path:
        """Sign and write the layout."""
        self.links.mkdir(parents=True, exist_ok=True)
        document = signed(self.layout(), *(by or (self.owner,)), dsse=self.dsse)
        self.path.write_text(json.dumps(document))
        return self.path

    def delegate(self, step: str, to: Worker, *, dsse: bool | None = None) -> Chain:
        """A chain whose layout stands in for ``to``'s link: fill it, then :meth:`hand_in`."""
        inner = Chain(self.folder, self.dsse if dsse is None else dsse, owner=to)
        inner.folder = self.links / f"{step}.{to.keyid[:8]}"
        return inner

    def hand_in(self, step: str, inner: Chain) -> None:
        """Write a delegated layout where the outer one looks for it."""
        inner.links_into(inner.folder)
        document = signed(inner.layout(), inner.owner, dsse=inner.dsse)
        self.write(step, inner.owner.keyid, document)

    def links_into(self, folder: Path) -> None:
        """Move the links of a delegated layout up, into the folder that is theirs."""
        for file in self.links.iterdir() if self.links.is_dir() else ():
            file.rename(folder / file.name)
        if self.links.is_dir():
            self.links.rmdir()


def demo(folder: Path, *, dsse: bool = False) -> Chain:
    """Two steps by two people: write the code, then package it."""
    code, package = {"src/train.py": b"import this\n"}, {"model/w.bin": b"\x00" * 16}
    chain = Chain(folder, dsse)
    chain.step(
        "write",
        [worker(1)],
        products=code,
        expected_products=[["CREATE", "src/*"], ["DISALLOW", "*"]],
    )
    chain.step(
        "package",
        [worker(2)],
        materials=code,
        products=package,
        expected_materials=[
            ["MATCH", "src/*", "WITH", "PRODUCTS", "FROM", "write"],
            ["DISALLOW", "*"],
        ],
        expected_products=[["CREATE", "model/*"], ["DISALLOW", "*"]],
    )
    return chain


def verdict_of_the_package(chain: Chain) -> str:
    """What ``in_toto_verify`` makes of it: ``ok``, or the name of its exception."""
    from in_toto.exceptions import (
        LayoutExpiredError,
        LinkNotFoundError,
        RuleVerificationError,
        SignatureVerificationError,
        ThresholdVerificationError,
    )
    from in_toto.models.metadata import Metadata
    from in_toto.verifylib import in_toto_verify

    key = chain.owner.key
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            metadata = Metadata.load(str(chain.path))
            in_toto_verify(metadata, {key["keyid"]: key}, link_dir_path=str(chain.links))
        except (
            KeyError,
            LayoutExpiredError,
            LinkNotFoundError,
            RuleVerificationError,
            SignatureVerificationError,
            ThresholdVerificationError,
        ) as error:
            return type(error).__name__
    return "ok"


def write_example(folder: Path) -> None:
    """``root.layout`` by ``owner.pub``, ``links/``, and ``built/``, which came out of it."""
    built = folder / "built"
    built.mkdir()
    (built / "config.json").write_text('{"layers": 2}\n')
    files = {"built/config.json": (built / "config.json").read_bytes()}
    chain = Chain(folder)
    chain.step("train", [worker(1)], materials={"data.csv": b"rows\n"}, products=files)
    chain.save()
    (folder / "owner.pub").write_bytes(OWNER.pem)
