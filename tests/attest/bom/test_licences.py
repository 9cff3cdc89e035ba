"""Licences: expressions by anybody, the registry, recognised texts. Unknown is never allowed."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from cyclonedx.spdx import is_supported_id
from hypothesis import given
from hypothesis import strategies as st

from attest import limits
from attest.bom.components import clean_url
from attest.bom.licenceregistry import registry
from attest.bom.licences import (
    NOTHING,
    bom_licences,
    declared_licence,
    licence_properties,
    match_text,
    parse_expression,
)
from attest.errors import MalformedInput, TooLarge

ROOT = Path(__file__).parents[3]

HUB_IDS = """
apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0
bigcode-openrail-m afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear
c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0
cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0
cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl
ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1
lgpl-3.0 isc h-research intel-research lppl-1.3c ms-pl apple-ascl apple-amlr mpl-2.0 odc-by odbl
openmdw-1.0 openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr
deepfloyd-if-license fair-noncommercial-research-license llama2 llama3 llama3.1 llama3.2 llama3.3
llama4 grok2-community gemma unknown other
"""
"""Licence ids of the Hugging Face Hub."""

FAMILIES = {"bsd", "cc", "gfdl", "gpl", "lgpl", "unknown", "other"}


# -- the registry --------------------------------------------------------------------------------


@pytest.mark.parametrize("identifier", HUB_IDS.split())
def test_every_id_of_the_hub_is_known_or_names_no_one_licence(identifier):
    facts = declared_licence(identifier)
    assert facts.known is (identifier not in FAMILIES)
    if facts.known:
        assert facts.expression is not None
        (licence,) = bom_licences(facts, "declared")
        assert licence.acknowledgement == "declared"
        assert parse_expression(facts.expression).known


def test_every_entry_is_complete():
    shipped = registry()
    for entry in shipped.entries.values():
        assert re.fullmatch(r"LicenseRef-[A-Za-z0-9.-]+", entry.id)
        assert set(entry.classes) <= set(shipped.classes)
        assert list(entry.classes) == sorted(entry.classes)
        assert len(entry.clauses) > 20, "says where its classes were read"
        assert clean_url(entry.url) == entry.url
        assert all(name == name.lower() for name in entry.names)
    assert all(
        is_supported_id(one) or one in shipped.entries for one in shipped.hugging_face.values()
    )
    assert all(is_supported_id(one) for one in shipped.spdx_classes)
    known = [each.licence for each in shipped.texts]
    assert all(is_supported_id(one) or one in shipped.entries for one in known)


def test_names_and_ids_lead_to_one_licence_each():
    seen = [name for entry in registry().entries.values() for name in entry.names]
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize(
    ("identifier", "classes"),
    [
        ("llama2", {"commercial-threshold", "no-model-training", "acceptable-use-policy"}),
        ("llama3.1", {"commercial-threshold", "attribution-naming", "acceptable-use-policy"}),
        ("gemma", {"acceptable-use-policy"}),
        ("apple-amlr", {"research-only", "non-commercial"}),
        ("cc-by-nc-4.0", {"non-commercial"}),
        ("cc-by-nc-nd-4.0", {"non-commercial", "no-derivatives"}),
        ("bigscience-bloom-rail-1.0", {"field-of-use", "pass-on-restrictions"}),
    ],
)
def test_classes(identifier, classes):
    (found,) = declared_licence(identifier).classes.values()
    assert classes <= set(found)


def test_later_llama_licences_allow_training_on_outputs():
    (found,) = declared_licence("llama3.1").classes.values()
    assert "no-model-training" not in found


def test_licences_without_restrictions_have_no_classes():
    for identifier in ("apache-2.0", "mit", "cc-by-4.0", "openmdw-1.0"):
        facts = declared_licence(identifier)
        assert facts.known
        assert facts.classes == {}


# -- what a card declares ------------------------------------------------------------------------


def test_nothing_declared_is_not_known():
    for value in tuple[object, ...]((None, "", [])):
        assert declared_licence(value) == NOTHING
    assert not NOTHING.known


@pytest.mark.parametrize(
    "value",
    [
        "my-own-licence",
        "Apache 2.0",
        "MIT AND",
        "MIT OR my-own-licence",
        "see LICENSE",
        "(MIT",
        "MIT\x00",
        "\u202eTIM",
        5,
        1.5,
        True,
        {"id": "mit"},
        ["mit", 5],
        ["mit", ["apache-2.0"]],
        "\ud800",
        "x" * 10_000,
        "(" * 10_000 + "MIT" + ")" * 10_000,
        " AND ".join(["MIT"] * 10_000),
        ["mit"] * 10_000,
    ],
)
def test_what_is_not_understood_is_unknown_and_quick(value):
    begin = time.process_time()
    facts = declared_licence(value)
    assert not facts.known
    assert facts.unknown
    assert bom_licences(facts, "declared"), "an unknown licence is still shown"
    assert any(each.name == "attest:licence:unknown" for each in licence_properties(facts))
    assert time.process_time() - begin < 10


def test_a_list_means_all_of_them():
    facts = declared_licence(["mit", "llama2"])
    assert facts.expression == "MIT AND LicenseRef-llama2"
    assert facts.known
    mixed = declared_licence(["MIT OR ISC", "apache-2.0"])
    assert mixed.expression == "(MIT OR ISC) AND Apache-2.0"
    unknown = declared_licence(["mit", "weird"])
    assert unknown.expression is None
    assert unknown.unknown == ("weird",)
    assert {each.id or each.name for each in bom_licences(unknown, "declared")} == {"MIT", "weird"}


def test_other_is_what_its_name_says():
    assert declared_licence("other", name="DeepSeek").expression == "LicenseRef-deepseek"
    assert declared_licence("other", name="qwen-research").known
    assert declared_licence(None, name="gemma").expression == "LicenseRef-gemma"
    unknown = declared_licence("other", name="acme-1.0", link="https://example.com/l")
    assert not unknown.known
    (licence,) = bom_licences(unknown, "declared")
    assert (licence.name, licence.url) == ("acme-1.0", "https://example.com/l")
    assert declared_licence("other", name="acme-1.0", link="javascript:x").terms[0].url is None


def test_a_name_does_not_change_what_is_declared():
    assert declared_licence("mit", name="llama2").expression == "MIT"


@pytest.mark.parametrize(
    ("value", "expression"),
    [
        ("Apache-2.0", "Apache-2.0"),
        ("ApAcHe-2.0", "Apache-2.0"),
        ("GPL-2.0+", "GPL-2.0-or-later"),
        ("gpl-3.0", "GPL-3.0-only"),
        ("MIT or Apache-2.0", "MIT OR Apache-2.0"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0"),
        ("LicenseRef-gemma AND MIT", "LicenseRef-gemma AND MIT"),
        ("https://spdx.org/licenses/CC-BY-4.0.html", "CC-BY-4.0"),
        ("https://creativecommons.org/licenses/by-nc/4.0/", "CC-BY-NC-4.0"),
        ("https://creativecommons.org/publicdomain/zero/1.0/legalcode", "CC0-1.0"),
    ],
)
def test_spellings(value, expression):
    facts = declared_licence(value)
    assert facts.known
    assert facts.expression == expression


@pytest.mark.parametrize(
    "value", ["https://example.com/MIT", "https://creativecommons.org/licenses/by/9.9/"]
)
def test_other_addresses_are_unknown(value):
    assert not declared_licence(value).known


def test_a_reference_nobody_knows_keeps_its_expression_and_is_unknown():
    facts = declared_licence("MIT AND LicenseRef-acme")
    assert facts.expression == "MIT AND LicenseRef-acme"
    assert facts.unknown == ("LicenseRef-acme",)
    assert not facts.known


# -- expressions ---------------------------------------------------------------------------------


def test_hostile_expressions_are_bounded_before_they_are_parsed():
    for text in ("(" * 10_000 + "MIT" + ")" * 10_000, " AND ".join(["MIT"] * 1000)):
        with pytest.raises(TooLarge):
            parse_expression(text)
    depth = limits.MAX_LICENCE_TERMS // 2 - 1
    assert parse_expression("(" * depth + "MIT" + ")" * depth).expression == "MIT"


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "()", "AND", "MIT MIT", "MIT OR", "(MIT", "MIT)", "WITH", "MIT WITH", "a|b"),
        *(
            "MIT/ISC",
            "MIT (",
            "MIT ()",
            "(MIT) WITH x",
            "MIT WITH (x)",
            "MIT WITH AND",
            "é",
            "\x00",
        ),
        *("MIT AND AND ISC", ")(", "+", "LicenseRef-a_b", "MIT WITH x WITH y", "MIT,ISC"),
    ],
)
def test_what_is_no_expression_is_malformed(text):
    with pytest.raises(MalformedInput) as caught:
        parse_expression(text)
    assert caught.value.code == "malformed-licence-expression"


def test_an_expression_of_several_is_one_entry_of_the_bom():
    facts = parse_expression("MIT OR Apache-2.0")
    (licence,) = bom_licences(facts, "declared")
    assert licence.as_json() == {"expression": "MIT OR Apache-2.0", "acknowledgement": "declared"}


# -- texts ---------------------------------------------------------------------------------------

MIT = """MIT License

