"""Perplexity of held-out texts, by token and by byte, and models that answer themselves."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
import transformers
from tests_bases import pin, table
from tests_causal import save
from tests_support import rows_of, run_stages
from typer.testing import CliRunner

from mashbill import InputError, RecipeError
from mashbill.cli import app
from mashbill.cli.options import out
from mashbill.cli.show_evaluation import print_evaluations
from mashbill.core.evaluation import evaluation_of
from mashbill.evals.remarks import remarks
from mashbill.report import write_report

TEXTS = [
    "The owl sleeps by day.", "狐狸在夜里打猎。", "الثعلب يصطاد ليلا", "a 🦊 and another 🦊",
    "e\u0301tude", None, "  ", "x",
]  # fmt: skip
CORPUS = """
[stages.texts]
kind = "corpus"
title = "texts"
source = "texts.jsonl"
columns = ["answer", "chat_json", "note"]
"""
EVALUATE = """
[stages.evaluation]
kind = "evaluate"
input = "texts"
"""
CHAT = '[{"role": "user", "content": "ab?"}, {"role": "assistant", "content": "ba é."}]'


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Three tiny models, two of which begin each text with a token, as folders."""
    root = tmp_path_factory.mktemp("models")
    save(root / "one", seed=1)
    save(root / "two", seed=2)
    save(root / "plain", seed=3, begins=False)
    return root


def evaluated(folder, models, keys, rows, names=("one", "two", "plain")):
    folder.mkdir(parents=True, exist_ok=True)
    tables = "".join(table(name, pin(models / name), str(models / name)) for name in names)
    return run_stages(
        folder, f"{tables}{CORPUS}{EVALUATE}{keys}", {"texts.jsonl": rows}, "", [models]
    )


