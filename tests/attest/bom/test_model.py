"""What the files of a model say: headers, configuration, card, licence files; and hostile ones."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from typing import Any

import pytest

from attest import limits
from attest.bom.card import read_card
from attest.bom.model import describe_model
from attest.bom.modelparts import (
    Material,
    card_materials,
    join_materials,
    licence_observations,
    material_components,
    model_parts,
)
from attest.bom.weights import Tensor, main_sets, set_name, torch_weights, weight_sets
from attest.codec.reader import BytesSource
from attest.errors import MalformedInput, TooLarge


def safetensors(tensors: Mapping[str, tuple[str, tuple[int, ...]]], **metadata: str) -> bytes:
    """A file with zeroes in these (dtype, shape)."""
    width = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "U8": 1}
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    size = 0
    for name, (dtype, shape) in tensors.items():
        count = width[dtype]
        for extent in shape:
            count *= extent
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [size, size + count]}
        size += count
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(size)


def gguf(metadata: Mapping[str, str | int], elements: int = 0) -> bytes:
    """Version 3, with strings and u32 in its metadata, and one F32 tensor."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    out = b"GGUF" + struct.pack("<IQQ", 3, 1 if elements else 0, len(metadata))
    for key, value in metadata.items():
        is_text = isinstance(value, str)
        out += text(key) + struct.pack("<I", 8 if is_text else 4)
        out += text(value) if isinstance(value, str) else struct.pack("<I", value)
    if elements:
        out += text("weight") + struct.pack("<IQIQ", 1, elements, 0, 0)
        out += b"\0" * (-len(out) % 32) + bytes(4 * elements)
    return out


def onnx(elements: int = 6) -> bytes:
    """A model with one initializer, written by hand as protobuf."""

    def field(number: int, payload: bytes) -> bytes:
        return bytes([number << 3 | 2, len(payload)]) + payload

    def number(field_number: int, value: int) -> bytes:
        return bytes([field_number << 3, value])

    raw = bytes(4 * elements)
    tensor = number(1, elements) + number(2, 1) + field(8, b"w") + field(9, raw)
    opset = number(2, 17)
    return (
        number(1, 8)
        + field(2, b"pytorch")
        + field(3, b"2.0")
        + field(7, field(5, tensor))
        + (field(8, opset))
    )


def describe(files: Mapping[str, bytes | str | dict | list], **options: Any):
    def content(value: Any) -> bytes:
        if isinstance(value, dict | list):
            return json.dumps(value).encode()
        return value.encode() if isinstance(value, str) else value

    sources = {name: BytesSource(content(value)) for name, value in sorted(files.items())}
    return describe_model(sources, **options)


def codes(facts) -> list[str]:
    return [each.code for each in facts.observations]


def properties(facts, **options) -> dict[str, str]:
    component = model_parts(facts, name="m", **options).component
    return {each.name: each.value for each in component.properties}


# -- weights -------------------------------------------------------------------------------------


def test_safetensors_headers_are_counted():
    file = safetensors({"a": ("F32", (2, 3)), "b": ("BF16", (4,)), "c": ("I64", ())}, format="pt")
    facts = describe({"model.safetensors": file})
    (found,) = facts.weights
    assert (found.parameters, found.tensors) == (11, 3)
    assert found.dtypes == {"BF16": 4, "F32": 6, "I64": 1}
    told = properties(facts)
    assert told["attest:model:parameters"] == "11"
    assert told["attest:model:dtype:BF16"] == "4"
    assert told["attest:weights:model.safetensors:metadata:format"] == "pt"
    assert told["attest:source:attest:model:parameters"] == "model.safetensors"


def test_shards_make_one_set_and_one_component():
    files = {
        f"model-0000{n}-of-00003.safetensors": safetensors({f"t{n}": ("F32", (n,))})
        for n in (1, 2, 3)
    }
    facts = describe(files)
    (found,) = facts.weights
    assert found.name == "model.safetensors"
    assert (len(found.files), found.parameters) == (3, 6)
    parts = model_parts(facts, name="m")
    assert parts.component.components == ()
    assert parts.materials == ()


