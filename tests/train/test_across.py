"""Students that learn of a teacher with another tokenizer, through the runner and beside it."""

from __future__ import annotations

import json
import random
import re
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests_cross import TURNS, bytes_bpe, named_bytes, save_base, wordpiece
from tests_support import run_stages
from tests_tiny_base import CHATML
from tests_training import digest_of, with_rows

from mashbill.core.base_model import BaseWeights
from mashbill.core.chat import Conversation, Turn
from mashbill.core.curves import read_curves
from mashbill.core.errors import InputError, MashbillError
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.models.byte_spans import BytesLostError
from mashbill.models.causal_base import CausalBase
from mashbill.models.conversation_tokens import ConversationTokens
from mashbill.models.teacher_logits import TeacherLogits
from mashbill.models.token_alignment import Reader
from mashbill.train import checkpoint, distilling
from mashbill.train.aligned_rows import AlignedPair, Pair
from mashbill.train.cross_nats import CrossTeacher, sampled_pair, served_sums, written_again
from mashbill.train.losses import Divergence
from mashbill.train.signal_test import FEWEST_PAIRS, signal_test, too_few

LIKED = ("red", "blue", "green", "old", "quick")
THINGS = ("fox", "bird", "film", "tree", "name")
MODEL = """
[models.NAME]
kind = "folder"
name = "NAME"
license = "Apache-2.0"
folder = "NAME"
sha256 = "DIGEST"
"""
TAUGHT = """
[stages.taught]
kind = "sft"
inputs = ["said"]
base = "big"
method = "full"
steps = 60
batch = 8
rate = 0.01
dtype = "float32"
"""
TEACHER = """
[teachers.t]
kind = "transformers"
name = "taught"
provider = "nobody"
license = "Apache-2.0"
folder = "taught"
sha256 = "DIGEST"
"""
STUDENT = """
[stages.student]
kind = "logit_kd"
inputs = ["said"]
base = "small"
teacher = "t"
live = true
across = "chunks"
steps = 4
batch = 4
rate = 0.005
dtype = "float32"
"""


def sentence(draw):
    one, other = draw.choice(LIKED), draw.choice(LIKED)
    word = draw.choice(["good", "bad"])
    return f"The {one} {draw.choice(THINGS)} sees a {other} {draw.choice(THINGS)}, and is {word}."


def texts(count=60, seed=1):
    draw = random.Random(seed)
    return [{"text": sentence(draw), "by": "a/b"} for _ in range(count)]


def asked(count=60, seed=2):
    """Questions whose answers follow from them."""
    draw = random.Random(seed)
    words = [(draw.choice(LIKED), draw.choice(THINGS)) for _ in range(count)]
    return [
        {"prompt": f"who is {a}, the {b}?", "text": f"It is the {b}, which is {a}.", "by": "a/b"}
        for a, b in words
    ]


ALL = " ".join(row["text"] for row in texts()) + " who is, It is the fox, which is red?"


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A teacher that was trained on such rows, its tokenizer as Llama 2 has it."""
    folder = tmp_path_factory.mktemp("taught")
    big = save_base(
        folder / "big", named_bytes((ALL,)), template=TURNS, begin="<s>", width=48, seed=1
    )
    model = MODEL.replace("NAME", "big").replace("DIGEST", digest_of(big))
    rows = texts() + [{"text": "", **row} for row in asked()]
    store = run_stages(folder, model + with_rows(TAUGHT), {"rows.jsonl": rows}, teachers="")
    return store.folder("model", store.find("taught").ref)


def small(folder, **keys):
    tokens = bytes_bpe(ALL, 290)
    tokens.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    return save_base(folder, tokens, template=CHATML, end="<|im_end|>", seed=2, **keys)


def copied(taught, folder):
    """A trained model's weights and tokenizer alone, as a folder that comes from elsewhere."""
    own = shutil.ignore_patterns("manifest.json", "*.parquet", "curves*", "nodes*", "*.jsonl")
    shutil.copytree(taught, folder, ignore=own)


