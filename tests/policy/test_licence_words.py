"""What a licence's text is, how it is spelled, and that an expression decides as its parts do."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_tables import table

from mashbill.core.source import Source
from mashbill.core.use import Use
from mashbill.policy.case import Question
from mashbill.policy.decision import OUTCOMES, strictest
from mashbill.policy.documents import load_registry
from mashbill.policy.licence_cells import licence_of
from mashbill.policy.licence_words import identifiers, read_licence
from mashbill.policy.licences import licence_kind, together
from mashbill.policy.restrictions import decide_use

REGISTRY = load_registry()
DAY = date(2026, 11, 24)
LISTED = st.sampled_from(sorted(identifiers().values()))


@table(
    ("text", "kind", "spelled"),
    [
        ("zlib", "identifier", "Zlib"),
        ("(isc)", "identifier", "ISC"),
        ("lgpl-2.1", "identifier", "LGPL-2.1"),
        ("gpl-3.0+", "identifier", "GPL-3.0+"),
        ("gpl-2.0-with-GCC-exception", "identifier", "GPL-2.0-with-GCC-exception"),
        ("EPL-2.0+", "expression", "EPL-2.0+"),
        ("isc or (0bsd and x11)", "expression", "ISC OR 0BSD AND X11"),
        ("((isc or 0bsd)) and x11", "expression", "(ISC OR 0BSD) AND X11"),
        ("gpl-2.0-only\twith classpath-exception-2.0", "expression",
         "GPL-2.0-only WITH Classpath-exception-2.0"),
        ("isc AND documentref-D.1:licenseref-A", "expression",
         "ISC AND DocumentRef-D.1:LicenseRef-A"),
        ("isc with additionref-ours", "expression", "ISC WITH AdditionRef-ours"),
        ("LICENSEREF-Ours", "name", "LicenseRef-Ours"),
        ("isc and ours", "name", "isc and ours"),
        ("isc 0bsd", "name", "isc 0bsd"),
        ("isc, 0bsd", "name", "isc, 0bsd"),
        ("isc and", "name", "isc and"),
        ("isc with 0bsd", "name", "isc with 0bsd"),
        ("Classpath-exception-2.0", "name", "Classpath-exception-2.0"),
        ("terms and conditions", "name", "terms and conditions"),
        ("(" * 40 + "isc" + ")" * 40, "name", "(" * 40 + "isc" + ")" * 40),
        ("noAssertion", "none", ""),
        ("No License", "none", ""),
        ("", "none", ""),
    ],
)  # fmt: skip
def test_what_a_text_is(text, kind, spelled):
    read = read_licence(text)
    assert (read.kind, read.text) == (kind, spelled)


@table(
    ("cell", "licence"),
    [
        ("cc by-sa 3.0", "CC-BY-SA-3.0"), ("the ISC license", "ISC"), ("mpl_2.0", "MPL-2.0"),
        ("Apache License, Version 2", "Apache-2.0"), ("AGPLv3", "AGPL-3.0"),
        ("EPL v2.0", "EPL-2.0"),
        ("https://creativecommons.org/licenses/by-nc-sa/4.0/deed.en", "CC-BY-NC-SA-4.0"),
        ("https://www.apache.org/licenses/LICENSE-2.0.txt", "Apache-2.0"),
        ("https://example.org/terms", "https://example.org/terms"),
        ("Llama2", "LicenseRef-Llama-2"), ("ODbL", "ODbL-1.0"), ("our own", "our own"), (7, "7"),
        (None, None), (float("nan"), None), (False, None), (True, None), ("n/a", None), ([], None),
        ({}, None), ([None, ["unknown"]], None), ({"License": "isc"}, "ISC"), (("isc",), "ISC"),
        (["isc", "0BSD", "ISC"], "ISC AND 0BSD"), ("['isc', \"0bsd\"]", "ISC AND 0BSD"),
        (["isc or zlib", "x11"], "(ISC OR Zlib) AND X11"), (["ISC", "our own"],
                                                           "ISC AND LicenseRef-our-own"),
        ([{"name": "isc"}, None, "NOASSERTION"], "ISC"),
    ],
)  # fmt: skip
def test_a_cell_has_one_spelling(cell, licence):
    assert licence_of(cell) == licence


CELLS = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text() | LISTED,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.just("name"), inner),
)


@given(CELLS)
def test_any_cell_is_a_licence_that_stays_as_it_is(cell):
    licence = licence_of(cell)
    if licence is not None:
        assert licence_of(licence) == licence
        assert read_licence(licence).kind != "none"


@given(LISTED, st.data())
def test_case_and_lists_of_one_change_no_identifier(key, data):
    written = "".join(c.upper() if data.draw(st.booleans()) else c.lower() for c in key)
    assert licence_of(written) == licence_of([written, key]) == key
    assert read_licence(key).kind == "identifier"


def expressions():
    parts = LISTED | st.sampled_from(
        ["MIT", "Apache-2.0 WITH LLVM-exception", "CC-BY-NC-4.0", "GPL-3.0-only", "LicenseRef-x"]
    )
    return st.recursive(
        parts.map(lambda part: ((part,), part, part)),
        lambda inner: st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(
            lambda t: ((t[0], t[1], t[2]), f"({t[0][1]} {t[1]} {t[2][1]})", t[1])
        ),
        max_leaves=6,
    )


def outcome(licence, *, commercial=None):
    source = Source(name="d", what="dataset", kind="public-dataset", route="file", license=licence)
    use = Use(commercial=commercial)
    return strictest(d.outcome for d in decide_use(REGISTRY, Question(source, (), use, DAY)))


def by_its_parts(tree, commercial):
    if len(tree) == 1:
        return outcome(tree[0], commercial=commercial)
    ends = [by_its_parts(tree[side][0], commercial) for side in (0, 2)]
    return (max if tree[1] == "AND" else min)(ends, key=OUTCOMES.index)


@given(expressions(), st.sampled_from([None, True, False]))
def test_an_expression_decides_as_all_of_its_parts_or_the_best_choice(expression, commercial):
    tree, text, _ = expression
    assert outcome(text, commercial=commercial) == by_its_parts(tree, commercial)
    spelled = read_licence(text).text
    assert outcome(spelled, commercial=commercial) == by_its_parts(tree, commercial)
    assert read_licence(spelled).text == spelled


@pytest.mark.parametrize("unknown", ["ours", "our own terms", "LicenseRef-ours"])
def test_a_part_that_is_not_known_is_reviewed(unknown):
    assert outcome(f"MIT AND {unknown}") == "review"
    assert outcome(f"CC-BY-NC-4.0 AND {unknown}", commercial=True) == "deny"
    assert outcome("MIT or later") == "review"


def test_a_choice_is_told():
    source = Source(
        name="d",
        what="dataset",
        kind="public-dataset",
        route="file",
        license="GPL-3.0-only OR isc",
    )
    [decision] = decide_use(REGISTRY, Question(source, (), Use(), DAY))
    assert (decision.outcome, decision.document) == ("allow", "ISC")
    assert "GPL-3.0-only OR isc leaves the choice" in decision.because
    assert decision.used == {"license": "GPL-3.0-only OR isc"}


def test_kinds_and_what_holds_together():
    assert licence_kind("ISC OR GPL-3.0-only") == "permissive"
    assert licence_kind("ISC AND GPL-3.0-only") == "share-alike"
    assert licence_kind("NONE") == "not known"
    assert together(["(ISC OR Zlib)", "X11", "NONE"]) == "X11 AND (ISC OR Zlib)"