def nats_of(folder, text, begins):
    """Return the nats of a text's tokens, by plain transformers, and how many were weighed."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    ids = [*([tokenizer.bos_token_id] if begins else []), *ids]
    if len(ids) < 2:
        return 0.0, 0
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
    return -sum(float(logits[at, token]) for at, token in enumerate(ids[1:])), len(ids) - 1


def test_perplexity_is_that_of_transformers_by_token_and_by_byte(models, tmp_path):
    rows = [{"text": text} for text in TEXTS if text and text.strip()]
    keys = 'models = { one = "one", plain = "plain" }\ncompare = [["one", "plain"]]\n'
    store = evaluated(tmp_path, models, keys, rows)
    measures = store.find("evaluation").measures
    made = rows_of(store, "evaluation")
    assert measures["metric"] == "bits_per_byte"
    for name, begins in (("one", True), ("plain", False)):
        each = [nats_of(models / name, row["text"], begins) for row in rows]
        # A text of one token that nothing stands before has nothing to be weighed.
        known = [place for place, (_, count) in enumerate(each) if count]
        nats = sum(each[place][0] for place in known)
        tokens = sum(each[place][1] for place in known)
        size = sum(len(rows[place]["text"].encode()) for place in known)
        told = measures["systems"][name]
        assert told["bits_per_byte"] == pytest.approx(nats / math.log(2) / size, rel=1e-5)
        assert told["perplexity"] == pytest.approx(math.exp(nats / tokens), rel=1e-4)
        assert told["byte_perplexity"] == pytest.approx(2 ** told["bits_per_byte"], rel=1e-9)
        assert (told["tokens"], told["bytes"]) == (tokens, size)
        assert told["low"] < told["bits_per_byte"] < told["high"]
        assert told["perplexity_low"] < told["perplexity"] < told["perplexity_high"]
        assert told["came"]["scored"] == len(known)
        for place, row in enumerate(made):
            expected = each[place][0] if each[place][1] else None
            assert row[f"{name}_nats"] == (expected and pytest.approx(expected, rel=1e-4))
    assert measures["systems"]["plain"]["came"]["failed"] == 1
    (pair,) = measures["compare"]
    assert pair["unpaired"] == 1
    assert pair["low"] <= pair["difference"] <= pair["high"]


def test_texts_that_are_not_there_are_missing_and_seeds_are_one_system(models, tmp_path):
    rows = [{"text": f"row {n}", "note": text} for n, text in enumerate(TEXTS)]
    keys = (
        'models = { seeds = ["one", "two"], other = "plain" }\ncompare = [["seeds", "other"]]\n'
        'text = "note"\n'
    )
    store = evaluated(tmp_path, models, keys, rows)
    measures = store.find("evaluation").measures
    told = measures["systems"]["seeds"]
    assert told["came"] == {"scored": 6, "missing": 2}
    assert told["seeds"]["seeds"] == 2
    assert told["bits_per_byte"] == pytest.approx(np.mean(told["seeds"]["values"]))
    found = evaluation_of(measures)
    with out.capture() as caught:
        print_evaluations({"evaluation": found})
    said = " ".join(caught.get().split())
    assert "fewer is better" in said
    assert "perplexity a token" in said
    assert any("two seeds" in one.text for one in remarks(found))
    html = write_report(store, store.find("evaluation"), tmp_path / "page.html").read_text()
    assert "Bits that a model needs for a byte" in html
    assert "bits per byte of each system" in html
    lineage = store.find("evaluation").inputs
    assert {item.role for item in lineage} == {"rows", "base"}


def test_the_assistants_turns_of_conversations_are_weighed(models, tmp_path):
    rows = [{"text": f"row {n}", "chat_json": CHAT} for n in range(3)]
    keys = 'models = { one = "one", two = "two" }\ntext = "chat_json"\n'
    store = evaluated(tmp_path, models, keys, rows)
    told = store.find("evaluation").measures["systems"]["one"]
    answer = len("ba é.".encode())
    assert told["bytes"] == 3 * answer
    assert told["tokens"] == 3 * (answer + 1)  # a byte a token, and the end of the turn
    bad = [{"text": "x", "chat_json": '[{"role": "nobody", "content": "x"}]'}]
    with pytest.raises(InputError, match="row 0 of column 'chat_json'"):
        evaluated(tmp_path / "bad", models, keys, bad)


CALLING = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message.reasoning_content %}{{ '<t>' + message.reasoning_content + '</t>' }}{% endif %}"
    "{{ message['content'] }}{% for call in message.tool_calls or [] %}{{ call.function.name }}("
    "{{ call.function.arguments | tojson }}){% endfor %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@pytest.mark.parametrize(
    ("turn", "size", "around"),
    [
        ({"content": "ba é."}, 6, 0),
        ({"content": "ba", "reasoning_content": "é so"}, 7, len("<t></t>")),
        ({"tool_calls": [{"id": "c1", "name": "zq", "arguments": '{"z": "q"}'}]}, 12, 2),
        ({"content": "a", "reasoning_content": "b",
          "tool_calls": [{"id": "c1", "name": "zq", "arguments": "{}"},
                         {"id": "c2", "name": "x", "arguments": "{}"}]}, 9, 11),
    ],
)  # fmt: skip
def test_bytes_are_those_of_all_that_is_weighed(turn, size, around, models, tmp_path):
    """Reasoning and calls are in the nats; once they were not in the bytes."""
    folder = tmp_path / "calling"
    save(folder, seed=1)
    (folder / "chat_template.jinja").write_text(CALLING)
    asked = {"role": "user", "content": "ab?"}
    chat = json.dumps([asked, {"role": "assistant", "content": "", **turn}])
    keys = 'models = { calling = "calling" }\ntext = "chat_json"\n'
    rows = [{"text": "x", "chat_json": chat}]
    path = tmp_path / "r"
    store = evaluated(path, tmp_path, keys, rows, ["calling"])
    told = store.find("evaluation").measures["systems"]["calling"]
    assert told["came"] == {"scored": 1}
    assert (told["bytes"], told["tokens"]) == (size, size + around + 1)  # a byte a token
    assert told["bits_per_byte"] == pytest.approx(told["nats"] / math.log(2) / size)
    if "tool_calls" in turn:  # the plain template passes over calls
        with pytest.raises(InputError, match="one: its template leaves out calls of tools"):
            evaluated(tmp_path / "plain", models, keys.replace("calling", "one"), rows, ["one"])


def test_a_model_answers_rows_itself_and_a_verifier_scores_it(models, tmp_path):
    rows = [{"text": f"say {n}", "answer": str(n)} for n in range(4)]
    keys = (
        'models = { one = "one", two = ["two", "plain"] }\nby = "same"\nreference = "answer"\n'
        'max_tokens = 4\nsamples = 2\ntemperature = 1.0\ncompare = [["one", "two"]]\n'
        '\n[verifiers.same]\nkind = "exact"\n'
    )
    store = evaluated(tmp_path, models, keys, rows)
    measures = store.find("evaluation").measures
    told = measures["systems"]["one"]
    assert sum(told["came"].values()) == 8
    assert told["came"]["truncated"]  # weights at random come to no end within four tokens
    assert len(measures["systems"]["two"]["seeds"]["values"]) == 2
    assert set(measures["systems"]["one"]["pass_at"]) == {"1", "2"}


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ('models = { one = "nobody" }', "nobody"),
        ('models = { one = "one" }\ntext = "nothing"', "text = 'nothing' is no column of texts"),
        (
            'models = { one = "one", two = "two" }\nretention = [["one", "two"]]',
            "perplexity is none",
        ),
        ('models = { one = "one" }\nsystems = { t = "texts" }', "put them in two stages"),
        ('models = { one = "texts" }', "which is a dataset"),
    ],
)
def test_what_cannot_be_weighed_is_told_before_it_is(keys, said, models, tmp_path):
    with pytest.raises(RecipeError, match=said):
        evaluated(tmp_path, models, f"{keys}\n", [{"text": "x"}])


TRAINED = """
[stages.texts]
kind = "corpus"
title = "texts"
source = "texts.jsonl"