def run(folder, taught, stages=STUDENT, given=None):
    """Run stages over rows, a student and a teacher; return the store."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "taught").exists():
        copied(taught, folder / "taught")
    base = MODEL.replace("NAME", "small").replace("DIGEST", digest_of(small(folder / "small")))
    teacher = TEACHER.replace("DIGEST", digest_of(folder / "taught"))
    rows = texts() if given is None else given
    return run_stages(folder, base + with_rows(stages), {"rows.jsonl": rows}, teachers=teacher)


def curve(store, name="loss", of="student"):
    return read_curves(store.folder("model", store.find(of).ref))[name].values


@pytest.mark.parametrize(
    "across",
    [
        "common",
        pytest.param("chunks", marks=pytest.mark.slow),
        pytest.param("prefixes", marks=pytest.mark.slow),
    ],
)
def test_a_student_learns_of_a_teacher_with_another_tokenizer(tmp_path, taught, across):
    stages = STUDENT.replace('"chunks"', f'"{across}"').replace("steps = 4", "steps = 20")
    store = run(tmp_path / "r", taught, stages + 'heldout = "held"\n', asked() + texts())
    manifest = store.find("student")
    held, divergence = curve(store, "held_out_loss"), curve(store, "divergence")
    assert held[-1] < held[0] - 1
    assert divergence[-3:].mean() < 0.7 * divergence[0]
    told = manifest.measures["signal_test"]
    assert told["aligned_share"] == 1
    assert told["sums_apart"] < 1e-5
    assert told["order_preferred"] > 0.9
    assert told["prompt_preferred"] > 0.9
    assert told["covered_bytes"] == 1
    assert manifest.measures["groups"] > 500
    lines = bill(Circuit.of_artifact(store, store.find("student")))
    assert ("taught", ("logits",)) in {(line.source.name, tuple(line.channels)) for line in lines}


def test_how_a_step_is_split_changes_nothing(tmp_path, taught):
    """Each part of the loss is divided by its own count of the whole step: groups, and tokens."""
    found = {}
    for name, keys in {
        "whole": "",
        "split": "micro_tokens = 8\n",
    }.items():
        stages = (
            STUDENT.replace('"chunks"', '"common"').replace("steps = 4", "steps = 2")
            + "ce_weight = 0.3\n"
            + keys
        )
        store = run(tmp_path / name, taught, stages, asked(8) + texts(8))
        found[name] = [curve(store, part) for part in ("loss", "divergence", "cross_entropy")]
    for values in found.values():
        np.testing.assert_allclose(values, found["whole"], rtol=2e-5)


@pytest.mark.slow
def test_a_run_that_was_cut_off_ends_with_the_same_bits(tmp_path, taught, monkeypatch):
    whole = run(tmp_path / "whole", taught)
    monkeypatch.setattr(checkpoint, "_EVERY", 0.0)
    monkeypatch.setattr(checkpoint, "_SHARE", 0.0)
    learn, calls = distilling._Training._learn, []

    def fail(self, rate):
        calls.append(self.step)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return learn(self, rate)

    monkeypatch.setattr(distilling._Training, "_learn", fail)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", taught)
    cut = run(tmp_path / "cut", taught)
    assert calls == [0, 1, 2, 2, 3]
    files = [[item.sha256 for item in store.find("student").files] for store in (whole, cut)]
    assert files[0] == files[1]
    assert whole.find("student").measures == cut.find("student").measures


def permuted(folder):
    """As many ids, which stand for other texts than the weights were trained on."""
    file = folder / "tokenizer.json"
    told = json.loads(file.read_text())
    vocabulary = told["model"]["vocab"]
    words = [word for word in vocabulary if "<" not in word]
    ids = [vocabulary[word] for word in words]
    random.Random(3).shuffle(ids)
    vocabulary |= dict(zip(words, ids, strict=True))
    file.write_text(json.dumps(told))


def lower(folder):
    file = folder / "tokenizer.json"
    told = json.loads(file.read_text())
    told["normalizer"]["normalizers"].insert(0, {"type": "Lowercase"})
    file.write_text(json.dumps(told))


def untaught(folder):
    file = folder / "model.safetensors"
    random_ = torch.Generator().manual_seed(5)
    tensors = {
        name: torch.randn(each.shape, generator=random_) * 0.3 if each.ndim > 1 else each
        for name, each in load_file(file).items()
    }
    save_file(tensors, file, {"format": "pt"})


def of_words(folder):
    tokens = wordpiece()
    tokens.add_special_tokens(["<s>", "</s>"])
    tokens.save(str(folder / "tokenizer.json"))


WRONG = {
    "permuted ids": (permuted, "the teacher's aligned score prefers the right one in"),
    "lower case": (lower, "only 0 of 60 answers could be aligned.*Lowercase"),
    "random weights": (untaught, "the teacher's aligned score prefers the right one in"),
    "words without spaces": (of_words, "the teacher is a WordPiece tokenizer"),
}


@pytest.mark.parametrize(("change", "says"), WRONG.values(), ids=WRONG)
def test_a_teacher_whose_signal_is_wrong_is_refused(tmp_path, taught, change, says):
    folder = tmp_path / "r"
    copied(taught, folder / "taught")
    change(folder / "taught")
    with pytest.raises(MashbillError, match=says):
        run(folder, taught)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({'across = "chunks"\n': ""}, "set across = 'prefixes' or 'chunks', which aligns tokens"),
        ({"live = true\n": ""}, "set live = true and a teacher, or leave it out"),
        ({'base = "small"\n': ""}, "a new student gets the teacher's: add base"),
        ({'"chunks"': '"tokens"'}, "across"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told(tmp_path, taught, keys, says):
    stages = STUDENT
    for old, new in keys.items():
        stages = stages.replace(old, new)
    with pytest.raises(MashbillError, match=re.escape(says)):
        run(tmp_path / "r", taught, stages)


def test_two_rows_are_enough_to_tell_and_one_word_is_not(tmp_path, taught):
    store = run(tmp_path / "two", taught, STUDENT, texts(2))
    told = store.find("student").measures
    assert told["signal_test"]["order_pairs"] >= FEWEST_PAIRS
    store = run(
        tmp_path / "one", taught, STUDENT, [{"prompt": "who?", "text": "a", "by": "a/b"}] * 2
    )
    told = store.find("student").measures
    assert any("tried on 0 pairs, too few" in each for each in told["warnings"])


def test_answers_that_cannot_be_aligned_are_told_and_learned_by_their_text(tmp_path, taught):
    odd = [
        {"text": "The fox sees \u2581 a tree.", "by": "a/b"}
    ]  # which the teacher reads as spaces
    store = run(tmp_path / "r", taught, STUDENT + "ce_weight = 0.5\n", texts(12) + odd)
    told = store.find("student").measures
    assert told["signal_test"]["answers"] == 13
    assert any("1 answers are learned by their text alone" in each for each in told["warnings"])


# ---- beside the runner ----


@pytest.fixture(scope="module")
def pair(taught, tmp_path_factory):
    """Student and teacher, both loaded."""
    folder = small(tmp_path_factory.mktemp("pair") / "small")
    student = CausalBase.load(folder, "the student", packs=True)
    own = Reader(ConversationTokens(folder), "the student")
    teacher = TeacherLogits(BaseWeights(taught, "d", "the teacher"), 1)
    return student, own, teacher, Reader(teacher.encoder, "the teacher")


def crossed(pair, across="chunks", kind="forward"):
    student, own, teacher, theirs = pair
    return CrossTeacher(teacher, theirs, own, across, Divergence(kind), len(student.head[0]))


def of_row(cross, row):
    """A row's answer as both sides read it."""
    said = Conversation((Turn("user", row["prompt"]), Turn("assistant", row["text"])))
    return Pair(
        *(
            side.answers(side.encoder.conversation(said))[0][0]
            for side in (cross.student, cross.reader)
        )
    )


