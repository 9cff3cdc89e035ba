"""JSON, YAML, TorchScript sources, and Keras objects in JSON."""

from __future__ import annotations

import json
import time

import pytest

from attest import limits
from attest.codec.reader import BytesSource
from attest.scan.allowlist import Entry, Use, builtin_allow_list
from attest.scan.formats.configs import scan_json
from attest.scan.formats.texts import scan_text
from attest.scan.formats.torchscript import scan_torchscript, scan_torchscript_code
from attest.scan.formats.yamls import scan_yaml
from attest.scan.grades import Grade, Rules, worst
from tests.support.fixtures import fixture

RULES = Rules(builtin_allow_list())
ALLOWED = Rules(builtin_allow_list().extended([Entry("ours.net", "Net", Use.CLASS, True, "ours")]))


def run(scan, data, rules=RULES):
    if not isinstance(data, bytes):
        data = data.encode() if isinstance(data, str) else json.dumps(data).encode()
    return scan(BytesSource(data), rules, where="")


def grade(scan, data, rules=RULES):
    return worst([Grade.CLEAN, *(hit.grade for hit in run(scan, data, rules))])


# JSON


@pytest.mark.parametrize(
    "value",
    [
        {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "auto_map": None},
        {"auto_map": {}},
        {"trust_remote_code": False},
        {"chat_template": "{{ messages[0]['content'] }}", "eos_token": "</s>"},
        {"chat_template": [{"name": "default", "template": "x"}, {"name": "t", "template": "y"}]},
        {"chat_template": None},
        {"_attn_implementation": "flash_attention_2"},
        {"model": {"vocab": {"auto_map": 5, "__class__": 6, "<s>": 0}, "merges": [["a", "b"]]}},
        {"_class_name": "X", "_diffusers_version": "0.30", "unet": ["diffusers", "UNet"],
         "safety_checker": [None, None], "feature_extractor": ["transformers", "CLIP"]},
        [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}],
        {"auto_mapping": {"base_model_class": "X", "parent_library": "transformers.models.bert"}},
        {"class_name": "cat", "label": 3},
        {"text": '"auto_map": {"x": "y"}', "tags": ["auto_map", "chat_template"]},
        {"weight_map": {"a": "model-00001.safetensors"}},
        5,
        [],
    ],
)  # fmt: skip
def test_ordinary_json(value):
    if isinstance(value, dict) and "model" in value:
        value["model"]["vocab"].pop("auto_map")
    assert run(scan_json, value) == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"auto_map": {"AutoModel": "modeling.X"}}, Grade.SUSPICIOUS),
        ({"auto_map": {"AutoTokenizer": ["a.B", None]}}, Grade.SUSPICIOUS),
        ({"auto_map": ["a.B", None]}, Grade.SUSPICIOUS),
        ({"auto_map": "a.B"}, Grade.SUSPICIOUS),
        ({"auto_map": {"AutoModel": 5}}, Grade.SUSPICIOUS),
        ({"text_config": {"auto_map": {"AutoModel": "modeling.X"}}}, Grade.SUSPICIOUS),
        ({"auto_map": {"AutoModel": "evil/other--modeling.X"}}, Grade.MALICIOUS),
        ({"auto_map": {"AutoTokenizer": [None, "evil/other--tok.X"]}}, Grade.MALICIOUS),
        ({"trust_remote_code": True}, Grade.SUSPICIOUS),
        ({"custom_pipelines": {"x": {"impl": "a.B"}}}, Grade.SUSPICIOUS),
        ({"custom_pipeline": "x/y"}, Grade.SUSPICIOUS),
        ({"_attn_implementation": "evil/kernel"}, Grade.SUSPICIOUS),
        ({"chat_template": "{{ x.__class__ }}"}, Grade.MALICIOUS),
        ({"chat_template": [{"name": "a", "template": "{{ x.__class__ }}"}]}, Grade.MALICIOUS),
        ({"chat_template": {"a": "{{ x.__class__ }}"}}, Grade.MALICIOUS),
        ({"chat_template": [{"name": "a"}]}, Grade.UNSCANNABLE),
        ({"chat_template": ["x"]}, Grade.UNSCANNABLE),
        ({"chat_template": 5}, Grade.UNSCANNABLE),
        ({"chat_template": "{{"}, Grade.UNSCANNABLE),
        ({"processor": {"chat_template": "{{ x.__class__ }}"}}, Grade.MALICIOUS),
        (
            {"_class_name": "X", "_diffusers_version": "1", "unet": ["mine", "Net"]},
            Grade.SUSPICIOUS,
        ),
        ({"_class_name": ["mine", "X"], "_diffusers_version": "1"}, Grade.SUSPICIOUS),
        ([{"idx": 0, "name": "0", "path": "", "type": "custom_st.Transformer"}], Grade.UNLISTED),
        ([{"idx": 0, "name": "0", "path": "", "type": "os.system"}], Grade.MALICIOUS),
        ({"parent_library": "os"}, Grade.MALICIOUS),
        ({"parent_library": "mine"}, Grade.UNLISTED),
        ({"parent_library": 5}, Grade.SUSPICIOUS),
        ({"_target_": "os.system", "_args_": ["id"]}, Grade.MALICIOUS),
        ({"_target_": "builtins.eval"}, Grade.MALICIOUS),
        ({"_target_": "eval"}, Grade.MALICIOUS),
        ({"a": [{"b": {"_target_": "nemo.collections.x.Y"}}]}, Grade.UNLISTED),
        ({"_target_": "torch.serialization.os.system"}, Grade.MALICIOUS),
        ({"_target_": "x y"}, Grade.SUSPICIOUS),
        ({"py/object": "a.B"}, Grade.SUSPICIOUS),
        ({"a": [{"py/reduce": []}]}, Grade.SUSPICIOUS),
    ],
)
def test_json_that_loaders_act_on(value, expected):
    assert grade(scan_json, value) is expected
    # the same with every letter of every key escaped
    escaped = json.dumps(value)
    for key in ("auto_map", "chat_template", "_target_", "trust_remote_code", "parent_library"):
        spelled = "".join(f"\\u{ord(letter):04x}" for letter in key)
        escaped = escaped.replace(f'"{key}"', f'"{spelled}"')
    assert grade(scan_json, escaped) is expected


