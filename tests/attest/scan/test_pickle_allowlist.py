"""The allow-list, what a site may add to it, and the table of dangerous names."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from attest import limits
from attest.errors import MalformedInput, TooLarge, Truncated, Unsupported
from attest.scan import arguments, danger
from attest.scan.allowlist import (
    SITE_LIST_SCHEMA,
    AllowList,
    Entry,
    Use,
    builtin_allow_list,
    is_plain_name,
    parse_site_list,
)
from attest.scan.machine import renamed

PAGE = Path(__file__).parents[3] / "docs" / "formats" / "scan-allow-list.md"
GOOD = {"module": "megatron.core.enums", "name": "ModelType", "reason": "an enum, read by A. Body"}


def site(*entries, **others) -> bytes:
    return json.dumps({"schema": SITE_LIST_SCHEMA, "entries": list(entries), **others}).encode()


def test_the_list_is_exact():
    allow = builtin_allow_list()
    assert allow.find("collections", "OrderedDict") == Entry(
        "collections", "OrderedDict", Use.CLASS
    )
    for module, name in (
        ("collections", "orderedDict"),
        ("collections", "OrderedDict "),
        ("collections.OrderedDict", ""),
        ("collections", "abc.Mapping"),
        ("torch", "load"),
        ("torch.storage", "_load_from_bytes"),
        ("builtins", "eval"),
        ("numpy", "load"),
    ):
        assert allow.find(module, name) is None


def test_no_listed_name_is_on_the_table_of_dangerous_ones():
    for entry in builtin_allow_list().entries:
        assert not danger.is_dangerous(entry.module, entry.name), entry
        assert not danger.is_indirect(entry.module, entry.name), entry
        assert is_plain_name(entry.module, entry.name)
        assert not entry.site


def test_renaming_leaves_listed_names_alone():
    """torch renames in every protocol, CPython only up to 2: both find the same thing."""
    for entry in builtin_allow_list().entries:
        assert renamed(entry.module, entry.name) == (entry.module, entry.name)


def test_every_listed_callable_has_its_arguments_checked():
    for entry in builtin_allow_list().entries:
        checked = (entry.module, entry.name) in arguments.CALLS
        legacy = entry.name.endswith("Tensor")
        assert checked == (entry.use is not Use.CONSTANT and not (legacy and not checked))
    listed = {(entry.module, entry.name) for entry in builtin_allow_list().entries}
    assert listed >= arguments.CALLS.keys() >= arguments.MADE_NEW


def test_the_page_names_every_entry_and_the_digest():
    page = PAGE.read_text(encoding="utf-8")
    assert builtin_allow_list().digest in page
    words = set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", page))
    missing = {entry.name for entry in builtin_allow_list().entries} - words
    assert not missing


def test_the_digest_is_of_what_is_allowed():
    one = AllowList(frozenset([Entry("a", "b", Use.CLASS)]))
    again = AllowList(frozenset([Entry("a", "b", Use.CLASS, reason="other words")]))
    other = AllowList(frozenset([Entry("a", "b", Use.FUNCTION)]))
    by_site = AllowList(frozenset([Entry("a", "b", Use.CLASS, site=True)]))
    assert one.digest == again.digest
    assert len({one.digest, other.digest, by_site.digest, AllowList(frozenset()).digest}) == 4
    assert re.fullmatch(r"[0-9a-f]{64}", one.digest)


def test_the_digest_by_hand():
    import hashlib

    text = b"attest-scan-allow-list-v1\na b class builtin\nc d function site\n"
    listed = [Entry("c", "d", Use.FUNCTION, site=True), Entry("a", "b", Use.CLASS)]
    assert AllowList(frozenset(listed)).digest == hashlib.sha256(text).hexdigest()


def test_a_name_twice_is_a_mistake():
    with pytest.raises(ValueError):
        AllowList(frozenset([Entry("a", "b", Use.CLASS), Entry("a", "b", Use.CONSTANT)]))


def test_a_site_adds_names():
    (entry, constant) = parse_site_list(site(GOOD, {**GOOD, "name": "X", "use": "constant"}))
    assert entry == Entry("megatron.core.enums", "ModelType", Use.CLASS, True, GOOD["reason"])
    assert constant.use is Use.CONSTANT
    allow = builtin_allow_list().extended([entry, constant])
    assert allow.find("megatron.core.enums", "ModelType") == entry
    assert len(allow.entries) == len(builtin_allow_list().entries) + 2
    assert allow.digest != builtin_allow_list().digest


def test_a_site_does_not_loosen_what_is_listed():
    (entry,) = parse_site_list(site({**GOOD, "module": "torch", "name": "float32"}))
    allow = builtin_allow_list().extended([entry])
    assert allow.find("torch", "float32") == Entry("torch", "float32", Use.CONSTANT)
    assert allow.digest == builtin_allow_list().digest


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "eval"),
        ("builtins", "set"),
        ("__builtin__", "object"),
        ("os", "getcwd"),
        ("os.path", "join"),
        ("posix", "system"),
        ("subprocess", "Popen"),
        ("sys", "modules"),
        ("importlib", "import_module"),
        ("importlib.machinery", "SourceFileLoader"),
        ("pickle", "loads"),
        ("torch.storage", "_load_from_bytes"),
        ("functools", "partial"),
        ("operator", "attrgetter"),
        ("types", "CodeType"),
        ("numpy", "__builtins__"),
        ("mylib", "os"),
        ("mylib", "__import__"),
    ],
)
def test_names_that_no_site_can_allow(module, name):
    with pytest.raises(Unsupported, match="cannot allow") as caught:
        parse_site_list(site({**GOOD, "module": module, "name": name}))
    assert caught.value.code == "cannot-allow"
    with pytest.raises(Unsupported):
        builtin_allow_list().extended([Entry(module, name, Use.CLASS, site=True)])


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("a", "B.c"),
        ("a", ""),
        ("", "b"),
        ("a b", "c"),
        ("a.", "b"),
        (".a", "b"),
        ("a", "b*"),
        ("*", "*"),
        ("a", "b\n"),
        ("ｏｓ", "x"),
        ("a" * 600, "b"),
    ],
)
def test_names_that_are_no_names(module, name):
    with pytest.raises(MalformedInput):
        parse_site_list(site({**GOOD, "module": module, "name": name}))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", Truncated),
        (b"{", Truncated),
        (b"[]", MalformedInput),
        (b"{}", MalformedInput),
        (json.dumps({"schema": "urn:other", "entries": []}).encode(), Unsupported),
        (json.dumps({"schema": SITE_LIST_SCHEMA}).encode(), MalformedInput),
        (site("x"), MalformedInput),
        (site({"module": "a", "name": "b"}), MalformedInput),
        (site({**GOOD, "reason": " "}), MalformedInput),
        (site({**GOOD, "use": "anything"}), MalformedInput),
        (site({**GOOD, "use": []}), MalformedInput),
        (site({**GOOD, "Use": "class"}), MalformedInput),
        (site({**GOOD, "module": 1}), MalformedInput),
        (site(GOOD, GOOD), MalformedInput),
        (site(GOOD)[:-1] + b',"entries":[]}', MalformedInput),
        (b" " * (limits.MAX_SITE_LIST_BYTES + 1), TooLarge),
    ],
)
def test_site_lists_that_are_refused(data, kind):
    with pytest.raises(kind):
        parse_site_list(data)


@pytest.mark.parametrize(
    ("module", "name", "dangerous"),
    [
        ("os", "system", True),
        ("os.path", "join", True),
        ("oslo", "system_", False),
        ("osmium", "x", False),
        ("pathlib", "Path.write_text", True),
        ("pathlib", "PosixPath", False),
        ("pathlib._local", "PosixPath", False),
        ("code", "InteractiveInterpreter", True),
        ("encode", "x", False),
        ("torch.hub", "load", True),
        ("torch", "load", True),
        ("torch", "loads", False),
        ("joblib", "load", True),
        ("joblib.numpy_pickle", "NumpyArrayWrapper", False),
        ("x.y", "a.__globals__", True),
        ("x.y", "__reduce__", True),
        ("x.y", "__dunder", False),
        ("copyreg", "__newobj__", False),
        ("sympy", "Symbol", False),
        ("_io", "BytesIO", False),
        ("_io", "FileIO", True),
        ("torch.utils.benchmark", "Timer", True),
        ("torch.testing._internal.common_utils", "run_test_ext", True),
        ("torch._dynamo.decorators", "_DimRange", False),
        ("random", "_test_generator", True),
        ("random", "Random", False),
        ("pstats", "Stats", True),
        ("_interpreters", "exec", True),
        ("keras.config", "enable_unsafe_deserialization", True),
        ("numpy.rec", "fromfile", True),
        ("xml.etree.ElementTree", "Element", False),
        ("IPython", "start_ipython", True),
    ],
)
def test_the_table_of_dangerous_names(module, name, dangerous):
    assert danger.is_dangerous(module, name) is dangerous