def test_another_precision_is_not_added_but_another_folder_is():
    facts = describe(
        {
            "unet/model.safetensors": safetensors({"a": ("F32", (10,))}),
            "unet/model.fp16.safetensors": safetensors({"a": ("F16", (10,))}),
            "vae/model.safetensors": safetensors({"a": ("F32", (5,))}),
            "model.onnx": onnx(),
        }
    )
    assert properties(facts)["attest:model:parameters"] == "15"
    assert len(facts.weights) == 4


def test_gguf_says_what_it_is():
    template = "{{ messages }}"
    facts = describe(
        {
            "m.gguf": gguf(
                {
                    "general.architecture": "llama",
                    "general.file_type": 15,
                    "general.license": "llama2",
                    "tokenizer.chat_template": template,
                },
                elements=8,
            )
        }
    )
    assert facts.model_type == "llama"
    assert facts.quantization == "Q4_K_M"
    assert facts.weights[0].parameters == 8
    (found,) = facts.templates
    assert found.sha256 == hashlib.sha256(template.encode()).hexdigest()
    assert found.where == "m.gguf#tokenizer.chat_template"


def test_onnx_says_producer_and_opset():
    facts = describe({"m.onnx": onnx()})
    said = dict(facts.weights[0].said)
    assert said["producer"] == "pytorch 2.0"
    assert said["opset:ai.onnx"] == "17"
    assert facts.weights[0].parameters == 6


def test_torch_facts_are_passed_in():
    facts = describe(
        {"pytorch_model.bin": b"PK\x03\x04" + bytes(100)},
        tensors={"pytorch_model.bin": [Tensor("a", "float32", 7), Tensor("b", "float16", 1)]},
    )
    assert facts.weights[0].dtypes == {"float16": 1, "float32": 7}
    assert codes(facts) == []


def test_weights_that_are_not_read_are_told():
    facts = describe({"pytorch_model.bin": b"PK\x03\x04" + bytes(100), "old.pt": b"\x80\x02."})
    assert codes(facts) == ["weights-not-read", "weights-not-read"]
    assert "attest:model:parameters" not in properties(facts)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 8,
        struct.pack("<Q", 1 << 63) + b"{}",
        struct.pack("<Q", 60) + b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,999]}}    ',
        struct.pack("<Q", 40_000) + b"[" * 40_000,
        b"not weights at all",
    ],
)
def test_a_lying_header_refuses_and_names_the_file(data):
    with pytest.raises(MalformedInput) as caught:
        describe({"deep/x.safetensors": data})
    assert caught.value.where is not None
    assert caught.value.where.startswith("deep/x.safetensors")


def test_large_files_are_recognised_whatever_they_are_called():
    file = safetensors({"a": ("U8", (limits.MIB,))})
    assert describe({"innocent.txt": file}).weights[0].format == "safetensors"


def test_set_names():
    assert set_name("a/b-00001-of-00002.safetensors") == "a/b.safetensors"
    assert set_name("a/b.safetensors") == "a/b.safetensors"
    assert main_sets(weight_sets([])) == ()


# -- index files ---------------------------------------------------------------------------------

SHARD = safetensors({"a": ("F32", (2,)), "b": ("F32", (1,))})


def index(weight_map: Any, total: Any = 12) -> dict:
    return {"metadata": {"total_size": total}, "weight_map": weight_map}


GOOD = {"a": "m.safetensors", "b": "m.safetensors"}


@pytest.mark.parametrize("total", [12, 12.0, None])
def test_an_index_that_agrees_is_silent(total):
    files = {"m.safetensors": SHARD, "m.safetensors.index.json": index(GOOD, total)}
    assert codes(describe(files)) == []


