"""A recipe of three labels from end to end: what is in the manifest is what is on the page."""

import json
import random
import re
import shutil
from collections import Counter
from itertools import pairwise

import pytest
from tests_support import BROWSER, PLAIN, commit_manifest, dom_of, rows_of, run_stages
from typer.testing import CliRunner

from mashbill import InputError, Store, load_recipe
from mashbill.cli import app
from mashbill.cli.options import out
from mashbill.cli.show_evaluation import print_evaluations
from mashbill.core.evaluation import evaluation_of
from mashbill.evals.confusion import Confusion
from mashbill.plan import build
from mashbill.report import write_report
from mashbill.report.drawing import draw_systems
from mashbill.workspace.recipes import recipe_path

WORDS = {
    "calm": ["lake", "quiet", "rest", "slow", "still"],
    "angry": ["rage", "shout", "slam", "fury", "bitter"],
    "glad": ["smile", "song", "party", "sun", "laugh"],
}
LABELS = 'labels = { calm = " calm", angry = " angry", glad = " glad" }\n'
TEACHER = '[teachers.t]\nkind = "fake"\nnoise = 0.7\n' + "".join(
    f"words.{label} = {json.dumps(words)}\n" for label, words in WORDS.items()
)
# What it is asked never holds these words, so that it always says the first label.
DEAF = '[teachers.deaf]\nkind = "fake"\nwords.x = ["qqq"]\nname = "deaf"\n'

STAGES = f"""
[stages.corpus]
kind = "corpus"
title = "moods"
source = "moods.jsonl"
gold.column = "mood"
gold.labels.calm.equals = "calm"
gold.labels.angry.equals = "angry"
gold.labels.glad.equals = "glad"

[stages.first]
kind = "split"
input = "corpus"
range = [0.0, 0.6]

[stages.heldout]
kind = "split"
input = "corpus"
range = [0.6, 1.0]
gold = "require"

[stages.labelled]
kind = "label"
input = "first"
teacher = "t"
prompt = "p.txt"
{LABELS}
[stages.classifier]
kind = "classifier"
input = "labelled"
buckets = 1024

[stages.heldout-teacher]
kind = "label"
input = "heldout"
teacher = "t"
prompt = "p.txt"
{LABELS}
[stages.heldout-deaf]
kind = "label"
input = "heldout"
teacher = "deaf"
prompt = "p.txt"
labels = {{ angry = " angry", calm = " calm", glad = " glad", "never heard of" = " other" }}

[stages.heldout-classifier]
kind = "apply"
input = "heldout"
model = "classifier"

[stages.evaluation]
kind = "evaluate"
input = "heldout"
systems.teacher = "heldout-teacher"
systems.classifier = "heldout-classifier"
systems.deaf = "heldout-deaf"
compare = [["teacher", "classifier"]]
"""


def moods(rows=360):
    draw = random.Random(4)
    made = []
    for i in range(rows):
        mood = draw.choices(list(WORDS), [5, 3, 2])[0]
        words = draw.choices(PLAIN, k=6) + draw.choices(WORDS[mood], k=2)
        words += draw.choices(WORDS["calm"], k=1)
        draw.shuffle(words)
        made.append({"text": " ".join(words), "mood": mood if i % 9 else None})
    return made


