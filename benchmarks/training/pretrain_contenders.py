"""What ``pretrain.py`` beside it measures: each contender takes steps as long as it is told to."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).parents[2]
WARM = 3  # steps before it is ready


class Pace:
    """Lets steps be taken while the clock runs, and waits for the next turn."""

    def __init__(self, parameters: int) -> None:
        self._parameters, self._steps = parameters, 0
        self._seconds = self._begun = self._used = 0.0
        self._tokens = 0

    def done(self, tokens: int) -> None:
        """Take note of a step; returns when the next one may be taken."""
        self._steps += 1
        if self._steps < WARM:
            return
        if self._steps == WARM:
            sys.stdout.write(f"{self._parameters}\n")
            self._wait()
            return
        self._tokens += tokens
        clock, used = time.perf_counter() - self._begun, time.process_time() - self._used
        if clock >= self._seconds:
            sys.stdout.write(json.dumps([self._tokens, clock, used]) + "\n")
            self._wait()

    def _wait(self) -> None:
        sys.stdout.flush()
        line = sys.stdin.readline()
        if not line:
            raise SystemExit
        self._seconds, self._tokens = float(line), 0
        self._begun, self._used = time.perf_counter(), time.process_time()


def corpus(told: dict[str, Any]) -> None:
    """Write token ids of this repository's documents, a paragraph each."""
    from mashbill.core.extras import needs

    with needs("a benchmark", "train"):
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    import pyarrow as pa

    from mashbill.train.token_file import Marks, write_tokens

    class Rows:
        """A dataset in memory."""

        columns = ("text",)

        def __init__(self, texts: list[str]) -> None:
            self.table = pa.table({"text": texts})
            self.schema, self.num_rows = self.table.schema, len(texts)

        def chunks(self, rows: int, columns: object) -> Any:
            del columns
            for start in range(0, self.num_rows, rows):
                yield start, self.table.slice(start, rows)

    files = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md")])
    texts = [part for path in files for part in path.read_text().split("\n\n") if part.strip()]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=told["shape"]["vocabulary"],
            special_tokens=["<pad>", "<end>", "<begin>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    dataset: Any = Rows(texts)
    context = told["shape"]["context"]
    marks = Marks(begin=2, end=1, pad=0)
    folder = Path(told["folder"])
    write_tokens(folder, [dataset], "text", tokenizer, marks, context, lambda *_: None)


def stream(told: dict[str, Any]) -> np.ndarray:
    """Return blocks of one token more than a context, cut from all documents as one stream."""
    ids = np.fromfile(Path(told["folder"]) / "ids.bin", np.uint16).astype(np.int64)
    size = told["shape"]["context"] + 1
    return ids[: len(ids) // size * size].reshape(-1, size)


def ours(told: dict[str, Any], *, leaks: bool) -> None:
    """Take the steps of ``pretrain``."""
    from mashbill.core.extras import needs

    with needs("a benchmark", "train"):
        from mashbill.train import scratch_loop
    from mashbill.train.processes import World
    from mashbill.train.token_file import PIECE

    folder = Path(told["folder"])
    if leaks:
        size = told["shape"]["context"]
        blocks = len(stream(told))
        pieces = np.zeros(blocks, PIECE)
        pieces["start"], pieces["length"] = np.arange(blocks) * (size + 1), size
        with tempfile.TemporaryDirectory() as made:
            (Path(made) / "ids.bin").symlink_to(folder / "ids.bin")
            pieces.tofile(Path(made) / "pieces.bin")
            _take(scratch_loop, World(), told, made)
    else:
        _take(scratch_loop, World(), told, str(folder))


def _take(scratch_loop: Any, world: Any, told: dict[str, Any], work: str) -> None:
    class Watching:
        pace: Pace

        def step(self, step: int, loss: float, tokens: int, rate: float, seconds: float) -> None:
            del step, loss, rate, seconds
            self.pace.done(tokens)

        def held_out(self, step: int, loss: float) -> None:
            del step, loss

        def kept(self) -> None:
            return

        def begun(self, step: int) -> None:
            del step

    watching = Watching()
    watching.pace = Pace(scratch_loop.Shape(**told["shape"]).parameters)
    scratch_loop._SECONDS_KEPT = 1e9
    scratch_loop._STEPS_KEPT = 1 << 60
    given = scratch_loop.Told(
        work=work,
        seed=0,
        threads=told["threads"],
        shape=told["shape"],
        pad=0,
        weights=(1.0,),
        heldout_share=0.0,
        heldout_every=0,
        steps=1 << 40,
        batch_tokens=told["batch_tokens"],
        schedule="constant",
        warmup=None,
        matrix_rate=0.02,
        vector_rate=0.003,
        weight_decay=0.1,
    )
    scratch_loop.learn(given, world, watching)


def trainer(told: dict[str, Any]) -> None:
    """Take the steps of transformers' Trainer."""
    import torch
    from transformers import (
        LlamaConfig,
        LlamaForCausalLM,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    torch.set_num_threads(told["threads"])
    shape, size = told["shape"], told["shape"]["context"]
    feed = -(-8 * shape["width"] // 3 // 32) * 32
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=shape["vocabulary"],
            hidden_size=shape["width"],
            intermediate_size=feed,
            num_hidden_layers=shape["layers"],
            num_attention_heads=shape["heads"],
            num_key_value_heads=shape["heads"],
            max_position_embeddings=size,
            tie_word_embeddings=True,
        )
    )
    blocks = stream(told)
    rows = max(1, told["batch_tokens"] // size)
    pace = Pace(sum(p.numel() for p in model.parameters()))

    class Paced(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            pace.done(rows * (size - 1))

    class Data(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return len(blocks)

        def __getitem__(self, at: int) -> dict[str, torch.Tensor]:
            ids = torch.from_numpy(blocks[at, :size])
            return {"input_ids": ids, "labels": ids}

    with tempfile.TemporaryDirectory() as out:
        chosen = TrainingArguments(
            out,
            use_cpu=True,
            per_device_train_batch_size=rows,
            max_steps=1 << 40,
            learning_rate=3e-3,
            report_to=[],
            save_strategy="no",
            logging_steps=1 << 30,
            disable_tqdm=True,
            dataloader_drop_last=True,
        )
        Trainer(model, chosen, train_dataset=Data(), callbacks=[Paced()]).train()


def nanochat(told: dict[str, Any]) -> None:
    """Take the steps of nanochat's base training, in its own words: model, compile, optimiser."""
    import torch

    sys.path.insert(0, told["nanochat"])
    from contextlib import redirect_stdout

    torch.set_num_threads(told["threads"])
    shape, size = told["shape"], told["shape"]["context"]
    with redirect_stdout(sys.stderr):
        from nanochat.gpt import GPT, GPTConfig

        model = GPT(
            GPTConfig(
                sequence_len=size,
                vocab_size=shape["vocabulary"],
                n_layer=shape["layers"],
                n_head=shape["heads"],
                n_kv_head=shape["heads"],
                n_embd=shape["width"],
                window_pattern="L",
            )
        )
        model.init_weights()
        optimiser = model.setup_optimizer()
    pace = Pace(sum(p.numel() for p in model.parameters()))
    compiled = torch.compile(model, dynamic=False)
    blocks = torch.from_numpy(stream(told))
    rows = max(1, told["batch_tokens"] // size)
    for start in cycle(range(0, len(blocks) - rows, rows)):
        some = blocks[start : start + rows]
        with redirect_stdout(sys.stderr):
            loss = compiled(some[:, :-1].contiguous(), some[:, 1:].contiguous())
            loss.backward()
            optimiser.step()
            model.zero_grad(set_to_none=True)
            float(loss)
        pace.done(rows * size)


if __name__ == "__main__":
    program, given = sys.argv[1], json.loads(sys.argv[2])
    {
        "corpus": corpus,
        "ours": lambda told: ours(told, leaks=False),
        "ours-leak": lambda told: ours(told, leaks=True),
        "trainer": trainer,
        "nanochat": nanochat,
    }[program](given)