@pytest.mark.parametrize(
    "document",
    [
        index(GOOD, 13),
        index({"a": "m.safetensors"}),
        index(GOOD | {"c": "m.safetensors"}),
        index(GOOD | {"c": "gone.safetensors"}),
        index({}),
        index([]),
        index({"a": 5}),
        {},
    ],
)
def test_an_index_that_does_not_is_told(document):
    files = {"m.safetensors": SHARD, "m.safetensors.index.json": document}
    assert set(codes(describe(files))) == {"index-mismatch"}


# -- configuration -------------------------------------------------------------------------------


def test_configuration():
    facts = describe(
        {
            "config.json": {
                "architectures": ["BertModel"],
                "model_type": "bert",
                "hidden_size": 384,
                "torch_dtype": "float32",
                "_name_or_path": "/home/somebody/x",
                "quantization_config": {"quant_method": "gptq", "bits": 4},
            },
            "generation_config.json": {"do_sample": True, "temperature": 0.6, "eos_token_id": [1]},
        }
    )
    assert facts.architectures == ("BertModel",)
    assert facts.quantization == "gptq 4-bit"
    told = properties(facts)
    assert told["attest:config:hidden_size"] == "384"
    assert told["attest:config:name_or_path"] == "/home/somebody/x"
    assert told["attest:generation:do_sample"] == "true"
    assert told["attest:generation:temperature"] == "0.6"
    parts = model_parts(facts, name="m")
    assert parts.materials == (), "a path that somebody once had is no base model"
    card = parts.component.model_card
    assert card is not None
    assert card.model_parameters is not None
    assert card.model_parameters.architecture_family == "bert"


def test_sizes_of_a_nested_text_model_are_found():
    facts = describe({"config.json": {"text_config": {"hidden_size": 5}, "vocab_size": 7}})
    assert dict(facts.config) == {"hidden_size": "5", "vocab_size": "7"}


def test_a_diffusion_pipeline_has_a_class():
    facts = describe({"model_index.json": {"_class_name": "StableDiffusionPipeline"}})
    assert facts.architectures == ("StableDiffusionPipeline",)
    assert facts.read_from["modelCard.modelParameters.modelArchitecture"] == (
        "model_index.json#architectures"
    )


@pytest.mark.parametrize(
    "config",
    [
        b"{",
        b"[]",
        b'{"a":1,"a":2}',
        b'{"a":NaN}',
        b"[" * 100_000,
        b'{"hidden_size":' + b"9" * 10_000 + b"}",
        b"\xff",
        b"",
    ],
)
def test_a_configuration_that_cannot_be_read_is_told(config):
    assert codes(describe({"config.json": config})) == ["description-unreadable"]


@pytest.mark.parametrize(
    "config",
    [
        {"architectures": 5, "model_type": [], "quantization_config": 1},
        {"architectures": [None, {}, "\u0000"], "hidden_size": {"a": 1}},
        {"architectures": ["x" * 100_000], "text_config": [], "vocab_size": "many"},
    ],
)
def test_odd_values_in_a_configuration_make_a_valid_bom(config):
    parts = model_parts(describe({"config.json": config}), name="m")
    assert parts.component.name == "m"


# -- chat templates ------------------------------------------------------------------------------


def test_templates_are_named_by_digest_wherever_they_are():
    facts = describe(
        {
            "tokenizer_config.json": {
                "chat_template": [
                    {"name": "default", "template": "a"},
                    {"name": "rag", "template": "b"},
                ]
            },
            "chat_template.jinja": "c",
            "additional_chat_templates/tool.jinja": "d",
            "chat_template.json": {"chat_template": "e"},
        }
    )
    digests = {each.name: each.sha256 for each in facts.templates}
    assert digests["rag"] == hashlib.sha256(b"b").hexdigest()
    assert digests["tool"] == hashlib.sha256(b"d").hexdigest()
    assert sorted(each.name for each in facts.templates) == [
        "default",
        "default",
        "default",
        "rag",
        "tool",
    ]


