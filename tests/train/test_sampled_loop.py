"""The loop of trainers that sample, by a toy of a plugin, through the real runner."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from safetensors.torch import load_file
from tests_sampled import PROMPTS, VOWELS, asked, sampled, vowels
from tests_support import rows_of, run_toy
from tests_tiny_base import make_base
from tests_training import BASE, digest_of

from mashbill import RecipeError, load_recipe
from mashbill.core.artifact import ArtifactRef
from mashbill.core.curves import read_curves
from mashbill.core.errors import DriftError, InputError, MashbillError
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.evidence.audit import Auditor
from mashbill.lineage.whatif.rebuild import rebuild, write_rebuild
from mashbill.lineage.whatif.removal import Selector
from mashbill.plan import build
from mashbill.run.rederiving import Rederiver
from mashbill.train import checkpoint, sampled_loop, sampled_steps
from mashbill.workspace.part import part_of
from mashbill.workspace.space import open_workspace

__all__ = ["vowels"]
VOWELS_OF_TWO = VOWELS.replace("steps = 5\n", "").replace("rate = 0.02\n", "")
OTHERS = PROMPTS.replace("stages.asked", "stages.others").replace('"questions"', '"others"')
pytestmark = pytest.mark.usefixtures("vowels")


def folder_of(store, name="student"):
    return store.folder("model", store.find(name).ref)


def made(store):
    """All of a training that has to come out the same."""
    folder, model, rows = folder_of(store), store.find("student"), store.find("student-rollouts")
    weights = load_file(next(folder.glob("*.safetensors")))
    curves = {name: curve.values.tolist() for name, curve in read_curves(folder).items()}
    return {
        "rollouts": rows.digest,
        "measured": rows.measures,
        "weights": {name: each.numpy().tobytes() for name, each in weights.items()},
        "curves": curves,
        "model": model.digest,
    }


def test_a_student_samples_and_its_rollouts_are_records(tmp_path):
    store, _ = sampled(tmp_path / "r")
    rows = rows_of(store, "student-rollouts")
    assert [(row["step"], row["group"], row["sample"]) for row in rows] == [
        (step, group, sample) for step in range(5) for group in range(2) for sample in range(3)
    ]
    words = asked()
    for row in rows:
        assert row["prompt"] == words[row["_from"]]["prompt"]
        assert 1 <= len(row["ids"]) == len(row["logprobs"]) <= 8
        assert max(row["logprobs"]) <= 0
        assert row["finish"] in {"stop", "length"}
        assert len(row["ids"]) == 8 or row["finish"] == "stop"
    manifest, model = store.find("student-rollouts"), store.find("student")
    assert len(manifest.shards) == 5
    assert manifest.measures["scored"] == 30
    curves = read_curves(folder_of(store))
    np.testing.assert_allclose(
        curves["reward"].values,
        [np.mean([row["reward"] for row in rows if row["step"] == step]) for step in range(5)],
    )
    assert len(curves["loss"].values) == 5
    assert model.measures["rollouts"] == 30
    assert model.measures["sampled_tokens"] == sum(len(row["ids"]) for row in rows)
    assert [one["prompt"] for one in model.measures["samples"]]


def test_a_model_that_learned_from_what_it_did_has_a_bill(tmp_path):
    """What the student sampled adds no source and no hop; an audit comes to the same."""
    store, _ = sampled(tmp_path / "r")
    lines = bill(Circuit.of_artifact(store, store.find("student")))
    assert {line.source.name: [one.value for one in line.channels] for line in lines} == {
        "questions": ["prompt"], "tiny": ["weights"],
    }  # fmt: skip
    assert {line.depth for line in lines} == {1}
    (tiny,) = (line for line in lines if line.source.name == "tiny")
    assert tiny.is_base
    assert tiny.share == (1.0, 1.0)
    result = Auditor(store.root, rederive=Rederiver(store)).run()
    assert result.holds, result.findings
    assert [item.name for item in store.find("student").inputs] == [
        "student-rollouts@1", "asked@1", "tiny",
    ]  # fmt: skip
    (learned,) = store.find("student").learned_from
    assert (learned.name, learned.rows > 0) == ("student-rollouts@1", True)


@pytest.fixture
def whole(tmp_path):
    return made(sampled(tmp_path / "whole")[0])


@pytest.mark.parametrize("at", [0, 2, 4])
@pytest.mark.parametrize("kept", [True, False], ids=["checkpointed", "from the start"])
def test_a_run_that_was_cut_off_samples_and_ends_the_same(tmp_path, whole, monkeypatch, at, kept):
    if kept:
        monkeypatch.setattr(checkpoint, "_EVERY", 0.0)
        monkeypatch.setattr(checkpoint, "_SHARE", 0.0)
    advance = sampled_steps.SampledTraining.advance
    new = sampled_loop._Sampler._new
    sampled_at = []

    def cut(training, rows):
        if training.step == at and not sampled_at.count("cut"):
            sampled_at.append("cut")
            raise KeyboardInterrupt
        advance(training, rows)

    def counted(sampler, step):
        sampled_at.append(step)
        return new(sampler, step)

    monkeypatch.setattr(sampled_steps.SampledTraining, "advance", cut)
    monkeypatch.setattr(sampled_loop._Sampler, "_new", counted)
    with pytest.raises(KeyboardInterrupt):
        sampled(tmp_path / "cut")
    store, _ = run_toy(tmp_path / "cut" / "some.toml", tmp_path / "cut" / "store")
    assert made(store) == whole
    # What was committed is not sampled again.
    assert sampled_at == [*range(at + 1), "cut", *range(at + 1, 5)]
    assert Auditor(store.root).run().holds
    assert not list((store.root / ".work").glob("*"))


@pytest.mark.parametrize("where", ["sampled_loop.save_trained", "gone"])
def test_the_model_is_made_again_from_its_rollouts(tmp_path, whole, monkeypatch, where):
    """Cut off between the two artifacts, or with all scratch lost: nothing is sampled again."""
    monkeypatch.setattr(
        sampled_loop, "save_trained", lambda *_: (_ for _ in ()).throw(MashbillError)
    )
    with pytest.raises(MashbillError):
        sampled(tmp_path / "cut")
    monkeypatch.undo()
    if where == "gone":
        shutil.rmtree(tmp_path / "cut" / "store" / ".work")
    monkeypatch.setattr(sampled_loop, "sample", None)
    again, _ = run_toy(tmp_path / "cut" / "some.toml", tmp_path / "cut" / "store")
    assert made(again) == whole


def test_the_second_run_finds_both(tmp_path):
    store, _ = sampled(tmp_path / "r")
    before = made(store)
    again, done = run_toy(tmp_path / "r" / "some.toml", tmp_path / "r" / "store")
    assert made(again) == before
    assert all(one.was_cached for one in done)


def test_a_prompt_that_asks_nothing_is_left_out_and_told(tmp_path):
    given = [*asked(), {"prompt": "   ", "about": "none"}, {"prompt": "long " * 400, "about": "x"}]
    store, _ = sampled(tmp_path / "r", given=given)
    measures = store.find("student-rollouts").measures
    assert measures["prompts"] == 4
    assert measures["rows"] == store.find("asked").rows
    with pytest.raises(InputError, match=r"no row can be asked \(1 rows: it is 20"):
        sampled(tmp_path / "none", given=given[-1:])


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ('part = "model"\n', "part and rollouts are set by the program"),
        ('rollouts = "asked"\n', "part and rollouts are set by the program"),
        ('heldout = "asked"\n', "a stage of kind 'evaluate'"),
        ("weights = { asked = 2.0 }\n", "take prompts as often as they are to count"),
        ("max_tokens = 8\n", "leaves no room for a prompt"),
        ("reasoning_tokens = 5\n", "bound completions by max_new_tokens"),
        ("temperature = 0.0\n", "temperature"),
        (VOWELS.replace("[stages.student]", "[stages.student-rollouts]"), "rename one of them"),
    ],
)
def test_a_recipe_that_cannot_be_is_told_by_its_keys(tmp_path, keys, told):
    folder = tmp_path / "r"
    base = make_base(folder / "base")
    (folder / "asked.jsonl").write_text('{"prompt": "a"}\n')
    text = BASE.replace("DIGEST", digest_of(base)) + PROMPTS + VOWELS + keys
    (folder / "some.toml").write_text(f'[recipe]\nname = "some"\nversion = "1"\n{text}')
    with pytest.raises(RecipeError, match=told):
        load_recipe(folder / "some.toml")


def test_a_plan_has_both_and_foresees_the_rollouts(tmp_path):
    sampled(tmp_path / "r")
    plan = build(load_recipe(tmp_path / "r" / "some.toml"))
    assert [(str(one.ref), one.rows) for one in plan.stages] == [
        ("asked@1", 4), ("student-rollouts@1", 30), ("student@1", None),
    ]  # fmt: skip
    assert str(plan.result) == "student@1"


def test_arms_have_rollouts_of_their_own(tmp_path):
    arms = "".join(
        f"[arms.{name}]\nstudent.rate = {rate}\n"
        for name, rate in {"slow": 0.001, "fast": 0.01}.items()
    )
    keys = f"steps = 2\n\n[arms]\nseeds = [1, 2]\n{arms}"
    store, _ = sampled(tmp_path / "r", keys=keys, stages=VOWELS_OF_TWO)
    names = {str(one.ref) for one in store.manifests()}
    assert names == {
        "asked@1",
        *(
            f"student.{arm}.s{seed}{part}@1"
            for arm in ("slow", "fast")
            for seed in (1, 2)
            for part in ("", "-rollouts")
        ),
    }
    first = [rows_of(store, f"student.{arm}.s1-rollouts")[0]["ids"] for arm in ("slow", "fast")]
    assert first[0] == first[1], "an arm changes what is learned, and not what is drawn before"
    recipe = load_recipe(tmp_path / "r" / "some.toml")
    part = part_of(recipe, ["slow"], [2])
    assert part.only == {"asked", "student.slow.s2-rollouts", "student.slow.s2"}


def test_a_changed_recipe_names_the_stage_that_is_written(tmp_path):
    sampled(tmp_path / "r", "temperature = 1.0\n")
    path = tmp_path / "r" / "some.toml"
    path.write_text(path.read_text().replace("temperature = 1.0", "temperature = 0.5"))
    with pytest.raises(DriftError) as told:
        run_toy(path, tmp_path / "r" / "store")
    assert told.value.stages == ("student",)
    assert "[stages.student]" in str(told.value)
    assert "[stages.student-rollouts]" not in str(told.value)
    space = open_workspace(tmp_path / "r" / "store")
    assert space.bump(path) == {"student": "2"}
    store, _ = run_toy(path, tmp_path / "r" / "store")
    assert store.get(ArtifactRef("student-rollouts", "2")) is not None


def test_a_rebuild_without_its_base_leaves_it_out_and_without_prompts_makes_it_anew(tmp_path):
    store, _ = sampled(
        tmp_path / "r", stages=OTHERS + VOWELS.replace('["asked"]', '["asked", "others"]')
    )
    path = tmp_path / "r" / "some.toml"
    made = rebuild(path, store, Selector(source="tiny"))
    assert set(made.gone) == {"student"}
    made = rebuild(path, store, Selector(source="others"))
    assert made.rebuilt == ["student"]
    assert made.data["stages"]["student"]["inputs"] == ["asked"]
    write_rebuild(made, path, tmp_path / "new" / "some.toml", Selector(source="others"))
    load_recipe(tmp_path / "new" / "some.toml")


def test_rollouts_can_be_removed_and_bills_hold(tmp_path):
    store, _ = sampled(tmp_path / "r")
    before = bill(Circuit.of_artifact(store, store.find("student")))
    space = open_workspace(store.root)
    space.remove("student-rollouts", "a try")
    assert bill(Circuit.of_artifact(store, store.find("student"))) == before
    assert Auditor(store.root).run().holds
