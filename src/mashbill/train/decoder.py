"""The language model that ``pretrain`` trains: a decoder of a million parameters or so.

Pre-norm blocks, RMSNorm, squared ReLU, learned positions, output head tied to the embedding.
Matrices are trained with Muon (Jordan et al., 2024): momentum, orthogonalised by five
Newton-Schulz steps. torch has a Muon of its own, which computes in bfloat16 and is six times
slower on a processor without it (LOG.md); this one computes in float32.

Left out: dropout, rotary positions, gradient accumulation, mixed precision, more than one device.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import nn
from torch.nn import functional

from mashbill.core.canonical import canonical
from mashbill.core.curves import RECENT
from mashbill.core.errors import InputError
from mashbill.models.decoder import PAD, Decoder, tensors
from mashbill.models.decoder_model import DecoderModel
from mashbill.train.durable import keep, kept
from mashbill.train.muon import Muon
from mashbill.train.rates import rate_at
from mashbill.train.repeatable import compute_repeatably
from mashbill.train.staying_finite import check_finite
from mashbill.train.usable import usable

if TYPE_CHECKING:
    from pathlib import Path

    from mashbill.core.stage import StageContext
    from mashbill.train.pretrain import PretrainSpec

_BUCKET = 2048
_CHECKPOINT = "checkpoint.pt"
_CHECKPOINT_EVERY = 100  # steps: some ten seconds of work at most are done twice


@dataclass
class _Corpus:
    """Encoded texts of all inputs, one after the other."""

    ids: list[list[int]]
    labels: np.ndarray
    names: tuple[str, ...]
    ends: list[int]


def train(spec: PretrainSpec, ctx: StageContext, out: Path) -> None:
    """Train from scratch and write the model's files into ``out``.

    The order of all batches follows from the seed alone, so a run that resumes at a checkpoint
    goes on with the same batches and ends with the same bytes.
    """
    torch.set_num_threads(ctx.threads)
    compute_repeatably()
    texts, words, labels, there = _read(spec, ctx)
    tokenizer = _train_tokenizer(texts, labels, spec.vocabulary)
    corpus = _Corpus(
        ids=[e.ids[: spec.context - 1] for e in tokenizer.encode_batch(texts)],
        labels=np.array([labels.index(word) for word in words]),
        names=spec.inputs,
        ends=np.cumsum([int(each.sum()) for each in there]).tolist(),
    )
    if spec.shuffle_labels:
        corpus.labels = np.random.default_rng(ctx.seed).permutation(corpus.labels)
    batches = _batches(corpus, spec, ctx.seed)
    torch.manual_seed(ctx.seed)
    shape = {
        "vocabulary": tokenizer.get_vocab_size(),
        "width": spec.width,
        "layers": spec.layers,
        "heads": spec.heads,
        "context": spec.context,
    }
    model = Decoder(**shape)
    loss = _optimise(model, corpus, batches, spec, ctx)
    # safetensors stores each tensor once; the tied head is rebuilt from the embedding.
    save_file(
        {name: tensor.contiguous() for name, tensor in model.state_dict().items()},
        out / "weights.safetensors",
    )
    tokenizer.save(str(out / "tokenizer.json"))
    (out / "config.json").write_bytes(canonical({"format": 2, "labels": labels, **shape}))
    ctx.trained = DecoderModel(labels, spec.context, tokenizer, model)
    counts = np.bincount(np.concatenate(batches), minlength=len(corpus.ids))
    begin = 0
    for name, end, is_there in zip(corpus.names, corpus.ends, there, strict=True):
        ctx.seen[name] = np.zeros(len(is_there), np.int64)
        ctx.seen[name][is_there] = counts[begin:end]
        begin = end
    lengths = np.array([len(ids) + 1 for ids in corpus.ids])
    ctx.measures |= {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "training_tokens": int((counts * lengths).sum()),
        "passes": round(float(counts.mean()), 4),
        "final_loss": loss,
    }


def _read(
    spec: PretrainSpec, ctx: StageContext
) -> tuple[list[str], list[str], list[str], list[np.ndarray]]:
    """Return texts, the label of each, all labels, and which rows of each input they are."""
    texts: list[str] = []
    words: list[str] = []
    there: list[np.ndarray] = []
    for name in spec.inputs:
        found = usable(ctx.input(name), ctx, [spec.column, "label"])
        texts += found.table.column(spec.column).to_pylist()
        words += map(str, found.table.column("label").to_pylist())
        there.append(found.there)
    labels = sorted(set(words))
    if len(labels) < 2:
        msg = f"{', '.join(spec.inputs)}: only the label {labels}; control tokens need two or more"
        raise InputError(msg)
    return texts, words, labels, there


def _train_tokenizer(texts: list[str], labels: list[str], size: int) -> Tokenizer:
    # One thread, so that ties between merges are broken in the same order every time.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<pad>", "<end>", *(f"<{label}>" for label in labels)],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _batches(corpus: _Corpus, spec: PretrainSpec, seed: int) -> list[np.ndarray]:
    """Return the rows of every step: shuffled passes, texts of like length together."""
    random = np.random.default_rng(seed)
    lengths = np.array([len(ids) + 1 for ids in corpus.ids])
    steps: list[np.ndarray] = []
    while len(steps) < spec.steps:
        order = random.permutation(len(lengths))
        one_pass: list[np.ndarray] = []
        for start in range(0, len(order), _BUCKET):
            bucket = order[start : start + _BUCKET]
            bucket = bucket[np.argsort(lengths[bucket], kind="stable")]
            begin = 0
            for end in range(1, len(bucket) + 1):
                full = (
                    end == len(bucket)
                    or (end + 1 - begin) * lengths[bucket[end]] > spec.batch_tokens
                )
                if full:
                    one_pass.append(bucket[begin:end])
                    begin = end
        steps += [one_pass[i] for i in random.permutation(len(one_pass))]
    return steps[: spec.steps]


def _optimise(
    model: Decoder,
    corpus: _Corpus,
    batches: list[np.ndarray],
    spec: PretrainSpec,
    ctx: StageContext,
) -> float:
    """Run all steps, from the last checkpoint if any; return the mean of the last losses."""
    matrices = [p for p in model.blocks.parameters() if p.ndim == 2]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    optimisers: list[torch.optim.Optimizer] = [
        Muon(matrices, spec.matrix_rate, spec.weight_decay),
        torch.optim.Adam(others, lr=spec.vector_rate, betas=(0.9, 0.95)),
    ]
    rates = [spec.matrix_rate, spec.vector_rate]
    step, losses = _resume(ctx.work / _CHECKPOINT, model, optimisers)
    ctx.curves.resume(step)
    while step < spec.steps:
        decay = rate_at(step, spec.steps, spec.schedule, spec.warmup)
        for optimiser, rate in zip(optimisers, rates, strict=True):
            optimiser.param_groups[0]["lr"] = rate * decay
        rows = batches[step]
        inputs, targets = tensors([corpus.ids[i] for i in rows], corpus.labels[rows])
        loss = functional.cross_entropy(
            model(inputs).flatten(0, 1), targets.flatten(), ignore_index=PAD
        )
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        check_finite(step, float(loss.detach()), float(norm), "matrix_rate and vector_rate")
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        losses.append(float(loss.detach()))
        ctx.curves.log(step, loss=losses[-1], tokens=int((targets != PAD).sum()))
        step += 1
        ctx.progress(step, spec.steps, "")
        if step % _CHECKPOINT_EVERY == 0 and step < spec.steps:
            ctx.curves.sync()
            _checkpoint(ctx.work / _CHECKPOINT, step, losses, model, optimisers)
    return _recent(losses)


def _recent(losses: list[float]) -> float:
    """Return the loss that the line and the manifest tell: one batch's alone is mostly noise."""
    return float(np.mean(losses[-RECENT:]))


def _checkpoint(
    path: Path,
    step: int,
    losses: list[float],
    model: Decoder,
    optimisers: list[torch.optim.Optimizer],
) -> None:
    state = {
        "step": step,
        "losses": losses,
        "model": model.state_dict(),
        "optimisers": [optimiser.state_dict() for optimiser in optimisers],
    }
    keep(path, state)


def _resume(
    path: Path, model: Decoder, optimisers: list[torch.optim.Optimizer]
) -> tuple[int, list[float]]:
    state = kept(path)
    if state is None:
        return 0, []
    model.load_state_dict(state["model"])
    for optimiser, saved in zip(optimisers, state["optimisers"], strict=True):
        optimiser.load_state_dict(saved)
    return state["step"], list(state["losses"])
