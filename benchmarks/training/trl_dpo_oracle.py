"""Writes tests/train/trl_dpo_oracle.json: curves of TRL 1.16.0's DPOTrainer, for tests to equal.

In an environment of its own:

    python -m venv env && env/bin/pip install torch==2.13.0 && env/bin/pip install trl==1.16.0
    PYTHONPATH=tests env/bin/python benchmarks/training/trl_dpo_oracle.py \
        > tests/train/trl_dpo_oracle.json

The tiny base of the tests learns from the same eight pairs in each step, so that no order of theirs
counts. Prompts are texts as the base's chat template writes them; TRL adds the token that ends an
answer. Rates are constant, weights are whole.
"""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

import torch
import trl
from datasets import Dataset
from tests_tiny_base import make_base
from transformers import AutoModelForCausalLM, AutoTokenizer

STEPS = 4
RATE = 0.002
ASKED = ("red", "blue", "good", "bad")
ANSWERS = ("fox", "bird", "name it is", "place")
CASES = tuple({"loss": loss, "beta": beta} for loss in ("sigmoid", "ipo") for beta in (0.1, 0.5))


def pairs() -> list[dict]:
    """Return what is asked, with an answer that is preferred and one that is not."""
    return [
        {"prompt": f"what is {word}?", "chosen": ANSWERS[at], "rejected": ANSWERS[(at + by) % 4]}
        for by in (1, 2)
        for at, word in enumerate(ASKED)
    ]


def curve(base: Path, case: dict, out: Path) -> dict:
    """Return TRL's curves of one case."""
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(base)
    asked = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
    rows = [pair | {"prompt": asked.format(pair["prompt"])} for pair in pairs()]
    config = trl.DPOConfig(
        output_dir=str(out), loss_type=case["loss"], beta=case["beta"], max_steps=STEPS,
        learning_rate=RATE,
        lr_scheduler_type="constant", per_device_train_batch_size=len(rows),
        weight_decay=0.0, max_grad_norm=1.0, logging_steps=1, report_to=[], save_strategy="no",
        use_cpu=True, bf16=False, gradient_checkpointing=False, max_length=512,
        disable_tqdm=True, disable_dropout=True,
    )  # fmt: skip
    trainer = trl.DPOTrainer(
        AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32),
        AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32),
        args=config, train_dataset=Dataset.from_list(rows), processing_class=tokenizer,
    )  # fmt: skip
    trainer.train()
    logged = [each for each in trainer.state.log_history if "loss" in each]
    names = {"loss": "loss", "margin": "rewards/margins", "gradient_norm": "grad_norm",
             "chosen_reward": "rewards/chosen", "chosen_logprob": "logps/chosen"}  # fmt: skip
    return {ours: [float(each[theirs]) for each in logged] for ours, theirs in names.items()}


def main() -> None:
    """Write all cases."""
    with tempfile.TemporaryDirectory() as folder:
        base = make_base(Path(folder) / "base")
        with redirect_stdout(sys.stderr):  # where its trainer prints
            found = [case | {"curves": curve(base, case, Path(folder) / "out")} for case in CASES]
    told = {"trl": trl.__version__, "steps": STEPS, "rate": RATE, "pairs": pairs(), "cases": found}
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
