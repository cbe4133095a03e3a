"""The file of a case: written and read again it is the same, and nothing else is taken for one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_conduct_cases import KINDS, MAKERS, account, hashed, made
from tests_laws import law

from mashbill.conduct.evidence.case import BYTES, ROWS, Case, case_of, read
from mashbill.core.errors import InputError
from mashbill.core.parsing import json_value

TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
POWER = st.floats(-300, 300)


@pytest.mark.parametrize("kind", KINDS)
def test_a_case_that_is_read_again_is_the_same_and_has_the_same_bytes(kind, tmp_path):
    case = made(kind)
    path = case.write(tmp_path / "cases" / "case.json")
    again = read(path)
    assert again == case
    assert again.written() == path.read_bytes() == case.written()


@law(60)
@given(TEXT, TEXT, st.dictionaries(TEXT, FINITE, max_size=5), POWER, st.none() | POWER)
def test_whatever_numbers_and_texts_a_case_holds_its_bytes_come_back(
    one, two, numbers, power, limit
):
    plain = MAKERS["X"]()
    plain["evidence"][0] |= {"statistic": numbers, "plain": one, "log10_e": power, "limit": limit}
    plain["samples"][0]["text"] = two
    case = Case.model_validate(plain)
    again = case_of(json_value(case.written(), "x"), "x")
    assert again.written() == case.written()
    assert again.evidence[0].statistic == numbers
    assert (again.evidence[0].plain, again.samples[0].text) == (one, two)


def _with(path, value):
    """Return a case's JSON with another value at a path such as ``graph.links.0.b``."""
    plain = json.loads(made("L").written())
    at = plain
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in way:
        at = at[part]
    at[last] = value
    return plain


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("finding", "V", "finding"),
        ("tier", "none", "tier"),
        ("type", "urn:mashbill:conduct-case:v2", "type"),
        ("score", 1, "score: Extra inputs"),
        ("found", "2026-05-01", "found"),
        ("found", 1e300, "found"),
        ("found", True, "found"),
        ("exchanges", -1, "exchanges"),
        ("exchanges_before", 10**9, "exchanges_before is 1000000000, of"),
        ("subject.accounts.0", "3f2a91", "subject.accounts.0"),
        ("subject.accounts.0", account(2), "an account is there twice"),
        ("subject.kind", "account", "kind 'account' is for one account, and there are 2"),
        ("subject.shown", ["one"], "2 accounts have 1 names"),
        ("evidence", [], "evidence"),
        ("evidence.0.rows", [hashed("row", 16)] * (ROWS + 1), "evidence.0.rows"),
        ("evidence.0.rows_in_all", 1, "rows_in_all is 1, and 31 are listed"),
        ("evidence.0.signal", "volume", "evidence.0.signal"),
        ("evidence.0.log10_e", 1e9, "evidence.0.log10_e"),
        ("evidence.0.plain", "x" * 5000, "evidence.0.plain"),
        ("graph.links.0.b", account(77), "links.0 must join two of the nodes"),
        ("graph.links.0.b", account(1), "links.0 must join two of the nodes"),
        ("timeline.rows.0.counts", [1], "different numbers of counts"),
        ("timeline.bin_seconds", 0, "timeline.bin_seconds"),
        ("growth.0.time", 2**52, "'growth' is not in the order of time"),
        ("log.last", None, "log.last"),
        ("last", 0, "'first' is later than 'last'"),
    ],
)
def test_what_is_no_case_is_refused_by_file_and_key(path, value, said, tmp_path):
    file = tmp_path / "some.json"
    file.write_text(json.dumps(_with(path, value)))
    with pytest.raises(InputError) as caught:
        read(file)
    told = str(caught.value)
    assert told.startswith(f"{file}: not a case: ")
    assert said in told
    assert "derive it again" in told
    assert len(told) < 900


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{}", b'{"a":' * 5000, b"\xff" * 9])
def test_other_files_are_refused(data, tmp_path):
    file = tmp_path / "x.json"
    file.write_bytes(data)
    with pytest.raises(InputError, match=r"x\.json"):
        read(file)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    file = tmp_path / "large.json"
    with file.open("wb") as stream:
        stream.truncate(BYTES + 1)
    with pytest.raises(InputError, match="more than 67,108,864 bytes"):
        read(file)
    with pytest.raises(InputError, match="a folder"):
        read(tmp_path)


def test_nothing_of_a_case_can_be_changed_unnoticed():
    case = made("J")
    with pytest.raises(ValueError, match="frozen"):
        case.tier = "act"
    assert made("J", tier="note").written() != case.written()