@pytest.mark.parametrize("value", [5, {"a": 1}, [5], [{"name": "x"}], True])
def test_a_template_that_is_none_is_told(value):
    facts = describe({"tokenizer_config.json": {"chat_template": value}})
    assert set(codes(facts)) == {"unexpected-type"}


# -- card and licences ---------------------------------------------------------------------------


def readme(**front_matter: Any) -> str:
    """Front matter; JSON is YAML."""
    lines = [
        f"{key.replace('_INDEX', '-index')}: {json.dumps(value)}\n"
        for key, value in front_matter.items()
    ]
    return f"---\n{''.join(lines)}---\n# Title\n"


def test_card():
    card = read_card(
        readme(
            license="apache-2.0",
            base_model="owner/base",
            base_model_relation="finetune",
            datasets=["a", "b", "a"],
            language="en",
            pipeline_tag="text-generation",
            model_INDEX=[
                {
                    "name": "m",
                    "results": [
                        {
                            "task": {"type": "t"},
                            "dataset": {"name": "GLUE", "split": "test"},
                            "metrics": [{"type": "accuracy", "value": 0.5}, {"type": "f1"}],
                        }
                    ],
                }
            ],
        ).encode()
    )
    assert card.licence.expression == "Apache-2.0"
    assert card.base_models == ("owner/base",)
    assert card.datasets == ("a", "b")
    assert card.languages == ("en",)
    (result,) = card.results
    assert (result.type, result.value, result.slice) == ("accuracy", "0.5", "GLUE, test")
    assert [each.code for each in card.observations] == ["unexpected-type"]


def test_base_model_and_datasets_become_components_and_dependencies():
    facts = describe({"README.md": readme(base_model=["o/b"], datasets=["c4"])})
    parts = model_parts(facts, name="m")
    data, base = sorted(parts.materials, key=lambda one: one.type)
    assert (base.type, base.purl) == ("machine-learning-model", "pkg:huggingface/o/b")
    assert (data.type, data.ref) == ("data", "dataset:c4")
    (dependency,) = parts.dependencies
    assert set(dependency.depends_on) == {base.ref, data.ref}
    assert parts.component.pedigree is not None
    assert [each.name for each in parts.component.pedigree.ancestors] == ["o/b"]


def test_digests_come_from_claims_and_only_for_the_same_name():
    facts = describe({"README.md": readme(base_model="o/b", datasets=["c4"])})
    claimed = Material(
        kind="dataset",
        name="c4",
        digests={"sha256": "1" * 64, "attestTreeV1": "2" * 64},
        where="claim x",
    )
    other = Material(kind="model", name="b", digests={"sha256": "3" * 64}, where="claim x")
    parts = model_parts(facts, name="m", materials=[claimed, other])
    by_ref = {each.ref: each for each in parts.materials}
    assert set(by_ref) == {"base-model:b", "base-model:o/b", "dataset:c4"}
    assert by_ref["dataset:c4"].property("attest:attestTreeV1") == "2" * 64
    assert by_ref["dataset:c4"].property("attest:oms-root:sha256") == "1" * 64
    assert by_ref["dataset:c4"].hashes == ()
    assert by_ref["base-model:b"].hashes[0].content == "3" * 64
    assert by_ref["base-model:o/b"].hashes == ()


def test_two_claims_that_differ_are_both_shown():
    one, two = (
        Material(kind="dataset", name="d", digests={"sha256": digit * 64}, where="claim")
        for digit in "12"
    )
    joined = join_materials([Material(kind="dataset", name="d", where="card")], [one, two, one])
    assert len(joined) == 2
    refs = [each.ref for each in material_components(joined, set())]
    assert refs == ["dataset:d", "dataset:d#2"]


