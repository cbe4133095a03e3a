"""``pretrain`` on texts without labels: a causal language model that writes, from nothing.

Tokenise, train, write: the texts of any number of rows become token ids on the disk, slice by slice
(:mod:`mashbill.train.token_file`); steps are taken over blocks of them, in one process or several
(:mod:`mashbill.train.scratch_loop`); and what is written is what ``save_pretrained`` writes of a
``LlamaForCausalLM``, which plain transformers loads.
"""

from __future__ import annotations

import json
import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

from mashbill.core.errors import InputError, StageError
from mashbill.models.causal_writer import CausalWriter
from mashbill.models.llama import Shape, config_of, named_as_transformers
from mashbill.train.processes import threads_each, together
from mashbill.train.scratch_loop import HELD_OUT, Told, as_json, held_rows, learn
from mashbill.train.scratch_tokenizer import taken, trained
from mashbill.train.token_file import write_tokens
from mashbill.train.told_learned import tell_parts

if TYPE_CHECKING:
    from pathlib import Path

    from mashbill.core.dataset import Dataset
    from mashbill.core.stage import StageContext
    from mashbill.train.pretrain import PretrainSpec
    from mashbill.train.scratch_loop import Learned
    from mashbill.train.scratch_tokenizer import Reading
    from mashbill.train.token_file import TokenFile

WEIGHTS = "model.safetensors"


def train(spec: PretrainSpec, ctx: StageContext, out: Path) -> None:
    """Train from scratch and write the model's files into ``out``.

    Raises:
        InputError: if no row has a text.
    """
    datasets = [ctx.input(name) for name in spec.inputs]
    ctx.progress(0, spec.steps, "reading the texts")
    if spec.tokenizer:
        base = ctx.base(spec.tokenizer)
        reading = taken(base.folder, base.title)
    else:
        reading = trained(datasets, spec.column, spec.vocabulary, ctx.work)
    tokens = _tokenised(spec, ctx, datasets, reading, ctx.work)
    _tell_what_is_left_out(ctx, datasets, tokens)
    if spec.heldout:
        apart = ctx.work / HELD_OUT
        apart.mkdir(exist_ok=True)
        held = _tokenised(spec, ctx, [ctx.input(spec.heldout)], reading, apart)
        letters = held.letters[0]
    else:
        letters = 0
    shape = Shape(
        reading.tokenizer.get_vocab_size(), spec.width, spec.layers, spec.heads, spec.context
    )
    told = _told(spec, ctx, shape, reading)
    with together(ctx, "pretrain", as_json(told)) as world:
        learned = learn(told, world, _Watching(spec, ctx))
    _write(out, shape, reading, learned)
    ctx.trained = CausalWriter(_as_transformers(shape, reading, learned), out)
    _count(spec, ctx, datasets, tokens, learned)
    _measures(ctx, spec.heldout_share, shape, tokens, learned, letters)


def _tokenised(
    spec: PretrainSpec,
    ctx: StageContext,
    datasets: list[Dataset],
    reading: Reading,
    folder: Path,
) -> TokenFile:
    # Documents are tokenised each by itself, so threads change no id.
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if ctx.threads > 1 else "false"
    names = ", ".join(str(data.manifest.ref) for data in datasets)

    def progress(done: int, total: int) -> None:
        ctx.progress(0, spec.steps, f"{done:,} of {total:,} rows are tokens")

    tokens = write_tokens(
        folder, datasets, spec.column, reading.tokenizer, reading.marks, spec.context, progress
    )
    if not len(tokens.pieces):
        msg = (
            f"{names}: no row has a text in column {spec.column!r}, so there is nothing to learn "
            "from; name another dataset, or another column"
        )
        raise InputError(msg)
    return tokens


def _told(spec: PretrainSpec, ctx: StageContext, shape: Shape, reading: Reading) -> Told:
    return Told(
        work=str(ctx.work.resolve()),
        seed=ctx.seed,
        threads=threads_each(ctx),
        shape={
            "vocabulary": shape.vocabulary,
            "width": shape.width,
            "layers": shape.layers,
            "heads": shape.heads,
            "context": shape.context,
        },
        pad=reading.marks.pad,
        weights=tuple(spec.weights.get(name, 1.0) for name in spec.inputs),
        heldout_share=spec.heldout_share,
        heldout_every=spec.heldout_every,
        steps=spec.steps,
        batch_tokens=spec.batch_tokens,
        schedule=spec.schedule,
        warmup=spec.warmup,
        matrix_rate=spec.matrix_rate,
        vector_rate=spec.vector_rate,
        weight_decay=spec.weight_decay,
    )


