"""``prefer``: by judges, by reward and as declared; ties, agreement, gold, and the bill."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_support import CHANNELS, rows_of, run_stages, run_toy

import mashbill as mb
from mashbill import InputError, RecipeError
from mashbill.calls.journal import Journal
from mashbill.cli.show_judges import judged_json, print_judged
from mashbill.core.teacher import Answer
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.report.gather import gather
from mashbill.stages.judging import Template
from mashbill.stages.prefer import PreferSpec
from mashbill.stages.voting import Asking, Word, ask, prompt_of, share_of_votes, verdicts

GOOD = ["lovely", "bright", "kind", "superb", "warm"]
IMPORT = """
[stages.{0}]
kind = "import"
title = "{0}"
source = "{0}.jsonl"
generator = "by"
"""
JUDGES = "".join(
    f"""
[teachers.{name}]
kind = "fake"
name = "{name}"
words.A = {json.dumps(words)}
words.B = {json.dumps(words)}
noise = {noise}
"""
    for name, words, noise in (("u", GOOD, 0.5), ("v", [*GOOD, "dull"], 0.5), ("w", ["dull"], 9.0))
)
BETTER = "Ask: {{ prompt }}\nA: {{ first }}\nB: {{ second }}\nBetter:"


def rows(texts, scores=None, **more):
    """Return completions, one a prompt or, in lists, several."""
    made = []
    for number, said in enumerate(texts):
        for sample, text in enumerate(said if isinstance(said, list) else [said]):
            row = {"prompt": f"p{number}", "sample": sample, "text": text, "by": "x"}
            made.append(row | {key: value[len(made)] for key, value in more.items()})
            if scores is not None:
                made[-1]["score"] = scores[len(made) - 1]
    return made


def preferred(tmp_path, keys, teachers=JUDGES, **sets):
    stages = "".join(IMPORT.format(name) for name in sets)
    files = {f"{name}.jsonl": made for name, made in sets.items()} | {"better.txt": BETTER}
    stage = f'[stages.pairs]\nkind = "prefer"\n{keys}\n'
    return run_stages(tmp_path, stages + stage, files, teachers)


def measures(store):
    return store.find("pairs").measures


# ---- by reward ----


def test_the_best_stands_against_the_worst_of_each_prompt_with_its_margin(tmp_path):
    one = rows([["b", "a", "c"], ["x", "y"], "alone"], [0.5, 1.0, 0.1, 0.4, 0.4, 0.9])
    other = rows(["best", "z"], [1.5, None])
    store = preferred(tmp_path, 'inputs = ["one", "other"]\nhow = "reward"', one=one, other=other)
    (kept,) = rows_of(store, "pairs")
    assert (kept["prompt"], kept["chosen"], kept["rejected"]) == ("p0", "best", "c")
    assert kept["margin"] == pytest.approx(1.4)
    assert (kept["score_chosen"], kept["score_rejected"]) == (1.5, 0.1)
    assert (kept["chosen_from"], kept["rejected_from"]) == ("other", "one")
    assert kept["_from"] == [6, 2]
    (gone,) = rows_of(store, "pairs", "rejected")
    assert (gone["chosen"], gone["_reason"]) == (None, "a tie: the scores are 0.4 and 0.4")
    told = measures(store)
    assert told["verdicts"] == {"better": {"one": 0, "other": 1}, "ties": 1, "not_judged": 0}
    assert told["unpaired"] == {"one": 3, "other": 1}


@pytest.mark.parametrize(
    ("pairs", "found"),
    [
        ("best-worst", {("a", "d")}),
        ("best-rest", {("a", "b"), ("a", "c"), ("a", "d")}),
        ("all", {("a", "b"), ("a", "c"), ("a", "d"), ("b", "c"), ("b", "d"), ("c", "d")}),
    ],
)
def test_which_two_of_a_prompt_are_compared(tmp_path, pairs, found):
    one = rows([["c", "a", "d", "b"]], [2, 4, 1, 3])
    store = preferred(tmp_path, f'inputs = ["one"]\nhow = "reward"\npairs = "{pairs}"', one=one)
    assert {(row["chosen"], row["rejected"]) for row in rows_of(store, "pairs")} == found


@law(6)
@given(st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=4), min_size=2,
                max_size=6), st.randoms(use_true_random=False))  # fmt: skip
def test_the_order_of_inputs_and_rows_changes_no_pair(tmp_path_factory, groups, draw):
    flat = [(f"p{at}", f"t{at}.{n}", score) for at, own in enumerate(groups)
            for n, score in enumerate(own)]  # fmt: skip
    flat += [("q", "high", 1.0), ("q", "low", 0.0)]
    made = [{"prompt": p, "text": t, "score": s, "by": "x"} for p, t, s in flat]
    half = len(made) // 2
    found = []
    for turned in (False, True):
        sets = {"one": made[:half], "other": made[half:]}
        if turned:
            sets = {name: draw.sample(own, len(own)) for name, own in reversed(sets.items())}
        keys = f'inputs = {json.dumps(list(sets))}\nhow = "reward"\nties = "keep"'
        store = preferred(tmp_path_factory.mktemp("order"), keys, **sets)
        found.append({(row["prompt"], row["chosen"], row["rejected"], row["tie"])
                      for row in rows_of(store, "pairs")})  # fmt: skip
    assert found[0] == found[1]


def test_a_kept_tie_prefers_neither_and_says_which_two(tmp_path):
    one = rows([["x", "y"], ["good", "bad"]], [0.4, 0.45, 1, 0])
    keys = 'inputs = ["one"]\nhow = "reward"\nties = "keep"\ntie_within = 0.1'
    first, second = rows_of(preferred(tmp_path, keys, one=one), "pairs")
    assert (first["tie"], first["chosen"], first["rejected"]) == (True, None, None)
    assert sorted(first["tied"]) == ["x", "y"]
    assert first["margin"] == pytest.approx(0.05)
    assert (second["tie"], second["tied"], second["chosen"]) == (False, None, "good")


def test_what_equals_is_no_pair_whatever_its_scores(tmp_path):
    one = rows([["same", "same"], ["a", "b"]], [1, 0, 1, 0])
    store = preferred(tmp_path, 'inputs = ["one"]\nhow = "reward"', one=one)
    (gone,) = rows_of(store, "pairs", "rejected")
    assert gone["_reason"] == "both completions are the same"


# ---- by rankings that rows hold ----

RANKINGS = [
    # texts and scores beside them, as a stage with shape = "ranking" or distilabel makes them
    ('scores = "ratings"', {"completions": ["b", "a", "c"], "ratings": [2, 5, 1]}),
    # objects with a score, as UltraFeedback has them
    ('score = ""', {"completions": [{"response": t, "overall_score": s}
                                    for t, s in (("b", 2), ("a", 5), ("c", 1))]}),
    # objects with a rank, as Nectar has them
    ('score = ""\ncolumn = "answers"', {"answers": [{"answer": t, "rank": r}
                                                   for t, r in (("b", 2), ("a", 1), ("c", 3))]}),
    # a list from best to worst
    ('score = ""', {"completions": ["a", "b", "c"]}),
    # conversations
    ('score = "scores"', {"scores": [0.2, 0.5, 0.1], "completions": [
        [{"role": "user", "content": "q"}, {"role": "assistant", "content": t}] for t in "bac"]}),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "row"), RANKINGS)
def test_a_list_of_completions_with_scores_is_a_ranking(tmp_path, keys, row):
    keys = keys.replace('scores = "ratings"', 'score = "ratings"')
    given = [{"prompt": f"p{n}", "text": "x", "by": "x", **row} for n in range(2)]
    base = f'inputs = ["one"]\nhow = "ranking"\n{keys}\n'
    kept = rows_of(preferred(tmp_path / "worst", base, one=given), "pairs")
    assert [(r["prompt"], r["chosen"], r["rejected"], r["_from"]) for r in kept] == [
        ("p0", "a", "c", [0]), ("p1", "a", "c", [1]),
    ]  # fmt: skip
    again = preferred(tmp_path / "all", base + 'pairs = "all"', one=given)
    found = [(r["chosen"], r["rejected"]) for r in rows_of(again, "pairs") if r["prompt"] == "p1"]
    assert sorted(found) == [("a", "b"), ("a", "c"), ("b", "c")]


def test_a_ranking_that_a_stage_made_is_read_again(tmp_path):
    stages = IMPORT.format("one") + (
        '[stages.ranked]\nkind = "prefer"\nhow = "reward"\ninputs = ["one"]\nshape = "ranking"\n'
        '[stages.pairs]\nkind = "prefer"\nhow = "ranking"\ninputs = ["ranked"]\n'
    )
    one = rows([["c", "a", "b"], ["x", "y"]], [1, 3, 2, 0.5, 0.5])
    store = run_stages(tmp_path, stages, {"one.jsonl": one}, JUDGES)
    (kept,) = rows_of(store, "pairs")
    assert (kept["chosen"], kept["rejected"], kept["margin"]) == ("a", "c", 2)
    assert mb.open(store.root).audit(deep=True).holds


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"completions": "no list", "scores": [1]}, "holds 'no list'; a list of completions"),
        ({"completions": [1, 2], "scores": [1, 2]}, "a list of completions is needed"),
        ({"completions": ["a", "b"]}, "score = 'scores' is no column of one"),
        ({"scores": [1, 2]}, "column = 'completions' is no column of one"),
        ({"completions": ["a", "b"], "scores": [1]}, "no two completions of one with a score"),
    ],
)
def test_what_is_no_ranking_is_told(tmp_path, row, message):
    given = [{"prompt": "p", "text": "x", "by": "x", **row}]
    with pytest.raises((RecipeError, InputError), match=message):
        preferred(tmp_path, 'inputs = ["one"]\nhow = "ranking"', one=given)


# ---- as declared ----


def test_a_recipe_may_declare_which_is_better(tmp_path):
    one, other = rows(["teacher says", "same"]), rows(["student says", "same"])
    keys = 'how = "declared"\none = "one"\nother = "other"'
    store = preferred(tmp_path, keys, one=one, other=other)
    (kept,) = rows_of(store, "pairs")
    assert (kept["chosen"], kept["rejected"]) == ("teacher says", "student says")
    assert (kept["chosen_from"], kept["rejected_from"]) == ("one", "other")
    assert "margin" not in kept
    assert not [item for item in store.find("pairs").inputs if item.is_teacher]


# ---- by judges ----

TEXTS = ["a lovely bright river", "a dull river", "kind kind train", "a green train", "superb"]


def three_by_two(tmp_path, extra=""):
    draw = random.Random(2)
    sets = {
        name: rows([" ".join(draw.sample(TEXTS, 2)) + f" {name}" for _ in range(12)])
        for name in ("one", "two", "three")
    }
    keys = f'inputs = ["one", "two", "three"]\njudges = ["u", "v"]\nprompt = "better.txt"\n{extra}'
    return preferred(tmp_path, keys, **sets)


def test_three_writers_and_two_judges_are_five_sources_in_their_channels(tmp_path):
    writers = "".join(
        f'[teachers.w{n}]\nkind = "fake"\nname = "Writer {n}"\nwords.good = ["{word}", "kind"]\n'
        for n, word in enumerate(("lovely", "superb", "dull"))
    )
    stages = '[stages.asked]\nkind = "corpus"\ntitle = "questions"\nlicense = "CC0-1.0"\n'
    stages += 'source = "asked.jsonl"\n'
    for n in range(3):
        stages += f'[stages.by{n}]\nkind = "generate"\ninput = "asked"\nteacher = "w{n}"\n'
    stages += (
        '[stages.pairs]\nkind = "prefer"\ninputs = ["by0", "by1", "by2"]\njudges = ["u", "v"]\n'
        'prompt = "better.txt"\n'
    )
    asked = [{"text": f"Say something of the river number {n}, please."} for n in range(8)]
    files = {"asked.jsonl": asked, "better.txt": BETTER}
    store = run_stages(tmp_path, stages, files, JUDGES + writers)
    lines = bill(Circuit.of_artifact(store, store.find("pairs")))
    found = {line.source.name: set(line.channels) for line in lines if line.source.what == "model"}
    assert found == {
        "Writer 0": {"content"}, "Writer 1": {"content"}, "Writer 2": {"content"},
        "u": {"judgement"}, "v": {"judgement"},
    }  # fmt: skip
    roles = [(item.name, item.role, item.channel) for item in store.find("pairs").inputs]
    assert roles[-2:] == [("u", "teacher", "judgement"), ("v", "teacher", "judgement")]


def test_each_pair_is_asked_both_ways_round_of_each_judge_and_paid_once(tmp_path):
    store = three_by_two(tmp_path)
    told = measures(store)
    assert told["pairs"] == 36
    journal = Journal(store.root / "calls.sqlite")
    asked = told["pairs"] - sum(
        row["_reason"] == "both completions are the same"
        for row in rows_of(store, "pairs", "rejected")
    )
    assert journal.totals()[0] == 2 * 2 * (asked + 6)  # with controls
    for row in rows_of(store, "pairs"):
        assert {row["vote_u"], row["vote_v"]} == {"for"}  # of two, both: more than half
        assert row["chosen_from"] != row["rejected_from"]
    assert told["agreement"]["judges"] == ["u", "v"]
    assert sum(told["agreement"]["patterns"].values()) == 36
    assert 0 <= told["agreement"]["percent"] <= 1
    assert set(told["agreement"]["kappa"]) == {"u, v"}
    for facts in told["judges"].values():
        assert facts["inconsistent"] >= facts["first_both_times"] + facts["second_both_times"]


class Leaning:
    """A judge that likes long texts, and the place that it leans to."""

    def __init__(self, lean, seed=0):
        self.lean, self.seed, self.source = lean, seed, None

    def ask(self, questions):
        answers = []
        for question in questions:
            _, first, second = question.body.split("|")
            drawn = random.Random(f"{self.seed} {sorted((first, second))}").uniform(-1, 1)
            drawn *= 1 if first < second else -1
            lean = len(first) - len(second) + drawn + self.lean
            answers.append(("00" * 32, Answer((lean, 0.0), 1)))
        return answers


def asking(tmp_path, *, swap):
    path = tmp_path / "p.txt"
    path.write_text("{{ prompt }}|{{ first }}|{{ second }}")
    template = Template(path, ("prompt", "first", "second"))
    return Asking(template, ("A", "B"), 400, 5, swap)


TEXT = st.text("abc", min_size=1, max_size=6)


@law(40)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=8), st.floats(-4, 4),
       st.sampled_from(["majority", "unanimous", "margin"]))  # fmt: skip
def test_swapping_the_completions_mirrors_the_verdict(tmp_path_factory, pairs, lean, votes):
    how = asking(tmp_path_factory.mktemp("swap"), swap=True)
    one, two = ([pair[n] for pair in pairs] for n in (0, 1))
    prompts, no = ["p"] * len(pairs), [None] * len(pairs)
    judges = [Leaning(lean), Leaning(-lean / 2, 1), Leaning(0, 2)]
    there = [ask(judge, how, prompts, (one, two), no) for judge in judges]
    back = [ask(judge, how, prompts, (two, one), no) for judge in judges]
    found, margin = verdicts(there, votes)
    turned, other = verdicts(back, votes)
    assert (turned == -found).all()
    assert np.allclose(other, -margin)
    assert np.allclose(share_of_votes(back), 1 - share_of_votes(there))
    # Who is asked first changes nothing.
    assert (verdicts(there[::-1], votes)[0] == found).all()


def test_a_judge_of_places_alone_prefers_nothing(tmp_path):
    class First(Leaning):
        def ask(self, questions):
            return [("00" * 32, Answer((0.0, -3.0), 1)) for _ in questions]

    texts = (["a", "bb"], ["c", "d"])
    word = ask(First(0), asking(tmp_path, swap=True), ["p", "p"], texts, [None, None])
    assert word.votes.tolist() == [0, 0]
    assert word.facts["first_both_times"] == word.facts["inconsistent"] == 2
    once = ask(First(0), asking(tmp_path, swap=False), ["p", "p"], texts, [None, None])
    assert once.votes.tolist() == [0, 0]  # calibrated, nothing is left


def word(*votes):
    values = np.array([np.nan if vote is None else vote for vote in votes], float)
    return Word(values * 2, values, [None] * len(votes), [None] * len(votes), {})


@pytest.mark.parametrize(
    ("votes", "majority", "unanimous"),
    [
        ((1, 1, -1), 1, 0), ((1, 1, 1), 1, 1), ((1, 0, 0), 0, 0), ((1, -1, 0), 0, 0),
        ((1, None, None), 1, 1), ((1, -1, None), 0, 0), ((None, None, None), None, None),
        ((0, 0, 0), 0, 0), ((-1, -1, None), -1, -1), ((1, 0, None), 0, 0),
    ],
)  # fmt: skip
def test_votes_become_a_verdict(votes, majority, unanimous):
    words = [word(vote) for vote in votes]
    for rule, said in (("majority", majority), ("unanimous", unanimous)):
        (found,) = verdicts(words, rule)[0]
        assert np.isnan(found) if said is None else found == said, rule


def test_a_judge_that_fails_is_no_vote_and_a_pair_of_which_none_answers_is_told(tmp_path):
    class Failing(Leaning):
        def ask(self, questions):
            return [("", Answer((), 0, failed="the service is down")) for _ in questions]

    how = asking(tmp_path, swap=True)
    told = ask(Failing(0), how, ["p"], (["a"], ["b"]), [None])
    assert np.isnan(told.votes).all()
    assert told.problems == ["the service is down"]
    other = ask(Leaning(0), how, ["p"], (["aaa"], ["b"]), [None])
    assert verdicts([told, other], "majority")[0].tolist() == [1]


def test_a_judge_that_prefers_junk_is_refused_by_name_unless_it_is_said_why(tmp_path):
    one, other = rows(["a kind day", "a bright day"]), rows(["a day", "the day"])
    junk = '[teachers.odd]\nkind = "fake"\nname = "odd"\nwords.A = ["the"]\nwords.B = ["the"]\n'
    keys = 'one = "one"\nother = "other"\njudges = ["u", "odd"]\nprompt = "better.txt"\n'
    with pytest.raises(RecipeError, match=r"judge odd prefers repeated words, 'the the .* accepts"):
        preferred(tmp_path / "no", keys, JUDGES + junk, one=one, other=other)
    keys += 'accepts = "it counts one word"\nties = "keep"'
    store = preferred(tmp_path / "yes", keys, JUDGES + junk, one=one, other=other)
    told = measures(store)
    assert told["controls"]["u"]["wrong"] == []
    assert len(told["controls"]["odd"]["wrong"]) == 1
    assert any("it counts one word" in text for text in told["warnings"])
    assert store.find("pairs").stage["accepts"] == "it counts one word"


def test_a_judge_may_say_that_neither_is_better(tmp_path):
    class Frank(Leaning):
        def ask(self, questions):
            made = super().ask(questions)
            return [
                (call, Answer((*answer.logprobs, 2.0 if abs(answer.logprobs[0]) < 2 else -9.0), 1))
                for call, answer in made
            ]

    for swap in (True, False):
        how = replace(asking(tmp_path, swap=swap), tie=" C")
        texts = (["aaaaaa", "ab", "a"], ["a", "a", "bbbbbb"])
        said = ask(Frank(0), how, ["p"] * 3, texts, [None] * 3)
        assert said.votes.tolist() == [1, 0, -1]
        assert how.question("p", "a", "b").choices == ("A", "B", " C")


def test_a_prompt_in_jinja_keeps_lines_and_has_a_system_turn(tmp_path):
    text = (
        "{% block system %}Be fair.{% endblock %}"
        "{% block user %}{{ prompt }}\nA:\n{{ first }}\nB:\n{{ second }}{% endblock %}"
    )
    (tmp_path / "p.jinja").write_text(text)
    how = Asking(prompt_of(tmp_path / "p.jinja"), (" A", " B"), 100, 0, swap=True)
    question = how.question("q", "def f():\n    return 1", "x")
    # What is weighed goes on from one text, and all questions begin with the same.
    assert (question.system, question.prefix) == ("", "Be fair.\n\n")
    assert question.body == "q\nA:\ndef f():\n    return 1\nB:\nx"
    (tmp_path / "p.jinja").write_text("{{ prompt }} {{ first }}")
    with pytest.raises(RecipeError, match=r"has no \{\{ second \}\}"):
        prompt_of(tmp_path / "p.jinja")


# ---- gold ----


@pytest.mark.parametrize("column", [[3, 1, 0], ["one", "one", "other"], [True, True, False]])
def test_verdicts_are_held_against_what_people_prefer(tmp_path, column):
    one = rows(["a lovely day", "a kind day", "a superb bright day"], gold=column)
    words = isinstance(column[0], str)
    other = rows(["a day", "the day", "one day"], gold=column if words else [0, 0, 1])
    keys = 'one = "one"\nother = "other"\njudges = ["u", "v", "w"]\nprompt = "better.txt"\n'
    store = preferred(tmp_path, keys + 'gold = "gold"\nvotes = "margin"\nties = "keep"', one=one,
                      other=other)  # fmt: skip
    told = measures(store)
    assert told["gold"]["pairs"] == 3
    assert told["judges"]["u"]["gold"]["right"] == 2
    assert told["judges"]["u"]["gold"]["accuracy"] == pytest.approx(2 / 3)


def test_a_gold_that_is_neither_number_nor_name_is_told(tmp_path):
    one, other = rows(["a", "b"], gold=["yes", "no"]), rows(["c", "d"], gold=["yes", "no"])
    keys = 'one = "one"\nother = "other"\nhow = "declared"\ngold = "gold"'
    with pytest.raises(InputError, match=r"column 'gold' says 'yes'; it may say a number, or one"):
        preferred(tmp_path, keys, one=one, other=other)


# ---- odd cells ----

ODD = [
    {"prompt": "p", "text": "best", "score": "1.0"},
    {"prompt": "p", "text": "worst", "score": "0"},
    {"prompt": None, "text": "of nothing", "score": "1"},
    {"prompt": "p", "text": None, "score": "2"},
    {"prompt": "p", "text": "unscored", "score": None},
    {"prompt": " ", "text": "blank", "score": "0.5"},
    {"prompt": "\u0645\u0631\u062d\u0628\u0627", "text": "\u4f60\u597d", "score": "0.25"},
    {"prompt": "\u0645\u0631\u062d\u0628\u0627", "text": "e\u0301 \U0001f642", "score": "0.75"},
]


@pytest.mark.parametrize("how", ["reward", "judges", "one and other"])
def test_what_lacks_a_cell_is_in_no_pair_and_spoils_no_other(tmp_path, how):
    one = [{"by": "x", "sample": 0, **row} for row in ODD]
    other = [{**row, "text": row["text"] and f"{row['text']} too"} for row in one]
    keys = {
        "reward": 'inputs = ["one", "other"]\nhow = "reward"\ngroup = ["prompt", "sample"]',
        "judges": 'inputs = ["one", "other"]\njudges = ["u", "v"]\nprompt = "better.txt"\n'
        'ties = "keep"',
        "one and other": 'one = "one"\nother = "other"\njudges = ["u"]\nprompt = "better.txt"\n'
        'ties = "keep"',
    }[how]
    store = preferred(tmp_path, keys, one=one, other=other)
    made = rows_of(store, "pairs") + rows_of(store, "pairs", "rejected")
    assert {row["prompt"] for row in made} == {"p", "\u0645\u0631\u062d\u0628\u0627"}
    texts = {text for row in made for text in (row["chosen"], row["rejected"]) if text}
    assert not texts & {"of nothing", "blank", "of nothing too", "blank too"}
    if how == "reward":
        assert "unscored" not in texts
        assert {row["chosen"].removesuffix(" too") for row in made} == {
            "best",
            "e\u0301 \U0001f642",
        }
    for row in rows_of(store, "pairs", "rejected"):
        assert row["_reason"] in {"its column text is empty", "both completions are the same"}


def test_pairs_of_two_rows_and_of_numbers_and_more_columns_as_keys(tmp_path):
    one = [
        {"number": n % 2, "part": "a", "prompt": "q", "text": f"t{n}", "score": n, "by": "x"}
        for n in range(4)
    ]
    keys = 'inputs = ["one"]\nhow = "reward"\ngroup = ["number", "part"]\nasked = "prompt"'
    found = rows_of(preferred(tmp_path, keys, one=one), "pairs")
    assert {(row["chosen"], row["rejected"]) for row in found} == {("t2", "t0"), ("t3", "t1")}


# ---- what is refused ----


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ('one = "one"', "one and other, two datasets; or inputs"),
        ('inputs = ["one"]\none = "one"', "one and other, two datasets; or inputs"),
        ('inputs = ["one", "one"]\njudges = ["u"]\nprompt = "better.txt"', "named once"),
        ('one = "one"\nother = "one"\njudges = ["u"]\nprompt = "better.txt"', "two datasets"),
        ('inputs = ["one", "other"]', "name who judges"),
        ('inputs = ["one", "other"]\njudges = ["u"]', "name who judges"),
        ('inputs = ["one", "other"]\njudges = ["u"]\nteacher = "v"\nprompt = "better.txt"',
         "name who judges"),
        ('inputs = ["one", "other"]\njudges = ["u", "u"]\nprompt = "better.txt"', "named once"),
        ('inputs = ["one", "other"]\njudges = ["nobody"]\nprompt = "better.txt"', "nobody"),
        ('inputs = ["one", "other"]\nhow = "reward"\njudges = ["u"]', "judges is for judges"),
        ('inputs = ["one", "other"]\nhow = "declared"', "set these, not inputs"),
        ('inputs = ["one"]\njudges = ["u"]\nprompt = "better.txt"\npairs = "across"',
         "there is one"),
        ('inputs = ["one"]\njudges = ["u"]\nprompt = "better.txt"\npairs = "best-worst"',
         "goes by scores"),
        ('one = "one"\nother = "other"\nhow = "declared"\npairs = "all"', "paired by on"),
        ('inputs = ["one"]\nhow = "reward"\nscore = "scored"', "score = .scored. is no column"),
        ('inputs = ["one"]\nhow = "reward"\nscore = "text"', "'text' holds 'a'; numbers"),
        ('inputs = ["one", "other"]\njudges = ["u"]\nprompt = "better.txt"\ntie_answer = " A"',
         "tie_answer another one"),
        ('inputs = ["one"]\nhow = "reward"\ngroup = ["nope"]', "group = .nope. is no column"),
        ('inputs = ["one"]\nhow = "reward"\ncolumn = "nope"', "column = 'nope' is no column"),
        ('inputs = ["other"]\nhow = "reward"', "no two completions of other with a score"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_by_its_key(tmp_path, keys, message):
    one, other = rows([["a", "b"]], [1, 2]), rows(["a", "b"], [None, 1])
    with pytest.raises((RecipeError, InputError), match=message):
        preferred(tmp_path, keys, one=one, other=other)


def test_the_short_form_is_as_it_was():
    short = PreferSpec(one="a", other="b", teacher="t", prompt="p.txt")
    assert short.model_dump() == {
        "kind": "prefer", "version": None, "shard_rows": 4096, "one": "a", "other": "b",
        "teacher": "t", "prompt": "p.txt", "on": ("prompt", "sample"), "answers": (" A", " B"),
        "max_chars": 4000,
    }  # fmt: skip
    assert (short.swaps, short.who, short.is_short) == (False, ("t",), True)
    many = PreferSpec(inputs=["a", "b"], judges=["t"], prompt="p.txt")
    assert (many.swaps, many.who, many.is_short) == (True, ("t",), False)


def test_the_recipe_of_preferences_runs_and_its_bill_and_page_say_who_did_what(tmp_path, capsys):
    store, _ = run_toy(CHANNELS.parent / "preferences.toml", tmp_path / "store")
    result = store.find("preferred")
    through = {
        line.source.name.removesuffix(" (stand-in)"): set(line.channels)
        for line in bill(Circuit.of_artifact(store, result))
        if line.source.what == "model"
    }
    assert through == {
        **{f"Example {name}": {"content"} for name in ("Closed", "Open", "Small")},
        **{f"Example {name}": {"judgement"} for name in ("Judge", "Second Judge")},
    }
    (judged,) = gather(store, result).judged
    assert {judge.name for judge in judged.judges} == {"strict", "mild"}
    assert re.search(r"Cohen's kappa: strict, mild 0\.\d\d; Krippendorff's alpha", judged.agreement)
    (shown,) = judged_json([result])
    assert shown["agreement"] == judged.agreement
    print_judged([result])
    told = capsys.readouterr().out
    assert "preferred@1, judge strict: 288 answered, " in told.replace("\n", " ")
    assert "said otherwise the other way round" in told.replace("\n", " ")
    page = mb.open(store.root).report("preferred").read_text()
    assert "otherwise the other way round" in page
    # The second set asks the same questions, and pays for none of them.
    calls = Journal(store.root / "calls.sqlite").totals()[0]
    controls = 2 * 2 * 6 + 2 * 2 * 10
    assert calls == 3 * 96 + 2 * 2 * 288 + 2 * 2 * 96 + controls
    told = {name: store.find(name).measures["agreement"] for name in ("preferred", "ranked")}
    assert told["preferred"] == told["ranked"]
