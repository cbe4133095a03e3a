"""``grpo`` through the real runner: rewards are records, and what they teach is as written out."""

from __future__ import annotations

import shutil
import tomllib

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file
from tests_rewarded import FORM, GRPO, grpo, rewarded
from tests_sampled import PROMPTS, asked
from tests_support import rows_of, run_stages, run_toy
from tests_tiny_base import make_base
from tests_training import BASE, digest_of

from mashbill import RecipeError
from mashbill.core.curves import read_curves
from mashbill.core.errors import InputError
from mashbill.core.model import Decoding
from mashbill.core.store import Store
from mashbill.core.verifier import Score
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.evidence.audit import Auditor
from mashbill.models.causal_base import CausalBase
from mashbill.models.sampled import sample
from mashbill.run.rederiving import Rederiver
from mashbill.train import rewarded as module
from mashbill.train.advantages import advantages, counted
from mashbill.train.grpo import GrpoSpec
from mashbill.train.processes import World
from mashbill.train.prompts import PromptRows
from mashbill.train.rollouts import Asked, Rollouts
from mashbill.verifiers.exact import Exact
from mashbill.verifiers.form import Form

__all__ = ["grpo"]
pytestmark = pytest.mark.usefixtures("grpo")
EXACT = '\n[verifiers.same]\nkind = "exact"\n'


def folder_of(store, name="student"):
    return store.folder("model", store.find(name).ref)


def weights_of(store):
    found = load_file(next(folder_of(store).glob("*.safetensors")))
    return {name: each.numpy().tobytes() for name, each in found.items()}


def curves_of(store):
    return {name: each.values.tolist() for name, each in read_curves(folder_of(store)).items()}


def test_a_student_learns_what_is_paid_and_each_reward_is_a_record(tmp_path):
    stages = (
        GRPO.replace("attempts = 6", "attempts = 16")
        .replace("steps = 3", "steps = 9")
        .replace("rate = 0.02", 'rate = 0.03\nschedule = "constant"\nmethod = "full"\nkl = 0.001')
    )
    store = rewarded(tmp_path / "r", stages=stages)
    rows, curves = rows_of(store, "student-rollouts"), curves_of(store)
    for row in rows:
        met = [any(c in row["completion"] for c in each) for each in ("a", "e", "0123456789", "o")]
        assert row["outcome"] == "scored"
        assert row["reward"] == np.mean(met)
    paid = np.array([row["reward"] for row in rows]).reshape(9, 32)
    np.testing.assert_allclose(curves["reward"], paid.mean(1))
    assert paid[-3:].mean() > paid[:3].mean() + 0.2
    assert {"loss", "entropy", "telling", "divergence", "clipped", "distinct"} <= set(curves)
    assert store.find("student").measures["outcomes"] == {"scored": 288}
    assert store.find("student").measures["paid_by"] == "letters"


def test_the_bill_names_base_and_verifier_and_an_audit_holds(tmp_path):
    store = rewarded(tmp_path / "r")
    lines = bill(Circuit.of_artifact(store, store.find("student")))
    assert {line.source.name: [one.value for one in line.channels] for line in lines} == {
        "questions": ["prompt"], "tiny": ["weights"], "verifier form": ["judgement"],
    }  # fmt: skip
    assert {line.source.what for line in lines if "verifier" in line.source.name} == {"program"}
    result = Auditor(store.root, rederive=Rederiver(store)).run()
    assert result.holds, result.findings


@pytest.mark.parametrize("keys", ["", "kl = 0.05\n", 'kl = 0.05\nmethod = "full"\n'])
def test_a_model_is_made_again_from_its_rollouts_to_the_bit(tmp_path, keys, monkeypatch):
    """Nothing is sampled and nobody pays: all that was learned of is in the record."""
    store = rewarded(tmp_path / "r", keys)
    weights, curves = weights_of(store), curves_of(store)
    model = store.find("student")
    shutil.rmtree(folder_of(store))
    shutil.rmtree(store.root / ".work", ignore_errors=True)
    monkeypatch.setattr(Form, "score", None)
    monkeypatch.setattr(module.Rewarded, "begin", None)
    again = tmp_path / "again"
    shutil.copytree(tmp_path / "r", again)
    made = run_toy(again / "some.toml", again / "store", [])[0]
    assert made.find("student").digest == model.digest
    assert weights_of(made) == weights
    assert curves_of(made) == curves


