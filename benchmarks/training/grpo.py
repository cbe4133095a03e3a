"""Learning from rewards beside TRL: the same base, prompts, reward, batch, rate and steps.

    python benchmarks/training/grpo.py --peer benchmarks/.venv-trl/bin/python [--method lora|full]
        [--steps 4] [--prompts 4] [--attempts 8] [--new 24] [--rounds 2] [--threads 2] [--tiny]

The two take turns, each in a process of its own. A completion is paid by which of ten
letters it has: a program of no cost, which tells most attempts apart. What is sampled is drawn by
each in its own way, so curves are not the same, and tokens are counted. TRL (trl 1.16.0, peft
0.21.2) is set to Dr.GRPO, as ours is by default (loss_type="dr_grpo", no division by
a deviation, beta=0), with as many completions at once as a step has. Time in sampling is told apart
from the rest of a step. It writes results/training_grpo_METHOD.json.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE.parent), str(HERE)]

from dpo import as_texts, make_pairs  # noqa: E402 - the folder is known only now
from trainers import HEAD, ask, base_folder, base_keys, options  # noqa: E402

OURS = """
import json, resource, sys, time
from mashbill.train import sampled_loop, sampled_steps
told = json.loads(sys.argv[1])
sampling, learning, tokens = [], [], []
def timed(function, into):
    def call(*given, **more):
        began = time.monotonic()
        found = function(*given, **more)
        into.append(time.monotonic() - began)
        return found
    return call
sampled_loop._Sampler._sampled = timed(sampled_loop._Sampler._sampled, sampling)
advance = timed(sampled_steps.SampledTraining.advance, learning)
def counted(self, rows):
    tokens.append(int(rows.sampled_tokens.sum()))
    return advance(self, rows)
