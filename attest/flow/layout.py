"""Did this artifact come out of the supply chain that its owner laid down (in-toto)?

Checks, in this order:

1. layout and every link file that it can use are read, once, and parsed strictly;
2. no layout, however deep, asks the verifier to run a command (an inspection);
3. signatures, expiry, thresholds, delegated steps and artifact rules hold
   (:mod:`attest.adapters.intoto`);
4. the files of the artifact, and only they, are the products of the last step.

An inspection would compare the products with what was delivered; 4 does that instead. Thresholds of
a layout count keys: that they belong to different people, its owner must know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from attest import limits
from attest.claim.layout import LayoutResult, LayoutStep
from attest.claim.resources import ResourceDescriptor
from attest.codec.layouts import Artifacts, Layout, UnverifiedMetadata, parse_layout_metadata
from attest.codec.manifest import Manifest
from attest.digest import Digest, HashAlgorithm
from attest.errors import AttestError, MalformedInput, Unsupported
from attest.files import read_bounded
from attest.flow.links import Evidence, gather_evidence, inspections
from attest.verdict import Finding, Severity, Verdict, format_time

_TOLD = 100
"""Products of one code that are told; the rest is counted."""


@dataclass(frozen=True, slots=True)
class VerifiedLayout:
    """What a layout engine has verified.

    Attributes:
        layout_keys: keyids of the signatures that the layout had to have.
        steps: of the layout and of those inside it, each with who did it.
        products: of the last step.
        materials: what went into any step and was made by none: (path, digests), by path.
        findings: warnings.
    """

    layout_keys: tuple[str, ...]
    steps: tuple[LayoutStep, ...]
    products: Artifacts = field(repr=False)
    materials: tuple[tuple[str, Mapping[str, str]], ...] = field(default=(), repr=False)
    findings: tuple[Finding, ...] = ()


class LayoutEngine(Protocol):
    """Verifies layouts: :class:`attest.adapters.intoto.InTotoEngine`."""

    def verify(
        self,
        layout: UnverifiedMetadata,
        evidence: Evidence,
        keys: Sequence[bytes],
        at: datetime,
    ) -> VerifiedLayout:
        """Everything but the artifact itself; raises what does not hold."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The artifact that was delivered.

    Attributes:
        manifest: its files with SHA-256 digests, hashed from the content.
        name: its base name.
        single: it is one file.
    """

    manifest: Manifest = field(repr=False)
    name: str
    single: bool


def verify_layout(
    layout: Path,
    links: Path,
    *,
    engine: LayoutEngine,
    keys: Sequence[bytes],
    at: datetime,
    delivered: Delivered | None = None,
    prefix: str | None = None,
) -> tuple[Verdict, LayoutResult | None]:
    """Verify a layout, its links and what came out.

    Args:
        layout: file with the layout.
        links: folder with ``STEP.KEYID8.link`` files.
        keys: PEM public keys that must all have signed the layout; at least one.
        at: the time that is judged for, timezone-aware.
        delivered: compared with the last step's products; without it the verdict is `partial`.
        prefix: what the products' paths have in front of the names in ``delivered``. Default: the
            artifact's name and a slash where products begin like that, else nothing.

    Returns:
        the verdict; and the facts, if it passes with an artifact.

    Raises:
        Unavailable: a file or folder cannot be read. Malformed files are findings.
    """
    if not keys:
        raise ValueError("a layout is verified with at least one key")
    findings: list[Finding] = []
    inputs: dict[str, str] = {}
    subject: dict[str, Any] = {"layout": str(layout), "links": str(links)}
    result = None
    data = read_bounded(layout, limits.MAX_LAYOUT_BYTES, "layout")
    inputs["layout"] = str(Digest.of(data))
    try:
        metadata = parse_layout_metadata(data, what=str(layout))
        content = _layout_of(metadata, str(layout))
        evidence = gather_evidence(content, links)
        _refuse_inspections(content, evidence, str(layout))
        verified = engine.verify(metadata, evidence, keys, at)
        findings += _verified_findings(verified, content, at)
        subject["steps"] = [_step_json(step) for step in verified.steps]
        if delivered is not None:
            products = match_products(verified.products, delivered, prefix)
            findings += products
            if all(finding.outcome is Severity.PASS for finding in products):
                digest = inputs["layout"].removeprefix("sha256:")
                result = _result(layout.name, digest, content, verified, delivered, at)
    except AttestError as error:
        findings += Finding.all_from_error(error)
    verdict = Verdict.conclude(
        findings, subject=subject, inputs=inputs, at=at, partial=delivered is None
    )
    return verdict, result


def _layout_of(metadata: UnverifiedMetadata, where: str) -> Layout:
    if not isinstance(metadata.content, Layout):
        raise MalformedInput("is a link, not a layout", where=where, code="not-a-layout")
    return metadata.content


def _refuse_inspections(layout: Layout, evidence: Evidence, where: str) -> None:
    names = list(inspections(layout, evidence))
    if names:
        raise Unsupported(
            f"asks to run {len(names)} command(s) on this machine, the first is {names[0][:100]!r}",
            where=where,
            hint="ask for a layout without inspections: give the artifact here to have its files"
            " compared with the last step's products",
            code="layout-has-inspections",
        )


# -- products --------------------------------------------------------------------------------


def match_products(
    products: Artifacts, delivered: Delivered, prefix: str | None = None
) -> list[Finding]:
    """Compare what came out of the last step with what was delivered, both ways.

    Args:
        products: path -> digests; a ``sha256`` is needed. Other digests are not looked at.
        prefix: as for :func:`verify_layout`.
    """
    if delivered.manifest.algorithm is not HashAlgorithm.SHA256:
        raise ValueError("products are compared by SHA-256")
    files = dict(zip(delivered.manifest.names, range(len(delivered.manifest)), strict=True))
    if delivered.single:
        expected = _single(products, delivered.name, prefix)
        files = {delivered.name: 0}
    else:
        front = _front(products, delivered.name) if prefix is None else prefix
        expected = {path.removeprefix(front): path for path in products if path.startswith(front)}
    if not expected:
        return [_none(delivered.name)]
    wrong: list[Finding] = []
    for name, path in sorted(expected.items()):
        digest = products[path].get("sha256")
        if digest is None:
            wrong.append(_product("product-without-sha256", name, "has no SHA-256 in the link"))
        elif name not in files:
            wrong.append(_product("product-missing", name, "came out of the last step, not here"))
        elif delivered.manifest.digest(files[name]).hex() != digest:
            wrong.append(_product("product-changed", name, "is not what came out of the last step"))
    for name in files:
        if name not in expected:
            wrong.append(_product("product-unknown", name, "did not come out of the last step"))
    if wrong:
        return wrong[:_TOLD] + _rest(wrong)
    message = f"{len(expected)} file(s) are what came out of the last step"
    return [Finding("products-match", Severity.PASS, message, details={"files": len(expected)})]


def _front(products: Artifacts, name: str) -> str:
    """``name/`` where products lie below it; a path of the folder's own is not confused with it
    because then files outside of it would be left over."""
    front = f"{name}/"
    return front if any(path.startswith(front) for path in products) else ""


def _single(products: Artifacts, name: str, prefix: str | None) -> dict[str, str]:
    """The one product that a file can be: of its name, alone or at the end of a path."""
    if prefix is not None:
        return {name: prefix + name} if prefix + name in products else {}
    if name in products:
        return {name: name}
    ends = [path for path in products if path.endswith(f"/{name}")]
    return {name: ends[0]} if len(ends) == 1 else {}


def _product(code: str, name: str, message: str) -> Finding:
    return Finding(code, Severity.FAIL, message, where=name)


def _rest(wrong: Sequence[Finding]) -> list[Finding]:
    more = len(wrong) - _TOLD
    if more <= 0:
        return []
    return [Finding("products-differ", Severity.FAIL, f"and {more} more", details={"more": more})]


def _none(name: str) -> Finding:
    return Finding(
        "no-products",
        Severity.FAIL,
        "the last step made nothing that could be this artifact",
        where=name,
        hint="say what its paths begin with: --prefix P",
    )


# -- facts -----------------------------------------------------------------------------------


def _verified_findings(verified: VerifiedLayout, layout: Layout, at: datetime) -> list[Finding]:
    keys = ", ".join(f"{keyid[:16]}…" for keyid in verified.layout_keys)
    findings = [
        Finding("layout-signed", Severity.PASS, f"the layout is signed by {keys}"),
        Finding(
            "layout-current",
            Severity.PASS,
            f"the layout is valid until {format_time(layout.expires)}",
            details={"expires": format_time(layout.expires)},
        ),
        Finding(
            "steps-verified",
            Severity.PASS,
            f"{len(verified.steps)} step(s) were carried out as the layout demands",
            details={"steps": len(verified.steps)},
        ),
        *verified.findings,
    ]
    if any(step.threshold > 1 for step in verified.steps):
        findings.append(
            Finding(
                "thresholds-count-keys",
                Severity.INFO,
                "thresholds of a layout count keys; whether two keys are two people, it cannot say",
            )
        )
    return findings


def _result(
    name: str,
    digest: str,
    layout: Layout,
    verified: VerifiedLayout,
    delivered: Delivered,
    at: datetime,
) -> LayoutResult:
    named = verified.materials[: limits.MAX_LAYOUT_MATERIALS]
    return LayoutResult(
        layout=name if name.isprintable() else "layout",
        digest=digest,
        layout_keys=verified.layout_keys,
        expires=layout.expires,
        verified_on=at,
        steps=verified.steps,
        products=1 if delivered.single else len(delivered.manifest),
        materials=tuple(
            ResourceDescriptor(dict(digests), path[: limits.MAX_CLAIM_TEXT])
            for path, digests in named
        ),
        materials_left_out=len(verified.materials) - len(named),
    )


def _step_json(step: LayoutStep) -> dict[str, Any]:
    return {
        "name": step.name,
        "threshold": step.threshold,
        "functionaries": list(step.functionaries),
        "links": [name for name, _ in step.links],
        "sublayout": step.sublayout,
    }