class _Some:
    """Pays for some attempts, cannot tell of some, and fails at the rest."""

    def __init__(self, fails=()):
        self.fails = fails
        self.asked = 0

    def __call__(self, cases):
        found = []
        for case in cases:
            kind = self.asked % 4
            self.asked += 1
            found.append(
                Score.undecided("cannot tell") if kind == 1
                else Score.failed("no parser") if kind in self.fails
                else Score(float("a" in case.output), components={})
            )  # fmt: skip
        return found


PLAIN = FORM.replace('["a", "e", "[0-9]", "o"]', '["a"]')


def test_undecided_and_failed_are_null_and_never_nothing(tmp_path, monkeypatch):
    some = _Some(fails=(2,))
    monkeypatch.setattr(Form, "score", some)
    store = rewarded(tmp_path / "r", verifiers=PLAIN)
    rows = rows_of(store, "student-rollouts")
    assert {row["outcome"] for row in rows} == {"scored", "undecided", "failed"}
    for row in rows:
        assert (row["reward"] is None) == (row["outcome"] != "scored")
    assert {row["reason"] for row in rows} == {
        "undecided: cannot tell", "failed: no parser", None,
    }  # fmt: skip
    told = store.find("student").measures
    assert told["outcomes"]["failed"] == sum(row["outcome"] == "failed" for row in rows)
    assert any("could not be scored" in text for text in told["warnings"])


def test_a_verifier_that_fails_for_all_ends_the_step_before_it_is_learned(tmp_path, monkeypatch):
    failed = [Score.failed("no parser")]
    monkeypatch.setattr(Form, "score", lambda _, cases: failed * len(cases))
    with pytest.raises(
        InputError, match=r"verifiers.letters failed for all 12 attempts of step 1.*12 x no parser"
    ):
        rewarded(tmp_path / "r", verifiers=PLAIN)
    # What is mended goes on, and no shard of failures is in the way.
    monkeypatch.undo()
    store = run_toy(tmp_path / "r" / "some.toml", tmp_path / "r" / "store", [])[0]
    assert {row["outcome"] for row in rows_of(store, "student-rollouts")} == {"scored"}


@pytest.mark.parametrize("truncated", ['"score"', '"leave-out"', "0.25"])
def test_truncated_attempts_are_told_apart(tmp_path, truncated, monkeypatch):
    monkeypatch.setattr(PromptRows, "ends", property(lambda _: tuple(range(1, 320, 20))))
    store = rewarded(tmp_path / "r", f"truncated = {truncated}\n")
    rows = rows_of(store, "student-rollouts")
    cut = [row for row in rows if row["finish"] == "length"]
    assert cut
    for row in cut:
        if truncated == '"score"':
            assert (row["outcome"], row["reward"] is None) == ("scored", False)
        else:
            assert row["outcome"] == "truncated"
            assert row["reward"] == (0.25 if truncated == "0.25" else None)
    assert curves_of(store)["truncated"][0] == np.mean(
        [row["finish"] == "length" for row in rows if row["step"] == 0]
    )


def test_random_rewards_are_a_control_that_asks_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr(Form, "score", None)
    stages = GRPO.replace('by = "letters"\n', 'reward = "random"\n')
    store = rewarded(tmp_path / "r", stages=stages, verifiers="")
    rows = rows_of(store, "student-rollouts")
    paid = [row["reward"] for row in rows]
    assert set(paid) == {0.0, 1.0}
    assert 0.3 < np.mean(paid) < 0.7
    again = rewarded(tmp_path / "again", stages=stages, verifiers="")
    assert [row["reward"] for row in rows_of(again, "student-rollouts")] == paid
    names = [line.source.name for line in bill(Circuit.of_artifact(store, store.find("student")))]
    assert sorted(names) == ["questions", "tiny"]
    assert any("this is a control" in text for text in store.find("student").measures["warnings"])


