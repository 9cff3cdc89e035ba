"""SLSA provenance: what is written, what is read, and everything that is refused."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import jsonschema
import pytest

from attest import limits
from attest.claim.buildtypes import BUILD_TYPES, own_build_type
from attest.claim.predicates import (
    PROVENANCE_PREDICATE,
    PROVENANCE_V01_PREDICATE,
    PROVENANCE_V02_PREDICATE,
)
from attest.claim.provenance import Provenance, read_provenance
from attest.claim.resources import ResourceDescriptor, read_digests, resource
from attest.claim.sources import Source, split_repository
from attest.codec.statement import Subject, encode_statement, parse_statement
from attest.errors import AttestError, MalformedInput, TooLarge, Unsupported

SHA = "5a" * 32
COMMIT = "1b" * 20
DATA = resource("dataset", {"sha256": SHA, "attestTreeV1": "6b" * 32}, name="corpus")
BASE = resource("base-model", {"sha256": SHA, "attestTreeV1": "6c" * 32}, name="base")
CODE = resource("code", {"gitCommit": COMMIT}, uri="git+https://git.example.com/team/train")
NODE = resource("node-attestation", {"sha256": "77" * 32}, name="node-1.ear")
RECIPE = {"name": "train.json", "digest": {"sha256": SHA}}
DEPENDENCIES = {
    "training": (DATA, CODE, NODE),
    "fine-tuning": (DATA, BASE),
    "quantisation": (BASE,),
    "conversion": (BASE,),
    "firmware": (CODE,),
}
PARAMETERS: dict[str, dict[str, Any]] = {
    "training": {"seed": 42, "hyperparameters": {"lr": 0.1}},
    "fine-tuning": {"method": "lora", "seed": (1 << 64) - 1},
    "quantisation": {"scheme": "int8", "calibration": {"samples": 128}},
    "conversion": {"sourceFormat": "safetensors", "targetFormat": "gguf"},
    "firmware": {"target": "board-7", "version": "1.2", "arguments": ["-O2"]},
}


def schema(name: str) -> dict[str, Any]:
    file = resources.files("attest.claim") / "schemas" / f"{name}.schema.json"
    document = json.loads(file.read_bytes())
    jsonschema.Draft202012Validator.check_schema(document)
    return document


def made(name: str = "training", **changes: Any) -> Provenance:
    members: dict[str, Any] = {
        "build_type": BUILD_TYPES[name].uri,
        "builder_id": "https://ci.example.com/trainer/v1",
        "external_parameters": {"recipe": RECIPE, **PARAMETERS[name]},
        "dependencies": DEPENDENCIES[name],
        "byproducts": (ResourceDescriptor({"sha256": SHA}, "train.log"),),
        "builder_dependencies": (NODE,),
        "internal_parameters": {"runner": "gpu"},
        "builder_version": {"trainer": "3.1"},
        "invocation_id": "run-17",
        "started": datetime(2026, 11, 20, 8, tzinfo=UTC),
        "finished": datetime(2026, 11, 20, 12, 0, 0, 500000, tzinfo=UTC),
    }
    return Provenance(**{**members, **changes})


def read(predicate: dict[str, Any], kind: str = PROVENANCE_PREDICATE) -> Any:
    """As a reader gets it: through bytes."""
    payload = encode_statement([Subject("x", {"sha256": SHA})], kind, predicate)
    statement = parse_statement(payload)
    return read_provenance(statement.predicate_type, statement.predicate)


@pytest.mark.parametrize("name", BUILD_TYPES)
def test_round_trip_and_schema(name: str):
    provenance = made(name)
    predicate = provenance.to_predicate()
    jsonschema.validate(predicate, schema("provenance-v1"))
    external = predicate["buildDefinition"]["externalParameters"]
    jsonschema.validate(external, schema(f"build-{name}-v1"))
    facts = read(predicate)
    assert facts.slsa_version == "1"
    assert facts.interpreted
    assert facts.build_type == provenance.build_type == f"urn:attest-toolkit:build:{name}:v1"
    assert facts.builder_id == provenance.builder_id
    assert facts.dependencies == provenance.dependencies
    assert facts.byproducts == provenance.byproducts
    assert facts.parameters == external
    assert facts.invocation_id == "run-17"
    assert (facts.started, facts.finished) == (provenance.started, provenance.finished)


def test_the_source_of_an_own_build_is_its_code():
    facts = read(made().to_predicate())
    assert facts.source == Source("https://git.example.com/team/train", None, {"gitCommit": COMMIT})
    assert facts.source.commit == COMMIT


def test_of_two_code_dependencies_neither_is_the_source():
    other = resource("code", {"gitCommit": COMMIT}, uri="git+https://git.example.com/team/lib")
    assert read(made(dependencies=(DATA, CODE, other)).to_predicate()).source is None


def test_unknown_members_are_kept_out_and_tolerated():
    predicate = made().to_predicate()
    predicate["runDetails"]["x"] = predicate["buildDefinition"]["x"] = predicate["x"] = {"y": 1}
    predicate["buildDefinition"]["resolvedDependencies"][0]["x"] = 1
    predicate["buildDefinition"]["externalParameters"]["x-site"] = {"cluster": 4}
    assert read(predicate).parameters["x-site"] == {"cluster": 4}


def test_an_inline_recipe():
    external = {"recipe": {"inline": {"script": "train.py"}}}
    assert read(made(external_parameters=external).to_predicate()).parameters == external


# -- writing refuses -----------------------------------------------------------------------------


def refused(code: str, function: Any, *args: Any, **kwargs: Any) -> AttestError:
    with pytest.raises(AttestError) as caught:
        function(*args, **kwargs)
    assert caught.value.code == code
    return caught.value


def test_a_dependency_without_digest_is_not_written():
    bare = ResourceDescriptor(name="corpus", annotations={"attest:role": "dataset"})
    error = refused("dependency-without-digest", made, dependencies=(DATA, bare))
    assert "corpus" in error.message


@pytest.mark.parametrize("name", ["sha1", "md5", "sha224", "x-crc"])
def test_a_weak_or_unknown_digest_does_not_identify(name: str):
    length = {"sha1": 40, "md5": 32, "sha224": 56}.get(name, 8)
    refused("dependency-without-digest", resource, "dataset", {name: "a" * length}, name="c")


def test_a_byproduct_without_digest_is_not_written():
    refused("dependency-without-digest", made, byproducts=(ResourceDescriptor(name="log"),))


@pytest.mark.parametrize("name", BUILD_TYPES)
def test_a_build_without_what_it_is_made_from(name: str):
    refused("missing-dependency", made, name, dependencies=(NODE,))


@pytest.mark.parametrize("name", ["quantisation", "conversion", "firmware"])
def test_a_required_parameter_is_missing(name: str):
    refused("missing-member", made, name, external_parameters={"recipe": RECIPE})


@pytest.mark.parametrize(
    ("external", "code"),
    [
        ({}, "missing-member"),
        ({"recipe": "train.json"}, "wrong-type"),
        ({"recipe": {}}, "malformed-recipe"),
        ({"recipe": {"name": "train.json"}}, "malformed-recipe"),
        ({"recipe": {"inline": {}}}, "malformed-recipe"),
        ({"recipe": {"inline": {"a": 1}, "digest": {"sha256": SHA}}}, "malformed-recipe"),
        ({"recipe": {"digest": {"sha1": "ab" * 20}}}, "dependency-without-digest"),
        ({"recipe": {"digest": {"sha256": "ab"}}}, "wrong-digest-length"),
        ({"recipe": RECIPE, "seed": "42"}, "wrong-type"),
        ({"recipe": RECIPE, "seed": True}, "wrong-type"),
        ({"recipe": RECIPE, "seed": -1}, "bad-seed"),
        ({"recipe": RECIPE, "seed": 1 << 64}, "bad-seed"),
        ({"recipe": RECIPE, "hyperparameters": []}, "wrong-type"),
        ({"recipe": RECIPE, "arguments": [1]}, "wrong-type"),
    ],
)
def test_malformed_external_parameters(external: dict[str, Any], code: str):
    refused(code, made, external_parameters=external)
    predicate = made().to_predicate()
    predicate["buildDefinition"]["externalParameters"] = external
    refused(code, read, predicate)


def test_another_build_type_is_not_ours_to_write():
    with pytest.raises(Unsupported):
        made(build_type="https://example.com/build/v1")


@pytest.mark.parametrize("builder", ["", "with space", "line\nbreak", "x\x00y"])
def test_a_builder_id_that_is_no_uri(builder: str):
    refused("malformed-uri", made, builder_id=builder)


def test_finished_before_started():
    refused("times-contradict", made, finished=datetime(2020, 1, 1, tzinfo=UTC))


def test_times_need_their_zone():
    with pytest.raises(ValueError, match="timezone-aware"):
        made(started=datetime(2026, 1, 1))  # noqa: DTZ001


# -- digests -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("digests", "code"),
    [
        ({"sha256": "ab"}, "wrong-digest-length"),
        ({"sha256": SHA + "00"}, "wrong-digest-length"),
        ({"sha256": SHA, "sha512": SHA}, "wrong-digest-length"),
        ({"sha256": SHA, "attestTreeV1": "zz" * 32}, "malformed-digest"),
        ({"sha256": SHA.upper()}, "malformed-digest"),
        ({"sha256": " " + SHA[1:]}, "malformed-digest"),
        ({"gitCommit": "1b" * 19}, "wrong-digest-length"),
        ({"sha1": SHA}, "wrong-digest-length"),
        ({"sha256": 5}, "wrong-type"),
        ({"sha256": None}, "wrong-type"),
        ({"x-own": ""}, "malformed-digest"),
        ({"x-own": "two words"}, "malformed-digest"),
        ({"": "ab"}, "malformed-digest"),
    ],
)
def test_every_digest_of_a_known_name_must_be_right(digests: dict[str, Any], code: str):
    refused(code, read_digests, digests, where="d")
    predicate = made().to_predicate()
    predicate["buildDefinition"]["resolvedDependencies"][1]["digest"] = digests
    error = refused(code, read, predicate)
    assert "resolvedDependencies[1]" in str(error)


def test_digests_of_unknown_names_are_kept():
    assert read_digests({"dirHash": "h1:abc="}, where="d") == {"dirHash": "h1:abc="}


def test_git_commits_may_be_sha256():
    assert read_digests({"gitCommit": SHA}, where="d")


def test_too_many_digests():
    with pytest.raises(TooLarge):
        read_digests({f"x{number}": "a" for number in range(17)}, where="d")


def test_one_hundred_thousand_dependencies():
    many = tuple(
        ResourceDescriptor({"sha256": f"{number:064x}"}, annotations={"attest:role": "dataset"})
        for number in range(100_000)
    )
    begin = time.process_time()
    predicate = made(dependencies=many).to_predicate()
    payload = json.dumps(predicate, separators=(",", ":")).encode()
    assert len(payload) < limits.MAX_JSON_BYTES
    facts = read_provenance(PROVENANCE_PREDICATE, json.loads(payload))
    assert len(facts.dependencies) == 100_000
    assert time.process_time() - begin < 30


def test_more_dependencies_than_allowed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "MAX_RESOURCES", 2)
    with pytest.raises(TooLarge):
        read(made().to_predicate())


# -- reading others ------------------------------------------------------------------------------


def foreign(build_type: str = "https://example.com/build/v1", **definition: Any) -> dict[str, Any]:
    return {
        "buildDefinition": {"buildType": build_type, "externalParameters": {}, **definition},
        "runDetails": {"builder": {"id": "https://example.com/builder"}},
    }


def test_an_unknown_build_type_is_read_and_not_interpreted():
    facts = read(
        foreign(
            externalParameters={"source": {"uri": "git+https://github.com/org/repo"}, "seed": "x"},
            resolvedDependencies=[{"uri": "git+https://github.com/org/repo"}],
        )
    )
    assert not facts.interpreted
    assert facts.source is None
    assert facts.entry_point is None
    assert facts.parameters["seed"] == "x"
    assert [each.uri for each in facts.dependencies] == ["git+https://github.com/org/repo"]


def test_an_own_build_type_must_be_complete():
    predicate = made().to_predicate()
    predicate["buildDefinition"]["resolvedDependencies"] = [{"name": "x"}]
    refused("dependency-without-digest", read, predicate)
    predicate["buildDefinition"]["resolvedDependencies"] = []
    refused("missing-dependency", read, predicate)


def test_a_later_version_of_an_own_build_type_is_unknown():
    assert own_build_type("urn:attest-toolkit:build:training:v2") is None


@pytest.mark.parametrize(
    "kind", ["actions.github.io/buildtypes", "slsa-framework.github.io/github-actions-buildtypes"]
)
def test_github_workflows(kind: str):
    workflow = {
        "ref": "refs/heads/main",
        "repository": "https://github.com/org/repo",
        "path": ".github/workflows/build.yml",
    }
    facts = read(
        foreign(
            f"https://{kind}/workflow/v1",
            externalParameters={"workflow": workflow},
            resolvedDependencies=[
                {
                    "uri": "git+https://github.com/org/repo@refs/heads/main",
                    "digest": {"gitCommit": COMMIT},
                }
            ],
        )
    )
    assert facts.source == Source(
        "https://github.com/org/repo", "refs/heads/main", {"gitCommit": COMMIT}
    )
    assert facts.entry_point == ".github/workflows/build.yml"


def test_a_github_workflow_without_its_commit_has_none():
    workflow = {"ref": "refs/heads/main", "repository": "https://github.com/org/repo", "path": "p"}
    other = {
        "uri": "git+https://github.com/evil/repo@refs/heads/main",
        "digest": {"gitCommit": COMMIT},
    }
    facts = read(
        foreign(
            "https://actions.github.io/buildtypes/workflow/v1",
            externalParameters={"workflow": workflow},
            resolvedDependencies=[other],
        )
    )
    assert facts.source.commit is None


def test_gitlab_v1():
    facts = read(
        foreign(
            "https://docs.gitlab.com/ci/pipeline_security/slsa/provenance_v1",
            externalParameters={
                "source": "https://gitlab.com/org/repo",
                "entryPoint": "build-job",
                "variables": {},
            },
            resolvedDependencies=[
                {"uri": "https://gitlab.com/org/repo", "digest": {"gitCommit": COMMIT}}
            ],
        )
    )
    assert facts.source == Source("https://gitlab.com/org/repo", None, {"gitCommit": COMMIT})
    assert facts.entry_point == "build-job"


def v02(build_type: str, config: dict[str, Any]) -> dict[str, Any]:
    return {
        "buildType": build_type,
        "builder": {"id": "https://example.com/builder"},
        "invocation": {"configSource": config, "parameters": {"a": 1}},
        "metadata": {"buildInvocationId": "7", "buildStartedOn": "2022-09-06T17:54:10.226833361Z"},
        "materials": [config],
    }


def test_v02_with_gitlabs_commit_under_sha256():
    config = {
        "uri": "https://gitlab.com/org/repo",
        "digest": {"sha256": COMMIT},
        "entryPoint": "whoami shell",
    }
    runner = "https://gitlab.com/gitlab-org/gitlab-runner/-/blob/v15.1.0/PROVENANCE.md"
    facts = read(v02(runner, config), PROVENANCE_V02_PREDICATE)
    assert facts.source == Source("https://gitlab.com/org/repo", None, {"gitCommit": COMMIT})
    assert facts.dependencies[0].digests == {"gitCommit": COMMIT}
    assert (facts.slsa_version, facts.entry_point) == ("0.2", "whoami shell")
    assert facts.parameters == {"a": 1}
    assert facts.started == datetime(2022, 9, 6, 17, 54, 10, 226833, tzinfo=UTC)


def test_v02_of_anybody_else_with_a_short_sha256():
    config = {"uri": "https://gitlab.com/org/repo", "digest": {"sha256": COMMIT}}
    refused("wrong-digest-length", read, v02("https://e.com/b", config), PROVENANCE_V02_PREDICATE)


def test_v01_names_its_source_by_index():
    predicate = {
        "builder": {"id": "https://example.com/builder"},
        "recipe": {"type": "https://example.com/t", "definedInMaterial": 1, "entryPoint": "make"},
        "materials": [
            {"uri": "git+https://github.com/org/other"},
            {"uri": "git+https://github.com/org/repo", "digest": {"sha1": COMMIT}},
        ],
    }
    facts = read(predicate, PROVENANCE_V01_PREDICATE)
    assert facts.source == Source("https://github.com/org/repo", None, {"sha1": COMMIT})
    for index, found in ((5, False), (-1, False), ("1", True), ("-1", False)):
        predicate["recipe"]["definedInMaterial"] = index
        assert (read(predicate, PROVENANCE_V01_PREDICATE).source is not None) is found
    predicate["recipe"]["definedInMaterial"] = "one"
    refused("wrong-type", read, predicate, PROVENANCE_V01_PREDICATE)


def test_another_predicate_type():
    with pytest.raises(Unsupported):
        read_provenance("https://slsa.dev/provenance/v2", {})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("buildDefinition", None),
        ("buildDefinition", []),
        ("buildDefinition.buildType", ""),
        ("buildDefinition.buildType", 7),
        ("buildDefinition.externalParameters", None),
        ("buildDefinition.externalParameters", "x"),
        ("buildDefinition.internalParameters", []),
        ("buildDefinition.resolvedDependencies", {}),
        ("buildDefinition.resolvedDependencies", ["x"]),
        ("buildDefinition.resolvedDependencies", [{}]),
        ("buildDefinition.resolvedDependencies", [{"name": 1}]),
        ("buildDefinition.resolvedDependencies", [{"uri": "x", "annotations": []}]),
        ("buildDefinition.resolvedDependencies", [{"uri": "x" * 5000}]),
        ("runDetails", None),
        ("runDetails.builder", None),
        ("runDetails.builder", {"id": None}),
        ("runDetails.builder", {"id": "a b"}),
        ("runDetails.metadata", "x"),
        ("runDetails.metadata", {"startedOn": "yesterday"}),
        ("runDetails.metadata", {"startedOn": "2026-01-01T00:00:00"}),
        ("runDetails.metadata", {"startedOn": "2026-13-01T00:00:00Z"}),
        ("runDetails.metadata", {"startedOn": "0001-01-01T00:00:00+23:59"}),
        ("runDetails.metadata", {"invocationId": 4}),
        ("runDetails.byproducts", [[]]),
    ],
)
def test_wrong_types(path: str, value: Any):
    predicate = foreign()
    *holders, key = path.split(".")
    place: Any = predicate
    for holder in holders:
        place = place[holder]
    place[key] = value
    with pytest.raises(MalformedInput):
        read(predicate)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "git+https://github.com/org/repo@refs/heads/main",
            ("https://github.com/org/repo", "refs/heads/main"),
        ),
        ("git+https://github.com/org/repo", ("https://github.com/org/repo", None)),
        ("https://github.com/org/repo", ("https://github.com/org/repo", None)),
        (
            "git+https://github.com/o/r@refs/tags/@s/p@1.0",
            ("https://github.com/o/r", "refs/tags/@s/p@1.0"),
        ),
        # none of these is the repository https://github.com/org/repo
        ("git+https://github.com/org/repo@evil@refs/heads/main", None),
        ("https://github.com/org/repo@refs/heads/main", None),
        ("git+https://github.com@evil.com/org/repo", None),
        ("git+https://user:pw@github.com/org/repo", None),
        ("https://github.com/org/repo/", None),
        ("https://github.com//org/repo", None),
        ("https://github.com/org/../org/repo", None),
        ("https://github.com/org/repo?x", None),
        ("https://github.com/org/repo#x", None),
        ("https://GitHub.com/org/repo", None),
        ("https://github.com/org/re%70o", None),
        ("http://github.com/org/repo", None),
        ("git+ssh://git@github.com/org/repo", None),
        (" https://github.com/org/repo", None),
        ("https://github.com/org/repo\n", None),
        ("https://github.com/org/rep\N{CYRILLIC SMALL LETTER O}", None),
    ],
)
def test_repositories_have_one_spelling(text: str, expected: tuple[str, str | None] | None):
    assert split_repository(text) == (expected or (text, None))
