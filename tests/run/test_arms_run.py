"""Recipes with arms through the real runner: what is shared once, and the rest side by side."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import tomli_w
from tests_support import execute, killed, write_recipe

import mashbill as mb
from mashbill import InputError, Signer, Store, load_recipe
from mashbill.calls.journal import Journal
from mashbill.cli import main
from mashbill.cli.options import out
from mashbill.cli.show_arms import print_arms
from mashbill.cli.show_ran import print_ran
from mashbill.core.artifact import ArtifactRef
from mashbill.core.errors import DriftError
from mashbill.core.recipe_tables import tables_of
from mashbill.lineage.duties.decisions import DECIDE
from mashbill.plan import build
from mashbill.report.comparing import Compared
from mashbill.run.executor import Execution
from mashbill.run.spend import Spend

ARMS = """
[arms]
seeds = [1, 2]
seeded = ["first"]
[arms.all]
[arms.top]
classifier.input = "confident"
[arms.weak]
labelled.teacher = "other"
"""
STAGES = """
[recipe]
name = "small"
version = "1"
seed = 7
result = "classifier"

[teachers.fake]
kind = "fake"
words.good = ["lovely", "bright", "kind", "superb", "warm"]
words.bad = ["awful", "dull", "cruel", "broken", "cold"]
noise = 0.5

[teachers.other]
kind = "fake"
name = "another"
words.good = ["kind"]
words.bad = ["cold"]
noise = 4.0

[stages.corpus]
kind = "corpus"
title = "toy texts"
license = "CC0-1.0"
source = "toy.jsonl"
gold.column = "mood"
gold.labels.good.equals = "good"
gold.labels.bad.equals = "bad"

[stages.known]
kind = "split"
input = "corpus"
range = [0.0, 0.6]

[stages.first]
kind = "split"
input = "known"
range = [0.0, 0.7]

[stages.heldout]
kind = "split"
input = "corpus"
range = [0.6, 1.0]
gold = "require"

[stages.labelled]
kind = "label"
input = "first"
teacher = "fake"
prompt = "toy.txt"
labels = { good = " good", bad = " bad" }

[stages.confident]
kind = "filter"
input = "labelled"
column = "label"
by = "rule"
one_of = ["good", "bad"]

[stages.classifier]
kind = "classifier"
input = "labelled"
buckets = 512

[stages.heldout-classifier]
kind = "apply"
input = "heldout"
model = "classifier"