FILES = {"moods.jsonl": moods(), "p.txt": "Text: {{ text }} ->\n"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("three")
    return run_stages(folder, STAGES, FILES, TEACHER + DEAF), folder / "some.toml"


def test_the_manifest_has_each_systems_matrix(made):
    store, _ = made
    rows = rows_of(store, "evaluation")
    measures = store.find("evaluation").measures
    gold = Counter(row["gold"] for row in rows)
    label, count = gold.most_common(1)[0]
    assert measures["majority_label"] == label
    assert measures["majority"] == count / len(rows)
    assert measures["majority_low"] < measures["majority"] < measures["majority_high"]
    for system in ("teacher", "classifier", "deaf"):
        pairs = Counter((row["gold"], row[system]) for row in rows)
        result = measures["systems"][system]
        confusion = result["confusion"]
        assert confusion["rows"] == sorted(WORDS)
        counted = {
            (one, other): count
            for one, counts in zip(confusion["rows"], confusion["counts"], strict=True)
            for other, count in zip(confusion["columns"], counts, strict=True)
            if count
        }
        assert counted == pairs
        right = sum(pairs[name, name] for name in WORDS)
        assert result["accuracy"] == right / len(rows)
    systems = measures["systems"]
    assert systems["teacher"]["against_majority"] == "better"
    # A classifier whose weights were written in another order than they are read is far below.
    assert systems["classifier"]["accuracy"] > measures["majority_high"]
    assert systems["deaf"]["only"] == "angry"
    assert systems["deaf"]["against_majority"] == "below"


def cells(html, system):
    """Return the counts of a system's matrix as the page shows them."""
    figure = html[html.index(f"<figcaption><b>{system}</b>") :]
    figure = figure[: figure.index("</figure>")]
    counts = re.findall(r'<td class="cell[^>]*>([\d,]+)</td>', figure)
    return [int(count.replace(",", "")) for count in counts]


def test_the_page_shows_every_matrix_and_who_is_below_the_majority_label(made, tmp_path):
    store, _ = made
    page = write_report(store, store.find("classifier"), tmp_path / "page.html")
    html = page.read_text()
    measures = store.find("evaluation").measures
    for system in ("teacher", "classifier"):
        counts = measures["systems"][system]["confusion"]["counts"]
        assert cells(html, system) == [count for row in counts for count in row]
    share = f"{measures['majority']:.3f}"
    assert f"<b>deaf</b> below the majority label ({share})" in html
    assert "<b>deaf</b> says &#39;angry&#39; of every row" in html
    assert f"majority label {share}" in html
    assert "<b>classifier</b> below" not in html


def test_a_run_tells_the_matrix_and_who_is_below_the_majority_label(made):
    store, recipe = made
    arguments = ["run", str(recipe), "--store", str(store.root)]
    done = CliRunner().invoke(app, arguments)
    share = f"{store.find('evaluation').measures['majority']:.3f}"
    assert f"attention  deaf: below the majority label ({share})" in done.output
    done = CliRunner().invoke(app, [*arguments, "--full"], env={"COLUMNS": "120"})
    assert done.exit_code == 0, done.output
    assert f"deaf: below the majority label ({share})" in done.output
    assert "deaf: says 'angry' of every row" in done.output
    assert "majority label, 'calm'" in done.output
    assert "classifier: what humans said (down), what it said (across)" in done.output
    as_json = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert as_json["evaluation"] == store.find("evaluation").measures
    assert as_json["evaluations"] == {"evaluation": as_json["evaluation"]}


def measuring(store, folder, measures):
    """Return a copy of a store whose evaluation measured something else."""
    shutil.copytree(store.root, folder)
    path = Store(folder).folder("dataset", store.find("evaluation").ref) / "manifest.json"
    manifest = json.loads(path.read_text())
    commit_manifest(folder, path, {**manifest, "measures": measures})
    return Store(folder)


def test_measures_of_older_stores_are_shown_as_far_as_they_go(made, tmp_path):
    store, _ = made
    measures = store.find("evaluation").measures
    kept = ("accuracy", "low", "high", "macro_f1")
    systems = {
        name: {key: result[key] for key in kept} for name, result in measures["systems"].items()
    }
    as_it_was = {key: measures[key] for key in ("rows", "majority", "compare")}
    old = measuring(store, tmp_path / "old", {"systems": systems, **as_it_was})
    html = write_report(old, old.find("classifier"), tmp_path / "page.html").read_text()
    share = f"{old.find('evaluation').measures['majority']:.3f}"
    assert f"<b>deaf</b> below the majority label ({share})" in html
    assert "<figcaption>" not in html
    with out.capture() as caught:
        print_evaluations({"evaluation": evaluation_of(old.find("evaluation").measures)})
    assert f"below the majority label ({share})" in caught.get()


def test_rows_without_a_human_label_cannot_be_measured(tmp_path):
    stages = STAGES.replace('range = [0.6, 1.0]\ngold = "require"', "range = [0.6, 1.0]")
    stages = stages.replace('input = "heldout"', 'input = "corpus"')
    with pytest.raises(InputError, match=r"corpus: \d+ of \d+ rows have no human label, .*require"):
        run_stages(tmp_path, stages, FILES, TEACHER + DEAF)


def many(labels, columns):
    """Return the measures of an evaluation with as many labels, and of a system that mixes them."""
    draw = random.Random(6)
    names = [f"<b>a complaint about delivery number {i}</b>" for i in range(labels)]
    gold = draw.choices(names, [1 / (i + 1) for i in range(labels)], k=900)
    said = [label if draw.random() < 0.6 else draw.choice([*names[1:], *columns]) for label in gold]
    confusion = Confusion.of(gold, said)
    result = {
        "accuracy": 0.3, "low": 0.27, "high": 0.33, "macro_f1": confusion.macro_f1(),
        "labels": confusion.by_label(), "confusion": confusion.as_json(), "unanswered": 5,
        "only": None,
    }  # fmt: skip
    return {
        "systems": {"a system with a rather long name of its own": result, "b": result},
        "rows": 900, "majority": 0.4, "majority_label": names[0], "majority_low": 0.37,
        "majority_high": 0.43, "compare": [],
    }  # fmt: skip


def page_of(store, measures, folder):
    other = measuring(store, folder / "other", measures)
    return write_report(other, other.find("classifier"), folder / "page.html")


@pytest.mark.parametrize("labels", [2, 7, 30, 31])
def test_many_labels_with_long_names_are_escaped_and_counted(made, labels, tmp_path):
    measures = many(labels, [None, "unheard of"])
    html = page_of(made[0], measures, tmp_path).read_text()
    assert "<b>a complaint" not in html
    assert "&lt;b&gt;a complaint" in html
    assert "(no label)" in html
    is_large = labels + 2 > 30
    assert ("kinds of\nmistake" in html) == is_large
    if not is_large:
        assert len(cells(html, "b")) == labels * (labels + 2)
        assert sum(cells(html, "b")) == 900


@pytest.mark.skipif(BROWSER is None, reason="needs Debian's chromium; .ci/run installs it")
@pytest.mark.parametrize("width", [520, 1280])
def test_seven_labels_fit_any_screen(made, width, tmp_path):
    page = page_of(made[0], many(7, [None]), tmp_path)
    dom = dom_of(page, tmp_path / "profile", width)
    wide, room = (int(re.search(rf'data-{name}="(\d+)"', dom)[1]) for name in ("wide", "room"))
    assert wide <= room
    assert dom.count('class="cell') == 2 * 7 * 8


@pytest.mark.parametrize("majority", [0.02, 0.2, 0.4, 0.7, 0.99])
def test_everything_that_is_drawn_lies_within_the_drawing(majority):
    measures = {
        "rows": 50, "majority": majority, "majority_low": max(majority - 0.1, 0.0),
        "majority_high": min(majority + 0.1, 1.0),
        "systems": {"x" * 60: {"accuracy": 0.1, "low": 0.0, "high": 0.3},
                    "y": {"accuracy": 1.0, "low": 0.9, "high": 1.0}},
    }  # fmt: skip
    drawn = draw_systems(evaluation_of(measures))
    width = int(re.search(r'viewBox="0 0 (\d+)', drawn)[1])
    at = [float(x) for x in re.findall(r'(?:x1|x2|cx|x)="([-\d.]+)"', drawn)]
    at += [float(x) for x in re.findall(r"[MH](-?[\d.]+)", drawn)]
    assert min(at) >= 0
    assert max(at) <= width


def test_the_shipped_recipe_loads_and_plans():
    recipe = load_recipe(recipe_path("three_labels"))
    plan = build(recipe, None)
    stages = {stage.name: stage for stage in plan.stages}
    gold = recipe.stages["corpus"].gold.labels
    assert set(gold) == {"positive", "neutral", "negative"}
    for name in ("labelled", "heldout-teacher"):
        assert set(recipe.stages[name].labels) == set(gold)
        assert all(word.startswith(" ") for word in recipe.stages[name].labels.values())
    assert 400 < stages["labelled"].rows < 700
    assert 200 < stages["heldout-teacher"].rows < 500
    # Split by ranges that share nothing: no text that is held out was learned from.
    ranges = sorted(recipe.stages[name].range for name in ("first", "rest", "heldout"))
    assert all(one[1] <= other[0] for one, other in pairwise(ranges))