class _Watching:
    """Tells how it goes: the curves, which the line is made of, and how far it is."""

    def __init__(self, spec: PretrainSpec, ctx: StageContext) -> None:
        self._spec, self._ctx = spec, ctx

    def begun(self, step: int) -> None:
        """Forget what was logged at or beyond the first step that will be done."""
        self._ctx.curves.resume(step)

    def step(self, step: int, loss: float, tokens: int, rate: float, seconds: float) -> None:
        """Log a step."""
        self._ctx.curves.log(step, loss=loss, tokens=tokens, rate=rate, seconds=seconds)
        self._ctx.progress(step + 1, self._spec.steps, "")

    def held_out(self, step: int, loss: float) -> None:
        """Log a loss on what is held out."""
        self._ctx.curves.log(step, held_out_loss=loss)

    def kept(self) -> None:
        """Sync what was logged, before a checkpoint has its name."""
        self._ctx.curves.sync()


def _write(out: Path, shape: Shape, reading: Reading, learned: Learned) -> None:
    marks = reading.marks
    # safetensors stores each tensor once; the tied head is the embedding again.
    save_file(named_as_transformers(learned.model), out / WEIGHTS, metadata={"format": "pt"})
    generation = {
        key: value
        for key, value in (
            ("bos_token_id", marks.begin),
            ("eos_token_id", marks.end),
            ("pad_token_id", marks.pad),
        )
        if value is not None
    }
    for name, value in (
        ("config.json", _config(shape, reading)),
        ("generation_config.json", generation),
    ):
        (out / name).write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", "utf-8")
    for name, data in reading.files.items():
        (out / name).write_bytes(data)


def _config(shape: Shape, reading: Reading) -> dict[str, Any]:
    marks = reading.marks
    return config_of(shape, {"begin": marks.begin, "end": marks.end, "pad": marks.pad})


def _as_transformers(shape: Shape, reading: Reading, learned: Learned) -> Any:
    """Return transformers' model with the weights as they stand in memory."""
    config = LlamaConfig(**_config(shape, reading))
    model = LlamaForCausalLM(config).float()
    named = named_as_transformers(learned.model)
    lacking = model.load_state_dict(named, strict=False)
    if lacking.unexpected_keys or set(lacking.missing_keys) - {"lm_head.weight"}:
        msg = f"transformers names the weights of a Llama otherwise: {lacking}"
        raise StageError(msg)
    model.tie_weights()
    return model.eval()


def _tell_what_is_left_out(ctx: StageContext, datasets: list[Dataset], tokens: TokenFile) -> None:
    for data, lacks in zip(datasets, tokens.left_out, strict=True):
        if lacks:
            ctx.measures.setdefault("left_out", {})[str(data.manifest.ref)] = lacks
            count = sum(lacks.values())
            ctx.warn(
                f"{data.manifest.ref}: {count:,} of {data.num_rows:,} rows were not learned from "
                f"({', '.join(f'{n:,} lack {name}' for name, n in lacks.items())})"
            )


def _count(
    spec: PretrainSpec,
    ctx: StageContext,
    datasets: list[Dataset],
    tokens: TokenFile,
    learned: Learned,
) -> None:
    """Say what was learned of each row: of a long one no more than its pieces that were read."""
    begin = 0
    for number, (name, data) in enumerate(zip(spec.inputs, datasets, strict=True)):
        own = np.asarray(tokens.pieces["set"]) == number
        pieces = tokens.pieces[own]
        tell_parts(ctx, name, pieces["row"] - begin, pieces["length"], learned.times[own])
        begin += data.num_rows
        if name in spec.weights:
            ctx.loss_weight[name] = spec.weights[name]


def _measures(
    ctx: StageContext,
    share: float,
    shape: Shape,
    tokens: TokenFile,
    learned: Learned,
    letters: int,
) -> None:
    lengths = np.asarray(tokens.pieces["length"])
    held = held_rows(ctx.seed, tokens.pieces, share)
    ctx.measures |= {
        "parameters": shape.parameters,
        "training_tokens": int((learned.times.astype(np.int64) * lengths).sum()),
        "passes": round(float(learned.times[~held].mean()), 4),
        "final_loss": learned.loss,
    }
    found = learned.held_out
    if found is not None:
        ctx.measures |= {
            "held_out_loss": found.loss,
            "perplexity": math.exp(min(found.loss, 700.0)),
            "held_out_tokens": found.tokens,
        }
        if letters:
            ctx.measures["held_out_bits_a_byte"] = found.nats / math.log(2) / letters