Copyright (c) 2026 Somebody
Copyright (c) 2025 Somebody Else

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""


def recognised(text: str) -> tuple[str, bool] | None:
    found = match_text(text)
    return None if found is None else (found.term.id, found.exact)


def test_a_whole_text_is_recognised_however_it_is_laid_out():
    assert recognised(MIT) == ("MIT", True)
    assert recognised(MIT.replace("\n", "\r\n")) == ("MIT", True)
    assert recognised(" ".join(MIT.split("\n\n", 2)[2].split())) == ("MIT", True)
    assert recognised(MIT.replace('"', "\u201c").upper()) == ("MIT", True)


def test_the_licence_of_this_project_is_recognised_with_its_appendix():
    assert recognised((ROOT / "LICENSE").read_text(encoding="utf-8")) == ("Apache-2.0", True)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + "\nThe Software shall be used for Good, not Evil.\n",
        lambda text: "Not for commercial use.\n" + text,
        lambda text: text.replace("without restriction", "with restrictions"),
        lambda text: text.replace("to use, copy,", "to copy,"),
        lambda text: text[: len(text) // 2],
        lambda text: text + text,
        lambda text: text.replace("Permission", "No permission"),
        lambda text: text.replace("Somebody Else\n", "Somebody Else\nMilitary use is forbidden.\n"),
    ],
)
def test_one_sentence_more_or_less_and_it_is_not_that_licence(change):
    changed = change(MIT)
    assert changed != MIT
    assert recognised(changed) is None


