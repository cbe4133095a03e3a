"""Heads with more rows than the tokenizer has ids, as Qwen2.5's: 152,064 for 151,936."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests_support import run_stages
from tests_tiny_base import make_base
from tests_training import digest_of, with_rows
from transformers import AutoModelForCausalLM

from mashbill.core.errors import MashbillError
from mashbill.models.conversation_tokens import ConversationTokens
from tests.train.test_logit_kd import CACHE, LIVE, OF_NEW, SMALL, STUDENT, TEACHER, rows

pytestmark = pytest.mark.usefixtures("short_samples")

HELD = 'heldout = "held"\ndtype = "float32"\n'


def padded(folder, more, seed):
    """Give a base so many more rows of its head, of no token, that are likely ones; or fewer."""
    config = json.loads((folder / "config.json").read_text())
    size = config["vocab_size"]
    config["vocab_size"] = size + more
    (folder / "config.json").write_text(json.dumps(config))
    tensors = load_file(folder / "model.safetensors")
    torch.manual_seed(seed)
    name = "model.embed_tokens.weight"
    likely = torch.randn(max(more, 0), tensors[name].shape[1]) * 0.3
    tensors[name] = torch.cat([tensors[name], likely])[: size + more].clone()
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return size


def run(folder, stages, teacher_rows, base_rows):
    big = make_base(folder / "big")
    size = padded(big, teacher_rows, 1)
    small = make_base(folder / "small", width=16, layers=1, seed=3)
    padded(small, base_rows, 2)
    told = SMALL.replace("DIGEST", digest_of(small)) + with_rows(stages)
    teachers = TEACHER.replace("DIGEST", digest_of(big))
    return run_stages(folder, told, {"rows.jsonl": rows()}, teachers), size


@pytest.mark.few(3)
@pytest.mark.parametrize(("teacher_rows", "base_rows"), [(0, 64), (64, 0), (16, 64)])
@pytest.mark.parametrize("how", ["cached", "live", "reverse"])
def test_a_teacher_and_a_base_of_one_tokenizer_may_have_heads_of_two_sizes(
    tmp_path, how, teacher_rows, base_rows
):
    """What is of no token loses what it has, and the held-out loss is that of the whole head."""
    stages = CACHE + STUDENT if how == "cached" else LIVE
    stages = stages.replace(OF_NEW, 'base = "small"\n').replace("steps = 6", "steps = 60")
    if how == "reverse":
        stages += 'divergence = "reverse"\n'
    stages = stages.replace('dtype = "float32"\n', HELD)
    store, size = run(tmp_path / "r", stages, teacher_rows, base_rows)
    manifest = store.find("student")
    folder = store.folder("model", manifest.ref)
    trained = AutoModelForCausalLM.from_pretrained(folder)
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "r" / "small")
    encoder = ConversationTokens(folder)
    nats, shares = [], {"base": [], "trained": []}
    for row in rows(1):
        ids = torch.tensor(encoder.text(row["text"]).ids)
        for name, model in (("base", base), ("trained", trained)):
            with torch.no_grad():
                logp = torch.log_softmax(model(ids[None]).logits[0], 1)[:-1]
            shares[name].append(float(logp[:, size:].exp().sum(1).mean()))
        nats.append(-logp.gather(1, ids[1:, None])[:, 0])
    found = float(torch.cat(nats).mean())
    assert manifest.measures["held_out_loss"] == pytest.approx(found, rel=1e-4)
    assert manifest.measures["classes"] == size
    if base_rows:
        assert max(shares["trained"]) < 0.3 * min(shares["base"])


@pytest.mark.parametrize("stages", [CACHE + STUDENT, LIVE], ids=["cached", "live"])
def test_a_head_with_fewer_rows_than_ids_is_refused(tmp_path, stages):
    with pytest.raises(MashbillError, match=r"its head .* rows, so some tokens have no logit"):
        run(tmp_path / "r", stages.replace(OF_NEW, 'base = "small"\n'), 0, -8)