[stages.evaluation]
kind = "evaluate"
input = "heldout"
systems.classifier = "heldout-classifier"
"""


def small(folder: Path, arms: str = ARMS, rows: int = 150) -> Path:
    path = write_recipe(folder, rows=rows)
    path.write_text(STAGES.replace('column = "label"\nby = "rule"\none_of = ["good", "bad"]',
                                   'where = [{ column = "label", one_of = ["good", "bad"] }]\n'
                                   'by = "rule"') + arms)  # fmt: skip
    return path


def ran(path: Path, root: Path, **asked):
    """Run a recipe and return (store, what was done)."""
    store = Store(root, Signer.default())
    plan = build(load_recipe(path), store)
    return store, execute(plan, store, Execution(root.parent / "cache", threads=1, **asked))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("arms")
    path = small(folder / "recipe")
    store, made = ran(path, folder / "store")
    return path, store, made


def test_what_is_shared_is_made_once_and_a_second_run_makes_nothing(done):
    path, store, made = done
    names = [item.name for item in made]
    assert names == list(load_recipe(path).stages)
    assert names.count("heldout") == 1
    assert len([n for n in names if n.startswith("classifier")]) == 6
    # Calls by the journal: the same question to one teacher is bought once, whatever the arm.
    before = Journal.of(store).totals()
    _, again = ran(path, store.root)
    assert all(item.was_cached for item in again)
    assert Journal.of(store).totals() == before


def test_it_is_the_store_of_the_recipe_written_by_hand(done):
    path, store, made = done
    by_hand = path.with_name("hand.toml")
    by_hand.write_text(tomli_w.dumps(tables_of(path)))
    assert load_recipe(by_hand).arms is None
    _, again = ran(by_hand, store.root)
    assert [(item.name, item.was_cached) for item in again] == [(i.name, True) for i in made]


def test_one_arm_more_makes_that_arm_alone(done, tmp_path):
    path, store, _ = done
    shutil.copytree(path.parent, tmp_path / "recipe")
    shutil.copytree(store.root, tmp_path / "store")
    more = tmp_path / "recipe" / path.name
    more.write_text(more.read_text() + "[arms.strong]\nclassifier.strength = 1.0\n")
    _, again = ran(more, tmp_path / "store")
    assert [item.name for item in again if not item.was_cached] == [
        "classifier.strong.s1", "classifier.strong.s2",
        "heldout-classifier.strong.s1", "heldout-classifier.strong.s2",
        "evaluation.strong.s1", "evaluation.strong.s2",
    ]  # fmt: skip


def test_an_audit_and_a_rebuild_know_nothing_of_arms(done, tmp_path):
    path, store, _ = done
    space = mb.open(store.root)
    assert space.audit().holds
    rebuilt = space.rebuild(path, source="another", teacher={"other": "fake"},
                            to=path.parent / "without.toml")  # fmt: skip
    assert "arms" not in tables_of(path.parent / "without.toml")
    assert "labelled.weak.s1" in [*rebuilt.made.rebuilt, *rebuilt.made.gone]
    assert "classifier.top.s1" in rebuilt.made.kept


def test_arms_side_by_side(done):
    path, store, _ = done
    found = mb.open(store.root).compare(recipe=path)
    told = found.found
    assert isinstance(told, Compared)
    assert told.sides == ("all", "top", "weak")
    main = next(one for one in told.measures if one.is_main)
    assert main.title == "classifier accuracy"
    assert {len(value.seeds) for value in main.sides.values()} == {2}
    gap = next(gap for gap in main.gaps if (gap.first, gap.second) == ("all", "weak"))
    assert gap.by == "rows and seeds"
    assert gap.found.pairs == store.find("heldout").rows
    mean = [main.sides[name].mean for name in ("all", "weak")]
    assert gap.found.difference == pytest.approx(mean[0] - mean[1])
    assert gap.found.low <= gap.found.difference <= gap.found.high
    assert found.apart[0].settings == ("classifier.input: as the recipe has it -> 'confident'",)
    assert json.loads(json.dumps(found.as_json()))["sides"] == ["all", "top", "weak"]
    assert "weak" in str(found)


def test_one_evaluation_that_holds_all_arms(done, tmp_path):
    path, store, _ = done
    shutil.copytree(path.parent, tmp_path / "recipe")
    shutil.copytree(store.root, tmp_path / "store")
    gather = tmp_path / "recipe" / path.name
    stage = """
[stages.together]
kind = "evaluate"
input = "heldout"
systems = { it = "heldout-classifier.*", weak-alone = "heldout-classifier.weak.*" }
compare = [["it.all", "it.weak"]]
"""
    gather.write_text(gather.read_text().replace("[arms]", f"{stage}[arms]"))
    made, again = ran(gather, tmp_path / "store")
    assert [item.name for item in again if not item.was_cached] == ["together"]
    evaluation = made.find("together").measures
    assert list(evaluation["systems"]) == ["it.all", "it.top", "it.weak", "weak-alone"]
    assert len(evaluation["systems"]["it.all"]["seeds"]["values"]) == 2
    found = mb.open(tmp_path / "store").compare("all", "weak", recipe=gather).found
    both = {
        one.place: {(g.first, g.second): g for g in one.gaps}["all", "weak"]
        for one in found.measures
        if one.is_main and one.system in ("it", "classifier")
    }
    assert both["together"].found == both["evaluation"].found
    assert both["together"].by == "rows and seeds"
    told = evaluation["compare"][0]["difference"]
    assert both["together"].found.difference == pytest.approx(told)


AS_WRITTEN = {
    "no seeds": """
[arms]
[arms.plain]
[arms.top]
classifier.input = "confident"
""",
    "seeds of the other": """
