"""A few answers to held-out prompts, before a training and after: for people to look at.

Of a held-out sequence, the prompt is all before the last part that would be learned of it, and what
is wanted is that part; of a text that is learned whole, its first half. Answers are the likeliest
tokens one by one, so that a resumed run has the same. Those of the base are kept in the stage's
scratch: a run that goes on from a checkpoint has no base in memory.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mashbill.core.parsing import read_json
from mashbill.core.samples import Sample
from mashbill.core.store import write_atomically
from mashbill.models.positions import positions_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.stage import StageContext
    from mashbill.models.conversation_tokens import ConversationTokens
    from mashbill.train.examples import Examples

SAMPLED = 4
"""prompts: a few, since each is answered token by token"""
_TOKENS = 48  # of an answer
_PROMPT = 768  # tokens of a prompt; of longer ones the end is shown to the model
_KEPT = "samples.json"
_PHRASE = 4  # tokens of what is said over and over, at most
_OVER_AND_OVER = 12  # tokens at the end of an answer that are nothing else


@dataclass(frozen=True)
class _Asked:
    prompt: list[int]
    wanted: list[int]


class Sampling:
    """Asks a model before it is trained and after; nothing is asked where nothing is held out."""

    def __init__(
        self, ctx: StageContext, heldout: Examples | None, encoder: ConversationTokens
    ) -> None:
        """Choose the prompts, at even distances over what is held out.

        Args:
            ctx: the stage's; gets the samples.
            heldout: sequences that are not learned from.
            encoder: of the student.
        """
        self._ctx, self._encoder = ctx, encoder
        self._asked = [] if heldout is None else _asked(heldout)
        self._path = ctx.work / _KEPT
        self._answered: list[list[int]] | None = None

    @classmethod
    def of_prompts(
        cls, ctx: StageContext, prompts: Sequence[list[int]], encoder: ConversationTokens
    ) -> Sampling:
        """Ask these prompts, of which it is not known what is wanted.

        Args:
            ctx: the stage's; gets the samples.
            prompts: token ids of each; a few are taken, at even distances.
            encoder: of the student.
        """
        made = cls(ctx, None, encoder)
        taken = min(SAMPLED, len(prompts))
        made._asked = [_Asked(prompts[i * len(prompts) // taken], []) for i in range(taken)]
        return made

    def before(self, model: Any) -> None:
        """Ask the base, unless a run that was cut off has."""
        if self._asked and not self._path.exists():
            answers = [self._text(self._answer(model, one)) for one in self._asked]
            write_atomically(self._path, json.dumps(answers).encode())

    def after(self, model: Any) -> None:
        """Ask the trained model, and give both to the context."""
        if not self._asked or not self._path.exists():
            return
        before = read_json(self._path)
        self._answered = [self._answer(model, one) for one in self._asked]
        for one, said, answer in zip(self._asked, before, self._answered, strict=True):
            self._ctx.samples.append(
                Sample(
                    prompt=self._text(one.prompt),
                    before=str(said),
                    after=self._text(answer),
                    wanted=self._text(one.wanted),
                )
            )

    def tell_repeating(self, model: Any, learned: Examples) -> None:
        """Measure how many answers say a few tokens over and over, and warn if most do.

        A loss over distributions falls while a student says nothing but the likeliest token, and no
        curve tells (EasyDistill #37). What is wanted and repeats by itself is not counted.

        Args:
            model: the trained one.
            learned: what it learned from, which is asked where nothing is held out.
        """
        asked, answers = self._asked, self._answered
        if answers is None:
            asked = _asked(learned)
            answers = [self._answer(model, one) for one in asked]
        pairs = [pair for pair in zip(asked, answers, strict=True) if not repeats(pair[0].wanted)]
        count = sum(repeats(answer) for _, answer in pairs)
        self._ctx.measures["repeating_answers"] = {"asked": len(pairs), "repeating": count}
        if count * 2 > len(pairs):
            self._ctx.warn(
                f"{count} of {len(pairs)} answers that the trained student wrote are a few tokens "
                "over and over, whatever its losses say: look at what it writes before it is used, "
                "and train it longer, or with ce_weight above 0"
            )

    def _text(self, ids: list[int]) -> str:
        told: str = self._encoder.tokenizer.decode(ids, skip_special_tokens=True)
        return told.strip()

    def _answer(self, model: Any, asked: _Asked) -> list[int]:
        ends = set(self._encoder.ends)
        context = positions_of(model.config) or _PROMPT + _TOKENS
        most = min(_TOKENS, context // 2)
        shown = asked.prompt[-min(_PROMPT, context - most) :]
        return likeliest(model, shown, ends, most)


def repeats(tokens: list[int]) -> bool:
    """Return whether a text ends in a few tokens that are said over and over."""
    last = tokens[-_OVER_AND_OVER:]
    if len(last) < _OVER_AND_OVER:
        return False
    return any(last[size:] == last[:-size] for size in range(1, _PHRASE + 1))


def likeliest(model: Any, prompt: list[int], ends: set[int], most: int) -> list[int]:
    """Return the tokens that a model goes on with, the likeliest each time, without its end.

    Args:
        model: a causal language model of transformers; in training or not, and left so.
        prompt: token ids; one at least.
        ends: tokens that end an answer.
        most: tokens of an answer.
    """
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    ids, past, found = torch.tensor([prompt], device=device), None, []
    for _ in range(most):
        with torch.no_grad():
            out = model(input_ids=ids, past_key_values=past, use_cache=True)
        token = int(out.logits[0, -1].argmax())
        if token in ends:
            break
        found.append(token)
        past, new = getattr(out, "past_key_values", None), torch.tensor([[token]], device=device)
        # What keeps another state than keys and values (Mamba) reads all of it again.
        ids = new if past is not None else torch.cat([ids, new], dim=1)
    model.train(was_training)
    return found


def _asked(heldout: Examples) -> list[_Asked]:
    """Return prompts with what is wanted, of sequences at even distances, one a row."""
    _, firsts = np.unique(np.stack([heldout.dataset, heldout.row]), axis=1, return_index=True)
    places = np.sort(firsts)
    taken = min(SAMPLED, len(places))
    found = []
    for number in places[np.arange(taken) * len(places) // max(taken, 1)].tolist():
        ids, learned = heldout.ids(number).tolist(), heldout.learned(number)
        stops = np.flatnonzero(learned & ~np.append(learned[1:], [False]))
        starts = np.flatnonzero(learned & ~np.append([False], learned[:-1]))
        if not len(starts):
            continue
        start, stop = int(starts[-1]), int(stops[-1]) + 1
        if start <= 1:  # learned whole: it is gone on with
            start = max(1, stop // 2)
        if start < stop:
            found.append(_Asked(ids[:start], ids[start:stop]))
    return found
