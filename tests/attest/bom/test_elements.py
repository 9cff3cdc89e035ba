"""Minimum elements: the lists as data, and what a BOM cannot talk its way out of."""

from __future__ import annotations

import copy
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from attest.bom.bomindex import Scope, compile_path, index_bom
from attest.bom.elements import NAMED, PROFILES, Status, check_elements, load_profile
from attest.bom.schema import compile_schema, schema_text
from tests.support.bom_examples import release

G7_COUNTS = {
    "metadata": 10,
    "system-level-properties": 9,
    "models": 13,
    "dataset-properties": 10,
    "infrastructure": 2,
    "security-properties": 4,
    "key-performance-indicators": 2,
}


def check(document: dict[str, Any], profile: str = "g7"):
    results = check_elements(index_bom(document), load_profile(profile))
    return {each.element.id: each for each in results}


def model(document: dict[str, Any]) -> dict[str, Any]:
    return document["metadata"]["component"]


# -- the lists -----------------------------------------------------------------------------------


def test_g7_has_50_elements_in_7_clusters():
    profile = load_profile("g7")
    assert Counter(each.cluster for each in profile.elements) == G7_COUNTS
    assert len(profile.elements) == 50
    assert list(profile.clusters) == list(G7_COUNTS)


def test_cisa_lists():
    fields = Counter(each.cluster for each in load_profile("cisa").elements)
    assert fields["data-fields"] == 11
    fields = Counter(each.cluster for each in load_profile("cisa-2026").elements)
    assert fields == {"data-fields": 17, "practices": 6}


@pytest.mark.parametrize("name", PROFILES)
def test_lists_are_well_formed(name: str):
    profile = load_profile(name)
    assert profile.id == name
    ids = [each.id for each in profile.elements]
    assert len(set(ids)) == len(ids)
    assert {"taken", "taken-from", "ours"} == set(profile.provenance)
    for element in profile.elements:
        assert element.cluster in profile.clusters
        assert element.title
        assert element.asks
        assert bool(element.find) is (element.scope is not Scope.NONE)
        assert element.applies in (None, "model")
        if element.scope is Scope.NONE:
            assert not element.required


def test_an_unknown_list():
    with pytest.raises(ValueError, match="not a profile"):
        load_profile("../../secret")


def _known_members(schema: dict[str, Any], path: str, definition: dict[str, Any]) -> bool:
    """Whether CycloneDX 1.7 (or an alternative of it) has the members of a path."""
    steps = path.split("/")[1:]
    waiting = [(definition, 0)]
    while waiting:
        node, at = waiting.pop()
        if "$ref" in node:
            reference = node["$ref"]
            if reference.startswith("#/definitions/"):
                waiting.append((schema["definitions"][reference.rpartition("/")[2]], at))
            elif at == len(steps) or steps[at] == "*":
                return True
            continue
        if at == len(steps):
            return True
        for key in ("oneOf", "anyOf", "allOf"):
            waiting += [(each, at) for each in node.get(key, ())]
        step = steps[at].partition("[")[0]
        if step == "*":
            items = node.get("items")
            if isinstance(items, dict):
                waiting.append((items, at + 1))
        elif step in node.get("properties", {}):
            waiting.append((node["properties"][step], at + 1))
    return False


@pytest.mark.parametrize("name", PROFILES)
def test_every_path_exists_in_cyclonedx(name: str):
    """A typo in a path would make an element that no BOM can have."""
    schema = schema_text("bom-1.7")
    compile_schema(schema)
    definitions = schema["definitions"]
    for element in load_profile(name).elements:
        roots = {
            Scope.DOCUMENT: [schema],
            Scope.DATASET: [definitions["component"], definitions["componentData"]],
        }.get(element.scope, [definitions["component"]])
        for finder in element.find:
            if not finder.path.startswith("@") and finder.path != "/signature":
                assert any(_known_members(schema, finder.path, root) for root in roots), finder.path


def test_paths():
    document = {"a": [{"t": "x", "b": 1}, {"t": "y", "b": 2}, "c", {"b": 3}]}
    index = index_bom({})

    def found(path: str) -> list[tuple[str, Any]]:
        return list(compile_path(path).find(document, "", index))

    assert found("/a/*/b") == [("/a/0/b", 1), ("/a/1/b", 2), ("/a/3/b", 3)]
    assert found("/a/*[t=y|z]/b") == [("/a/1/b", 2)]
    assert found("/a/b") == []
    assert found("/b/*/c") == []