[arms]
seeds = [1, 2]
seeded = ["some"]
[arms.plain]
[arms.top]
classifier.input = "some"
""",
    "with another that goes without": """
[arms]
[arms.plain]
[arms.top]
classifier.input = "confident"
[arms.none]
classifier = false
heldout-classifier = false
evaluation = false
together = false
""",
}
SOME = """
[stages.some]
kind = "split"
input = "labelled"
range = [0.0, 0.5]
"""
TOGETHER = """
[stages.together]
kind = "evaluate"
input = "heldout"
systems = { it = "heldout-classifier.*" }
compare = [["it.plain", "it.top"]]
"""


@pytest.mark.few(1)
@pytest.mark.parametrize("case", AS_WRITTEN)
def test_an_arm_that_is_the_recipe_as_it_is_written_is_compared(case, tmp_path):
    arms = AS_WRITTEN[case]
    head = "[stages.classifier]"
    path = small(tmp_path / "recipe", arms=arms)
    text = path.read_text().replace(head, SOME + head) if "some" in arms else path.read_text()
    path.write_text(text.replace("[arms]", f"{TOGETHER}[arms]", 1))
    space = mb.open(tmp_path / "store", cache=tmp_path / "cache")
    ran = space.run(space.plan(path), threads=1)
    found = {
        "at the end": ran.arms,
        "compare": space.compare("plain", "top", recipe=path).found,
    }
    for told in found.values():
        main = next(one for one in told.measures if one.is_main and one.place == "evaluation")
        assert [*main.sides] == ["plain", "top"]
        (gap,) = main.gaps
        assert (gap.first, gap.second) == ("plain", "top")
        assert gap.by == ("rows and seeds" if "seeds = " in arms else "rows")
        assert gap.found.pairs == space.store().find("heldout").rows
        assert not any("together" in one.place for one in ran.arms.measures)
    together = [one for one in found["compare"].measures if one.place == "together"]
    assert [*next(one for one in together if one.is_main).sides] == ["plain", "top"]
    assert ran.is_of_arms("evaluation")
    assert not ran.is_of_arms("together")
    assert (
        told_when_nothing_else_compares(space, path, ran).count("together: it.plain - it.top: ")
        == 1
    )
    with out.capture() as caught:
        print_arms(load_recipe(path))
    apart = {made for cell in load_recipe(path).arms.cells for made in cell.stages.values()}
    same = {name for name in apart if load_recipe(path).arms.shared(name)}
    assert f"{len(apart - same):,} stages are made apart" in caught.get()
    assert not same & {"classifier", "heldout-classifier", "evaluation"}


def told_when_nothing_else_compares(space, path, ran):
    """Return the end of a run whose arms are held side by side in one evaluation alone."""
    arms = replace(ran.arms, measures=())
    with out.capture() as caught:
        print_ran(replace(ran, arms=arms), space.plan(path), Spend())
    return " ".join(caught.get().split())


def test_arms_that_share_a_model_stand_both_in_one_evaluation_of_all(tmp_path):
    arms = AS_WRITTEN["no seeds"] + '[arms.tied]\nevaluation.group = ["text"]\n'
    path = small(tmp_path / "recipe", arms=arms, rows=80)
    path.write_text(path.read_text().replace("[arms]", f"{TOGETHER}[arms]", 1))
    space = mb.open(tmp_path / "store", cache=tmp_path / "cache")
    space.run(space.plan(path), threads=1)
    found = space.compare(recipe=path).found
    mains = {one.place: [*one.sides] for one in found.measures if one.is_main}
    every = ["plain", "top", "tied"]
    assert mains == {"evaluation": every, "together": every}


def test_a_part_of_one_arm_takes_nothing_of_another_that_is_as_written(tmp_path):
    path = small(tmp_path / "recipe", arms=AS_WRITTEN["no seeds"])
    path.write_text(path.read_text().replace("[arms]", f"{TOGETHER}[arms]", 1))
    recipe = load_recipe(path)
    inputs = {name: [use.name for use in recipe.uses(name)] for name in recipe.stages}
    for arm, other in (("plain", "classifier.top"), ("top", "classifier")):
        part = recipe.arms.part(recipe.arms.of([arm]), inputs)
        assert other not in part
        assert "together" not in part
        assert "heldout" in part


def test_some_arms_and_what_is_none(done):
    path, store, _ = done
    space = mb.open(store.root)
    assert space.compare("weak", "all", recipe=path).found.sides == ("weak", "all")
    with pytest.raises(InputError, match="all is named twice"):
        space.compare("all", "all", recipe=path)
    with pytest.raises(InputError, match="'weka' is no arm of this recipe, and 'all' is; did you"):
        space.compare("all", "weka", recipe=path)
    with pytest.raises(InputError, match="name two artifacts"):
        space.compare("classifier.s1")
    with pytest.raises(InputError, match="is named twice"):
        space.compare("classifier.s1", "classifier.s1@1")
    with pytest.raises(InputError, match="name two artifacts"):
        space.compare()


def test_models_and_evaluations_side_by_side(done):
    _, store, _ = done
    space = mb.open(store.root)
    models = space.compare("classifier.s1", "classifier.weak.s1")
    main = next(one for one in models.found.measures if one.is_main)
    assert [gap.by for gap in main.gaps] == ["rows"]
    apart = models.apart[0]
    assert "labelled.weak.s1@1 is behind classifier.weak.s1@1 alone" in apart.inputs
    assert apart.bills is not None
    assert apart.bills.lines
    told = space.compare("evaluation.s1", "evaluation.weak.s1")
    again = next(one for one in told.found.measures if one.is_main)
    assert [g.found for g in again.gaps] == [g.found for g in main.gaps]
    with pytest.raises(InputError, match=r"corpus@1 has 6 evaluations; name one of them: evaluat"):
        space.compare("corpus", "known")


def test_one_arm_and_one_seed_are_run_alone_under_one_permit(tmp_path):
    path = small(tmp_path / "recipe")
    space = mb.open(tmp_path / "store", cache=tmp_path / "cache")
    first = space.run(space.plan(path), arms=["weak"], seeds=[2], threads=1)
    assert [item.name for item in first.done] == [
        "corpus", "known", "first.s2", "heldout", "labelled.weak.s2", "classifier.weak.s2",
        "heldout-classifier.weak.s2", "evaluation.weak.s2",
    ]  # fmt: skip
    assert str(first.result.ref) == "classifier.weak.s2@1"
    assert first.arms is not None
    assert any("not made yet" in note for note in first.arms.notes)
    rest = space.run(space.plan(path), threads=1)
    assert {item.name for item in rest.done if item.was_cached} == {i.name for i in first.done}
    assert str(rest.result.ref) == "classifier.s1@1"
    page = rest.report.read_text()
    assert "Arms side by side" in page
    assert "top" in page
    permits = [e for e in space.store().ledger.entries if e.event == DECIDE]
    assert len({e.predicate["asked"] for e in permits}) == 1
    with pytest.raises(InputError, match=r"'wek' is no arm of this recipe; did you mean 'weak'"):
        space.run(space.plan(path), arms=["wek"])
    with pytest.raises(InputError, match="3 is no seed of this recipe's arms; seeds: 1 and 2"):
        space.run(space.plan(path), seeds=[3])


def test_a_recipe_without_arms_has_no_part(tmp_path):
    path = small(tmp_path / "recipe", arms="", rows=80)
    space = mb.open(tmp_path / "store")
    with pytest.raises(InputError, match=r"has no \[arms\], so no arm"):
        space.run(space.plan(path), seeds=[1])
    space.run(space.plan(path), threads=1)
    with pytest.raises(InputError, match="name two artifacts"):
        space.compare(recipe=path)


def test_the_budget_is_that_of_all_arms(tmp_path):
    path = small(tmp_path / "recipe", rows=60)
    plan = build(load_recipe(path))
    calls = {s.name: s.calls for s in plan.stages if s.name.startswith("labelled")}
    assert set(calls) == {"labelled.s1", "labelled.s2", "labelled.weak.s1", "labelled.weak.s2"}
    assert len(set(calls.values())) == 1


def test_what_drifted_is_told_by_the_stage_that_the_recipe_writes(done, tmp_path):
    path, store, _ = done
    shutil.copytree(path.parent, tmp_path / "recipe")
    changed = tmp_path / "recipe" / path.name
    changed.write_text(changed.read_text().replace("buckets = 512", "buckets = 256"))
    with pytest.raises(DriftError) as told:
        mb.open(store.root).plan(changed)
    assert "set version in [stages.classifier] (or in [recipe])" in str(told.value)
    assert "set it in [stages.heldout-classifier] and [stages.evaluation], too" in str(told.value)


def test_the_report_of_one_artifact_may_have_the_arms(done, tmp_path):
    path, store, _ = done
    page = mb.open(store.root).report("classifier.s1", tmp_path / "page.html", recipe=path)
    assert "Arms side by side" in page.read_text()
    plain = mb.open(store.root).report("classifier.s1", tmp_path / "plain.html")
    assert "Arms side by side" not in plain.read_text()


SCRATCH = """
[stages.scratch]
kind = "pretrain"
inputs = ["labelled"]
steps = 2
width = 16
layers = 1
heads = 2
vocabulary = 512
batch_tokens = 128
context = 32
"""


def test_a_language_model_is_another_one_with_each_seed_and_the_same_by_hand(tmp_path):
    pytest.importorskip("torch")

    def weights(store, name):
        return {one.sha256 for one in store.find(name).files if one.file.endswith("safetensors")}

    path = small(tmp_path / "recipe", arms="", rows=60)
    head = path.read_text().partition("[stages.confident]")[0]
    head = head.replace('result = "classifier"', 'result = "scratch"')
    path.write_text(head + SCRATCH + "\n[arms]\nseeds = [1, 2]\n")
    store, made = ran(path, tmp_path / "store")
    assert [i.name for i in made][-2:] == ["scratch.s1", "scratch.s2"]
    assert not weights(store, "scratch.s1") & weights(store, "scratch.s2")
    alone = path.with_name("alone.toml")
    alone.write_text(path.read_text().partition("[arms]")[0] + "\n")
    alone.write_text(alone.read_text().replace('kind = "pretrain"', 'kind = "pretrain"\nseed = 2'))
    other, _ = ran(alone, tmp_path / "other")
    assert weights(other, "scratch") == weights(store, "scratch.s2")


@pytest.mark.slow
def test_a_killed_run_ends_as_one_that_was_not(done, tmp_path):
    path, store, _ = done
    root = tmp_path / "store"
    killed(path, root, (root / "models" / "classifier.s2@1" / "manifest.json").exists)
    again, made = ran(path, root)
    assert any(item.was_cached for item in made)
    assert {i.name: i.manifest.digest for i in made} == {
        i.name: store.get(ArtifactRef(i.name, "1")).digest for i in made
    }
    assert again.find("evaluation.weak.s2")


def printed(monkeypatch, capsys, *words: object) -> str:
    monkeypatch.setattr(sys, "argv", ["mashbill", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_commands(done, monkeypatch, capsys):
    path, store, _ = done
    told = printed(monkeypatch, capsys, "plan", path)
    assert "classifier x 3 arms" in told
    assert "classifier.top.s1 " not in told.replace("about classifier.s1", "")
    assert "top: classifier.input" in told
    told = printed(monkeypatch, capsys, "plan", path, "--all")
    assert "classifier.top.s1" in told
    told = json.loads(printed(monkeypatch, capsys, "plan", path, "--json"))
    assert told["arms"]["seeds"] == [1, 2]
    assert told["arms"]["arms"]["weak"] == {"labelled.teacher": "other"}
    told = printed(monkeypatch, capsys, "run", path, "--store", store.root)
    assert "all - weak, classifier accuracy:" in told
    told = printed(monkeypatch, capsys, "compare", "--recipe", path, "--store", store.root)
    assert "all and weak differ in" in told
    models = ("classifier.s1", "classifier.top.s1")
    told = json.loads(printed(monkeypatch, capsys, "compare", *models, "--store", store.root,
                              "--json"))  # fmt: skip
    assert told["differ_in"][0]["settings"][0].startswith("input: 'labelled.s1'")
