"""``attest provenance``: claim who made an artifact, from what, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from attest.claim.buildtypes import BASE_MODEL, BUILD_TYPES, DATASET, NODE_ATTESTATION
from attest_cli import material
from attest_cli.claiming import Author, claim_options
from attest_cli.exits import Exit
from attest_cli.options import FILE, Verb, moment
from attest_cli.output import Voice, counted
from attest_cli.pairs import json_value, option_value, split_pair, unique_pairs

if TYPE_CHECKING:
    from attest.claim.provenance import Provenance
    from attest.claim.resources import ResourceDescriptor
    from attest.crypto.keys import PublicKey


@dataclass(frozen=True, slots=True)
class _Build:
    """The options that describe the build, as given."""

    build_type: str
    builder_id: str
    builder_version: tuple[str, ...]
    recipe: Path
    dataset: tuple[str, ...]
    base_model: tuple[str, ...]
    code: tuple[str, ...]
    container: tuple[str, ...]
    node_result: tuple[Path, ...]
    byproduct: tuple[Path, ...]
    material_key: tuple[Path, ...]
    parameter: tuple[str, ...]
    invocation_id: str | None
    started: datetime | None
    finished: datetime | None

    def provenance(self, signers: Sequence[Any]) -> Provenance:
        """The predicate; files are hashed and signatures of artifacts verified here.

        Raises:
            click.UsageError: an option makes no sense, or the build type misses something.
            AttestError: a file or signature cannot be had, or does not hold.
        """
        from attest.claim.provenance import Provenance
        from attest.flow.materials import byproduct, recipe

        parameters = {
            name: json_value("--parameter", value)
            for name, value in unique_pairs("--parameter", self.parameter).items()
        }
        if "recipe" in parameters:
            raise click.UsageError("--parameter recipe: the recipe is given with --recipe")
        dependencies = tuple(self._dependencies(signers))
        made = tuple(byproduct(path) for path in self.byproduct)
        external = {"recipe": recipe(self.recipe), **parameters}
        with option_value(f"--build-type {self.build_type}"):
            return Provenance(
                BUILD_TYPES[self.build_type].uri,
                self.builder_id,
                external,
                dependencies,
                made,
                builder_version=unique_pairs("--builder-version", self.builder_version),
                invocation_id=self.invocation_id,
                started=self.started,
                finished=self.finished,
            )

    def _dependencies(self, signers: Sequence[Any]) -> list[ResourceDescriptor]:
        from attest.flow.materials import code_material, container_material, file_material

        keys = [material.public_key(path) for path in self.material_key]
        trusted = keys or [each.public_key for each in signers]
        found = [_artifact("--dataset", DATASET, text, trusted) for text in self.dataset]
        found += [_artifact("--base-model", BASE_MODEL, text, trusted) for text in self.base_model]
        with option_value("--code"):
            found += [code_material(text) for text in self.code]
        with option_value("--container"):
            found += [container_material(text) for text in self.container]
        return found + [file_material(NODE_ATTESTATION, path) for path in self.node_result]


def _artifact(option: str, role: str, text: str, keys: Sequence[PublicKey]) -> ResourceDescriptor:
    """``NAME=DIGEST`` as it is; ``NAME=PATH`` by what one of ``keys`` has signed."""
    from attest.claim.resources import resource
    from attest.flow.materials import artifact_material, parse_digests

    name, value = split_pair(option, text)
    with option_value(option):
        digests = parse_digests(value)
        if digests is not None:
            return resource(role, digests, name=name)
    return artifact_material(role, name, Path(value), keys=keys, at=datetime.now(UTC))


@click.command(
    cls=Verb,
    name="provenance",
    schema="urn:attest-toolkit:provenance-claim:v1",
    examples=(
        "attest provenance model --build-type training"
        " --builder-id https://ci.example.com/trainer/v1 --recipe train.json"
        " --dataset corpus=dataset --parameter seed=42"
        f" --code git+https://git.example.com/team/train@{'1b' * 20} --key release.key",
    ),
)
@click.argument("path", type=FILE)
@click.option(
    "--build-type", required=True, type=click.Choice(tuple(BUILD_TYPES)), help="What was done."
)
@click.option("--builder-id", required=True, metavar="URI", help="Who ran it.")
@click.option(
    "--builder-version", multiple=True, metavar="NAME=V", help="Version of a part of the builder."
)
@click.option(
    "--recipe", required=True, type=FILE, metavar="FILE", help="What was run; named by its digest."
)
@click.option(
    "--dataset",
    multiple=True,
    metavar="NAME=PATH|DIGEST",
    help="Signed dataset, or digests such as sha256:3f…,attestTreeV1:9a…; repeatable.",
)
@click.option("--base-model", multiple=True, metavar="NAME=PATH|DIGEST", help="Likewise, a model.")
@click.option(
    "--code", multiple=True, metavar="URI@COMMIT", help="git+https://host/repository@COMMIT."
)
@click.option(
    "--container", multiple=True, metavar="REF@DIGEST", help="Image, by its digest; repeatable."
)
@click.option(
    "--node-result",
    multiple=True,
    type=FILE,
    metavar="FILE",
    help="Attestation result of a node that ran it; named by its digest; repeatable.",
)
@click.option(
    "--byproduct", multiple=True, type=FILE, metavar="FILE", help="Log or the like; repeatable."
)
@click.option(
    "--material-key",
    multiple=True,
    type=FILE,
    metavar="PUB",
    help="Whose signature over datasets and base models is believed; default: own keys.",
)
@click.option(
    "--parameter",
    multiple=True,
    metavar="NAME=JSON",
    help="What else was chosen: seed=42, scheme='\"int8\"'; repeatable.",
)
@click.option("--invocation-id", metavar="ID", help="Of the run, as the builder counts.")
@click.option("--started", callback=moment, metavar="TIME", help="When it began (RFC 3339).")
@click.option("--finished", callback=moment, metavar="TIME", help="When it ended (RFC 3339).")
@claim_options
@click.pass_obj
def command(voice: Voice, /, path: Path, **options: Any) -> Exit:
    """Claim how the artifact at PATH was made: SLSA provenance v1, signed, beside it.

    Everything that went in is named by digest; what has none is refused. A dataset or base model
    given as a PATH must be signed, and its digests come from that verified signature.

    With --parameter, quantisation has to say `scheme`, conversion `sourceFormat` and
    `targetFormat`, firmware `target`.
    """
    build = _Build(**{name: options.pop(name) for name in _Build.__slots__})
    author = Author.of(path, options)

    from attest.claim.predicates import PROVENANCE_PREDICATE

    with author.session(voice) as session:
        provenance = build.provenance(session.signers)
        recorded = session.record(PROVENANCE_PREDICATE, provenance.to_predicate())
        return session.report(
            recorded,
            f"provenance ({build.build_type})",
            _lines(provenance),
            details={"provenance": provenance.to_predicate()},
        )


def _lines(provenance: Provenance) -> list[str]:
    lines = [f"builder    {provenance.builder_id}"]
    for each in provenance.dependencies[:20]:
        lines.append(f"made from  {each.role} {each.name or each.uri}")
    hidden = len(provenance.dependencies) - 20
    if hidden > 0:
        lines.append(f"made from  {counted(hidden, 'further dependency')}")
    return lines