@pytest.mark.parametrize("path", ["", "a", "/a/[x=y]/b", "/a b", "@other", "/", "/a/$x"])
def test_bad_paths(path: str):
    with pytest.raises(ValueError, match="not a path"):
        compile_path(path)


# -- what a BOM shows ----------------------------------------------------------------------------


def test_a_good_release_has_every_data_field_of_cisa():
    results = check(release(), "cisa")
    fields = [each for each in results.values() if each.element.cluster == "data-fields"]
    assert {each.status for each in fields} == {Status.PRESENT}
    assert results["frequency"].status is Status.NOT_APPLICABLE
    assert results["license"].having == results["license"].in_scope == 2


def test_where_it_was_found_and_read_from():
    found = check(release())["models.model-license"].found
    assert [(each.pointer, each.read_from) for each in found] == [
        ("/metadata/component/licenses/0/license/id", "README.md#license")
    ]


def test_a_model_without_a_licence_among_many_with_one():
    document = release()
    del model(document)["licenses"]
    document["components"] += [
        {"type": "library", "name": f"l{n}", "licenses": [{"license": {"id": "MIT"}}]}
        for n in range(300)
    ]
    assert check(document)["models.model-license"].status is Status.MISSING
    result = check(document, "cisa")["license"]
    assert (result.status, result.having, result.in_scope) == (Status.MISSING, 301, 302)
    assert result.lacking == ("/metadata/component",)


def test_a_nested_component_is_in_scope():
    document = release()
    document["components"][0]["components"] = [{"type": "library", "name": "inner"}]
    result = check(document, "cisa")["component-hash"]
    assert result.lacking == ("/components/0/components/0",)


def test_a_file_inside_a_component_is_part_of_it():
    document = release()
    document["components"][0]["components"] = [{"type": "file", "name": ".cmdline"}]
    model(document)["components"] = [{"type": "file", "name": "weights"}]
    assert check(document, "cisa")["component-hash"].in_scope == 2
    document["components"].append({"type": "file", "name": "alone"})
    assert check(document, "cisa")["component-hash"].lacking == ("/components/1",)


def test_to_say_unknown_is_what_known_unknowns_ask_for():
    document = release(compositions=[{"aggregate": "unknown"}])
    results = check(document, "cisa")
    assert results["known-unknowns"].status is Status.PRESENT
    assert results["coverage"].status is Status.UNKNOWN


def test_a_model_without_a_listed_dataset_lacks_the_elements_of_datasets():
    """Leaving the datasets out must not be the way to have no gaps."""
    document = release()
    document["components"] = []
    model(document)["modelCard"]["modelParameters"].pop("datasets")
    results = check(document)
    datasets = [each for each in results.values() if each.element.scope is Scope.DATASET]
    assert len(datasets) == 10
    assert {each.status for each in datasets} == {Status.MISSING}


def test_a_dataset_alone_needs_no_model():
    document = release()
    document["metadata"]["component"] = document["components"].pop()
    results = check(document)
    assert results["models.model-name"].status is Status.NOT_APPLICABLE
    assert results["models.model-name"].reason == "the BOM lists no model"
    assert results["dataset-properties.dataset-name"].status is Status.PRESENT
    for name in (
        "infrastructure.infrastructure-hardware",
        "dataset-properties.dataset-dependency-relationship",
    ):
        assert results[name].status is Status.NOT_APPLICABLE


def test_a_dataset_described_in_the_model_card_counts():
    document = release()
    document["components"] = []
    model(document)["modelCard"]["modelParameters"]["datasets"] = [
        {"type": "dataset", "name": "c4", "classification": "public"}
    ]
    results = check(document)
    name = results["dataset-properties.dataset-name"]
    assert [each.pointer for each in name.found] == [
        "/metadata/component/modelCard/modelParameters/datasets/0/name"
    ]
    assert results["dataset-properties.dataset-sensitivity"].status is Status.PRESENT
    used = results["dataset-properties.dataset-dependency-relationship"]
    assert used.found[0].pointer == "/metadata/component/modelCard"