def test_a_title_is_told_apart_from_a_text():
    assert recognised("LLAMA 3.1 COMMUNITY LICENSE AGREEMENT\n\nanything") == (
        "LicenseRef-llama3.1",
        False,
    )
    assert recognised("# Gemma Terms of Use\n") == ("LicenseRef-gemma", False)
    assert recognised("This is not the Gemma Terms of Use") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n" * 100_000,
        "a " * 300_000,
        "Copyright (c) " * 50_000,
        "permission is hereby " * 40_000,
    ],
)
def test_a_text_of_nothing_is_quickly_no_licence(text):
    begin = time.process_time()
    assert recognised(text) is None
    assert time.process_time() - begin < 20


@given(
    st.lists(
        st.sampled_from(
            ["(", ")", "AND", "or", "WITH", "MIT", "GPL-2.0+", "LicenseRef-x", "é", "\0", "+", ","]
        ),
        max_size=30,
    ).map(" ".join)
    | st.text(max_size=60)
)
def test_any_text_is_an_expression_or_malformed(text):
    try:
        facts = parse_expression(text)
    except MalformedInput:
        return
    assert facts.terms
    if facts.expression is not None:
        assert parse_expression(facts.expression).expression == facts.expression


def test_the_page_lists_the_registry():
    page = (ROOT / "docs" / "formats" / "licences.md").read_text(encoding="utf-8")
    shipped = registry()
    assert f"Version {shipped.version};" in page
    for name, meaning in shipped.classes.items():
        assert f"| `{name}` | {meaning} |" in page
    for entry in shipped.entries.values():
        classes = ", ".join(f"`{each}`" for each in entry.classes) or "none"
        assert f"| `{entry.id}` | [{entry.name}]({entry.url})" in page
        mark = "" if entry.compared else " †"
        assert f"| {classes} | {entry.clauses}{mark} |" in page
