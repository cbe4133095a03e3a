"""Preferences in the shapes that trainers and public sets have: which columns a row gets.

Read for this, and open to be read again:

* TRL (huggingface/trl, docs/source/dataset_formats.md at c7232976, "Preference"; trl/data_utils.py
  at bc13ae6d, ``extract_prompt``): ``prompt``, ``chosen`` and ``rejected`` as texts (``text``) or
  as lists of messages (``messages``), or with the prompt in both (``implicit``,
  ``implicit-messages``).
* The reference implementation of DPO (eric-mitchell/direct-preference-optimization,
  preference_datasets.py at 21fd7fec, ``get_hh``): a prompt with ``responses``, ``pairs`` of places
  among them, the better first, and ``sft_target`` (``dpo``). Its prompts end where an answer
  begins, which is the recipe's to write.
* UltraFeedback: binarized, as the card of HuggingFaceH4/ultrafeedback_binarized and its copies list
  the columns (``ultrafeedback``); and a prompt with its completions (``completions``), as
  OpenBMB/UltraFeedback, README.md at fbad89c5, "Dataset Format". Of the latter's keys those are
  there that are known here: no principle, system prompt or annotation is made up, and
  ``overall_score`` is the score that the recipe has, of whichever range.

Messages are lists of {role, content}, as Parquet has them, so that readers of these sets take them
as they are. ``ranking`` is our own: the completions of a prompt from best to worst, with scores and
ranks; equal ones have one rank.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Shape = Literal[
    "text", "messages", "implicit", "implicit-messages", "ultrafeedback",
    "ranking", "dpo", "completions",
]  # fmt: skip
OF_PROMPTS = frozenset({"ranking", "dpo", "completions"})
"""shapes in which a row is a prompt with all its completions, and no pair"""
MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
_COMPLETION = pa.struct(
    [("model", pa.string()), ("response", pa.string()), ("overall_score", pa.float64())]
)


@dataclass(frozen=True)
class Pair:
    """Two completions of a prompt. Where neither is preferred, both are None."""

    prompt: str
    chosen: str | None
    rejected: str | None
    score_chosen: float | None = None
    score_rejected: float | None = None


@dataclass
class Ranked:
    """The completions of one prompt, from best to worst."""

    prompt: str
    rows: list[int]
    """of the completions, over all inputs"""
    texts: list[str]
    models: list[str]
    """who wrote each: the name of its input"""
    scores: list[float | None]
    pairs: list[tuple[int, int]] = field(default_factory=list)
    """places of two, the better one first; ties are none"""


def said_by(role: str, text: str) -> list[dict[str, str]]:
    """Return a conversation of one message."""
    return [{"role": role, "content": text}]


def joined(prompt: str, completion: str) -> str:
    """Return a prompt with what goes on from it; a line between them unless there is space."""
    meets = not prompt or not completion or prompt[-1:].isspace() or completion[:1].isspace()
    return prompt + completion if meets else f"{prompt}\n{completion}"


def columns_of_pairs(shape: Shape, pairs: Sequence[Pair]) -> dict[str, pa.Array]:
    """Return pairs as columns; what is not preferred is null in both.

    Args:
        shape: one of those whose rows are pairs.
        pairs: in order.
    """
    asked = [pair.prompt for pair in pairs]
    sides = {
        "chosen": [pair.chosen for pair in pairs],
        "rejected": [pair.rejected for pair in pairs],
    }
    if shape == "text":
        return {"prompt": pa.array(asked, pa.string()), **_texts(sides)}
    if shape == "messages":
        told = [said_by("user", prompt) for prompt in asked]
        return {"prompt": pa.array(told, MESSAGES), **_chats(sides, asked, whole=False)}
    if shape == "implicit":
        return _texts({
            name: [None if text is None else joined(prompt, text)
                   for prompt, text in zip(asked, side, strict=True)]
            for name, side in sides.items()
        })  # fmt: skip
    if shape == "implicit-messages":
        return _chats(sides, asked, whole=True)
    chats = _chats(sides, asked, whole=True)
    return {
        "prompt": pa.array(asked, pa.string()),
        "prompt_id": pa.array([_digest(prompt) for prompt in asked], pa.string()),
        **chats,
        "messages": chats["chosen"],
        "score_chosen": pa.array([pair.score_chosen for pair in pairs], pa.float64()),
        "score_rejected": pa.array([pair.score_rejected for pair in pairs], pa.float64()),
    }


def _digest(prompt: str) -> str:
    return hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()


def _texts(sides: dict[str, list[str | None]]) -> dict[str, pa.Array]:
    return {name: pa.array(side, pa.string()) for name, side in sides.items()}


def _chats(
    sides: dict[str, list[str | None]], asked: list[str], *, whole: bool
) -> dict[str, pa.Array]:
    made: dict[str, pa.Array] = {}
    for name, side in sides.items():
        chats: list[Any] = []
        for prompt, text in zip(asked, side, strict=True):
            if text is None:
                chats.append(None)
                continue
            answer = said_by("assistant", text)
            chats.append([*said_by("user", prompt), *answer] if whole else answer)
        made[name] = pa.array(chats, MESSAGES)
    return made


def columns_of_prompts(shape: Shape, ranked: Sequence[Ranked]) -> dict[str, pa.Array]:
    """Return prompts with all their completions as columns.

    Args:
        shape: one of :data:`OF_PROMPTS`.
        ranked: in order.
    """
    if shape == "ranking":
        return {
            "prompt": pa.array([one.prompt for one in ranked], pa.string()),
            "completions": pa.array([one.texts for one in ranked], pa.list_(pa.string())),
            "scores": pa.array([one.scores for one in ranked], pa.list_(pa.float64())),
            "ranks": pa.array([ranks(one.scores) for one in ranked], pa.list_(pa.int64())),
            "models": pa.array([one.models for one in ranked], pa.list_(pa.string())),
        }
    if shape == "dpo":
        pairs = [[list(pair) for pair in one.pairs] for one in ranked]
        return {
            "prompt": pa.array([one.prompt for one in ranked], pa.string()),
            "responses": pa.array([one.texts for one in ranked], pa.list_(pa.string())),
            "pairs": pa.array(pairs, pa.list_(pa.list_(pa.int64()))),
            "sft_target": pa.array([one.texts[0] for one in ranked], pa.string()),
        }
    nothing = [["None"] for _ in ranked]  # as UltraFeedback writes it where there are none
    completions = [
        [
            {"model": model, "response": text, "overall_score": score}
            for model, text, score in zip(one.models, one.texts, one.scores, strict=True)
        ]
        for one in ranked
    ]
    return {
        "instruction": pa.array([one.prompt for one in ranked], pa.string()),
        "models": pa.array([one.models for one in ranked], pa.list_(pa.string())),
        "completions": pa.array(completions, pa.list_(_COMPLETION)),
        "correct_answers": pa.array(nothing, pa.list_(pa.string())),
        "incorrect_answers": pa.array(nothing, pa.list_(pa.string())),
    }


def ranks(scores: Sequence[float | None]) -> list[int | None]:
    """Return the place of each score, the best first; equal ones share the first of theirs."""
    known = [score for score in scores if score is not None]
    return [
        None if score is None else 1 + sum(other > score for other in known) for score in scores
    ]


def ranked_by(
    prompt: str,
    rows: Sequence[int],
    text_of: Callable[[int], str],
    model_of: Callable[[int], str],
    scores: dict[int, float],
    better: Sequence[tuple[int, int]],
) -> Ranked:
    """Return the completions of a prompt from best to worst; equal ones by their texts' digests.

    Args:
        prompt: what was asked.
        rows: of the completions.
        text_of: gives a row's text.
        model_of: gives who wrote it.
        scores: by row.
        better: pairs of rows, the better one first.
    """
    texts = {row: text_of(row) for row in rows}
    order = sorted(rows, key=lambda row: (-scores.get(row, -np.inf), _digest(texts[row]), row))
    place = {row: at for at, row in enumerate(order)}
    return Ranked(
        prompt,
        order,
        [texts[row] for row in order],
        [model_of(row) for row in order],
        [scores.get(row) for row in order],
        sorted((place[a], place[b]) for a, b in better),
    )
