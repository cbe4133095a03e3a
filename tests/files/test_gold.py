"""Human labels of a corpus: what no rule takes, empty cells, and what a plan knows of them."""

import json

import pytest
from tests_support import rows_of, run_stages, write_recipe

from mashbill import InputError, load_recipe
from mashbill.core.errors import RecipeError
from mashbill.files.rows.gold import Gold, GoldRule
from mashbill.plan import build
from mashbill.run.foreseen import foresee

CORPUS = '[stages.texts]\nkind = "corpus"\ntitle = "texts"\nsource = "texts.{}"\n'
WORDS = 'gold.column = "mood"\ngold.labels.good.equals = "good"\ngold.labels.bad.equals = "bad"\n'
NUMBERS = 'gold.column = "stars"\ngold.labels.high.at_least = 4\ngold.labels.low.at_most = 3\n'


def warnings(store):
    [ref] = [m for m in store.manifests() if m.name == "texts"]
    return ref.measures.get("warnings", [])


def csv_of(folder, column, values):
    rows = "".join(f"text number {i},{value}\n" for i, value in enumerate(values))
    (folder / "texts.csv").write_text(f"text,{column}\n{rows}")
    return CORPUS.format("csv")


def test_values_that_no_rule_takes_are_told_once(tmp_path):
    values = ["good", "bad", "", *["neutral"] * 33]
    stage = csv_of(tmp_path, "mood", values) + WORDS
    store = run_stages(tmp_path, stage, {})
    assert warnings(store) == [
        "33 rows have a value of column 'mood' that no rule of gold takes: 33 'neutral'"
    ]


def test_of_many_values_five_are_shown_and_number_rules_say_nothing(tmp_path):
    many = tmp_path / "many"
    many.mkdir()
    values = ["good", "bad", *(f"v{i:04}" for i in range(1500))]
    store = run_stages(many, csv_of(many, "mood", values) + WORDS, {})
    [said] = warnings(store)
    assert said.startswith("1,500 rows have")
    assert said.count("'v0") == 5
    assert said.endswith(", and others")
    few = tmp_path / "few"
    few.mkdir()
    numbers = NUMBERS.replace("at_most = 3", "at_most = 2")
    assert not warnings(run_stages(few, csv_of(few, "stars", [5, 3, 1]) + numbers, {}))


def test_an_empty_cell_is_no_gold_and_another_is_told_with_what_to_do(tmp_path):
    stage = csv_of(tmp_path, "stars", [5, "", " ", 1]) + NUMBERS
    gold = [row["gold"] for row in rows_of(run_stages(tmp_path, stage, {}), "texts")]
    assert gold == ["high", None, None, "low"]
    other = tmp_path / "other"
    other.mkdir()
    stage = csv_of(other, "stars", [5, "n/a", 1]) + NUMBERS
    (other / "r.toml").write_text('[recipe]\nname = "r"\nversion = "1"\n' + stage)
    with pytest.raises(
        InputError,
        match=r"stages\.texts: .* line 3: column 'stars' holds 'n/a'"
        r".*leave the cell empty if there is no rating",
    ):
        build(load_recipe(other / "r.toml"))


def test_a_whole_float_equals_its_whole_number():
    gold = Gold(column="x", labels={"one": GoldRule(equals="1"), "none": GoldRule(equals="")})
    found = [gold.label_of(value) for value in (1.0, 1, "1", 1.5, "1.0", "", float("inf"))]
    assert found == ["one", "one", "one", None, None, "none", None]
    assert GoldRule(equals="1.0").holds(1.0)


def test_a_rule_that_takes_nothing_tells_what_is_there(tmp_path):
    stage = csv_of(tmp_path, "mood", ["good", "Bad", "Bad", "so so"]) + WORDS
    with pytest.raises(InputError, match=r"gold\.labels\.bad \(it has 'Bad', 'so so'\); correct"):
        run_stages(tmp_path, stage, {})


def test_a_file_without_rows_ends_the_plan(tmp_path):
    (tmp_path / "texts.jsonl").write_text("")
    recipe = '[recipe]\nname = "r"\nversion = "1"\n' + CORPUS.format("jsonl")
    (tmp_path / "r.toml").write_text(recipe)
    with pytest.raises(InputError, match=r"stages\.texts: texts\.jsonl has no rows"):
        build(load_recipe(tmp_path / "r.toml"))


def test_labels_that_differ_from_gold_are_told_both_ways(tmp_path):
    path = write_recipe(tmp_path)
    recipe = load_recipe(path)
    assert not [found for found in foresee(recipe, recipe.stages, tmp_path) if not found.file]
    text = path.read_text()
    head, tail = text.split("[stages.heldout-teacher]")
    tail = tail.replace("labels = { good", "labels = { fine", 1)
    path.write_text(f"{head}[stages.heldout-teacher]{tail}")
    recipe = load_recipe(path)
    stages = [name for name, spec in recipe.stages.items() if spec.kind == "evaluate"]
    [found] = foresee(recipe, stages, tmp_path)
    said = str(found)
    assert said.startswith(f"stages.{stages[0]}: gold labels of stages.corpus are 'good', 'bad', ")
    assert "labels of stages.heldout-teacher are 'fine', 'bad'" in said
    assert "'good' is never given" in said
    assert "'fine' is no gold label" in said
    assert found.as_json()["says"] in said


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            'input = "rest"',
            'input = "classifier"',
            r"relabelled\.input names 'classifier', which is a model .* dataset .*: corpus, f",
        ),
        (
            'model = "classifier"',
            'model = "labelled"',
            r"relabelled\.model names 'labelled', which is a dataset .* model is.*: classifier$",
        ),
        ('["confident"]', '["classifier"]', r"scratch\.inputs names 'classifier'"),
    ],
)
def test_a_model_is_no_dataset(tmp_path, old, new, says):
    path = write_recipe(tmp_path)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(RecipeError, match=says):
        load_recipe(path)


def test_what_ends_a_stage_names_it(tmp_path):
    (tmp_path / "texts.jsonl").write_text(json.dumps({"text": "hello"}) + "\n")
    stages = CORPUS.format("jsonl") + (
        '[stages.scores]\nkind = "evaluate"\ninput = "texts"\nsystems.one = "texts"\n'
    )
    with pytest.raises(InputError, match=r"^stages\.scores: texts: none of its 1 rows has"):
        run_stages(tmp_path, stages, {})