@pytest.mark.parametrize(
    "data",
    [
        '{"auto_map": {"a": "b"}, "auto_map": {}}',
        '{"auto_map": {"a": "b"}',
        '{"auto_map": NaN}',
        '{"auto_map": ' + "[" * 100_000,
        '// comment\n{"auto_map": {}}',
        b'{"auto_map": "\xff"}',
        '{"auto_map": "\\ud800"}',
    ],
)
def test_json_that_matters_and_cannot_be_read(data):
    assert grade(scan_json, data) is Grade.UNSCANNABLE


@pytest.mark.parametrize(
    "data",
    ['{"loss": NaN}', '{"a": 1, "a": 2}', "[" * 200, '{"a"', b'{"a": "\xff"}', '{"py/"'],
)
def test_json_that_does_not_matter(data):
    assert run(scan_json, data) == []


@pytest.mark.parametrize("data", ["[" * 100_000, '{"a":' * 201, "[" * 201 + "]" * 201])
def test_json_that_no_loader_should_recurse_into(data):
    (hit,) = run(scan_json, data)
    assert (hit.code, hit.grade) == ("nested-too-deep", Grade.UNSCANNABLE)


def test_keys_across_the_pieces_of_a_large_file():
    for at in range(limits.MIB - 12, limits.MIB + 2):
        data = '{"x": "' + "y" * (at - 9) + '", "auto_map": {"A": "b.C"}}'
        assert grade(scan_json, data) is Grade.SUSPICIOUS


def test_white_space_between_key_and_colon():
    data = b'{"auto_map"' + b" " * (3 * limits.MIB) + b': {"A": "b.C"}}'
    assert grade(scan_json, data) is Grade.SUSPICIOUS


def test_json_of_very_many_lists():
    data = b'{"auto_map": null, "x": [' + b"[]," * 2_100_000 + b"0]}"
    assert grade(scan_json, data) is Grade.UNSCANNABLE


