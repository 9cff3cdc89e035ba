"""in-toto layouts, verified by the ``in-toto`` package (extra ``in-toto``).

Its one entry point (``in_toto_verify``) reads link files itself, takes the wall clock for the
expiry, writes what links say to stderr and runs the commands of inspections. So its parts are
called here, in its documented order (verifylib, "verification procedure"):

1. every layout key has signed the layout;
2. the layout has not expired - at the caller's time, checked here;
3. each step has links by as many different keys as its threshold says;
4. delegated steps: their own layouts, by 2 to 8;
5. commands are compared: a difference warns;
6. where a threshold is above one, links agree on what went in and came out;
7. artifact rules of each step, in their order;
8. summary: what went into the first step and came out of the last.

Beyond it: one key under two ids does not count twice, RSA keys have 2048 bits or more, a GPG key's
validity is judged at the caller's time. No inspection is ever run; nothing is read from disk, no
process started, no global of the package changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from attest import limits
from attest.adapters.intoto_keys import judge_validity, key_identity, layout_key
from attest.adapters.intoto_package import first_line, load_metadata, quiet
from attest.claim.layout import LayoutStep
from attest.codec.layouts import Artifacts, Layout, Link, UnverifiedMetadata
from attest.errors import (
    BadSignature,
    MalformedInput,
    OutsideValidity,
    TooLarge,
    Unavailable,
    Unsupported,
    VerificationFailed,
)
from attest.flow.layout import VerifiedLayout
from attest.flow.links import Evidence, LinkFile
from attest.verdict import Finding, Severity, format_time

_NAMED: Final = 5
"""Artifacts that are named in one error."""


class InTotoEngine:
    """Verifies layouts. Implements :class:`attest.flow.layout.LayoutEngine`.

    Raises:
        Unavailable: ``extra-missing``.
    """

    def __init__(self) -> None:
        try:
            import in_toto.verifylib
        except ImportError:
            raise Unavailable(
                "in-toto support is not installed",
                hint="pip install 'attest-toolkit[in-toto]'",
                code="extra-missing",
            ) from None
        self._lib = in_toto.verifylib

    def check_key(self, pem: bytes) -> str:
        """The keyid of a PEM public key that can verify a layout.

        Raises:
            MalformedInput, Unsupported.
        """
        return str(layout_key(pem)["keyid"])

    def verify(
        self,
        layout: UnverifiedMetadata,
        evidence: Evidence,
        keys: Sequence[bytes],
        at: datetime,
    ) -> VerifiedLayout:
        """Verify a layout without inspections and its evidence.

        Args:
            layout: its content is a layout.
            evidence: as :func:`attest.flow.links.gather_evidence` reads it.
            keys: PEM public keys that must all have signed the layout; at least one.
            at: the time that is judged for, timezone-aware.

        Raises:
            VerificationFailed and its kinds; MalformedInput; Unsupported.
        """
        with quiet():
            return _Run(self._lib, at).root(layout, evidence, keys)


class _Run:
    """One verification."""

    def __init__(self, lib: Any, at: datetime) -> None:
        self._lib = lib
        self._at = at
        self._work = 0
        self._steps: list[LayoutStep] = []
        self._findings: list[Finding] = []
        self._made: set[str] = set()
        self._used: dict[tuple[str, str], None] = {}
        self._digests: dict[tuple[str, str], Mapping[str, str]] = {}

    def root(
        self, layout: UnverifiedMetadata, evidence: Evidence, keys: Sequence[bytes]
    ) -> VerifiedLayout:
        metadata = load_metadata(layout, "layout")
        used = self._check_layout_signatures(layout, metadata, keys)
        summary = self._layout(layout, metadata, evidence, "")
        materials = [
            (path, self._digests[path, digest])
            for path, digest in self._used
            if digest not in self._made
        ]
        return VerifiedLayout(
            layout_keys=tuple(used),
            steps=tuple(self._steps),
            products=_artifacts(summary.products),
            materials=tuple(sorted(materials, key=lambda each: each[0])),
            findings=tuple(self._findings),
        )

    # -- 1 -----------------------------------------------------------------------------------

    def _check_layout_signatures(
        self, layout: UnverifiedMetadata, metadata: Any, keys: Sequence[bytes]
    ) -> list[str]:
        """Every key has its own valid signature; returns the keyids that these carry.

        A keyid only says which key to try: keys are tried with every id, since older tools
        computed other ids from the same key.
        """
        if not keys:
            raise ValueError("a layout is verified with at least one key")
        used: list[str] = []
        for pem in keys:
            key = layout_key(pem)
            found = next(
                (
                    keyid
                    for keyid in layout.keyids
                    if keyid not in used and self._signed(metadata, {**key, "keyid": keyid})
                ),
                None,
            )
            if found is None:
                raise BadSignature(
                    f"the layout has no valid signature by the key {key['keyid'][:16]}…",
                    hint="check that this is the key of the layout's owner",
                    code="layout-signature-invalid",
                )
            used.append(found)
        return used

    def _signed(self, metadata: Any, key: dict[str, Any]) -> bool:
        from in_toto.exceptions import SignatureVerificationError
        from securesystemslib.exceptions import FormatError, VerificationError

        try:
            self._lib.verify_metadata_signatures(metadata, {key["keyid"]: key})
        except (SignatureVerificationError, VerificationError):
            return False
        except (FormatError, ValueError, KeyError, TypeError) as error:
            raise MalformedInput(
                f"the layout's signature cannot be checked ({type(error).__name__})",
                code="malformed-signature",
            ) from None
        return True

    # -- 2 to 8 ------------------------------------------------------------------------------

    def _layout(
        self, layout: UnverifiedMetadata, metadata: Any, evidence: Evidence, within: str
    ) -> Any:
        """Verify one layout whose signatures hold; returns its summary link."""
        content = layout.content
        assert isinstance(content, Layout)
        if content.inspections:  # the caller has refused them: this is the second lock
            raise Unsupported("the layout has inspections", code="layout-has-inspections")
        if content.expires <= self._at:
            raise OutsideValidity(
                f"the layout expired at {format_time(content.expires)}",
                where=within.rstrip("/") or None,
                hint="ask its owner for a new one, or judge for another time with --at",
                code="layout-expired",
            )
        model = metadata.get_payload()
        self._prepare_keys(model, within)
        links = self._links(content, model, evidence, within)
        chain = {
            step: {
                keyid: self._delegated(step, keyid, evidence.files[step, keyid], link, within)
                for keyid, link in by_key.items()
            }
            for step, by_key in links.items()
        }
        self._check_agreement(content, model, chain, within)
        reduced = self._lib.reduce_chain_links(chain)
        self._check_rules(content, reduced, within)
        self._note(content, links, evidence, reduced, within)
        return self._lib.get_summary_link(model, reduced, within)

    def _prepare_keys(self, model: Any, within: str) -> None:
        """Check the functionary keys, and let the package judge none of them by its clock."""
        owners: dict[object, str] = {}
        for keyid, key in model.keys.items():
            place = f"{within}{keyid[:16]}"
            for each in (key, *(key.get("subkeys") or {}).values()):
                identity = key_identity(each, place)
                if owners.setdefault(identity, keyid) != keyid:
                    raise MalformedInput(
                        f"lists one key as two, {owners[identity][:16]}… and {keyid[:16]}…:"
                        " it would count twice",
                        where=f"layout {within}".rstrip(),
                        code="key-listed-twice",
                    )
                judge_validity(each, self._at)
            if key.get("keytype", "").startswith("ecdsa-"):
                key["keytype"] = "ecdsa"  # the older spelling makes the package warn

    def _links(
        self, content: Layout, model: Any, evidence: Evidence, within: str
    ) -> dict[str, dict[str, Any]]:
        """3: links with valid signatures by authorised keys, at least as many as demanded."""
        from in_toto.exceptions import ThresholdVerificationError
        from securesystemslib.exceptions import VerificationError

        loaded: dict[str, dict[str, Any]] = {}
        for step in content.steps:
            files = evidence.of_step(step.name)
            if len(files) < step.threshold:
                raise VerificationFailed(
                    f"{len(files)} link file(s) for the step {step.name!r},"
                    f" which needs {step.threshold}",
                    where=f"step {within}{step.name}",
                    hint=f"link files are called {step.name}.KEYID8.link",
                    code="link-missing",
                )
            loaded[step.name] = {
                keyid: load_metadata(each.metadata, "link") for keyid, each in files.items()
            }
        try:
            verified = self._lib.verify_link_signature_thresholds(model, loaded)
        except ThresholdVerificationError as error:
            raise VerificationFailed(
                first_line(error), where=f"layout {within}".rstrip(), code="threshold-not-met"
            ) from None
        except (VerificationError, ValueError, KeyError, TypeError) as error:
            raise Unsupported(
                f"a link's signature cannot be checked ({first_line(error)})",
                code="unsupported-signature",
            ) from None
        return dict(verified)

    def _delegated(self, step: str, keyid: str, file: LinkFile, metadata: Any, within: str) -> Any:
        """4: the link, or the summary of the layout that stands in its place."""
        content = file.metadata.content
        if isinstance(content, Link):
            if content.name != step:
                raise VerificationFailed(
                    f"says that it is for the step {content.name[:100]!r}, not {step!r}",
                    where=f"{within}{file.name}",
                    code="link-for-other-step",
                )
            return metadata.get_payload()
        assert file.inner is not None
        inside = f"{within}{step}/{keyid[:8]}/"
        return self._layout(file.metadata, metadata, file.inner, inside)

    def _check_agreement(
        self, content: Layout, model: Any, chain: dict[str, dict[str, Any]], within: str
    ) -> None:
        """5 and 6."""
        from in_toto.exceptions import ThresholdVerificationError

        for step in content.steps:
            by_key = chain[step.name]
            where = f"step {within}{step.name}"
            if any(tuple(link.command) != step.expected_command for link in by_key.values()):
                message = "another command was run than the layout expects"
                self._findings.append(Finding("command-differs", Severity.WARN, message, where))
            first, *others = by_key.values()
            if step.threshold == 1 and any(
                (other.materials, other.products) != (first.materials, first.products)
                for other in others
            ):
                message = "links disagree; the one by the first key of the layout's list counts"
                self._findings.append(Finding("links-disagree", Severity.WARN, message, where))
        try:
            self._lib.verify_threshold_constraints(model, chain)
        except ThresholdVerificationError as error:
            raise VerificationFailed(
                first_line(error), where=f"layout {within}".rstrip(), code="links-disagree"
            ) from None

    # -- 7 -----------------------------------------------------------------------------------

    def _check_rules(self, content: Layout, links: Mapping[str, Any], within: str) -> None:
        for step in content.steps:
            for kind, rules in (("materials", step.materials), ("products", step.products)):
                self._work += len(rules) * len(getattr(links[step.name], kind))
                if self._work > limits.MAX_LAYOUT_RULE_WORK:
                    raise TooLarge(
                        "too many artifact rules for so many artifacts",
                        where=f"step {within}{step.name}",
                        code="too-many-rules",
                    )
                self._apply(step.name, kind, rules, links, within)

    def _apply(
        self,
        step: str,
        kind: str,
        rules: Sequence[Sequence[str]],
        links: Mapping[str, Any],
        within: str,
    ) -> None:
        """One step's rules for its materials or products: section 4.3.3.

        The package's own loop keeps a copy of the queue for every rule, in a global.
        """
        from in_toto.rulelib import unpack_rule

        link = links[step]
        queue = set(getattr(link, kind))
        for rule in rules:
            data = unpack_rule(list(rule))
            if data["rule_type"] == "require":
                refused = set() if data["pattern"] in queue else {data["pattern"]}
            elif data["rule_type"] == "disallow":
                refused = self._lib.verify_allow_rule(data["pattern"], queue)
            else:
                queue -= self._consumed(data, queue, kind, link, links)
                continue
            if refused:
                what = (
                    "is required and not there"
                    if data["rule_type"] == "require"
                    else "is not allowed"
                )
                raise VerificationFailed(
                    f"{_some(refused)} {what}, by the rule {' '.join(rule)[:200]!r}",
                    where=f"step {within}{step}, {kind}",
                    code="artifact-rule-violated",
                )

    def _consumed(
        self, data: dict[str, str], queue: set[str], kind: str, link: Any, links: Mapping[str, Any]
    ) -> set[str]:
        pattern, materials, products = data["pattern"], link.materials, link.products
        match data["rule_type"]:
            case "match":
                consumed = self._matched(data, queue, getattr(link, kind), links)
            case "create":
                consumed = self._lib.verify_create_rule(
                    pattern, queue, set(materials), set(products)
                )
            case "delete":
                consumed = self._lib.verify_delete_rule(
                    pattern, queue, set(materials), set(products)
                )
            case "modify":
                consumed = self._lib.verify_modify_rule(pattern, queue, materials, products)
            case _:
                consumed = self._lib.verify_allow_rule(pattern, queue)
        return set(consumed)

    def _matched(
        self, data: dict[str, str], queue: set[str], artifacts: Any, links: Mapping[str, Any]
    ) -> set[str]:
        try:
            return set(self._lib.verify_match_rule(data, queue, artifacts, links))
        except KeyError:  # a path with two slashes after the prefix: joined, it is another path
            raise MalformedInput(
                f"has a path below {data['source_prefix'][:100]!r} that is not plain",
                code="unsafe-name",
            ) from None

    # -- what is told ------------------------------------------------------------------------

    def _note(
        self,
        content: Layout,
        links: Mapping[str, Mapping[str, Any]],
        evidence: Evidence,
        reduced: Mapping[str, Any],
        within: str,
    ) -> None:
        for step in content.steps:
            files = {keyid: evidence.files[step.name, keyid] for keyid in links[step.name]}
            delegated = any(file.inner is not None for file in files.values())
            listed = dict.fromkeys((file.name, file.digest) for file in files.values())
            self._steps.append(
                LayoutStep(
                    within + step.name, step.threshold, tuple(files), tuple(listed), delegated
                )
            )
            if not delegated:
                self._note_artifacts(reduced[step.name])

    def _note_artifacts(self, link: Any) -> None:
        for path, digests in link.materials.items():
            key = (path, digests.get("sha256", ""))
            self._used[key] = None
            self._digests[key] = digests
        self._made.update(digests.get("sha256", "") for digests in link.products.values())
        self._made.discard("")


def _artifacts(artifacts: Mapping[str, Any]) -> Artifacts:
    return {path: dict(digests) for path, digests in artifacts.items()}


def _some(artifacts: set[str]) -> str:
    named = ", ".join(repr(path[:100]) for path in sorted(artifacts)[:_NAMED])
    more = len(artifacts) - _NAMED
    return f"{named} and {more} more" if more > 0 else named
