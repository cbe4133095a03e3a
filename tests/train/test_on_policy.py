"""``on_policy``: a student samples, teachers score, through the real runner."""

from __future__ import annotations

import itertools
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests_on_policy import ON_POLICY, PROMPTS, SERVED, asked, on_policy, sure, trained
from tests_scoring import scoring
from tests_support import execute, rows_of, run_toy
from tests_tiny_base import make_base
from tests_training import BASE, digest_of
from transformers import AutoModelForCausalLM

from mashbill import Signer, Store, load_recipe
from mashbill.core.curves import read_curves
from mashbill.core.errors import MashbillError
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.evidence.audit import Auditor
from mashbill.plan import build
from mashbill.run.executor import Execution
from mashbill.run.rederiving import Rederiver
from mashbill.train import sampled_steps

__all__ = ["on_policy"]
pytestmark = [pytest.mark.usefixtures("on_policy"), pytest.mark.allow_hosts(["127.0.0.1"])]
FULL = ON_POLICY + "method = 'full'\n"
ONCE = ON_POLICY.replace("steps = 4", "steps = 1")
BY_SERVER = ON_POLICY.replace('"big"', '"far"') + "served = ['far']\n"
TWO = ON_POLICY.replace('teacher = "big"\n', "")


def curve(store, name, of="student"):
    return read_curves(store.folder("model", store.find(of).ref))[name].values


def weights_of(store):
    return load_file(next(store.folder("model", store.find("student").ref).glob("*.safetensors")))


def sources(store, of="student"):
    found = {}
    for line in bill(Circuit.of_artifact(store, store.find(of))):
        found.setdefault(line.source.name, set()).update(one.value for one in line.channels)
    return found