def test_json_that_is_too_large():
    data = b'{"auto_map": {"A": "b.C"}, "x": "' + b"y" * limits.MAX_SCAN_JSON_BYTES + b'"}'
    assert grade(scan_json, data) is Grade.UNSCANNABLE


def test_a_large_vocabulary_is_not_parsed():
    data = json.dumps({"model": {"vocab": {f"t{i}": i for i in range(300_000)}}})
    begin = time.process_time()
    assert run(scan_json, data) == []
    assert time.process_time() - begin < 10


def test_site_additions_count():
    assert grade(scan_json, {"_target_": "ours.net.Net"}) is Grade.UNLISTED
    assert grade(scan_json, {"_target_": "ours.net.Net"}, ALLOWED) is Grade.CLEAN


# Keras objects


def layer(**members):
    return {"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", **members}]}}


@pytest.mark.parametrize(
    "value",
    [
        layer(config={"units": 2, "activation": "relu"}),
        layer(module="keras.layers", registered_name=None, config={}),
        layer(module="keras.src.layers.core.dense", config={}),
        layer(module="tf_keras.layers", config={}),
        layer(module="tensorflow.keras.layers", config={}),
        layer(module="keras", config={}),
        {"class_name": "Adam", "module": "keras.optimizers", "config": {}},
        {"class_name": "Functional", "module": "keras.src.models.functional", "config": {}},
        {"class_name": "Functional", "module": "keras.src.engine.functional", "config": {}},
        {"class_name": "function", "module": "builtins", "config": "relu"},
        {"class_name": "function", "module": "keras.activations", "config": "relu"},
        {"class_name": "DTypePolicy", "module": "keras", "config": {"name": "float32"}},
        {"class_name": "StringLookup", "config": {"vocabulary": ["a", "b"]}},
        {"class_name": "TFOpLambda", "config": {"function": "math.add"}},
        {"class_name": "__tuple__", "items": [1]},
    ],
)
def test_keras(value):
    assert run(scan_json, value) == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"class_name": "Lambda", "config": {"function": ["4wEA", None, None]}}, Grade.MALICIOUS),
        ({"class_name": "Lambda", "config": {"function": {"class_name": "__lambda__",
                                                          "config": {"code": "4wEA"}}}},
         Grade.MALICIOUS),
        ({"class_name": "Lambda", "config": {}}, Grade.MALICIOUS),
        ({"class_name": "Lambda", "config": {"function": "named", "function_type": "function"}},
         Grade.SUSPICIOUS),
        ({"class_name": "__lambda__", "config": {"code": "4wEA"}}, Grade.MALICIOUS),
        (layer(module="os", config={}), Grade.MALICIOUS),
        ({"class_name": "function", "module": "os", "config": "system"}, Grade.MALICIOUS),
        ({"class_name": "function", "module": "builtins", "config": "eval"}, Grade.MALICIOUS),
        ({"class_name": "function", "module": "builtins", "config": "my_loss"}, Grade.UNLISTED),
        ({"class_name": "Popen", "module": "subprocess", "config": {}}, Grade.MALICIOUS),
        ({"class_name": "function", "module": "keras.utils", "config": "get_file"},
         Grade.MALICIOUS),
        ({"class_name": "function", "module": "keras.models", "config": "load_model"},
         Grade.MALICIOUS),
        ({"class_name": "load_model", "module": "keras.models", "config": {}}, Grade.MALICIOUS),
        ({"class_name": "function", "module": "keras.config",
          "config": "enable_unsafe_deserialization"}, Grade.MALICIOUS),
        ({"class_name": "function", "module": "keras.config", "config": "x"}, Grade.UNLISTED),
        ({"class_name": "Lambda"}, Grade.MALICIOUS),
        ({"class_name": "keras.layers.Lambda", "config": {"function": ["4wE="]}}, Grade.MALICIOUS),
        ({"class_name": "Ours>Lambda", "config": {"function": ["4wE="]}}, Grade.MALICIOUS),
        ({"class_name": "os.system", "config": {}}, Grade.MALICIOUS),
        ({"class_name": "Ours>Layer", "config": {}}, Grade.UNLISTED),
        ({"class_name": "X", "module": "keras.src.utils.x", "config": {}}, Grade.UNLISTED),
        ({"class_name": "X", "module": "keras_hub.models", "config": {}}, Grade.UNLISTED),
        ({"class_name": "X", "module": "kerasevil.layers", "config": {}}, Grade.UNLISTED),
        ({"class_name": "X", "module": "ours", "registered_name": "Ours>X"}, Grade.UNLISTED),
        ({"class_name": "X", "registered_name": "Ours>X", "config": {}}, Grade.UNLISTED),
        ({"class_name": "X", "module": 5, "config": {}}, Grade.SUSPICIOUS),
        ({"class_name": "TFSMLayer", "config": {"filepath": "x"}}, Grade.SUSPICIOUS),
        ({"class_name": "TorchModuleWrapper", "config": {}}, Grade.SUSPICIOUS),
        ({"class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}}, Grade.MALICIOUS),
        ({"class_name": "StringLookup", "config": {"vocabulary": "http://x/y"}}, Grade.MALICIOUS),
        ({"class_name": "StringLookup", "config": {"vocabulary": "v.txt"}}, Grade.SUSPICIOUS),
        ({"class_name": "TFOpLambda", "config": {"function": "io.write_file"}}, Grade.MALICIOUS),
        ({"class_name": "TFOpLambda", "config": {"function": "py_function"}}, Grade.MALICIOUS),
    ],
)  # fmt: skip
def test_keras_that_is_not_clean(value, expected):
    assert grade(scan_json, value) is expected
    assert grade(scan_json, {"config": {"layers": [{"config": {"deep": [value]}}]}}) is expected