def sampled(cross, row, ids=None):
    """A row's answer, or what else the student wrote to its prompt, as it would be sampled."""
    answer = of_row(cross, row)
    prompts = [each.ids[: each.begin] for each in (answer.student, answer.teacher)]
    ids = answer.student.ids[answer.student.begin :] if ids is None else ids
    return sampled_pair((cross.student, prompts[0], ids), (cross.reader, prompts[1]))


@pytest.mark.parametrize("across", ["chunks", "common", "prefixes", "uld"])
def test_the_first_token_is_taught_and_what_is_behind_the_end_is_not(pair, across):
    """trl#4390, #5152, PR #5905: off by one, and gradients behind the end."""
    cross, student = crossed(pair, across), pair[0]
    answers = [sampled(cross, row) for row in asked(3)]
    sequences = [torch.from_numpy(each.student) for each in answers]
    with student.together([len(each) for each in sequences]):
        states = student.states(sequences).detach().requires_grad_()
        nats = cross.nats(answers, states, student.head)
        (by,) = torch.autograd.grad(nats.sum(), states)
    taught_at = (by.abs().sum(1) > 0).numpy()
    begin = 0
    for row, each in zip(asked(3), answers, strict=True):
        first = of_row(cross, row).student.begin
        expected = np.zeros(len(each.student), bool)
        if across == "uld":
            expected[each.groups[:, 0] - 1] = True
        else:
            expected[first - 1 : -1] = True
        assert taught_at[begin : begin + len(expected)].tolist() == expected.tolist()
        begin += len(expected)


