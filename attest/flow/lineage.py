"""Lineage: what a thing was made from, and what derives from it, by claims that count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from attest.claim.lineage import Lineage, Reached
from attest.claim.lineage_view import Ancestry, ancestry, ancestry_json, impact_json, quoted
from attest.flow.gather import LoadedLineage, shortened
from attest.verdict import Finding, Severity, Verdict

_NODE_FINDINGS: Final = {
    "missing": ("parent-missing", "no claim about it is known"),
    "unverifiable": ("parent-unverifiable", "there are claims about it, but none that counts"),
    "unidentified": ("parent-unidentified", "it is named without a digest"),
    "conflict": ("digest-conflict", "claims give it one digest in common and another that differs"),
    "cycle": ("lineage-cycle", "it is said to be made from itself"),
}


def show_lineage(
    loaded: LoadedLineage, digests: Mapping[str, str], *, at: datetime, depth: int | None = None
) -> tuple[Verdict, Ancestry | None]:
    """What the thing with these digests was made from.

    Args:
        digests: name -> lower-case hex; all must fit.
        depth: steps at most; None for all.

    Returns:
        the verdict, whose subject holds the graph; and the graph, None where there is none.

    Raises:
        TooLarge: more than ``limits.MAX_LINEAGE_EDGES`` steps.
    """
    lineage = loaded.lineage
    roots = lineage.find(digests)
    if not roots:
        return _concluded(loaded, [_unknown(lineage, digests)], {"digests": digests}, at), None
    view = ancestry(lineage, roots, depth)
    findings = [_root_finding(view, digests), *_parent_findings(view)]
    if loaded.others:
        message = f"{loaded.others} claim(s) by nobody who counts"
        findings.append(Finding("claims-not-counted", Severity.INFO, message))
    subject = {"digests": digests, "lineage": ancestry_json(view)}
    return _concluded(loaded, findings, subject, at), view


def lineage_impact(
    loaded: LoadedLineage,
    *,
    at: datetime,
    digests: Mapping[str, str] | None = None,
    signer: str | None = None,
) -> tuple[Verdict, list[Reached]]:
    """What derives, directly or not, from a thing or from anything that somebody claimed.

    Args:
        digests: of the thing; or
        signer: name of a principal, or fingerprint of a key or certificate.

    Returns:
        the verdict, whose subject holds what was found; and what was found, nearest first.
    """
    if (digests is None) is (signer is None):
        raise ValueError("ask for digests or for a signer")
    lineage = loaded.lineage
    asked: dict[str, Any] = {"digests": digests} if digests is not None else {"signer": signer}
    if digests is not None:
        selected = lineage.find(digests)
        nothing = _unmentioned(lineage, digests)
    else:
        claims = lineage.claimed_by(signer or "")
        selected = list(dict.fromkeys(node for each in claims for node in lineage.outputs(each)))
        nothing = _no_claims(signer or "")
    if not selected:
        return _concluded(loaded, [nothing], asked, at), []
    chosen = set(selected)
    reached = lineage.descendants(selected)
    derived = sorted(
        (each for each in reached.values() if each.node not in chosen),
        key=lambda each: (not each.certain, each.distance, lineage.order(each.node)),
    )
    subject = {**asked, "impact": impact_json(lineage, selected, derived)}
    findings = _impact_findings(loaded, selected, derived)
    return _concluded(loaded, findings, subject, at), derived


def _concluded(
    loaded: LoadedLineage, findings: Sequence[Finding], subject: Mapping[str, Any], at: datetime
) -> Verdict:
    subject = {
        **subject,
        "complete": loaded.complete,
        "files": loaded.files,
        "claims": len(loaded.lineage.assertions),
    }
    return Verdict.conclude(
        (*findings, *loaded.findings), subject=subject, inputs=loaded.inputs, at=at
    )


def _unknown(lineage: Lineage, digests: Mapping[str, str]) -> Finding:
    if lineage.find_contradicting(digests):
        return Finding(
            "digest-conflict",
            Severity.FAIL,
            "the claims know one of its digests, but with another one that differs",
            hint="the artifact was changed, or a claim is wrong; ask for one digest to see it",
        )
    return _unmentioned(lineage, digests)


def _unmentioned(lineage: Lineage, digests: Mapping[str, str]) -> Finding:
    asked = ", ".join(f"{name}:{value}" for name, value in digests.items())
    if lineage.only_unverified(digests):
        return Finding(
            "only-unverifiable-claims",
            Severity.FAIL,
            f"there are claims about {asked}, but none that counts",
            hint="name who signed them with --principal NAME=PUB, if you trust them",
        )
    return Finding(
        "not-mentioned",
        Severity.FAIL,
        f"no claim that counts mentions {asked}",
        hint="check the digest, and give the files with its claims: --claims FILE or FOLDER",
    )


def _no_claims(signer: str) -> Finding:
    return Finding(
        "signer-unknown",
        Severity.FAIL,
        f"no claim that counts is by {signer[:100]!r}",
        hint="name the signer's key with --principal NAME=PUB, so that its claims can be verified",
    )


def _root_finding(view: Ancestry, digests: Mapping[str, str]) -> Finding:
    nodes = [view.lineage.nodes[root] for root in view.roots]
    if not any(node.about for node in nodes):
        return replace(
            _unmentioned(view.lineage, digests),
            code="lineage-unknown",
            message="it is mentioned, but no claim that counts is about it",
        )
    if not any(view.lineage.has_inputs(root) for root in view.roots):
        return Finding("no-parents", Severity.PASS, "no claim says what it was made from")
    return Finding(
        "lineage-known", Severity.PASS, f"{len(view.levels) - len(view.roots)} thing(s) led to it"
    )


def _parent_findings(view: Ancestry) -> list[Finding]:
    findings = []
    for index in view.levels:
        node = view.lineage.nodes[index]
        wrong = [*view.marks(index)]
        if node.state != "verified" and index not in view.roots:
            wrong.insert(0, node.state)
        for state in wrong:
            code, message = _NODE_FINDINGS[state]
            details = {"node": view.id(index), "digests": dict(node.digests)}
            where = f"{node.kind or 'artifact'} {quoted(node.name)}"
            findings.append(Finding(code, Severity.WARN, message, where, details=details))
    return shortened(findings)


def _impact_findings(
    loaded: LoadedLineage, selected: Sequence[int], derived: Sequence[Reached]
) -> list[Finding]:
    certain = sum(each.certain for each in derived)
    findings = [
        Finding(
            "impact-known",
            Severity.PASS,
            f"{certain} thing(s) derive from {len(selected)}",
            details={"derived": len(derived), "certain": certain},
        )
    ]
    if certain != len(derived):
        findings.append(
            Finding(
                "impact-uncertain",
                Severity.WARN,
                f"{len(derived) - certain} more perhaps: claims disagree about a digest on the way",
            )
        )
    if loaded.others:
        findings.append(
            Finding(
                "impact-incomplete",
                Severity.WARN,
                f"{loaded.others} claim(s) by nobody who counts were not followed",
                hint="name their signers with --principal NAME=PUB to follow them too",
            )
        )
    return findings
