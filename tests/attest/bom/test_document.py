"""Assembling and writing a BOM: validity, determinism, and wrong values refused on construction."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from attest import limits
from attest.bom import modelcard as card
from attest.bom.components import (
    Attachment,
    Component,
    Contact,
    Evidence,
    ExternalReference,
    Hash,
    Licence,
    Organization,
    Pedigree,
    Property,
    clean_purl,
    clean_text,
    clean_url,
    digest_properties,
    hugging_face_purl,
    source_of,
    to_json,
)
from attest.bom.document import (
    Annotation,
    Annotator,
    BomDocument,
    Composition,
    Dependency,
    Formula,
    Parameter,
    Resource,
    Workflow,
    WorkflowInput,
    WorkflowOutput,
    make_ref,
)
from attest.bom.schema import validate_bom

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def make_component(**members) -> Component:
    return Component(**{"type": "machine-learning-model", "ref": "model:a", "name": "a"} | members)


def make_data(ref: str = "dataset:b") -> Component:
    owner = card.Party(organization=Organization(name="o", contact=(Contact(name="p"),)))
    steward = card.Party(contact=Contact(name="q", email="q@example.com"))
    entry = card.ComponentData(
        type="dataset",
        name="b",
        contents=card.DataContents(
            url="https://example.com/b", attachment=Attachment(content="x", content_type="text/csv")
        ),
        classification="public",
        sensitive_data=("names",),
        governance=card.DataGovernance(owners=(owner,), stewards=(steward,)),
    )
    return Component(type="data", ref=ref, name="b", data=(entry,))


def make_everything(**members) -> BomDocument:
    """A document that uses every part there is."""
    energy = card.EnergyConsumption(
        activity="training",
        energy_providers=(
            card.EnergyProvider(
                organization=Organization(name="grid"),
                energy_source="solar",
                energy_provided=card.Energy(1.5),
            ),
        ),
        activity_energy_cost=card.Energy(1.5),
        co2_cost_equivalent=card.Co2(0.25),
    )
    metric = card.PerformanceMetric(
        type="accuracy",
        value="0.9",
        slice="test",
        confidence_interval=card.ConfidenceInterval(lower_bound="0.8", upper_bound="1"),
    )
    model_card = card.ModelCard(
        ref="card",
        model_parameters=card.ModelParameters(
            approach=card.Approach("self-supervised"),
            task="text-generation",
            architecture_family="llama",
            model_architecture="LlamaForCausalLM",
            datasets=(card.DatasetRef("dataset:b"), card.ComponentData(type="dataset", name="c")),
            inputs=(card.Format("string"),),
            outputs=(card.Format("string"),),
        ),
        quantitative_analysis=card.QuantitativeAnalysis(performance_metrics=(metric,)),
        considerations=card.Considerations(
            users=("people",),
            ethical_considerations=(card.Risk(name="bias", mitigation_strategy="measured"),),
            environmental_considerations=card.EnvironmentalConsiderations(
                energy_consumptions=(energy,)
            ),
            fairness_assessments=(card.FairnessAssessment(group_at_risk="everybody"),),
        ),
    )
    component = make_component(
        supplier=Organization(name="s", url=("https://example.com",)),
        version="1",
        licences=(
            Licence(id="Apache-2.0", acknowledgement="declared"),
            Licence(name="LicenseRef-llama3", acknowledgement="concluded"),
        ),
        purl=hugging_face_purl("a/b", "abc"),
        pedigree=Pedigree(ancestors=(Component(type="machine-learning-model", name="base"),)),
        external_references=(
            ExternalReference(
                type="website", url="https://example.com", hashes=(Hash("SHA-256", "0" * 64),)
            ),
        ),
        evidence=Evidence(licences=(Licence(id="MIT"),)),
        model_card=model_card,
        properties=(
            *digest_properties({"sha256": "1" * 64, "attestTreeV1": "2" * 64}, files=1, size=2),
            source_of("licenses", "README.md#license"),
        ),
        tags=("x",),
    )
    run = Workflow(
        ref="run",
        uid="run-1",
        task_types=("build",),
        inputs=(
            WorkflowInput(resource=Resource(ref="dataset:b")),
            WorkflowInput(parameters=(Parameter(name="seed", value="1"),)),
        ),
        outputs=(
            WorkflowOutput(type="artifact", resource=Resource(ref="model:a")),
            WorkflowOutput(
                resource=Resource(
                    external_reference=ExternalReference(type="log", url="https://example.com/l")
                )
            ),
        ),
        time_start=NOON,
        time_end=NOON,
    )
    parts = {
        "component": component,
        "timestamp": NOON,
        "lifecycles": ("post-build",),
        "authors": (Contact(name="a"),),
        "supplier": Organization(name="s"),
        "manufacturer": Organization(name="m"),
        "licences": (Licence(id="CC0-1.0"),),
        "tools": (Component(type="application", name="t"),),
        "components": (make_data(),),
        "dependencies": (Dependency(ref="model:a", depends_on=("dataset:b",)),),
        "compositions": (Composition(aggregate="unknown", assemblies=("model:a",)),),
        "annotations": (
            Annotation(
                subjects=("model:a",),
                annotator=Annotator(individual=Contact(name="a")),
                timestamp=NOON,
                text="looked at",
            ),
        ),
        "formulation": (Formula(workflows=(run,)),),
        "external_references": (ExternalReference(type="bom", url="https://example.com/x"),),
        "properties": (Property("attest:x", ""),),
    }
    return BomDocument(**parts | members)


# -- validity ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1.6", "1.7"])
def test_every_part_follows_the_official_schema(version):
    data = make_everything(spec_version=version).to_bytes()
    assert validate_bom(data) == []
    spec = SchemaVersion.from_version(version)
    assert JsonStrictValidator(spec).validate_str(data.decode()) is None


def test_the_smallest_document_is_valid_and_says_nothing_it_does_not_know():
    data = BomDocument(component=make_component()).to_bytes()
    assert validate_bom(data) == []
    document = json.loads(data)
    assert set(document["metadata"]) == {"tools", "component"}
    assert "dependencies" not in document


def test_members_come_in_the_order_of_the_schema():
    document = make_everything().to_json()
    assert list(document)[:5] == [
        "bomFormat",
        "specVersion",
        "serialNumber",
        "version",
        "metadata",
    ]


def test_an_empty_property_value_is_left_out_not_made_null():
    assert to_json(Property("a", "")) == {"name": "a"}


# -- determinism ---------------------------------------------------------------------------------


def test_the_same_parts_make_the_same_bytes():
    assert make_everything().to_bytes() == make_everything().to_bytes()


def test_the_order_of_components_and_dependencies_does_not_matter():
    many = tuple(make_data(f"dataset:{name}") for name in "bcd")
    links = tuple(Dependency(ref=each.ref) for each in many)
    one = make_everything(components=many, dependencies=links)
    other = make_everything(components=many[::-1], dependencies=links[::-1])
    assert one.to_bytes() == other.to_bytes()


def test_one_content_has_one_serial_number_and_another_has_another():
    first = make_everything()
    assert first.serial_number.startswith("urn:uuid:")
    assert first.serial_number == make_everything().serial_number
    for changed in (
        replace(first, timestamp=None),
        replace(first, version=2),
        replace(first, spec_version="1.7"),
        replace(first, component=replace(first.component, name="b")),
    ):
        assert changed.serial_number != first.serial_number


def test_the_bytes_are_ascii_whatever_the_names_are():
    data = BomDocument(component=make_component(name="modèle \u202e \x1b[31m")).to_bytes()
    assert data.isascii()
    assert json.loads(data)["metadata"]["component"]["name"] == "modèle \u202e \x1b[31m"


def test_a_lone_surrogate_is_no_text():
    with pytest.raises(ValueError, match="surrogates not allowed"):
        BomDocument(component=make_component(name="\ud800")).to_bytes()


# -- wrong values --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "members",
    [
        {"spec_version": "1.5"},
        {"version": 0},
        {"timestamp": datetime(2026, 1, 1)},  # noqa: DTZ001 - naive on purpose
        {"lifecycles": ("someday",)},
        {"components": (make_data("model:a"),)},
        {"components": (replace(make_data(), ref=None),)},
        {"components": ()},
        {"dependencies": (Dependency(ref="?"),)},
        {"dependencies": (Dependency(ref="model:a", depends_on=("?",)),)},
        {"dependencies": (Dependency(ref="model:a"), Dependency(ref="model:a"))},
        {"compositions": (Composition(aggregate="unknown", dependencies=("?",)),)},
    ],
)
def test_a_document_that_contradicts_itself_is_refused(members):
    with pytest.raises(ValueError):
        make_everything(**members)


@pytest.mark.parametrize(
    "make",
    [
        lambda: make_component(type="model"),
        lambda: make_component(name=""),
        lambda: make_component(ref=""),
        lambda: make_component(ref="urn:cdx:x/1"),
        lambda: make_component(purl="pkg:huggingface/A/B?x"),
        lambda: make_component(purl="no purl"),
        lambda: make_component(mime_type="Text"),
        lambda: make_component(scope="maybe"),
        lambda: make_component(type="data", model_card=card.ModelCard()),
        lambda: make_component(data=(card.ComponentData(type="dataset"),)),
        lambda: make_component(licences=(Licence(id="MIT"), Licence(expression="MIT OR ISC"))),
        lambda: Licence(id="mit"),
        lambda: Licence(id="LicenseRef-x"),
        lambda: Licence(),
        lambda: Licence(id="MIT", name="MIT"),
        lambda: Licence(id="MIT", acknowledgement="guessed"),
        lambda: Licence(id="MIT", url="not a url"),
        lambda: Hash("SHA-256", "0" * 63),
        lambda: Hash("SHA-256", "A" * 64),
        lambda: Hash("MD5", "0" * 32),
        lambda: Hash("sha256", "0" * 64),
        lambda: Property("", "x"),
        lambda: ExternalReference(type="blog", url="https://example.com"),
        lambda: ExternalReference(type="website", url="javascript:alert(1)"),
        lambda: Composition(aggregate="perhaps"),
        lambda: Annotator(),
        lambda: Resource(),
        lambda: WorkflowInput(),
        lambda: WorkflowOutput(),
        lambda: Workflow(ref="r", uid="u", task_types=()),
        lambda: Workflow(ref="r", uid="u", task_types=("train",)),
        lambda: card.Approach("osmosis"),
        lambda: card.ComponentData(type="table"),
        lambda: card.Party(),
        lambda: card.EnergyConsumption(
            activity="training", energy_providers=(), activity_energy_cost=card.Energy(1)
        ),
    ],
)
def test_a_wrong_value_is_refused_on_construction(make):
    with pytest.raises(ValueError):
        make()


# -- texts from outside --------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, 5, True, [], {}, "", "  ", "\ud800", "x" * 70_000])
def test_what_is_no_text_is_none(value):
    assert clean_text(value) is None


def test_a_text_is_never_cut():
    longest = "x" * limits.MAX_BOM_TEXT
    assert clean_text(f" {longest}\n") == longest


@pytest.mark.parametrize(
    "value",
    [
        "LICENSE",
        "//example.com",
        "http://a b/",
        "http://[::",
        "http://a/%zz",
        "http://a/#x#y",
        "http://a/<b>",
        "http://ä/",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "http://a/\x00",
        "http://a/\n",
        ":",
        "http:",
        "x" * 5000 + ":y",
    ],
)
def test_what_no_bom_should_link_to_is_none(value):
    assert clean_url(value) is None or value.endswith("\n")


def test_every_url_that_is_taken_is_one_to_the_schema():
    urls = ["https://example.com/a?b=c&d=%20#e", "s3://bucket/key", "git+ssh://git@h/x.git@v1"]
    for url in urls:
        assert clean_url(url) == url
        reference = ExternalReference(type="other", url=url)
        bom = BomDocument(component=make_component(external_references=(reference,)))
        assert validate_bom(bom.to_bytes()) == []


def test_purls():
    assert hugging_face_purl("Owner/Model.v1", "0f") == "pkg:huggingface/Owner/Model.v1@0f"
    assert hugging_face_purl("bert-base") == "pkg:huggingface/bert-base"
    for bad in ("", "/", "a/b/c", "../x", "a/", "/b", "a b", "a/b\n", "ü", "x" * 200):
        assert hugging_face_purl(bad) is None
    assert clean_purl("pkg:PyPI/Django_x@1") == "pkg:pypi/django-x@1"
    for wrong in ("", "x", "pkg:", "pkg:a", "pkg:a/b\x00", None):
        assert clean_purl(wrong) is None


def test_a_ref_that_is_taken_gets_a_number():
    assert make_ref("dataset", "a", set()) == "dataset:a"
    assert make_ref("dataset", "a", {"dataset:a", "dataset:a#2"}) == "dataset:a#3"