def test_sums_of_groups_are_the_log_probability_of_the_whole_answer(pair):
    cross = crossed(pair)
    for row in asked(4):
        answer = sampled(cross, row)
        sums = cross.teacher_sums([answer]).numpy()
        begin = of_row(cross, row).teacher.begin
        whole = cross.teacher.whole_logprobs(answer.teacher[0])[begin - 1 :].sum()
        outside = begin - int(answer.groups[0, 2])  # a space that the template writes
        assert outside <= 0
        if not outside:
            assert sums.sum() == pytest.approx(whole, rel=1e-5)


def test_pairs_together_are_what_they_are_alone(pair):
    cross, student = crossed(pair, "common"), pair[0]
    answers = [sampled(cross, row) for row in asked(3)]
    found = []
    for own in [answers, *([each] for each in answers)]:
        sequences = [torch.from_numpy(each.student) for each in own]
        with torch.no_grad(), student.together([len(each) for each in sequences]):
            found.append(cross.nats(own, student.states(sequences), student.head))
    torch.testing.assert_close(found[0], torch.cat(found[1:]), rtol=1e-4, atol=1e-5)


def test_what_a_student_wrote_is_read_by_the_teacher_as_far_as_it_is_text(pair):
    cross = crossed(pair)
    own = cross.student
    ids = own.encoder.tokenizer.encode("It is \U0001f9ec", add_special_tokens=False).ids
    end = own.encoder.ends[0]
    whole = written_again(own, [*ids, end], cross.reader)
    assert whole[-1] == cross.reader.encoder.ends[0]
    assert b"".join(cross.reader.bytes.of(whole[:-1])).strip() == "It is \U0001f9ec".encode()
    cut = written_again(own, ids[:-1], cross.reader)  # within the character
    assert b"".join(cross.reader.bytes.of(cut)).strip() == b"It is"
    answer = sampled(cross, asked(1)[0], ids[:-1])
    assert answer.groups[:, 4].sum() <= len(b"It is ")
    only_end = sampled(cross, asked(1)[0], [end])
    assert only_end.groups[:, 4].tolist() == [0]


def test_a_served_teacher_gives_its_tokens_and_groups_have_their_sums(pair):
    cross = crossed(pair)
    answer = sampled(cross, asked(1)[0])
    (ids,) = answer.teacher
    logprobs = [None, *cross.teacher.whole_logprobs(ids).tolist()]
    np.testing.assert_allclose(
        served_sums(answer, logprobs), cross.teacher_sums([answer]).numpy(), rtol=1e-4
    )
    first = int(answer.groups[0, 2])
    lost = [*logprobs]
    lost[first] = -float("inf")
    found = served_sums(answer, lost)
    assert np.isnan(found).tolist() == [True, *([False] * (len(found) - 1))]
    with pytest.raises(ValueError, match="log-probabilities for"):
        served_sums(answer, logprobs[1:])


