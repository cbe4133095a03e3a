"""A student that says a few tokens over and over is told of, whatever its losses are."""

from __future__ import annotations

import pytest
import torch
from tests_training import rows
from train.test_logit_kd import CACHE, LIVE, STUDENT, run
from transformers import AutoModelForCausalLM, AutoTokenizer

from mashbill.train import sampling
from mashbill.train.sampling import repeats

CLEAN = list(range(40))


@pytest.mark.parametrize(
    ("tokens", "says"),
    [
        (CLEAN, False),
        ([], False),
        ([7] * 11, False),  # too short to tell
        ([7] * 12, True),
        ([*CLEAN, *[7] * 12], True),
        ([*CLEAN, *[7, 8, 9] * 4], True),
        ([*CLEAN, *[7, 8, 9, 7] * 3], True),
        ([*[7] * 30, *CLEAN], False),  # it found out of it
        ([1, 2, 3, 4, 5] * 8, False),  # a longer phrase may be a list
    ],
)
def test_what_is_said_over_and_over(tokens, says) -> None:
    assert repeats(tokens) is says


WAYS = {
    "cached": CACHE + STUDENT,
    "live": LIVE,
    "held out": CACHE + STUDENT + 'heldout = "said"\n',
}


@pytest.mark.parametrize("stages", WAYS.values(), ids=WAYS)
def test_a_student_without_cross_entropy_is_asked_to_write(tmp_path, stages):
    """EasyDistill #37: white-box distillation alone gave repeated tokens, and nothing told."""
    store = run(tmp_path, stages + "ce_weight = 0.0\n", rows(1))
    manifest = store.find("student")
    folder = store.folder("model", manifest.ref)
    model, tokenizer = (
        kind.from_pretrained(folder) for kind in (AutoModelForCausalLM, AutoTokenizer)
    )
    wanted = 0
    for row in rows(1):
        chat = [{"role": "user", "content": row["prompt"]}]
        ids = tokenizer.apply_chat_template(
            chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        with torch.no_grad():
            made = model.generate(**ids, max_new_tokens=48, do_sample=False)
        answer = made[0, ids["input_ids"].shape[1] :].tolist()
        end = model.generation_config.eos_token_id
        wanted += repeats([token for token in answer if token != end])
    told = manifest.measures["repeating_answers"]
    assert told == {"asked": 4, "repeating": wanted}
    warned = [text for text in manifest.measures.get("warnings", ()) if "over and over" in text]
    assert bool(warned) == (wanted > 2)


@pytest.mark.parametrize(("answer", "is_warned"), [([5] * 48, True), (CLEAN, False)])
def test_most_answers_decide(tmp_path, monkeypatch, answer, is_warned):
    monkeypatch.setattr(sampling, "likeliest", lambda *_: list(answer))
    measures = run(tmp_path, CACHE + STUDENT, rows(1)).find("student").measures
    assert measures["repeating_answers"] == {"asked": 4, "repeating": 4 * is_warned}
    assert any("4 of 4 answers" in text for text in measures.get("warnings", ())) is is_warned