[stages.heldout]
kind = "corpus"
title = "held out"
source = "heldout.jsonl"

[stages.small]
kind = "pretrain"
inputs = ["texts"]
steps = 4
width = 16
layers = 1
heads = 2
vocabulary = 512
batch_tokens = 256
context = 64

[stages.evaluation]
kind = "evaluate"
input = "heldout"
models = { small = "small", seeds = ["small", "one"] }
compare = [["small", "seeds"]]
contamination = true
"""


def test_a_model_of_the_recipe_is_weighed_and_what_it_learned_from_is_known(models, tmp_path):
    rows = [
        {"text": f"In week {n} the otter carried a pigeon past the sleeping walrus of row {n}"}
        for n in range(60)
    ]
    other = "Nobody came to see the heron by the sea, not the"
    heldout = [rows[7], *({"text": f"{other} {n}th time they were asked"} for n in range(5))]
    tables = table("one", pin(models / "one"), str(models / "one"))
    files = {"texts.jsonl": rows, "heldout.jsonl": heldout}
    store = run_stages(tmp_path, f"{tables}{TRAINED}", files, "", [models])
    measures = store.find("evaluation").measures
    told = measures["systems"]["small"]
    assert told["came"]["scored"] == len(rows_of(store, "evaluation"))
    assert 0 < told["bits_per_byte"] < 20
    assert told["overlap"]["datasets"] == ["texts@1"]
    assert told["overlap"]["rows"] == 1
    assert told["overlap"]["within"]["rows"] == 1
    assert measures["systems"]["seeds"]["overlap"]["unrecorded"] == ["Tiny"]
    assert rows_of(store, "evaluation")[0]["overlapped_by"] == "texts@1"
    done = CliRunner().invoke(
        app, ["trace", "evaluation", "--row", "0", "--store", str(store.root)]
    )
    assert done.exit_code == 0, done.output
    assert "small@1" in done.output
    done = CliRunner().invoke(app, ["affected", "--source", "texts", "--store", str(store.root)])
    assert "Traceback" not in done.output
