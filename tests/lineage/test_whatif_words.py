"""Scenarios in words, and the sentences that can be read out."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_wording import held
from tests_tables import table

from mashbill.lineage.whatif.days import quarter
from mashbill.lineage.whatif.words import (
    _anew,
    _gaps,
    _stand,
    _together,
    first_line,
    in_words,
    role_sentence,
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('country == "CN" && kind == "open-weights"', "models with open weights from China"),
        ('kind == "closed-api"', "models that only an API serves"),
        ("provider == 'OpenAI' && what == 'model'", "models by OpenAI"),
        ('(country == "CN") || (country == "RU")',
         "models and datasets from China and models and datasets from Russia"),
        ('name == "deepseek-ai/DeepSeek-R1"', "deepseek-ai/DeepSeek-R1"),
        ('name.startsWith("Qwen/") && what == "model"', "models whose name begins with 'Qwen/'"),
        ('country == "XK"', "models and datasets from XK"),
        ('license == ""', "models and datasets whose licence is not recorded"),
        ('what == "dataset" && kind == "public-dataset"', "public datasets"),
        ('kind == "open-weights" && what == "thing"',
         'everything for which kind == "open-weights" && what == "thing" holds'),
        ('country != "US"', 'everything for which country != "US" holds'),
        ('country == "CN" && country == "US"',
         'everything for which country == "CN" && country == "US" holds'),
        ('country == "CN" && (kind == "a" || kind == "b")',
         'everything for which country == "CN" && (kind == "a" || kind == "b") holds'),
        ('what == "dataset" && kind == "open-weights"',
         'everything for which what == "dataset" && kind == "open-weights" holds'),
    ],
)  # fmt: skip
def test_an_expression_is_put_into_words_or_quoted(text, said):
    assert in_words(text) == said


@given(st.text(max_size=80))
def test_any_text_has_words(text):
    assert in_words(text)


ONE_GAP = (
    "If only one of the 7 things with such gaps hid it, 3 more models would be hit at most, with "
    "o/big, and 1.2 on average."
)


def facts(**more):
    models = {"go": 2, "stay_and_lose": 1, "hit": 3, "in_all": 9, "go_by_one_way_only": 0}
    told = {
        "title": "Without models from China", "from_in_words": "1 May 2027",
        "only_new_use_is_barred": False, "barred": 4,
        "impact": {"models": models,
                   "datasets": {"go": 0, "stay_and_lose": 2, "go_by_one_way_only": 0}},
        "not_known_whether_they_go": {"things": 0, "not_recorded": {}},
        "one_gap": {"things": 7, "looked_at": 7,
                    "models": {"mean": 1.25, "most": 3, "most_by": "o/big"}},
        "unknown": {"models": {"if_anything_missing": 8}},
        "stand": {"models": {"as weights": 1}},
        "made_again": {"models": {"a": 0, "b": 1, "c": 0}},
    }  # fmt: skip
    return {**told, **more}


def test_terms_bar_new_use_and_take_nothing_away():
    said = first_line(facts(title="If P forbids it", only_new_use_is_barred=True))[0]
    assert said == "If P forbids it, 2 models could no longer be learned from in any way."


def test_the_first_lines_are_one_sentence_a_fact():
    lines = first_line(facts())
    assert lines == [
        "Without models from China, 2 models would be gone from 1 May 2027 on.",
        "1 other model and 2 other datasets were made with their help, as far as is recorded.",
        "Together that is 3 of the 9 models on record.",
        "Of the other 6, 5 have gaps in their record in which the same may hide.",
        ONE_GAP,
        "The other model made with their help can still be had as weights, whatever goes.",
        "Made anew, it would find all that it needs only if substitutes fit that might.",
    ]
    assert all(line.endswith(".") and line.count(". ") == 0 for line in lines)


@pytest.mark.parametrize(
    ("day", "expected"),
    [("2025-01-20", "2025 Q1"), ("2025-04", "2025 Q2"), ("2025-12-31", "2025 Q4"), ("2025", "2025"),
     ("", ""), ("soon", ""), ("99999", "")],
)  # fmt: skip
def test_a_day_is_of_a_quarter_or_of_none(day, expected):
    assert quarter(day) == expected


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"things": 1, "not_recorded": {"license": 1}},
         "For 1 thing it is not known whether it goes: licence is not recorded."),
        ({"things": 1_441, "not_recorded": {"license": 1_441, "country": 0}},
         "For 1,441 things it is not known whether they go: licence is not recorded."),
        ({"things": 5, "not_recorded": {"license": 4, "released": 2}},
         ("For 5 things it is not known whether they go: not recorded are the licence of 4 and the "
          "day of release of 2.")),
    ],
)  # fmt: skip
def test_what_is_not_known_to_go_is_one_sentence(told, said):
    assert said in first_line(facts(not_known_whether_they_go=told))


def test_what_goes_by_one_way_only_is_told_apart():
    more = facts()
    more["impact"]["models"]["go_by_one_way_only"] = 1
    assert first_line(more)[1] == (
        "1 more model would go by one way and stay by another, such as weights."
    )
    more["only_new_use_is_barred"] = True
    assert first_line(more)[1] == (
        "1 more model could still be learned from by another way, such as weights."
    )


@table("lose", [0, 1, 2, 9])
@table("unfitted", [0, 1, 2, 9])
@table("unserved", [0, 1, 2, 9])
def test_what_a_role_is_lost_by_reads_well(lose, unfitted, unserved):
    if not lose > 0 or not unserved <= unfitted <= lose:
        return
    role = {"role": "writes text", "lost_by": lose, "none_known_to_fit": unfitted,
            "none_that_might": unserved}  # fmt: skip
    told = role_sentence(role)
    assert held(told) == []
    assert not re.search(r"\b0\b", told)


@table("in_all", [0, 1, 2, 9])
@table("hit", [0, 1, 2, 9])
@table("gaps", [0, 1, 2, 9])
def test_counts_of_none_one_and_all_read_well(in_all, hit, gaps):
    if hit > in_all or gaps > in_all - hit:
        return
    told = [_together(hit, in_all)]
    if in_all > hit:
        told.append(_gaps(gaps, in_all - hit))
    if hit:
        told += [_stand(n, hit, "their") for n in (0, hit)]
        told += [_anew(hit, 0, 0), _anew(0, hit, 0), _anew(0, 0, hit)]
    assert [held(text) for text in told if held(text)] == []
    assert not any(re.search(r"\b0\b", text) for text in told)