def test_chat_templates_are_bounded_together():
    value = {"chat_template": [{"name": str(n), "template": "x" * 200_000} for n in range(6)]}
    (hit,) = run(scan_json, value)
    assert (hit.code, hit.grade) == ("too-large", Grade.UNSCANNABLE)


# YAML


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\nb: [x, y]",
        "a: &x 1\nb: *x",
        "a: !!str 5\nb: !!set {c}\nd: !!binary aGk=\ne: !!timestamp 2026-01-01",
        "a: !!python/tuple [1]",
        "# !!python/object/apply:os.system",
        "a: '!!python/name:x'",
        "a: b\n---\nc: d",
        "",
    ],
)
def test_yaml(text):
    assert run(scan_yaml, text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("!!python/object/apply:os.system ['id']", Grade.MALICIOUS),
        ("a: !!python/object/new:x.Y {}", Grade.MALICIOUS),
        ("a: !!python/name:x.y ''", Grade.MALICIOUS),
        ("a: !!python/module:os ''", Grade.MALICIOUS),
        ("a: !<tag:yaml.org,2002:python/name:x> ''", Grade.MALICIOUS),
        ("%TAG !p! tag:yaml.org,2002:python/\n---\na: !p!name:x ''", Grade.MALICIOUS),
        ("a: !python/object:x {}", Grade.MALICIOUS),
        ("ok: 1\n---\na: !!python/name:x ''", Grade.MALICIOUS),
        ("a: !!javax.script.ScriptEngineManager []", Grade.MALICIOUS),
        ("a: !ruby/object:Gem {}", Grade.MALICIOUS),
        ("a: !new:speechbrain.nnet.X", Grade.UNLISTED),
        ("a: !apply:os.system [id]", Grade.MALICIOUS),
        ("a: !new:subprocess.Popen [id]", Grade.MALICIOUS),
        ("a: !new:ours.net.Net", Grade.UNLISTED),
        ("a: !custom b", Grade.UNLISTED),
        ("model:\n  _target_: os.system", Grade.MALICIOUS),
        ("model: {_target_: nemo.core.X}", Grade.UNLISTED),
        ("'_target_': builtins.exec", Grade.MALICIOUS),
        ("model: {target: os.system, params: {}}", Grade.MALICIOUS),
        ("class_path: subprocess.Popen", Grade.MALICIOUS),
        ("a: [", Grade.UNSCANNABLE),
        ("[" * 1000, Grade.UNSCANNABLE),
        (b"\xff\xfea\0", Grade.UNSCANNABLE),
        ("#" * (limits.MAX_YAML_BYTES + 1), Grade.UNSCANNABLE),
    ],
)
def test_yaml_that_is_not_clean(text, expected):
    assert grade(scan_yaml, text) is expected