@pytest.mark.parametrize(
    "text",
    [
        "---\nlicense: mit\n",
        "---\nlicense: mit\nlicense: gpl\n---\n",
        "---\na: &a [x]\nb: *a\n---\n",
        "---\nlicense: !!python/object/apply:os.system ['id']\n---\n",
        "---\n- a\n---\n",
        "---\n" + "[" * 100_000 + "\n---\n",
        "---\n" + "a:\n " * 50_000 + "\n---\n",
        "---\n\x00\n---\n",
        "---\n? [a]\n: b\n---\n",
    ],
)
def test_front_matter_bombs_are_told_and_end(text):
    facts = describe({"README.md": text})
    assert codes(facts) == ["description-unreadable"]
    assert facts.declared.terms == ()


def test_a_readme_that_is_too_large_is_told(monkeypatch):
    monkeypatch.setattr(limits, "MAX_CARD_BYTES", 10)
    assert codes(describe({"README.md": readme(license="mit")})) == ["description-unreadable"]


@pytest.mark.parametrize("key", ["base_model", "datasets", "tags", "language", "pipeline_tag"])
@pytest.mark.parametrize("value", [5, True, {"a": 1}, [5], [[1]], [None]])
def test_odd_front_matter_is_told_and_left_out(key, value):
    facts = describe({"README.md": readme(**{key: value})})
    assert "unexpected-type" in codes(facts)
    assert model_parts(facts, name="m").materials == ()


def test_a_flood_of_datasets_is_cut_and_told():
    facts = describe({"README.md": readme(datasets=[f"d{n}" for n in range(5000)])})
    assert len(facts.card.datasets) == limits.MAX_LISTED
    assert "unexpected-type" in codes(facts)


MIT = (
    "Permission is hereby granted, free of charge, to any person obtaining a copy of this software "
    'and associated documentation files (the "Software"), to deal in the Software without '
    "restriction, including without limitation the rights to use, copy, modify, merge, publish, "
    "distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the "
    "Software is furnished to do so, subject to the following conditions: The above copyright "
    "notice and this permission notice shall be included in all copies or substantial portions of "
    'the Software. THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR '
    "IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A "
    "PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE "
    "LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR "
    "OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER "
    "DEALINGS IN THE SOFTWARE."
)


def licence_codes(facts) -> list[str]:
    return [each.code for each in licence_observations(facts)]


def test_declared_and_recognised_licences_that_agree():
    facts = describe({"README.md": readme(license="mit"), "LICENSE": MIT})
    assert licence_codes(facts) == []
    component = model_parts(facts, name="m").component
    assert [(each.id, each.acknowledgement) for each in component.licences] == [
        ("MIT", "declared"),
        ("MIT", "concluded"),
    ]
    assert component.evidence is not None


def test_a_declared_licence_that_the_file_contradicts_is_told_and_both_are_shown():
    facts = describe({"README.md": readme(license="apache-2.0"), "LICENSE": MIT})
    assert licence_codes(facts) == ["licence-conflict"]
    component = model_parts(facts, name="m").component
    assert [each.id for each in component.licences] == ["Apache-2.0", "MIT"]


def test_a_title_that_contradicts_is_told_and_concludes_nothing():
    facts = describe(
        {
            "README.md": readme(license="apache-2.0"),
            "LICENSE.txt": "LLAMA 2 COMMUNITY LICENSE AGREEMENT\nterms",
        }
    )
    assert licence_codes(facts) == ["licence-conflict"]
    component = model_parts(facts, name="m").component
    assert [each.id for each in component.licences] == ["Apache-2.0"]
    told = properties(facts)
    assert told["attest:licence-file:LICENSE.txt:title-of"] == "LicenseRef-llama2"


def test_a_gguf_header_that_contradicts_is_told():
    facts = describe(
        {
            "README.md": readme(license="apache-2.0"),
            "m.gguf": gguf({"general.architecture": "llama", "general.license": "llama2"}),
        }
    )
    assert licence_codes(facts) == ["licence-conflict"]