def distributions(folder, row):
    """Return log-probabilities of each token behind a prompt, float64, shape (tokens, ids)."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()
    whole = torch.tensor([row["prompt_ids"] + row["ids"]])
    with torch.no_grad():
        found = torch.log_softmax(model(whole).logits[0], -1)
    return found[len(row["prompt_ids"]) - 1 : -1]


@pytest.mark.slow
def test_a_student_comes_nearer_to_its_teacher_on_what_it_samples(tmp_path):
    stages = FULL.replace("steps = 4", "steps = 30").replace("rate = 0.01", "rate = 0.05")
    store = trained(tmp_path / "r", stages=stages)
    loss = curve(store, "loss")
    assert len(loss) == 30
    assert loss[-5:].mean() < 0.6 * loss[:5].mean()
    rows = rows_of(store, "student-rollouts")
    assert {row["teacher"] for row in rows} == {"big"}
    tests = store.find("student-rollouts").measures["teacher_tests"]
    assert tests["big"]["noise"]["rms"] < 1e-3 * tests["big"]["signal"]["rms"]
    assert tests["big"]["how"] == "packed, and one sequence at a time"
    assert store.find("student").measures["teacher_tests"] == tests
    assert sources(store) == {"questions": {"prompt"}, "tiny": {"weights", "logits"}}
    result = Auditor(store.root, rederive=Rederiver(store)).run()
    assert result.holds, result.findings


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["reverse", "forward", "jsd"])
def test_its_loss_is_the_mean_over_all_tokens_that_it_sampled(tmp_path, kind):
    """Not over those of a data set, and however a step is split into micro-batches."""
    found = []
    for tokens in (2048, 1):
        keys = f"divergence = '{kind}'\nmicro_tokens = {tokens}\n"
        store = trained(tmp_path / f"r{tokens}", keys, stages=ONCE)
        found.append((float(curve(store, "loss")[0]), weights_of(store)))
    rows = rows_of(store, "student-rollouts")
    each = []
    for row in rows:
        log_q = distributions(tmp_path / "r1" / "base", row)
        log_p = distributions(tmp_path / "r1" / "big", row)
        if kind == "reverse":
            apart = (log_q.exp() * (log_q - log_p)).sum(1)
        elif kind == "forward":
            apart = (log_p.exp() * (log_p - log_q)).sum(1)
        else:
            log_m = ((log_p.exp() + log_q.exp()) / 2).log()
            apart = (log_p.exp() * (log_p - log_m) + log_q.exp() * (log_q - log_m)).sum(1) / 2
        each.append(apart)
    want = float(torch.cat(each).mean())
    assert found[0][0] == pytest.approx(want, rel=1e-4)
    assert found[1][0] == pytest.approx(want, rel=1e-4)
    for name, value in found[0][1].items():
        assert torch.allclose(value, found[1][1][name], atol=2e-4), name


@pytest.mark.slow
def test_softening_acts_on_both_distributions_and_temperature_on_sampling_alone(tmp_path):
    store = trained(tmp_path / "r", "softening = 2.0\ntemperature = 0.7\n", stages=ONCE)
    rows = rows_of(store, "student-rollouts")
    each = []
    for row in rows:
        log_q, log_p = (
            torch.log_softmax(distributions(tmp_path / "r" / name, row) / 2, -1)
            for name in ("base", "big")
        )
        each.append(4 * (log_q.exp() * (log_q - log_p)).sum(1))
        at_sampling = torch.log_softmax(distributions(tmp_path / "r" / "base", row) / 0.7, -1)
        own = at_sampling.gather(1, torch.tensor(row["ids"])[:, None])[:, 0]
        assert row["logprobs"] == pytest.approx(own.tolist(), abs=1e-3)
    assert float(curve(store, "loss")[0]) == pytest.approx(float(torch.cat(each).mean()), rel=1e-4)


def served(folder, keys="", change=None, stages=BY_SERVER, teachers=SERVED, **how):
    """Train by a teacher that a double of vLLM serves; return the store and the double."""
    big = make_base(folder / "far", seed=9)
    with scoring(big, change=change, **how) as (service, double):
        told = teachers.replace("URL", service.url)
        return trained(folder, keys, stages=stages, teachers=told), double


def test_a_served_teacher_scores_the_tokens_that_were_sampled(tmp_path):
    store, double = served(tmp_path / "r")
    rows = rows_of(store, "student-rollouts")
    for row in rows:
        whole = double.logprobs(row["prompt_ids"] + row["ids"])
        start = len(row["prompt_ids"]) - 1
        want = [float(whole[start + at, token]) for at, token in enumerate(row["ids"])]
        assert row["logprobs_by_far"] == pytest.approx(want, abs=1e-4)
        assert row["teacher"] == "far"
        assert row["failed_by_far"] is None
    # Each rollout once, and the four of the first step once more, for the test.
    assert len(double.asked) == len(rows) + 4
    tests = store.find("student").measures["teacher_tests"]["far"]
    assert tests["how"] == "by the server twice"
    assert tests["tokenizer"] == "stated to be that of small"
    first = [row for row in rows if row["step"] == 0]
    log_q, log_p = (
        np.concatenate([row[key] for row in first]) for key in ("logprobs", "logprobs_by_far")
    )
    assert float(curve(store, "loss")[0]) == pytest.approx(float((log_q - log_p).mean()), rel=1e-3)
    assert curve(store, "ratio") == pytest.approx(1, abs=1e-3)
    assert sources(store)["m-1"] == {"logits"}
    result = Auditor(store.root).run()
    assert result.holds, result.findings


def test_tokens_that_a_server_gives_nothing_of_are_in_no_count(tmp_path):
    def change(answer):
        for at, position in enumerate(answer["choices"][0]["prompt_logprobs"]):
            for entry in (position or {}).values():
                entry["logprob"] = -9999.0 if at % 3 == 0 else entry["logprob"]
        return answer

    store, _ = served(tmp_path / "r", change=change)
    rows = rows_of(store, "student-rollouts")
    lacking = [value is None for row in rows for value in row["logprobs_by_far"]]
    assert 0 < sum(lacking) < len(lacking)
    by_step = [
        [(q, p) for row in rows if row["step"] == step
         for q, p in zip(row["logprobs"], row["logprobs_by_far"], strict=True) if p is not None]
        for step in range(4)
    ]  # fmt: skip
    assert curve(store, "scored_tokens").tolist() == [len(each) for each in by_step]
    want = np.mean([q - p for q, p in by_step[0]])
    assert float(curve(store, "loss")[0]) == pytest.approx(want, rel=1e-3)
    assert store.find("student").measures["scored_tokens"] == len(lacking) - sum(lacking)
    assert any(
        "scored by no teacher" in said for said in store.find("student").measures["warnings"]
    )


@pytest.mark.slow
def test_a_served_teacher_is_tested_by_its_own_weights_where_these_are_here(tmp_path):
    here = "tested_by = { far = 'big' }\n"
    folder = tmp_path / "r"
    big = make_base(tmp_path / "same", seed=7)
    with scoring(sure(big)) as (service, _):
        told = SERVED.replace("URL", service.url)
        store = trained(folder, here, stages=BY_SERVER, teachers=told)
    test = store.find("student").measures["teacher_tests"]["far"]
    assert "by the weights of 'big' here" in test["how"]
    assert test["noise"]["rms"] < 1e-3
    assert sources(store)["tiny"] >= {"weights", "judgement"}


def test_a_teacher_that_is_noisier_than_what_it_teaches_is_refused(tmp_path):
    """Of the weights here and what a server gives, one is not what the other is."""
    with pytest.raises(MashbillError, match="noisier than what it teaches") as told:
        served(tmp_path / "r", "tested_by = { far = 'big' }\n")
    assert "tokenizer and template" in str(told.value)


def test_a_server_that_says_another_thing_each_time_is_refused(tmp_path):
    answers = itertools.count()

    def change(answer):
        value = -5.0 if next(answers) < 4 else -16.0
        for position in answer["choices"][0]["prompt_logprobs"]:
            for entry in (position or {}).values():
                entry["logprob"] = value
        return answer

    with pytest.raises(MashbillError, match=r"scored twice \(by the server twice\)"):
        served(tmp_path / "r", change=change)


@pytest.mark.slow
def test_a_served_teacher_whose_tokenizer_nobody_tells_is_refused(tmp_path):
    unsaid = SERVED.replace('same_tokenizer_as = "small"\n', "")
    with pytest.raises(MashbillError, match=r"says nothing of its tokenizer.*whatever their numb"):
        served(tmp_path / "r", teachers=unsaid)
    other = SERVED.replace('same_tokenizer_as = "small"', 'same_tokenizer_as = "big"')
    with pytest.raises(MashbillError, match="says that it has that of 'big'"):
        served(tmp_path / "s", teachers=other)


@pytest.mark.slow
def test_a_tokenizer_at_hand_is_compared_by_its_map(tmp_path):
    told = SERVED.replace('same_tokenizer_as = "small"', 'tokenizer = "far/tokenizer.json"')
    store, _ = served(tmp_path / "r", teachers=told)
    assert store.find("student").measures["teacher_tests"]["far"]["tokenizer"] == "compared"
    words = "Zebras quickly vex jumping foxes while dwarfs mix bold wizards' kegs of liquor. " * 2
    make_base(tmp_path / "s" / "else", words=words)
    other = told.replace("far/tokenizer.json", "else/tokenizer.json")
    with pytest.raises(MashbillError, match="another tokenizer than the student: the map of ids"):
        served(tmp_path / "s", teachers=other)
    gone = told.replace("far/tokenizer.json", "gone/tokenizer.json")
    with pytest.raises(MashbillError, match=r"gone/tokenizer\.json"):
        served(tmp_path / "t", teachers=gone)


def test_a_server_that_gives_no_logprobs_of_prompts_is_refused(tmp_path):
    def change(answer):
        del answer["choices"][0]["prompt_logprobs"]
        return answer

    with pytest.raises(MashbillError, match="Serve the teacher by vLLM"):
        served(tmp_path / "r", change=change)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("divergence = 'forward'", "of tokens that were not sampled"),
        ("divergence = 'jsd'", "of tokens that were not sampled"),
        ("divergence = 'tv'", "set divergence = 'reverse'"),
        ("softening = 2.0", "softening = 2 is of both distributions"),
        ("top_p = 0.9", "top_p = 0.9 leaves out tokens"),
        ("mix = 0.5\ngiven = 'said'", "that the student did not sample"),
        ("tested_by = { big = 'far' }", "none of served"),
    ],
)
def test_what_a_server_cannot_give_is_refused_before_anything_runs(tmp_path, keys, said):
    with pytest.raises(MashbillError, match=said):
        trained(
            tmp_path / "r",
            keys,
            stages=BY_SERVER,
            teachers=SERVED.replace("URL", "http://127.0.0.1:9"),
        )


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("served = ['other']", "none of its teachers"),
        ("most_ratio = 2.0", "served names none"),
        ("mix = 0.5", "set both or none"),
        ("given = 'said'", "set both or none"),
        ("teacher_weights = { big = 1.0 }", "not both"),
        ("teacher_by = 'who'", "chooses among several"),
        ("combine = 'averaged'", "of several teachers"),
        ("mix = 0.5\ngiven = 'sayd'", "given = 'sayd' is no column of asked; did you mean 'said'"),
        ("heldout = 'asked'", "trainers that learn from given answers"),
    ],
)
def test_keys_that_say_nothing_together_are_refused(tmp_path, keys, said):
    with pytest.raises(MashbillError, match=said):
        trained(tmp_path / "r", keys)


@pytest.mark.slow
def test_a_server_that_is_not_told_to_be_one_is_refused(tmp_path):
    stages = ON_POLICY.replace('"big"', '"far"')
    with pytest.raises(MashbillError, match="is named in served, too"):
        served(tmp_path / "r", stages=stages)
    with pytest.raises(MashbillError, match="which no server has"):
        trained(tmp_path / "s", "served = ['big']\n")


def test_a_teacher_with_another_tokenizer_is_refused(tmp_path):
    words = "Zebras quickly vex jumping foxes while dwarfs mix bold wizards' kegs of liquor. " * 2
    with pytest.raises(MashbillError, match="another tokenizer"):
        trained(tmp_path / "r", words=words)


def test_each_row_has_the_teacher_that_its_column_names(tmp_path):
    keys = "teacher_weights = { big = 1.0, other = 3.0 }\nteacher_by = 'who'\n"
    store = trained(tmp_path / "r", keys, stages=TWO, others=("other",))
    rows, prompts = rows_of(store, "student-rollouts"), asked()
    assert [row["teacher"] for row in rows] == [prompts[row["_from"]]["who"] for row in rows]
    assert set(store.find("student").measures["teachers"]) == {"big", "other"}
    first = [row for row in rows if row["step"] == 0]
    total = weight = 0.0
    for row in first:
        log_q = distributions(tmp_path / "r" / "base", row)
        log_p = distributions(tmp_path / "r" / row["teacher"], row)
        own = {"big": 1.0, "other": 3.0}[row["teacher"]]
        total += own * float((log_q.exp() * (log_q - log_p)).sum())
        weight += own * len(row["ids"])
    assert float(curve(store, "loss")[0]) == pytest.approx(total / weight, rel=1e-4)


@pytest.mark.slow
def test_a_domain_of_prompts_has_its_teacher(tmp_path):
    table = "{ red = 'big', blue = 'other', good = 'big', bad = 'other' }"
    keys = f"teacher_by = 'about'\nteacher_of = {table}\n"
    store = trained(tmp_path / "r", keys, stages=TWO, others=("other",))
    assert {(row["prompt"], row["teacher"]) for row in rows_of(store, "student-rollouts")} == {
        ("what is red?", "big"), ("what is blue?", "other"),
        ("what is good?", "big"), ("what is bad?", "other"),
    }  # fmt: skip
    short = keys.replace(", bad = 'other'", "")
    with pytest.raises(MashbillError, match=r"asked, row 3: .* says 'bad', which is none of teach"):
        trained(tmp_path / "s", short, stages=TWO, others=("other",))


@pytest.mark.parametrize("combine", ["sum", "averaged"])
def test_several_teachers_score_each_token_by_their_weights(tmp_path, combine):
    keys = f"teacher_weights = {{ big = 1.0, other = 3.0 }}\ncombine = '{combine}'\n"
    stages = TWO.replace("steps = 4", "steps = 1")
    store = trained(tmp_path / "r", keys, stages=stages, others=("other",))
    rows = rows_of(store, "student-rollouts")
    assert {row["teacher"] for row in rows} == {"big+other"}
    each = []
    for row in rows:
        log_q, one, other = (
            distributions(tmp_path / "r" / name, row) for name in ("base", "big", "other")
        )
        if combine == "averaged":
            log_p = torch.log_softmax(0.25 * one + 0.75 * other, -1)
            each.append((log_q.exp() * (log_q - log_p)).sum(1))
        else:
            apart = [(log_q.exp() * (log_q - log_p)).sum(1) for log_p in (one, other)]
            each.append(0.25 * apart[0] + 0.75 * apart[1])
    assert float(curve(store, "loss")[0]) == pytest.approx(float(torch.cat(each).mean()), rel=1e-4)


@pytest.mark.slow
def test_a_share_of_the_steps_learns_from_given_answers(tmp_path):
    keys = "mix = 0.5\ngiven = 'said'\ndivergence = 'forward'\n"
    store = trained(tmp_path / "r", keys, stages=ON_POLICY.replace("steps = 4", "steps = 8"))
    rows, prompts = rows_of(store, "student-rollouts"), asked()
    given = {row["step"] for row in rows if all(np.isnan(row["logprobs"]))}
    assert 0 < len(given) < 8
    assert 0 not in given
    for row in rows:
        said = prompts[row["_from"]]["said"]
        assert (row["step"] in given) == (
            said.startswith(row["completion"]) and row["completion"] != ""
        )
    assert curve(store, "given").tolist() == [float(step in given) for step in range(8)]
    assert sources(store)["questions"] == {"content"}


def made(store):
    """All of a training that has to come out the same."""
    return {
        "rollouts": store.find("student-rollouts").digest,
        "measured": store.find("student").measures,
        "weights": {name: each.numpy().tobytes() for name, each in weights_of(store).items()},
        "loss": curve(store, "loss").tolist(),
    }


@pytest.mark.slow
def test_a_run_that_was_cut_off_asks_nothing_twice_and_ends_the_same(tmp_path, monkeypatch):
    folder = tmp_path / "r"
    whole, double = served(tmp_path / "whole")
    far = make_base(folder / "far", seed=9)
    advance = sampled_steps.SampledTraining.advance
    cut = []

    def cut_off(training, rows):
        if training.step == 2 and not cut:
            cut.append(1)
            raise KeyboardInterrupt
        advance(training, rows)

    with scoring(far) as (service, again):
        told = SERVED.replace("URL", service.url)
        monkeypatch.setattr(sampled_steps.SampledTraining, "advance", cut_off)
        with pytest.raises(KeyboardInterrupt):
            trained(folder, stages=BY_SERVER, teachers=told)
        store = run_toy(folder / "some.toml", folder / "store")[0]
    assert made(store) == made(whole)
    assert len(again.asked) == len(double.asked)


@pytest.mark.slow
def test_a_model_is_made_again_from_its_rollouts_without_the_server(tmp_path, monkeypatch):
    """The scratch that the rollouts left is gone, and so is who served."""
    take = sampled_steps.SampledTraining.of
    store, _ = served(tmp_path / "whole")
    want = made(store)

    def begun(spec, ctx, *more):
        if spec.part == "model":
            for path in ctx.work.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        return take(spec, ctx, *more)

    monkeypatch.setattr(sampled_steps.SampledTraining, "of", begun)
    found = made(served(tmp_path / "again")[0])
    assert found["rollouts"] == want["rollouts"]
    assert found["weights"] == want["weights"]
    assert found["loss"] == want["loss"]


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path):
    """The denominator is of all processes, and each has its part of the rollouts."""
    keys = "teacher_weights = { big = 1.0, other = 3.0 }\nteacher_by = 'who'\n"
    alone = trained(tmp_path / "r", keys, stages=TWO, others=("other",))
    recipe = load_recipe(tmp_path / "r" / "some.toml")
    two = Store(tmp_path / "two", Signer.default())
    how = Execution(tmp_path / "cache", threads=1, processes=2)
    execute(build(recipe, two), two, how)
    assert curve(two, "loss") == pytest.approx(curve(alone, "loss"), rel=1e-5)
    assert curve(two, "gradient_norm") == pytest.approx(curve(alone, "gradient_norm"), rel=1e-4)
    ours, theirs = weights_of(two), weights_of(alone)
    assert all(torch.allclose(value, theirs[name], atol=2e-3) for name, value in ours.items())


def test_a_recipe_of_two_prompts_and_one_attempt_runs(tmp_path):
    stages = ON_POLICY.replace("batch = 2", "batch = 1").replace("attempts = 2", "attempts = 1")
    store = trained(tmp_path / "r", given=asked()[:2], stages=stages)
    assert store.find("student-rollouts").rows == 4


def test_its_keys_are_read_without_loading_anything(tmp_path):
    make_base(tmp_path / "base")
    text = (
        BASE.replace("DIGEST", digest_of(tmp_path / "base"))
        + PROMPTS
        + BY_SERVER
        + SERVED.replace("URL", "http://127.0.0.1:9")
    )
    (tmp_path / "asked.jsonl").write_text('{"prompt": "a"}\n')
    path = tmp_path / "r.toml"
    path.write_text(f'[recipe]\nname = "r"\nversion = "1"\n{text}')
    spec = load_recipe(path).stages["student"]
    assert spec.live_teachers() == ()
    assert [use.name for use in spec.scorers()] == ["far"]