def test_a_reference_is_each_prompts_own(tmp_path, monkeypatch):
    given = [{"prompt": f"what is {word}?", "about": word} for word in ("red", "blue")]
    stages = GRPO.replace('by = "letters"', 'by = "same"\nreference = "about"')
    seen = []
    plain = Exact.score

    def looked(self, cases):
        seen.extend((case.output, case.reference) for case in cases)
        return plain(self, cases)

    monkeypatch.setattr(Exact, "score", looked)
    with pytest.raises(InputError, match=r"nothing was learned.*6 of 6 groups"):
        rewarded(tmp_path / "r", stages=stages, verifiers=EXACT, given=given)
    rows = rows_of(Store(tmp_path / "r" / "store"), "student-rollouts")
    assert {row["reward"] for row in rows} == {0.0}
    pairs = [(row["completion"], given[row["_from"]]["about"]) for row in rows]
    assert set(pairs) <= set(seen)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('by = "letters"\n', "", "by names the verifier that pays"),
        ('by = "letters"', 'by = "letters"\nreward = "random"', "asks no verifier"),
        ('by = "letters"', 'by = "lettres"', "letters"),
        ('by = "letters"', 'by = "letters"\nwatch = "letters"', "name another"),
        ("attempts = 6", "attempts = 1", "set 2 or more"),
        ('by = "letters"', 'by = "letters"\nreference = "abuot"', "about"),
        ('by = "letters"', 'by = "letters"\ntruncated = 3.5', "truncated"),
        ('by = "letters"', 'by = "letters"\ntruncated = "drop"', "truncated"),
        ('by = "letters"', 'by = "same"', "compares with what is known"),
        ('by = "letters"', 'by = "letters"\nclip_low = 1.0', "clip_low"),
    ],
)
def test_keys_that_cannot_be_are_told_before_anything_runs(tmp_path, old, new, told):
    verifiers = FORM + EXACT
    with pytest.raises(RecipeError, match=told):
        rewarded(tmp_path / "r", stages=GRPO.replace(old, new), verifiers=verifiers)


def written_out(model, rows, spec, base=None):
    """Return the loss of a step's rollouts as the definitions say it, float64."""
    reward = np.array([np.nan if r is None else r for r in rows.column("reward")], float)
    group, kept = rows.group, np.ones(len(rows), bool)
    if spec["truncated"] == "leave-out":
        kept = ~rows.is_cut
    told = advantages(reward, group, spec["advantage"])
    scored = counted(reward, group) & kept
    total = torch.zeros((), dtype=torch.double)
    for n in range(len(rows)):
        ids = torch.tensor([rows.prompt_ids[n] + rows.ids[n]])
        start = len(rows.prompt_ids[n])

        def of(network, ids=ids, start=start, n=n):
            z = network(input_ids=ids).logits[0].double() / spec["temperature"]
            at = torch.log_softmax(z, 1)[start - 1 : -1]
            return at.gather(1, torch.tensor(rows.ids[n])[:, None])[:, 0]

        now, then = of(model), torch.tensor(rows.logprobs[n], dtype=torch.double)
        ratio = (now - then).exp()
        gain = torch.minimum(
            ratio * told[n], ratio.clamp(1 - spec["low"], 1 + spec["high"]) * told[n]
        )
        with torch.no_grad():
            apart = of(base)
        apart = apart - now
        for which, part, share in (
            (scored, -gain, 1.0), (kept, apart.exp() - apart - 1, spec["kl"]),
        ):  # fmt: skip
            if not which[n]:
                continue
            lengths = [len(rows.ids[m]) for m in range(len(rows)) if which[m]]
            whole = {
                "constant": len(lengths) * spec["most"], "token": sum(lengths),
                "sequence": len(lengths) * len(rows.ids[n]),
            }[spec["normalise"]]  # fmt: skip
            total = total + share * part.sum() / whole
    return total


KEYS = {"kind": "grpo", "inputs": ["asked"], "base": "small", "by": "letters",
        "max_new_tokens": 8, "attempts": 5, "batch": 3}  # fmt: skip