def test_a_gguf_header_names_base_models_where_no_card_does():
    said = {
        "general.architecture": "llama",
        "general.base_model.0.repo_url": "https://huggingface.co/acme/base",
        "general.base_model.0.name": "Base",
        "general.base_model.1.name": "Other",
    }
    facts = describe({"m.gguf": gguf(said)})
    made_from = [(each.kind, each.name, each.where) for each in card_materials(facts)]
    place = "m.gguf#general.base_model"
    assert made_from == [("model", "acme/base", place), ("model", "Other", place)]
    card = b"---\nbase_model: acme/third\n---\n"
    facts = describe({"m.gguf": gguf(said), "README.md": card})
    assert [each.name for each in card_materials(facts)] == ["acme/third"]


def test_odd_headers_are_told():
    header = json.dumps(
        {
            "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
            "b": {"dtype": "F32", "shape": [3], "data_offsets": [4, 16]},
        }
    ).encode()
    content = len(header).to_bytes(8, "little") + header + bytes(16)
    observed = describe({"m.safetensors": content}).observations
    assert [each.where for each in observed if each.code == "weights-odd"] == ["m.safetensors"]


def test_shapes_are_counted():
    facts = describe({"m.gguf": gguf({"general.architecture": "llama"}, elements=64)})
    assert facts.weights[0].shapes == {"F32[64]": 1}
    tensors = [Tensor("a", "float32", 6, (2, 3)), Tensor("b", "float32", 6, (2, 3))]
    assert torch_weights("x.pt", tensors).shapes == {"float32[2,3]": 2}


def test_a_gguf_header_declares_where_no_card_does():
    facts = describe(
        {"m.gguf": gguf({"general.architecture": "llama", "general.license": "llama2"})}
    )
    assert licence_codes(facts) == []
    assert facts.read_from["licenses"] == "m.gguf#general.license"
    (licence,) = model_parts(facts, name="m").component.licences
    assert "LicenseRef-llama2" in (licence.name, licence.expression, licence.id)
    facts = describe({"m.gguf": gguf({"general.architecture": "llama", "general.license": "acme"})})
    assert licence_codes(facts) == ["licence-unknown"]


def test_a_later_version_clause_is_no_contradiction():
    facts = describe({"README.md": readme(license="GPL-3.0-or-later"), "COPYING": gpl3()})
    assert licence_codes(facts) == []


def gpl3() -> str:
    from pathlib import Path

    path = Path("/usr/share/common-licenses/GPL-3")
    if not path.exists():
        pytest.skip("the text of the GPL is not on this machine")
    return path.read_text(encoding="utf-8")


def test_no_licence_and_an_unknown_one_are_told():
    assert licence_codes(describe({"config.json": {}})) == ["licence-missing"]
    assert licence_codes(describe({"README.md": readme(license="acme")})) == ["licence-unknown"]
    told = properties(describe({"README.md": readme(license="acme")}))
    assert told["attest:licence:unknown"] == "acme"


def test_restrictions_are_shown():
    told = properties(describe({"README.md": readme(license="llama3.1")}))
    assert "commercial-threshold" in told["attest:licence:classes:LicenseRef-llama3.1"]


def test_an_unrecognised_licence_file_is_named_by_its_digest():
    facts = describe({"LICENSE": b"\xff\xfe nonsense"})
    told = properties(facts)
    digest = hashlib.sha256(b"\xff\xfe nonsense").hexdigest()
    assert told["attest:licence-file:LICENSE:sha256"] == digest
    assert licence_codes(facts) == ["licence-missing"]


def test_a_huge_licence_file_is_not_read(monkeypatch):
    monkeypatch.setattr(limits, "MAX_LICENCE_TEXT_BYTES", 10)
    assert codes(describe({"LICENSE": MIT})) == ["description-unreadable"]


def test_too_many_of_anything_is_too_large_only_where_a_parser_says_so():
    with pytest.raises((TooLarge, MalformedInput)):
        describe({"x.gguf": b"GGUF" + struct.pack("<IQQ", 3, 1 << 62, 1 << 62)})
