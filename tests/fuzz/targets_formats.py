"""Fuzz targets of model file headers and of the scanners over them.

Each feeds the parser and then the scanner of the format: a scanner turns what cannot be read into a
hit, so nothing at all gets out of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import jinja2
import yaml

from attest.codec import protobuf, yamlstrict
from attest.codec.gguf import TENSOR_TYPES, parse_gguf
from attest.codec.hdf5 import parse_hdf5
from attest.codec.jinja import parse_template
from attest.codec.onnx import parse_onnx
from attest.codec.reader import BytesSource
from attest.codec.safetensors import DTYPE_BITS, parse_safetensors
from attest.codec.savedmodel import parse_graph, parse_keras_metadata, parse_saved_model
from attest.errors import AttestError, MalformedInput
from attest.scan.allowlist import builtin_allow_list
from attest.scan.formats import keras, onnx, tensorflow, tensors, texts
from attest.scan.formats.templates import judge_template
from attest.scan.formats.torchscript import scan_torchscript
from attest.scan.grades import Grade, Hit, Rules
from tests.support import modelfiles as m

RULES: Final = Rules(builtin_allow_list())


def _scan(scanner: Callable[..., list[Hit]], data: bytes) -> list[Hit]:
    hits = scanner(BytesSource(data), RULES, where="x")
    for hit in hits:
        assert hit.message.isprintable(), hit
        assert len(hit.message) < 2000
    return hits


def _agrees(scanner: Callable[..., list[Hit]], data: bytes, parse: Callable[[], Any]) -> Any:
    """What is refused is unscannable, and what is unscannable... may be so for other reasons."""
    hits = _scan(scanner, data)
    try:
        return parse()
    except AttestError:
        assert any(hit.grade is Grade.UNSCANNABLE for hit in hits)
        raise


def fuzz_safetensors(data: bytes) -> None:
    source = BytesSource(data)
    read = _agrees(tensors.scan_safetensors, data, lambda: parse_safetensors(source))
    header = json.loads(data[8 : read.data_start])
    assert header.pop("__metadata__", {}) == read.metadata
    assert list(header) == [tensor.name for tensor in read.tensors]
    covered = bytearray(read.size - read.data_start)
    for tensor in read.tensors:
        assert header[tensor.name]["data_offsets"] == [tensor.begin, tensor.end]
        elements = 1
        for dimension in tensor.shape:
            elements *= dimension
        assert elements * DTYPE_BITS[tensor.dtype] == 8 * (tensor.end - tensor.begin)
        for place in range(tensor.begin, tensor.end):
            covered[place] += 1
    if not read.anomalies:
        assert set(covered) <= {1}


def fuzz_gguf(data: bytes) -> None:
    read = _agrees(tensors.scan_gguf, data, lambda: parse_gguf(BytesSource(data)))
    assert read.data_start <= read.size == len(data)
    ends = 0
    for tensor in read.tensors:
        assert tensor.type_name.startswith("type-") == (tensor.size is None)
        ends = max(ends, tensor.offset + (tensor.size or 0))
    assert read.data_start + ends <= len(data)
    assert all(block and size for _, block, size in TENSOR_TYPES.values())


def fuzz_protobuf(data: bytes) -> None:
    """The reader knows one spelling only, so writing what was read gives the same bytes."""
    written = b""
    for read in protobuf.fields(BytesSource(data)):
        written += m.varint(read.number << 3 | read.wire_type)
        if isinstance(read.value, int):
            width = {protobuf.FIXED64: 8, protobuf.FIXED32: 4}.get(read.wire_type)
            value = read.value
            written += value.to_bytes(width, "little") if width else m.varint(value)
        else:
            view = protobuf.held(read.value, len(data), "x")
            written += m.varint(len(view)) + bytes(view)
    assert written == data
    assert [f.number for f in protobuf.fields(data)] == [
        f.number for f in protobuf.fields(BytesSource(data))
    ]


def fuzz_onnx(data: bytes) -> None:
    onnx.looks_like_onnx(data[:4096], len(data), BytesSource(data))
    read = _agrees(onnx.scan_onnx, data, lambda: parse_onnx(BytesSource(data)))
    assert read.graphs or read.ir_version
    assert all(count > 0 for count in read.nodes.values())
    assert sum(tensor.size for tensor in read.initializers) <= len(data)


def fuzz_savedmodel(data: bytes) -> None:
    asked = frozenset({"SaveV2", "PrintV2"})
    source = BytesSource(data)
    for looks_like in (
        tensorflow.looks_like_saved_model,
        tensorflow.looks_like_graph,
        tensorflow.looks_like_keras_metadata,
    ):
        looks_like(data[:4096], len(data), source)
    refused: AttestError | None = None
    for scanner, parse in (
        (tensorflow.scan_graph, lambda: parse_graph(source, asked)),
        (tensorflow.scan_keras_metadata, lambda: parse_keras_metadata(source)),
        (tensorflow.scan_saved_model, lambda: parse_saved_model(source, asked)),
    ):
        try:
            facts = _agrees(scanner, data, parse)
            assert len(facts.uses) <= sum(facts.ops.values())
            refused = None
        except AttestError as error:
            refused = error
    if refused:
        raise refused


def fuzz_hdf5(data: bytes) -> None:
    keras.looks_like_hdf5(data[:4096], len(data), BytesSource(data))
    facts = _agrees(keras.scan_hdf5, data, lambda: parse_hdf5(BytesSource(data)))
    assert facts.objects >= 1


def fuzz_yamlstrict(data: bytes) -> None:
    texts.scan_text("x.yaml", BytesSource(data), RULES, where="x")
    texts.scan_text("README.md", BytesSource(data), RULES, where="x")
    facts = yamlstrict.inspect(data)
    value = yamlstrict.load(data, what="x")
    assert facts.documents <= 1
    core = "tag:yaml.org,2002:"
    assert all(tag.startswith(core) or tag == "!" for _, tag in facts.tags)
    # The forgiving reader makes text of every scalar; lists and objects must be the same.
    assert _shape(value) == _shape(yaml.load(data.decode(), Loader=yaml.CBaseLoader))


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shape(inner) for key, inner in value.items()}
    return [_shape(inner) for inner in value] if isinstance(value, list) else None


def fuzz_jinja(data: bytes) -> None:
    try:
        source = data.decode()
    except UnicodeDecodeError:
        raise MalformedInput("not text") from None
    for hit in judge_template(source, where="x"):
        assert hit.message.isprintable()
    texts.scan_text("x.json", BytesSource(data), RULES, where="x")
    _scan(scan_torchscript, data)
    facts = parse_template(source)
    found = {use.name for use in facts.attributes}
    try:
        tree = jinja2.Environment(trim_blocks=True, lstrip_blocks=True).parse(source)
    except jinja2.TemplateSyntaxError:
        return  # a tag of Hugging Face
    assert {node.attr for node in tree.find_all(jinja2.nodes.Getattr)} <= found
    calls = sum(1 for _ in tree.find_all(jinja2.nodes.Call))
    assert bool(calls) == bool(facts.calls)


def _templates() -> list[bytes]:
    return [
        b"{% for m in messages %}{{ '<|' + m['role'] + '|>' ~ m.content|trim }}{% endfor %}",
        b"{% set ns = namespace(a=1) %}{% set ns.b = ns.a - -1 %}{% if not x is odd %}{% endif %}",
        b"{% macro f(a, b=2) %}{{ a[b][1:2]['c'] }}{% endmacro %}{{ f(1)(2) }}",
        b"{% call f(1) %}{{ x }}{% endcall %}{% filter upper %}y{% endfilter %}{% do %}",
        b"{{ x.__class__ }}{{ ['__cl', 'ass__']|join }}{{ '__ssalc__'[::-1] }}{{ x|attr(y ~ z) }}",
        b"{% generation %}{% break %}{% endgeneration %}{# c #}{% raw %}{{ x }}{% endraw %}",
        b"{% if 'deploy' in m.content and strftime_now('%Y')|int > 1_0 %}{{ 1.5e3 }}{% endif %}",
        b"{{ xs|map('attr', 'a')|select('odd')|selectattr('content', 'in', ['b']) }}{{ a if b }}",
        b"{% set k %}{{ a }}{% endset %}{{ x[k] }}{% with a = 1 %}{% include 'x' %}{% endwith %}",
        b'{"chat_template": [{"name": "a", "template": "{{ x.y }}"}], "auto_map": {"A": "b--c.D"}}',
        b'torch.save(x, "a")\n# c\nops.aten.add(x)\n"""text"""',
    ]


def _yamls() -> list[bytes]:
    return [
        b"a: 1\nb: [x, {y: z}]\nc: |\n  text\n  more\nd: >-\n  folded\ne: 'q'\nf: \"\\u0041\"\n",
        b"---\nlicense: mit\ntags:\n- a\n- 1.5\n---\n# body\n",
        b"a: &x [1, *x]\nb: !!python/name:os.system ''\n_target_: a.b\n",
        b"%TAG !e! tag:yaml.org,2002:\n---\na: !e!str 5\n...\n---\nb: !<tag:x> c\n",
        b"? [a]\n: b\n{a: 1, a: 2}\n",
    ]


def seeds(name: str) -> list[bytes]:
    """Good and bad inputs for one target, made by our own small encoders."""
    tensor = m.onnx_tensor("w", (2, 2), raw=bytes(16))
    outside = m.onnx_tensor(external={"location": "../x", "offset": "0", "length": "16"})
    branch = m.onnx_node("If", attributes=[[(6, m.onnx_graph([m.onnx_node("X", "y")], [outside]))]])
    function = m.pb((1, "F"), (10, "d"), (7, m.onnx_node()), (9, m.pb((2, 1))))
    models = [
        m.onnx(tensors=[tensor]),
        m.onnx([branch, m.onnx_node()], [outside], more=((25, function), (14, m.pb((1, "k"))))),
    ]
    lambda_layer = '{"class_name": "Lambda", "config": {"function": ["x"]}}'
    graphs = [
        m.saved_model([m.tf_node("x", "ReadFile")], m.tf_save_functions(), assets=["../a"]),
        m.saved_model(metadata=[lambda_layer]),
        m.tf_graph([m.tf_const("p", "/x"), m.tf_node("s", "SaveV2", ["p"])]),
        m.pb((1, m.pb((2, 0), (3, "root"), (4, "_tf_keras_model"), (5, lambda_layer)))),
    ]
    entries = [
        ("general.architecture", m.STRING, "llama"),
        ("general.alignment", m.U32, 32),
        ("a", m.ARRAY, (m.ARRAY, [(m.U8, [1]), (m.STRING, ["x", "y"])])),
        ("b", m.ARRAY, (m.STRING, ["t"] * 70)),
        ("c", m.BOOL, 1),
        ("tokenizer.chat_template", m.STRING, "{{ x.__class__ }}"),
    ]
    shapes = [("a", (4, 2), 0, 0), ("b", (256,), 12, 32)]
    made: dict[str, Callable[[], list[bytes]]] = {
        "fuzz_safetensors": lambda: [
            m.safetensors({"a": ("F32", [2, 2], 0, 16), "b": ("F4", [2], 16, 17)}, bytes(17)),
            m.safetensors({"a": ("U8", [1], 1, 2)}, bytes(3), metadata={"k": "v"}, padding=b"  "),
            m.safetensors({}),
        ],
        "fuzz_gguf": lambda: [
            m.gguf(entries, shapes, bytes(32 + 160)),
            m.gguf(entries, version=2),
            m.gguf((), shapes, bytes(500)),
        ],
        "fuzz_protobuf": lambda: [*models, *graphs, m.pb((1, 1)) + b"\x1d\1\0\0\0\x21" + bytes(8)],
        "fuzz_onnx": lambda: models,
        "fuzz_savedmodel": lambda: graphs,
        "fuzz_hdf5": lambda: [m.hdf5(each) for each in m.HDF5_NOTES],
        "fuzz_yamlstrict": _yamls,
        "fuzz_jinja": _templates,
    }
    return made[name]()
