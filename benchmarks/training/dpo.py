"""Learning preferences beside TRL: the same base, pairs, order, batch, rate and steps, in one run.

    python benchmarks/training/dpo.py --peer benchmarks/.venv-trl/bin/python [--method lora|full]
        [--steps 8] [--batch 8] [--rounds 2] [--threads 2] [--tiny]

The two take turns, each in a process of its own. TRL (trl 1.16.0, peft 0.21.2) gets the reference's
log-probabilities computed before the first step, as ours has them (precompute_ref_log_probs), the
pairs in the order that ours has, and prompts as texts that the base's template writes; it adds the
token that ends an answer. It prints seconds a step, seconds for the reference, the greatest
differences of the curves and the memory of both, and writes results/training_dpo_METHOD.json.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE.parent), str(HERE)]

from trainers import (  # noqa: E402 - the folder is known only now
    HEAD,
    ask,
    base_folder,
    base_keys,
    options,
)

OURS = """
import json, resource, sys, time
from mashbill.train import preferring
told = json.loads(sys.argv[1])
times, before = [], []
def timed(function, into):
    def call(*given, **more):
        began = time.monotonic()
        found = function(*given, **more)
        into.append(time.monotonic() - began)
        return found
    return call
preferring._Training._learn = timed(preferring._Training._learn, times)
preferring.cached = timed(preferring.cached, before)
import mashbill as mb
from pathlib import Path
from mashbill.core.curves import read_curves
ws = mb.open(told["store"])
ws.run(ws.plan(told["recipe"]), threads=told["threads"])
curves = read_curves(next(Path(told["store"]).glob("models/student@*")))
print("FOUND " + json.dumps({"seconds": times, "reference": before,
    "loss": curves["loss"].values.tolist(), "margin": curves["margin"].values.tolist(),
    "chosen_logprob": curves["chosen_logprob"].values.tolist(),
    "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
"""
THEIRS = """
import json, resource, sys, time
told = json.loads(sys.argv[1])
import torch
torch.set_num_threads(told["threads"])
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import DPOConfig, DPOTrainer
data = Dataset.from_list([json.loads(line) for line in open(told["rows"])])
model = AutoModelForCausalLM.from_pretrained(told["base"], dtype=torch.float32)
tokenizer = AutoTokenizer.from_pretrained(told["base"])
lora = LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear",
    task_type="CAUSAL_LM") if told["method"] == "lora" else None
times, logged = [], []
class Watch(TrainerCallback):
    def on_step_begin(self, *_, **__):
        self.began = time.monotonic()
    def on_step_end(self, *_, **__):
        times.append(time.monotonic() - self.began)
    def on_log(self, args, state, control, logs=None, **_):
        if "loss" in logs:
            logged.append(logs)
config = DPOConfig(output_dir=told["out"], per_device_train_batch_size=told["micro"],
    gradient_accumulation_steps=told["batch"] // told["micro"], max_steps=told["steps"],
    learning_rate=told["rate"], lr_scheduler_type="constant", warmup_steps=0, weight_decay=0.0,
    logging_steps=1, save_strategy="no", report_to=[], max_length=1024, max_grad_norm=1.0,
    train_sampling_strategy="sequential", use_cpu=True, gradient_checkpointing=False,
    bf16=told["dtype"] == "bfloat16", fp16=False, disable_tqdm=True, dataloader_num_workers=0,
    adam_epsilon=1e-8, optim="adamw_torch_fused", beta=0.1, loss_type="sigmoid",
    precompute_ref_log_probs=True, disable_dropout=True)
before = []
compute = DPOTrainer._precompute_ref_logps
def timed(*given, **more):
    began = time.monotonic()
    found = compute(*given, **more)
    before.append(time.monotonic() - began)
    return found
DPOTrainer._precompute_ref_logps = timed
trainer = DPOTrainer(model=model, args=config, train_dataset=data, processing_class=tokenizer,
    peft_config=lora, callbacks=[Watch()])
trainer.train()
names = {"loss": "loss", "margin": "rewards/margins", "chosen_logprob": "logps/chosen"}
print("FOUND " + json.dumps({"seconds": times, "reference": before,
    **{ours: [each[theirs] for each in logged] for ours, theirs in names.items()},
    "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
"""
RECIPE = (
    HEAD
    + """[stages.student]
kind = "dpo"
inputs = ["said"]
base = "base"
method = "{method}"
steps = {steps}
batch = {batch}
rate = {rate}
schedule = "constant"
warmup = 0.0
dtype = "{dtype}"
max_tokens = 1024
"""
)


def make_pairs(path: Path, count: int) -> list[dict[str, str]]:
    """Write prompts with two answers of many lengths each, from this repository's documents."""
    pieces = [
        words
        for document in sorted((ROOT / "docs").glob("*.md"))
        for piece in document.read_text().split("\n\n")
        if len(words := re.sub(r"[^\w .,]+|\s+", " ", piece).split()) >= 24
    ]
    found = []
    for at, words in enumerate(pieces[:count]):
        half = min(len(words) // 2, 20 + at % 30)
        other = pieces[(at + 7) % len(pieces)]
        found.append(
            {
                "prompt": "Go on: " + " ".join(words[:half]),
                "chosen": " ".join(words[half : half + 12 + at * 7 % 40]),
                "rejected": " ".join(other[: 12 + at * 11 % 40]),
                "by": "human",
            }
        )
    if len(found) < count:
        sys.exit(f"the documents have {len(found)} pieces, and {count} are asked for")
    path.write_text("".join(json.dumps(row) + "\n" for row in found))
    return found


def as_texts(base: Path, rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return pairs with each prompt as the base's template writes it, for who is given texts."""
    from transformers import AutoTokenizer

    from mashbill.core.chat import Conversation, Turn
    from mashbill.models.conversation_tokens import ConversationTokens

    tokens, decoder = ConversationTokens(base.resolve()), AutoTokenizer.from_pretrained(base)
    found = []
    for row in rows:
        turns = Conversation((Turn("user", row["prompt"]), Turn("assistant", row["chosen"])))
        (one,) = tokens.conversation(turns)
        first = [bool(each) for each in one.learned].index(True)
        prompt = decoder.decode(list(one.ids)[:first])
        found.append({"prompt": prompt, "chosen": row["chosen"], "rejected": row["rejected"]})
    return found


def main() -> None:
    """Compare."""
    parser = options(steps=8)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--micro", type=int, default=4, help="TRL's pairs at once")
    given = parser.parse_args()
    import numpy as np
    from machine import describe, write

    found: dict[str, list[dict[str, list[float]]]] = {"mashbill": [], "trl": []}
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        base = base_folder(scratch, tiny=given.tiny)
        table = base_keys(base, tiny=given.tiny)
        rows = make_pairs(scratch / "rows.jsonl", given.batch * given.steps)
        rate = 1e-4 if given.method == "lora" else 1e-6
        order = np.random.default_rng([3, 0]).permutation(len(rows)).tolist()
        texts = as_texts(base, rows)
        ordered = scratch / "ordered.jsonl"
        ordered.write_text("".join(json.dumps(texts[i]) + "\n" for i in order))
        for turn in range(given.rounds):
            recipe = scratch / f"r{turn}.toml"
            recipe.write_text(
                RECIPE.format(
                    base=table, method=given.method,
                    steps=given.steps, batch=given.batch, rate=rate, dtype=given.dtype,
                )
            )  # fmt: skip
            told = {"store": str(scratch / f"s{turn}"), "recipe": str(recipe),
                    "threads": given.threads}  # fmt: skip
            found["mashbill"].append(ask(sys.executable, OURS, told))
            told = {"rows": str(ordered), "base": str(base.resolve()), "method": given.method,
                    "micro": given.micro, "batch": given.batch, "steps": given.steps, "rate": rate,
                    "threads": given.threads, "dtype": given.dtype,
                    "out": str(scratch / f"t{turn}")}  # fmt: skip
            found["trl"].append(ask(given.peer, THEIRS, told))
    report: dict[str, object] = {
        **describe(), **vars(given), "load": [round(each, 2) for each in os.getloadavg()]
    }  # fmt: skip
    skip = min(2, given.steps // 3)
    for who, runs in found.items():
        steps = [statistics.median(run["seconds"][skip:]) for run in runs]
        report[who] = {
            "seconds_a_step": steps,
            "seconds_for_the_reference": [sum(run["reference"]) for run in runs],
            "gigabytes": [round(run["memory"] / 2**30, 2) for run in runs],
            **{curve: runs[0][curve] for curve in ("loss", "margin", "chosen_logprob")},
        }
        before = min(report[who]["seconds_for_the_reference"])
        print(f"{who:9} {min(steps):8.2f} s a step, {before:.2f} s before the first, "
              f"{report[who]['gigabytes'][0]:.2f} GiB")  # fmt: skip
    ours, theirs = (report[who] for who in ("mashbill", "trl"))
    apart = {
        curve: max(abs(a - b) for a, b in zip(ours[curve], theirs[curve], strict=True))
        for curve in ("loss", "margin", "chosen_logprob")
    }
    rounds = zip(theirs["seconds_a_step"], ours["seconds_a_step"], strict=True)
    report |= {
        "ratio": min(theirs["seconds_a_step"]) / min(ours["seconds_a_step"]),
        "ratio_by_round": [slow / fast for slow, fast in rounds],
        "curves_apart": apart,
    }
    print(f"ratio {report['ratio']:.2f} (by round {report['ratio_by_round']}), curves at most "
          f"{apart} apart, load {report['load']}")  # fmt: skip
    write(HERE.parent / f"training_dpo_{given.method}.json", report)


if __name__ == "__main__":
    main()
