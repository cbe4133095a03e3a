"""Who scores which rollout, with which weight."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.core.errors import InputError
from mashbill.train.teaching import counted, of_keys


def test_one_teacher_scores_all():
    teaching = of_keys("big", {}, "", {})
    told = teaching.of({"prompt": "x"}, "row 0")
    assert told == "big"
    assert teaching.shares(told) == {"big": 1.0}
    assert teaching.weight(told) == 1


@law(60)
@given(st.dictionaries(st.sampled_from("abcdef"), st.floats(0.01, 100), min_size=2))
def test_of_several_each_scores_every_row_and_their_shares_sum_to_one(weights):
    teaching = of_keys("", weights, "", {})
    shares = teaching.shares(teaching.of({}, "row 0"))
    assert list(shares) == list(weights)
    assert sum(shares.values()) == pytest.approx(1)
    first, second = list(weights)[:2]
    assert shares[first] / shares[second] == pytest.approx(weights[first] / weights[second])


def test_a_column_names_the_teacher_of_each_row():
    teaching = of_keys("", {"a": 1.0, "b": 3.0}, "who", {})
    told = [teaching.of({"who": name}, f"row {i}") for i, name in enumerate("aba")]
    assert told == ["a", "b", "a"]
    assert [teaching.weight(each) for each in told] == [1, 3, 1]
    assert teaching.shares("b") == {"b": 1.0}
    assert counted(told) == {"a": 2, "b": 1}


def test_a_domain_means_a_teacher():
    teaching = of_keys("", {}, "domain", {"maths": "m", "code": "c", "7": "m"})
    assert [teaching.of({"domain": each}, "x") for each in ("maths", "code", 7)] == ["m", "c", "m"]
    assert teaching.teachers == ("m", "c")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"domains": "maths"}, "'domain' is no column of it; did you mean 'domains'"),
        ({"domain": None}, "is empty"),
        ({"domain": "  "}, "is empty"),
        ({"domain": "math"}, r"says 'math', which is none of teacher_of \(maths, code\)"),
    ],
)
def test_a_row_that_says_no_teacher_ends_the_run(row, said):
    teaching = of_keys("", {}, "domain", {"maths": "m", "code": "c"})
    with pytest.raises(InputError, match=f"prompts, row 3: .*{said}"):
        teaching.of(row, "prompts, row 3")


def test_a_name_that_is_no_teacher_is_refused():
    teaching = of_keys("", {"a": 1, "b": 1}, "who", {})
    with pytest.raises(InputError, match="says 'c', which is none of teacher_weights"):
        teaching.of({"who": "c"}, "row 0")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (("", {}, "", {}), "set teacher = one of"),
        (("a", {"b": 1}, "", {}), "not both"),
        (("a", {}, "who", {}), "teacher_by chooses among several"),
        (("a", {}, "who", {"x": "a"}), "teacher_by chooses among several"),
        (("", {}, "who", {}), "set teacher = one of"),
        (("", {"a": 1, "b": 1}, "", {"x": "a", "y": "b"}), "no column is named"),
        (("", {"a": 1, "b": 1}, "who", {"x": "a"}), r"other teachers \(b is"),
        (("", {"a": 1}, "who", {"x": "a", "y": "b"}), r"other teachers \(b is"),
        (("", {"a": 0, "b": 1}, "", {}), "must be above 0"),
        (("", {"a": float("nan"), "b": 1}, "", {}), "must be above 0"),
        (("", {"a+b": 1, "b": 1}, "", {}), "stands between names"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(keys, said):
    with pytest.raises(ValueError, match=said):
        of_keys(*keys)