@pytest.fixture(scope="module")
def sampled_once(tmp_path_factory):
    """Rollouts of three prompts, five attempts each, some without a reward."""
    folder = make_base(tmp_path_factory.mktemp("base") / "base")
    model = CausalBase.load(folder, "tiny", packs=True).model
    asked = [Asked(n, "?", [5 + n, 7, 9 + n][: n + 1], n, k) for n in range(3) for k in range(5)]
    draws = [np.random.default_rng([1, n]) for n in range(15)]
    made = sample(
        model, [one.prompt_ids for one in asked], draws, range(1, 320, 12), 8,
        Decoding(temperature=1.0), batch_tokens=10**4,
    )  # fmt: skip
    paid = [1.0, None, 0.5, 0.25, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, None, None, 0.5, None, None]
    outcomes = ["scored" if each is not None else "undecided" for each in paid]
    rows = Rollouts.of(0, asked, made, [""] * 15)
    found = rows.with_columns({"reward": pa.array(paid), "outcome": pa.array(outcomes)})
    assert 0 < found.is_cut.sum() < 15
    return folder, found


CASES = [
    ({}, ""),
    ({"normalise": "token", "advantage": "group-std"},
     'normalise = "token"\nadvantage = "group-std"\n'),
    ({"normalise": "sequence", "kl": 0.3, "truncated": "leave-out"},
     'normalise = "sequence"\nkl = 0.3\ntruncated = "leave-out"\n'),
    ({"kl": 0.3, "advantage": "leave-one-out", "low": 0.02, "high": 0.05},
     'kl = 0.3\nadvantage = "leave-one-out"\nclip_low = 0.02\nclip_high = 0.05\n'),
    ({"advantage": "batch-std", "temperature": 1.7},
     'advantage = "batch-std"\ntemperature = 1.7\n'),
]  # fmt: skip


@pytest.mark.parametrize(("more", "keys"), CASES)
@pytest.mark.parametrize("micro", [30, 4096])
def test_a_steps_gradient_is_that_of_the_loss_written_out(sampled_once, more, keys, micro):
    """Weights that moved since sampling; in one micro-batch, in several, and by two processes."""
    folder, rows = sampled_once
    keys = {**KEYS, "micro_tokens": micro, "method": "full", **tomllib.loads(keys)}
    spec = GrpoSpec.model_validate(keys)
    if spec.truncated == "leave-out":
        paid = [
            None if cut else r for cut, r in zip(rows.is_cut, rows.column("reward"), strict=True)
        ]
        place = rows.table.column_names.index("reward")
        rows = Rollouts(rows.table.set_column(place, "reward", pa.array(paid, pa.float64())))
    base = CausalBase.load(folder, "tiny", packs=True)
    student = CausalBase.load(folder, "tiny", packs=True)
    torch.manual_seed(1)
    with torch.no_grad():
        for each in student.model.parameters():
            each.add_(0.05 * torch.randn_like(each))
    told = {
        "normalise": "constant", "advantage": "group-mean", "kl": 0.0, "truncated": "score",
        "low": 0.2, "high": 0.2, "temperature": 1.0, "most": 8,
    } | more  # fmt: skip
    plain = CausalBase.load(folder, "tiny", packs=False)
    plain.model.load_state_dict(student.model.state_dict())
    loss = written_out(plain.model, rows, told, base=_loaded(folder))
    loss.backward()
    learner = object.__new__(module.Rewarded)
    learner._spec, learner._base = spec, base
    learner._around = type("Around", (), {"spec": spec, "student": student, "dtype": "float32"})()
    figures = learner.learn(rows, World())
    assert figures["loss"] == pytest.approx(loss.item(), abs=2e-6)
    alone = {name: p.grad.clone() for name, p in student.model.named_parameters()}
    for name, each in plain.model.named_parameters():
        torch.testing.assert_close(alone[name], each.grad, rtol=2e-3, atol=2e-6)
    student.model.zero_grad()
    for rank in range(2):  # the gradients of two processes add up to those of one
        learner.learn(rows, _Part(rank))
    for name, each in student.model.named_parameters():
        torch.testing.assert_close(each.grad, alone[name], rtol=1e-3, atol=1e-6)
    assert learner.weights(rows)[advantages_of(rows, told) != 0].min() > 0