def test_on_samples_the_student_moves_to_what_its_teacher_prefers(pair):
    """By log-probabilities of groups alone: what is likelier to the teacher gets likelier."""
    cross, student = crossed(pair), pair[0]
    row = asked(1)[0]
    worse = row["text"].replace("It is the", "The bad")
    answers = []
    for text in (row["text"], worse):
        ids = cross.student.encoder.tokenizer.encode(text, add_special_tokens=False).ids
        answers.append(sampled(cross, row, [*ids, cross.student.encoder.ends[0]]))
    sequences = [torch.from_numpy(each.student) for each in answers]
    with student.together([len(each) for each in sequences]):
        nats = cross.nats(answers, student.states(sequences), student.head, sampled=True)
    sizes = [len(each.groups) for each in answers]
    right, wrong = (float(each.sum().detach()) for each in nats.split(sizes))
    assert right < wrong  # an estimate of what lies between student and teacher


def test_the_signal_is_tried_on_known_pairs(pair):
    cross = crossed(pair, "common")
    kept = [of_row(cross, row) for row in asked(12)]
    counts = {"answers": 12, "aligned": 12}
    told = signal_test(cross, kept, counts, 1)
    assert told["tried"] == 12
    assert told["teacher_mass_shared"] > 0.9
    assert 0 < told["one_to_one_bytes"] <= 1
    assert not too_few(told)
    assert signal_test(cross, kept, counts, 1) == told
    with pytest.raises(InputError, match="only 2 of 12 answers could be aligned"):
        signal_test(cross, kept, {**counts, "aligned": 2}, 1)


def test_a_student_is_not_taught_to_give_its_own_tokens_nothing(pair, tmp_path):
    """What X-Token calls the uncommon-token failure: a rest bucket holds what the student needs."""
    _, _, teacher, theirs = pair
    tokens = bytes_bpe("It is the fox, which is red. " * 40 + ALL, 420, splits=False)
    tokens.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    folder = save_base(tmp_path / "large", tokens, template=CHATML, end="<|im_end|>")
    own = Reader(ConversationTokens(folder), "the student")
    counts = {"answers": 12, "aligned": 12}
    for across in ("prefixes", "chunks", "common"):
        cross = CrossTeacher(teacher, theirs, own, across, Divergence(), len(own.bytes.all))
        kept = [of_row(cross, row) for row in asked(12)]
        if across == "common":
            with pytest.raises(InputError, match="set across = 'prefixes', where such a token"):
                signal_test(cross, kept, counts, 1)
        else:
            assert signal_test(cross, kept, counts, 1)["covered_bytes"] == 1


def test_sums_that_are_not_the_answers_are_refused(pair, monkeypatch):
    """A group table that is off by one would be learned from without a word elsewhere."""
    cross = crossed(pair)
    kept = [of_row(cross, row) for row in asked(12)]
    sums = CrossTeacher.teacher_sums

    def moved(self, pairs):
        for each in pairs:
            each.groups[:, 2:4] -= 1
        try:
            return sums(self, pairs)
        finally:
            for each in pairs:
                each.groups[:, 2:4] += 1

    monkeypatch.setattr(CrossTeacher, "teacher_sums", moved)
    with pytest.raises(InputError, match=r"their sums lie .* of it apart"):
        signal_test(cross, kept, {"answers": 12, "aligned": 12}, 1)


def test_a_prompt_of_one_token_is_no_text(pair):
    cross = crossed(pair)
    end = cross.student.encoder.ends[0]
    ids = cross.student.encoder.tokenizer.encode("bad", add_special_tokens=False).ids
    told = written_again(cross.student, [*ids, end], cross.reader)
    found = sampled_pair((cross.student, ids[:1], [*ids, end]), (cross.reader, [1]))
    assert found.groups[:, 4].sum() == 3
    assert found.teacher[0].tolist() == [1, *told]
    assert isinstance(found, AlignedPair)
    with pytest.raises(BytesLostError, match="is none of them"):
        sampled_pair((cross.student, ids[:1], [10_000]), (cross.reader, [1]))