@pytest.mark.parametrize("text", ["target: ldm.models.Net", "target: accuracy", "class_path: a.b"])
def test_keys_that_are_classes_to_some_are_told_by_dangerous_names_only(text):
    assert grade(scan_yaml, text) is Grade.CLEAN


def test_billion_laughs():
    text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        text += f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    (hit,) = run(scan_yaml, text)
    assert hit.code == "yaml-alias-bomb"


def test_yaml_site_additions_count():
    assert grade(scan_yaml, "a: !new:ours.net.Net", ALLOWED) is Grade.CLEAN
    assert grade(scan_yaml, "a: {_target_: ours.net.Net}", ALLOWED) is Grade.CLEAN


# which text is which


@pytest.mark.parametrize(
    ("name", "data", "kind", "expected"),
    [
        ("config.json", '{"auto_map": {"a": "b.C"}}', "json", Grade.SUSPICIOUS),
        ("saved_model.pbtxt", 'node { name: "n" op: "ReadFile" }', "tf-text", Grade.MALICIOUS),
        ("graph.pbtxt", "node {\n op: 'Add'\n}", "tf-text", Grade.UNSCANNABLE),
        ("config.pbtxt", 'name: "m"\nplatform: "onnxruntime_onnx"\n', "text", Grade.CLEAN),
        ("config", '{"auto_map": {"a": "b.C"}}', "json", Grade.SUSPICIOUS),
        ("x.txt", ' \n[{"auto_map": {"a": "b.C"}}]', "json", Grade.SUSPICIOUS),
        ("train.jsonl", '{"auto_map": {"a": "b.C"}}\n{}', "json", Grade.CLEAN),
        ("chat_template.jinja", "{{ x.__class__ }}", "template", Grade.MALICIOUS),
        ("a/CHAT_TEMPLATE.JINJA", "{{ x.__class__ }}", "template", Grade.MALICIOUS),
        ("additional_chat_templates/tool.j2", "{{ x.__class__ }}", "template", Grade.MALICIOUS),
        ("chat_template", "{{ x.__class__ }}", "template", Grade.MALICIOUS),
        ("chat_template.json", '{"chat_template": "{{ x.__class__ }}"}', "json", Grade.MALICIOUS),
        ("conf.yml", "a: !!python/name:x ''", "yaml", Grade.MALICIOUS),
        ("model.tar!conf.yaml", "a: !!python/name:x ''", "yaml", Grade.MALICIOUS),
        ("conf", "a: !!python/name:x ''", "text", Grade.MALICIOUS),
        ("README.md", "---\na: !!python/name:x ''\n---\n# Hi: [", "text", Grade.MALICIOUS),
        ("README.md", "---\nlicense: mit\n---\n# Hi: [", "text", Grade.CLEAN),
        ("README.md", "Never use `!!python/object` tags: [", "text", Grade.CLEAN),
        ("vocab.txt", "hello\nworld\n", "text", Grade.CLEAN),
        ("vocab.txt", "[PAD]\n[UNK]\n", "text", Grade.CLEAN),
        ("x", " " * 5000 + '{"auto_map": {"a": "b.C"}}', "json", Grade.SUSPICIOUS),
        ("x", "{" + " " * 5000 + '"auto_map": {"a": "b.C"}}', "json", Grade.SUSPICIOUS),
    ],
)
def test_which_text_is_which(name, data, kind, expected):
    found, hits = scan_text(name, BytesSource(data.encode()), RULES, where="")
    assert found == kind
    assert worst([Grade.CLEAN, *(hit.grade for hit in hits)]) is expected


# TorchScript