def advantages_of(rows, told):
    reward = np.array([np.nan if r is None else r for r in rows.column("reward")], float)
    return advantages(reward, rows.group, told["advantage"])


def _loaded(folder):
    return CausalBase.load(folder, "tiny", packs=False).model.eval()


class _Part:
    """One of two processes, by itself."""

    size = 2

    def __init__(self, rank):
        self.rank = rank

    def sum(self, numbers):
        return list(numbers)


def test_a_verifier_that_is_watched_scores_and_is_not_learned_from(tmp_path):
    watched = FORM + '\n[verifiers.short]\nkind = "form"\nmax_chars = 12\nmin_words = 1\n'
    store = rewarded(tmp_path / "r", 'watch = "short"\n', verifiers=watched)
    rows = rows_of(store, "student-rollouts")
    assert all(0 <= row["watched"] <= 1 for row in rows)
    assert curves_of(store)["watched"][0] == pytest.approx(
        np.mean([row["watched"] for row in rows if row["step"] == 0])
    )
    plain = rewarded(tmp_path / "plain")
    assert weights_of(store) == weights_of(plain)


def test_attempts_that_are_all_alike_teach_nothing_and_the_run_says_so(tmp_path):
    """No gradient, no error of numbers; the rollouts are there to be looked at."""
    verifiers = '\n[verifiers.letters]\nkind = "form"\nmax_chars = 100000\n'
    stages = GRPO.replace("steps = 3", "steps = 2")
    with pytest.raises(InputError, match=r"nothing was learned.*4 of 4 groups.*solves at times"):
        rewarded(tmp_path / "r", stages=stages, verifiers=verifiers)
    rows = rows_of(Store(tmp_path / "r" / "store"), "student-rollouts")
    assert {row["reward"] for row in rows} == {1.0}


def test_two_stages_of_prompts_are_two_inputs(tmp_path):
    others = PROMPTS.replace("stages.asked", "stages.others").replace('"questions"', '"others"')
    stages = others + GRPO.replace('inputs = ["asked"]', 'inputs = ["asked", "others"]')
    store = rewarded(tmp_path / "r", stages=stages)
    positions = {row["_from"] for row in rows_of(store, "student-rollouts")}
    assert max(positions) >= 4


JUDGES = """
[teachers.a]
kind = "fake"
name = "Judge a"
words.yes = ["a", "e", "o"]
words.no = ["is", "awful", "x", "q"]
"""
JUDGED = """
[verifiers.letters]
kind = "rubric"
[verifiers.letters.parts.some]
kind = "form"
match = ["a"]
[verifiers.letters.parts.fine]
kind = "judge"
teachers = ["a"]
prompt = "rubric.txt"
columns = ["prompt"]
accepts = "it is a toy, which looks for words"
"""


def test_a_rubric_with_a_judge_pays_and_its_teacher_is_on_the_bill(tmp_path):
    """Each part is a column, each reward has the call that it rests on."""
    base = make_base(tmp_path / "r" / "base")
    text = BASE.replace("DIGEST", digest_of(base)) + JUDGED + PROMPTS + GRPO
    files = {"asked.jsonl": asked(), "rubric.txt": "Q: {{ prompt }}\nOutput: {{ output }}\nGood?"}
    store = run_stages(tmp_path / "r", text, files, JUDGES)
    rows = rows_of(store, "student-rollouts")
    for row in rows:
        assert {"score_some", "score_fine", "_call"} <= set(row)
        if row["outcome"] == "scored":
            assert row["reward"] == pytest.approx((row["score_some"] + row["score_fine"]) / 2)
            assert row["_call"]
    lines = bill(Circuit.of_artifact(store, store.find("student")))
    found = {line.source.name: [one.value for one in line.channels] for line in lines}
    assert found["Judge a"] == ["judgement"]
    assert Auditor(store.root, rederive=Rederiver(store)).run().holds