sampled_steps.SampledTraining.advance = counted
import mashbill as mb
ws = mb.open(told["store"])
ws.run(ws.plan(told["recipe"]), threads=told["threads"])
print("FOUND " + json.dumps({"sampling": sampling, "learning": learning, "tokens": tokens,
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
from trl import GRPOConfig, GRPOTrainer
data = Dataset.from_list([json.loads(line) for line in open(told["rows"])])
model = AutoModelForCausalLM.from_pretrained(told["base"], dtype=torch.float32)
tokenizer = AutoTokenizer.from_pretrained(told["base"])
lora = LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear",
    task_type="CAUSAL_LM") if told["method"] == "lora" else None
whole, sampling, tokens = [], [], []
class Watch(TrainerCallback):
    def on_step_begin(self, *_, **__):
        self.began = time.monotonic()
    def on_step_end(self, *_, **__):
        whole.append(time.monotonic() - self.began)
    def on_log(self, args, state, control, logs=None, **_):
        if "completions/mean_length" in logs:
            tokens.append(logs["completions/mean_length"] * told["batch"])
def paid(completions, **_):
    return [sum(letter in text for letter in told["letters"]) / 10 for text in completions]
config = GRPOConfig(output_dir=told["out"], per_device_train_batch_size=told["batch"],
    num_generations=told["attempts"], max_completion_length=told["new"], beta=0.0,
    loss_type="dr_grpo", scale_rewards="none", max_steps=told["steps"], learning_rate=told["rate"],
    lr_scheduler_type="constant", warmup_steps=0, weight_decay=0.0, logging_steps=1,
    save_strategy="no", report_to=[], max_grad_norm=1.0, use_cpu=True, shuffle_dataset=False,
    gradient_checkpointing=False, bf16=told["dtype"] == "bfloat16", fp16=False, disable_tqdm=True,
    optim="adamw_torch_fused", disable_dropout=True, temperature=1.0)
trainer = GRPOTrainer(model=model, reward_funcs=paid, args=config, train_dataset=data,
    processing_class=tokenizer, peft_config=lora, callbacks=[Watch()])
generate = trainer._generate
def timed(*given, **more):
    began = time.monotonic()
    found = generate(*given, **more)
    sampling.append(time.monotonic() - began)
    return found
trainer._generate = timed
trainer.train()
learning = [all_of_it - part for all_of_it, part in zip(whole, sampling, strict=True)]
print("FOUND " + json.dumps({"sampling": sampling, "learning": learning, "tokens": tokens,
    "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
"""
LETTERS = list("bcfgkmpvwy")
RECIPE = (
    HEAD
    + """[verifiers.letters]
kind = "form"
match = {letters}
[stages.student]
kind = "grpo"
inputs = ["said"]
base = "base"
by = "letters"
method = "{method}"
steps = {steps}
batch = {prompts}
attempts = {attempts}
max_new_tokens = {new}
rate = {rate}
schedule = "constant"
warmup = 0.0
dtype = "{dtype}"
max_tokens = 1024
"""
)


def main() -> None:
    """Compare."""
    parser = options(steps=4)
    parser.add_argument("--prompts", type=int, default=4, help="of a step")
    parser.add_argument("--attempts", type=int, default=8)
    parser.add_argument("--new", type=int, default=24, help="tokens of a completion, at most")
    given = parser.parse_args()
    from machine import describe, write

    found: dict[str, list[dict[str, list[float]]]] = {"mashbill": [], "trl": []}
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        base = base_folder(scratch, tiny=given.tiny)
        table = base_keys(base, tiny=given.tiny)
        rows = make_pairs(scratch / "rows.jsonl", given.prompts * given.steps)
        texts = [{"prompt": each["prompt"]} for each in as_texts(base, rows)]
        (scratch / "texts.jsonl").write_text("".join(json.dumps(each) + "\n" for each in texts))
        rate = 1e-4 if given.method == "lora" else 1e-6
        same = {"method": given.method, "steps": given.steps, "attempts": given.attempts,
                "new": given.new, "rate": rate, "dtype": given.dtype}  # fmt: skip
        for turn in range(given.rounds):
            recipe = scratch / f"r{turn}.toml"
            recipe.write_text(
                RECIPE.format(
                    base=table, prompts=given.prompts, letters=json.dumps(LETTERS), **same
                )
            )
            told = {"store": str(scratch / f"s{turn}"), "recipe": str(recipe),
                    "threads": given.threads}  # fmt: skip
            found["mashbill"].append(ask(sys.executable, OURS, told))
            told = {**same, "rows": str(scratch / "texts.jsonl"), "base": str(base.resolve()),
                    "batch": given.prompts * given.attempts, "threads": given.threads,
                    "letters": LETTERS, "out": str(scratch / f"t{turn}")}  # fmt: skip
            found["trl"].append(ask(given.peer, THEIRS, told))
    report: dict[str, object] = {
        **describe(), **vars(given), "load": [round(each, 2) for each in os.getloadavg()]
    }  # fmt: skip
    skip = 1 if given.steps > 1 else 0
    for who, runs in found.items():
        parts = {
            part: [statistics.median(run[part][skip:]) for run in runs]
            for part in ("sampling", "learning", "tokens")
        }
        whole = [a + b for a, b in zip(parts["sampling"], parts["learning"], strict=True)]
        report[who] = {
            **parts, "seconds_a_step": whole,
            "gigabytes": [round(run["memory"] / 2**30, 2) for run in runs],
        }  # fmt: skip
        print(
            f"{who:9} {min(whole):8.2f} s a step ({min(parts['sampling']):.2f} sampling, "
            f"{min(parts['learning']):.2f} beside), {parts['tokens'][0]:.0f} tokens sampled, "
            f"{report[who]['gigabytes'][0]:.2f} GiB"
        )
    ours, theirs = (report[who]["seconds_a_step"] for who in ("mashbill", "trl"))
    report["ratio_by_round"] = [slow / fast for slow, fast in zip(theirs, ours, strict=True)]
    print(f"ratio {report['ratio_by_round']}, load {report['load']}")
    write(HERE.parent / f"training_grpo_{given.method}.json", report)


if __name__ == "__main__":
    main()