@pytest.mark.parametrize(
    "text",
    [
        "class M(Module):\n  w : Tensor\n  def forward(self, x: Tensor) -> Tensor:\n"
        "    _0 = torch.add(torch.matmul(x, self.w), CONSTANTS.c0, alpha=1)\n"
        "    _1 = ops.prim.NumToTensor(torch.size(x, 0))\n    _2 = ops.quantized.linear(x, _1)\n"
        "    return (self.layer).forward(_0, )\n",
        'x = "torch.save(x)"  # torch.load\n',
        "x = 'it\\'s torch.save'\n",
        '"""torch.save\n"quoted" import os"""\n',
        "__torch__.torch.nn.modules.linear.Linear",
        "y = (self).save(x, )\n",
        "print(x)",
        'y = (getattr(self.features, "0")).forward(x, )',
        "",
    ],
)
def test_torchscript(text):
    assert run(scan_torchscript, text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('torch.save(x, "/tmp/x")', Grade.MALICIOUS),
        ('y = torch.from_file("/etc/passwd", False, 10)', Grade.MALICIOUS),
        ("ops.aten.save(x)", Grade.MALICIOUS),
        ("ops . aten . from_file ( x )", Grade.MALICIOUS),
        ("torch.ops.image.read_file(x)", Grade.MALICIOUS),
        ("ops.image.write_file(x)", Grade.MALICIOUS),
        ("torch.load(x)", Grade.MALICIOUS),
        ("f = torch.save", Grade.MALICIOUS),
        ('x = "\\""; torch.save(y)', Grade.MALICIOUS),
        ("x = '\"'; torch.save(y) # '\"'", Grade.MALICIOUS),
        ('x = """a"""; torch.save(y)', Grade.MALICIOUS),
        ('x = "unterminated\ntorch.save(y)', Grade.MALICIOUS),
        ("y = (torch\n  .save(x))", Grade.MALICIOUS),
        ("y = (torch # note\n  .save(x))", Grade.MALICIOUS),
        ("y = torch. \\\n save(x)", Grade.MALICIOUS),
        ('getattr(ops.aten, "save")(x)', Grade.SUSPICIOUS),
        ('getattr( torch, "save")(x)', Grade.SUSPICIOUS),
        ("ops.evil.op(x)", Grade.UNLISTED),
        ("torch.ops.evil.op(x)", Grade.UNLISTED),
        ("x : __torch__.torch.classes.evil.C", Grade.UNLISTED),
        ("x = ^Function(1)(y)", Grade.SUSPICIOUS),
        ("import os", Grade.SUSPICIOUS),
        ("  from os import system", Grade.SUSPICIOUS),
        ("eval('1')", Grade.SUSPICIOUS),
        ("__import__('os')", Grade.SUSPICIOUS),
        ("os.system('id')", Grade.SUSPICIOUS),
        ("subprocess.call(x)", Grade.SUSPICIOUS),
        (b"\xff", Grade.UNSCANNABLE),
        ("#" * (limits.MAX_SOURCE_BYTES + 1), Grade.UNSCANNABLE),
    ],
)
def test_torchscript_that_is_not_clean(text, expected):
    assert grade(scan_torchscript, text) is expected


@pytest.mark.parametrize(
    "text", ['"' * 1_000_000, "'\\" * 500_000, '"""' + '"a' * 500_000, "a." * 500_000,
             "^ " * 500_000, "(" * 1_000_000, " \t" * 500_000, "= " * 500_000]
)  # fmt: skip
def test_torchscript_is_read_in_linear_time(text):
    begin = time.process_time()
    run(scan_torchscript, text)
    assert time.process_time() - begin < 30


def test_torchscript_members():
    hits = scan_torchscript_code({"code/a.py": b"torch.save(x)"}, RULES, where="m.pt")
    assert [hit.where for hit in hits] == ["m.pt!code/a.py"]


# the shared fixtures


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("benign/config.json", Grade.CLEAN),
        ("benign/tokenizer_config.json", Grade.CLEAN),
        ("malicious/tokenizer_config.json", Grade.MALICIOUS),
        ("malicious/config_ext_repo/config.json", Grade.MALICIOUS),
        ("malicious/config.yaml", Grade.MALICIOUS),
    ],
)
def test_fixtures(name, expected):
    source = BytesSource(fixture("pickles", name).read_bytes())
    _, hits = scan_text(name, source, RULES, where="")
    assert worst([Grade.CLEAN, *(hit.grade for hit in hits)]) is expected
