"""TRL's live-teacher distillation, as ``kd.py`` asks for it: run in an environment that has TRL.

GKDTrainer with ``lmbda = 0`` learns given texts off policy, and with ``beta = 0`` by forward KL:
the same student, teacher, tokens, batch and optimiser, through ``trainer.train()`` itself. A
callback waits where a step begins until ``kd.py`` asks for more.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path

os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"

import numpy as np
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl.experimental.gkd import GKDConfig, GKDTrainer


class Asked(TrainerCallback):
    """Takes as many steps as are asked for, and says what they took."""

    def __init__(self) -> None:
        self._left, self._began = 0, 0.0

    def on_step_begin(self, *_: object, **__: object) -> None:
        """Wait for what is asked."""
        if not self._left:
            line = sys.stdin.readline()
            if not line:
                sys.exit(0)
            self._left, self._began = int(line), time.perf_counter()

    def on_step_end(self, *_: object, **__: object) -> None:
        """Say what it took."""
        self._left -= 1
        if not self._left:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            took = time.perf_counter() - self._began
            print(json.dumps({"seconds": took, "peak_kb": peak}), flush=True)


def collate(rows: list[dict]) -> dict[str, torch.Tensor]:
    """Return a batch: every token is learned."""
    ids = torch.tensor([row["input_ids"] for row in rows])
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids.clone()}


def main() -> None:
    """Train until nobody asks any more."""
    parser = argparse.ArgumentParser()
    for name in ("child", "work"):
        parser.add_argument(f"--{name}")
    for name in ("batch", "length", "threads", "steps", "rounds"):
        parser.add_argument(f"--{name}", type=int)
    told = parser.parse_args()
    torch.set_num_threads(told.threads)
    work = Path(told.work)
    tokens = np.load(work / "tokens.npy")
    trainer = GKDTrainer(
        model=AutoModelForCausalLM.from_pretrained(work / "student", dtype=torch.float32),
        teacher_model=AutoModelForCausalLM.from_pretrained(work / "teacher", dtype=torch.float32),
        args=GKDConfig(
            output_dir=str(work / "trl"), per_device_train_batch_size=told.batch,
            max_steps=told.steps * told.rounds + 2,
            learning_rate=1e-3, lr_scheduler_type="constant",
            use_cpu=True, report_to=[], save_strategy="no", logging_strategy="no", bf16=False,
            gradient_checkpointing=False, disable_tqdm=True, lmbda=0.0, beta=0.0, seq_kd=False,
            max_length=told.length, dataloader_num_workers=0,
        ),
        train_dataset=Dataset.from_dict({"input_ids": tokens.tolist()}),
        processing_class=AutoTokenizer.from_pretrained(work / "student"),
        data_collator=collate,
        callbacks=[Asked()],
    )  # fmt: skip
    trainer.train()


if __name__ == "__main__":
    main()
