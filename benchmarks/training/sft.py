"""Fine-tuning beside TRL: the same base, rows, order, batch, rate and steps, in one run.

    python benchmarks/training/sft.py --peer benchmarks/.venv-trl/bin/python [--method lora|full]
        [--steps 12] [--batch 16] [--rounds 2] [--threads 2] [--tiny]

TRL (trl 1.16.0, peft 0.21.2) is asked for what its documentation offers for speed on a processor:
completion-only loss, no padding between the sequences of a micro-batch (padding_free where it can),
sequences of a step in the order that ours has. It is given our token ids, and which are learned: of
a conversation it learns what the template has behind the end of a turn, too, for SmolLM2 the line
break that no model is asked to write. It prints seconds a step, tokens a second, the greatest
difference of the two curves and the memory of both, and writes results/training_sft.json.
"""

from __future__ import annotations

import json
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
from mashbill.train import fine_tuning
told = json.loads(sys.argv[1])
learn = fine_tuning._Training._learn
times = []
def timed(self):
    began = time.monotonic()
    found = learn(self)
    times.append(time.monotonic() - began)
    return found
fine_tuning._Training._learn = timed
import mashbill as mb
from pathlib import Path
from mashbill.core.curves import read_curves
ws = mb.open(told["store"])
plan = ws.plan(told["recipe"])
ws.run(plan, threads=told["threads"])
folder = next(Path(told["store"]).glob("models/student@*"))
curves = read_curves(folder)
print("FOUND " + json.dumps({"seconds": times, "losses": curves["loss"].values.tolist(),
    "tokens": curves["tokens"].values.tolist(),
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
from trl import SFTConfig, SFTTrainer
rows = [json.loads(line) for line in open(told["rows"])]
data = Dataset.from_list([{"input_ids": r["ids"], "completion_mask": r["learned"]} for r in rows])
model = AutoModelForCausalLM.from_pretrained(told["base"], dtype=torch.float32)
tokenizer = AutoTokenizer.from_pretrained(told["base"])
lora = LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear",
    task_type="CAUSAL_LM") if told["method"] == "lora" else None
times, losses = [], []
class Watch(TrainerCallback):
    def on_step_begin(self, *_, **__):
        self.began = time.monotonic()
    def on_step_end(self, *_, **__):
        times.append(time.monotonic() - self.began)
    def on_log(self, args, state, control, logs=None, **_):
        if "loss" in logs:
            losses.append(logs["loss"])
config = SFTConfig(output_dir=told["out"], per_device_train_batch_size=told["micro"],
    gradient_accumulation_steps=told["batch"] // told["micro"], max_steps=told["steps"],
    learning_rate=told["rate"], lr_scheduler_type="constant", warmup_steps=0, weight_decay=0.0,
    logging_steps=1, save_strategy="no", report_to=[], max_length=1024, max_grad_norm=1.0,
    completion_only_loss=True, train_sampling_strategy="sequential", use_cpu=True,
    gradient_checkpointing=False, bf16=told["dtype"] == "bfloat16", fp16=False, disable_tqdm=True,
    dataloader_num_workers=0, adam_epsilon=1e-8, optim="adamw_torch_fused")
trainer = SFTTrainer(model=model, args=config, train_dataset=data, processing_class=tokenizer,
    peft_config=lora, callbacks=[Watch()])
trainer.train()
print("FOUND " + json.dumps({"seconds": times, "losses": losses,
    "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
"""
RECIPE = (
    HEAD
    + """[stages.student]
kind = "sft"
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


def make_rows(path: Path, count: int) -> list[dict[str, str]]:
    """Write prompts and answers of many lengths, from this repository's documents."""
    found = []
    for document in sorted((ROOT / "docs").glob("*.md")):
        for piece in document.read_text().split("\n\n"):
            words = re.sub(r"\s+", " ", piece).split()
            if len(words) >= 24:
                half = min(len(words) // 2, 20 + len(found) % 60)
                found.append(
                    {
                        "prompt": "Go on: " + " ".join(words[:half]),
                        "text": " ".join(words[half : half + 20 + len(found) * 7 % 80]),
                        "by": "human",
                    }
                )
    found = found[:count]
    path.write_text("".join(json.dumps(row) + "\n" for row in found))
    return found


def encode(base: Path, rows: list[dict[str, str]]) -> list[dict[str, list[int]]]:
    """Return the token ids of conversations, and which of them are learned (1) or not (0)."""
    from mashbill.core.chat import Conversation, Turn
    from mashbill.models.conversation_tokens import ConversationTokens

    tokens = ConversationTokens(base.resolve())
    found = []
    for row in rows:
        turns = Conversation((Turn("user", row["prompt"]), Turn("assistant", row["text"])))
        (one,) = tokens.conversation(turns)
        found.append({"ids": list(one.ids), "learned": [int(each) for each in one.learned]})
    return found


def main() -> None:
    """Compare."""
    parser = options(steps=12)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--micro", type=int, default=4, help="TRL's sequences at once")
    given = parser.parse_args()
    import numpy as np
    from machine import describe, write

    found: dict[str, list[dict[str, list[float]]]] = {"mashbill": [], "trl": []}
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        base = base_folder(scratch, tiny=given.tiny)
        table = base_keys(base, tiny=given.tiny)
        rows = make_rows(scratch / "rows.jsonl", given.batch * given.steps)
        rate = 1e-3 if given.method == "lora" else 5e-5
        order: list[int] = []
        number = 0
        while len(order) < given.batch * given.steps:
            order += np.random.default_rng([3, number]).permutation(len(rows)).tolist()
            number += 1
        ordered = scratch / "ordered.jsonl"
        encoded = encode(base, rows)
        ordered.write_text("".join(json.dumps(encoded[i]) + "\n" for i in order))
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
    report: dict[str, object] = {**describe(), **vars(given)}
    skip = min(2, given.steps // 3)
    for who, runs in found.items():
        steps = [statistics.median(run["seconds"][skip:]) for run in runs]
        report[who] = {
            "seconds_a_step": steps,
            "gigabytes": [round(run["memory"] / 2**30, 2) for run in runs],
            "losses": runs[0]["losses"],
        }
        print(f"{who:9} {min(steps):8.2f} s a step, {report[who]['gigabytes'][0]:.2f} GiB")
    ours, theirs = (report[who] for who in ("mashbill", "trl"))
    apart = max(abs(a - b) for a, b in zip(ours["losses"], theirs["losses"], strict=False))
    report["ratio"] = min(theirs["seconds_a_step"]) / min(ours["seconds_a_step"])
    report["curves_apart"] = apart
    print(f"ratio {report['ratio']:.2f}, curves at most {apart:.4f} nats apart")
    write(HERE.parent / f"training_sft_{given.method}.json", report)


if __name__ == "__main__":
    main()