def test_a_dataset_that_nothing_depends_on():
    document = release()
    document["dependencies"] = [{"ref": "model"}]
    model(document)["modelCard"]["modelParameters"].pop("datasets")
    result = check(document)["dataset-properties.dataset-dependency-relationship"]
    assert result.status is Status.MISSING


@pytest.mark.parametrize("value", ["NOASSERTION", "unknown", " Unknown ", "N/A", "tbd", "?", "-"])
def test_a_value_that_says_unknown(value: str):
    document = release()
    model(document)["licenses"] = [{"license": {"name": value}}]
    result = check(document)["models.model-license"]
    assert result.status is Status.UNKNOWN
    assert result.found[0].pointer == "/metadata/component/licenses/0/license/name"


@pytest.mark.parametrize("value", ["", "  ", None, [], {}])
def test_an_empty_value_is_none(value: Any):
    document = release()
    model(document)["version"] = value
    assert check(document)["models.model-version"].status is Status.MISSING


def test_an_empty_document():
    results = check({})
    assert Status.PRESENT not in {each.status for each in results.values()}
    assert check({}, "cisa")["component-name"].status is Status.MISSING


def test_the_tools_of_old_versions():
    document = release(specVersion="1.4")
    document["metadata"]["tools"] = [{"vendor": "x", "name": "old-tool", "version": "1"}]
    assert check(document)["metadata.sbom-tool-name"].status is Status.PRESENT


@pytest.mark.parametrize("junk", [None, 7, "text", [1, "x", None], {"a": 1}, [[]], True])
@pytest.mark.parametrize(
    "place", ["metadata", "components", "dependencies", "services", "signature", "compositions"]
)
def test_wrong_types_are_passed_over(place: str, junk: Any):
    for profile in PROFILES:
        check({**release(), place: junk}, profile)


@pytest.mark.parametrize("junk", [7, "text", [1, None], {"properties": [{"name": 3}, 4]}])
@pytest.mark.parametrize("place", ["modelCard", "licenses", "hashes", "properties", "components"])
def test_wrong_types_in_a_component_are_passed_over(place: str, junk: Any):
    document = release()
    model(document)[place] = junk
    for profile in PROFILES:
        check(document, profile)


def test_nothing_of_the_bom_is_changed():
    document = release()
    before = copy.deepcopy(document)
    check(document)
    assert document == before


def big(number: int) -> dict[str, Any]:
    components = [
        {
            "type": "library",
            "bom-ref": f"c{n}",
            "name": f"package-{n}",
            "version": "1.0",
            "purl": f"pkg:npm/package-{n}@1.0",
            "hashes": [{"alg": "SHA-256", "content": f"{n:064x}"}],
            "licenses": [{"license": {"id": "MIT"}}],
        }
        for n in range(number)
    ]
    edges = [{"ref": f"c{n}", "dependsOn": [f"c{n + 1}"]} for n in range(number - 1)]
    return release(components=components, dependencies=edges)


@pytest.mark.parametrize("name", PROFILES)
def test_100_000_components(name: str):
    document = big(100_000)
    begin = time.process_time()
    results = check(document, name)
    assert time.process_time() - begin < 30
    if name != "g7":
        producer = next(r for r in results.values() if "producer" in r.element.id)
        assert producer.in_scope - producer.having == 100_000
        assert len(producer.lacking) == NAMED


def test_deep_nesting_of_components():
    """As deep as a parser lets through, and deeper."""
    inner: dict[str, Any] = {"type": "library", "name": "x"}
    for _ in range(5000):
        inner = {"type": "library", "name": "x", "components": [inner]}
    assert len(index_bom({"components": [inner]}).components) == 5001


def test_the_data_files_are_json_that_our_reader_takes():
    for name in PROFILES:
        profile = load_profile(name)
        json.dumps(profile.provenance)


def test_the_page_lists_every_element():
    page = (Path(__file__).parents[3] / "docs" / "formats" / "bom-check.md").read_text()
    for name in PROFILES:
        section = page.partition(f"\n### {name}\n")[2].partition("\n### ")[0]
        rows = [line.split(" | ") for line in section.split("\n") if line.startswith("| ")][1:]
        listed = {row[2].strip("`"): (row[1], row[3].strip() == "required") for row in rows}
        assert listed == {
            each.id: (each.title, each.required) for each in load_profile(name).elements
        }
