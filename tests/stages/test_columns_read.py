"""A column that a recipe names and rows have not is told by the plan, before anything is made."""

import json

import pytest
from tests_support import rows_of, run_stages

from mashbill import RecipeError, load_recipe
from mashbill.plan import build

HEAD = '[recipe]\nname = "r"\nversion = "1"\n'
ROWS = """
[stages.got]
kind = "import"
title = "got"
source = "got.jsonl"
generator = "by"
"""
CHECKS = '[stages.out]\nkind = "verify"\ninput = "got"\nby = "v"\nreference = "known"\n'
BY = '[verifiers.v]\nkind = "{}"\n{}\n' + ROWS + CHECKS
PREFER = ROWS + '[stages.out]\nkind = "prefer"\ninputs = ["got"]\n'


def plan(folder, stages):
    row = {"prompt": "p", "text": "t", "known": "x", "by": "toy", "score": 1.0}
    (folder / "got.jsonl").write_text(json.dumps(row) + "\n")
    (folder / "r.toml").write_text(HEAD + stages)
    return build(load_recipe(folder / "r.toml"))


@pytest.mark.parametrize(
    ("kind", "keys", "said"),
    [
        ("code", "", "verifiers.v.tests = 'tests'"),
        ("given", 'score = "scroe"', "verifiers.v.score = 'scroe'"),
        ("grounding", 'within = "passage"', "verifiers.v.within = 'passage'"),
        ("instructions", "", "verifiers.v.demands = "),
        ("instructions", 'demands = "known"', "verifiers.v.given = "),
        ("rubric", '[verifiers.v.parts.a]\nkind = "given"\nscore = "scroe"',
         "verifiers.v.parts.a.score = 'scroe'"),
    ],
)  # fmt: skip
def test_what_a_verifier_reads_of_rows_is_looked_for_by_the_plan(tmp_path, kind, keys, said):
    with pytest.raises(RecipeError, match=r"stages\.out: ") as told:
        plan(tmp_path, BY.format(kind, keys))
    assert said in str(told.value)
    assert "is no column of got" in str(told.value)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ('how = "reward"\nscore = "scroe"', "score = 'scroe' is no column of got; did you mean"),
        ('how = "reward"\ngroup = ["promt"]', "group = 'promt' is no column of got; did you mean"),
        ('how = "reward"\nasked = "ask"', "asked = 'ask' is no column of got"),
        ('how = "reward"\ngold = "best"', "gold = 'best' is no column of got"),
        ('how = "reward"\ncolumn = "txt"', "column = 'txt' is no column of got; did you mean"),
        ('how = "ranking"', "column = 'completions' is no column of got"),
    ],
)
def test_what_preferences_go_by_is_looked_for_by_the_plan(tmp_path, keys, said):
    with pytest.raises(RecipeError) as told:
        plan(tmp_path, PREFER + keys)
    assert said in str(told.value)


@pytest.mark.parametrize(
    "keys", ['how = "reward"', 'how = "ranking"\ncolumn = "known"\nscore = ""']
)
def test_what_is_there_is_planned(tmp_path, keys):
    assert plan(tmp_path, PREFER + keys).stages[-1].name == "out"


EACH_KEEPS = [
    ("filter", 'by = "rule"\nwhere = [{ column = "score", at_least = 0 }]'),
    ("dedup", 'column = "text"'),
    ("split", "range = [0, 1]"),
    ("decontaminate", 'against.s = { file = "set.jsonl", question = "q" }\naction = "mark"'),
    ("without", 'without = { source = "nobody" }'),
    ("verify", 'by = "v"\nthreshold = 0'),
    ("verify", 'by = "v"\nthreshold = 0\ngroup = ["prompt"]'),
]


@pytest.mark.parametrize(("kind", "keys"), EACH_KEEPS)
def test_columns_are_known_beyond_stages_that_keep_them_and_none_is_denied(tmp_path, kind, keys):
    rows = [
        {"prompt": f"p{i}", "text": f"some text {i}", "by": "toy", "score": 1.0, "reason": "r",
         "original_score": 3, "group": 1, "rank": 2, "verifier": "who", "contamination": "c",
         "isolation": "i", "original_prompt": "o"}
        for i in range(3)
    ]  # fmt: skip
    head = '[verifiers.v]\nkind = "given"\nscore = "score"\n' + ROWS
    middle = f'[stages.middle]\nkind = "{kind}"\ninput = "got"\n{keys}\n'
    last = '[stages.last]\nkind = "verify"\ninput = "middle"\nby = "v"\ncolumn = "{}"\n'
    files = {"got.jsonl": rows, "set.jsonl": [{"q": "nothing of the kind"}]}
    store = run_stages(tmp_path, head + middle, files, teachers="")
    made = [name for name in rows_of(store, "middle")[0] if not name.startswith("_")]
    for name in made:
        (tmp_path / "r.toml").write_text(HEAD + head + middle + last.format(name))
        build(load_recipe(tmp_path / "r.toml"))
    (tmp_path / "r.toml").write_text(HEAD + head + middle + last.format("nowhere"))
    with pytest.raises(RecipeError, match="column = 'nowhere' is no column of middle"):
        build(load_recipe(tmp_path / "r.toml"))


def test_what_rollouts_do_not_keep_is_told_before_they_are_paid_for(tmp_path):
    (tmp_path / "set.jsonl").write_text("{}\n")
    asks = (
        '[teachers.t]\nkind = "fake"\nname = "t"\nwords = { a = ["a"] }\n'
        '[stages.answers]\nkind = "generate"\ninput = "got"\n'
        'teacher = "t"\nrollouts = true\nkeep = ["score"]\n'
    )
    checks = '[verifiers.v]\nkind = "exact"\n[stages.out]\nkind = "verify"\ninput = "answers"\n'
    checks += 'by = "v"\nfinish = "finish"\nreference = "{}"\n'
    with pytest.raises(RecipeError, match="reference = 'known' is no column of answers"):
        plan(tmp_path, ROWS + asks + checks.format("known"))
    assert plan(tmp_path, ROWS + asks + checks.format("score")).stages


def test_what_lists_of_answers_hold_is_not_denied(tmp_path):
    rows = [{"prompt": "p", "completions": [{"response": "a", "rating": 1, "model": "m"}]}]
    (tmp_path / "got.jsonl").write_text(json.dumps(rows[0]) + "\n")
    prefer = PREFER + 'how = "reward"\nscore = "rating"\n'
    (tmp_path / "r.toml").write_text(HEAD + prefer.replace('"by"', '"model"'))
    assert build(load_recipe(tmp_path / "r.toml")).stages
