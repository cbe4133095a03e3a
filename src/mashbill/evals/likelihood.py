"""Perplexity: how likely held-out texts are to models, by token and by byte.

A token is not the same for two tokenizers; a byte is. So models are compared by bits per byte, the
sum of a text's negative log-probabilities over its bytes, and perplexity by token stands beside it
with the number of tokens. Of conversations the turns of the assistant are weighed, in the words of
the model's own template, and the bytes are those of all that the assistant said there: what it
thought, what it wrote, and the tools that it called with their arguments, as the rows have them.
What the template writes around these is weighed, too, and has no bytes, since each model has its
own: bytes are the same for all.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mashbill.core.chat import Conversation
from mashbill.core.errors import InputError, TeacherError
from mashbill.core.extras import needs
from mashbill.core.missing import is_text
from mashbill.core.parsing import json_value
from mashbill.core.resampling import ROUNDING, interval, shares, unit_sums
from mashbill.evals.columns_given import nats_of, tokens_of
from mashbill.evals.measured import Measured
from mashbill.evals.models import loaded_model, stages_of, weighing
from mashbill.files.rows.chat import is_chat
from mashbill.files.rows.conversations import UnfitError, in_order, turns_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mashbill.core.chat import Turn
    from mashbill.core.stage import StageContext
    from mashbill.evals.evaluate import EvaluateSpec

_AT_ONCE = 64
_MISSING, _FAILED, _SCORED = "missing", "failed", "scored"


def weighed(
    spec: EvaluateSpec, rows: pa.Table, ctx: StageContext, units: np.ndarray | None = None
) -> dict[str, Measured]:
    """Return how likely the texts of rows are to each system.

    Args:
        spec: the stage.
        rows: that are held out.
        ctx: where it runs.
        units: which rows belong together, counted from 0, shape (rows,); None for none.

    Raises:
        InputError: if the column is not there or holds something else, or a model weighs no texts.
    """
    texts = _texts(rows, spec)
    sizes = np.array([_bytes(text) for text in texts], np.float64)
    return {
        name: _system(name, stages_of(made), texts, sizes, ctx, units)
        for name, made in spec.models.items()
    }


Text = str | Conversation | None


def _texts(rows: pa.Table, spec: EvaluateSpec) -> list[Text]:
    """Return the texts or conversations of a column; None where there is none.

    Raises:
        InputError: naming what is wrong.
    """
    if spec.text not in rows.column_names:
        msg = (
            f"{spec.input} has no column {spec.text!r}; it has {', '.join(rows.column_names)}; "
            "correct text in the recipe"
        )
        raise InputError(msg)
    column = rows.column(spec.text)
    if not (is_text(column.type) or pa.types.is_nested(column.type)
            or pa.types.is_null(column.type)):  # fmt: skip
        msg = f"{spec.input}: column {spec.text!r} holds {column.type}; texts or chats are needed"
        raise InputError(msg)
    cells = column.to_pylist()
    is_json = spec.text.endswith("_json")
    found: list[Text] = []
    for place, cell in enumerate(cells):
        if isinstance(cell, str) and not is_json:
            found.append(cell if cell.strip() else None)
            continue
        value = json_value(cell, f"{spec.input}, row {place}") if isinstance(cell, str) else cell
        if value is not None and not is_chat(value):
            msg = f"{spec.input}: row {place} of column {spec.text!r} holds no chat"
            raise InputError(msg)
        try:
            turns = in_order(turns_of(value, {}, Counter())) if value else []
        except UnfitError as error:
            msg = f"{spec.input}: row {place} of column {spec.text!r}: {error}"
            raise InputError(msg) from error
        found.append(Conversation(tuple(turns)) if turns else None)
    return found


def _bytes(text: Text) -> int:
    if isinstance(text, Conversation):
        said = (part for turn in text.said_by("assistant") for part in _said(turn))
        return sum(len(part.encode()) for part in said)
    return len(text.encode()) if text else 0


def _said(turn: Turn) -> Iterator[str]:
    """Yield all that a turn of the assistant says, as it is tokenised."""
    yield turn.reasoning
    yield turn.content
    for call in turn.tool_calls:
        yield call.name
        yield call.arguments


def _system(
    name: str,
    made: Sequence[str],
    texts: Sequence[Text],
    sizes: np.ndarray,
    ctx: StageContext,
    units: np.ndarray | None,
) -> Measured:
    nats = np.full((len(made), len(texts)), math.nan)
    tokens = np.zeros_like(nats)
    there = np.flatnonzero(sizes > 0)
    for seed, stage in enumerate(made):
        model = loaded_model(stage, ctx)
        weigh = weighing(model, stage)
        reads = _reader(stage, texts, ctx)
        for start in range(0, len(there), _AT_ONCE):
            places = there[start : start + _AT_ONCE].tolist()
            rows = [reads(texts[place]) for place in places]
            found = iter(weigh([piece for row in rows for piece in row]))
            for place, row in zip(places, rows, strict=True):
                own = [next(found) for _ in row]
                nats[seed, place] = math.fsum(one.nats for one in own)
                tokens[seed, place] = sum(one.tokens for one in own)
            ctx.progress(start + len(places), len(there), f"{stage} weighs")
        del model
    nats[~np.isfinite(nats) | (tokens == 0)] = math.nan
    bits = nats / (math.log(2) * np.where(sizes > 0, sizes, math.nan))
    known = ~np.isnan(bits).any(axis=0)
    facts: dict[str, Any] = {
        "came": {
            _SCORED: int(known.sum()),
            **_some(_MISSING, int((sizes == 0).sum())),
            **_some(_FAILED, int(((sizes > 0) & ~known).sum())),
        },
        **_sums(
            nats[:, known],
            tokens[:, known],
            sizes[known],
            ctx.seed,
            None if units is None else np.unique(units[known], return_inverse=True)[1],
        ),
    }
    mean_nats, mean_tokens = nats.mean(axis=0), tokens.mean(axis=0)
    columns = {
        nats_of(name): pa.array(mean_nats, pa.float64(), mask=~known),
        tokens_of(name): pa.array(mean_tokens, pa.float64(), mask=~known),
    }
    return Measured(bits, facts, columns, weights=sizes, is_share=False)


def _reader(stage: str, texts: Sequence[Text], ctx: StageContext) -> Any:
    """Return what makes of a text what a model weighs: the text, or sequences of tokens."""
    if not any(isinstance(text, Conversation) for text in texts):
        return lambda text: [text]
    with needs("weighing conversations", "students"):
        from mashbill.models.conversation_tokens import ConversationTokens
    encoder = ConversationTokens(ctx.base(stage).folder)

    def read(text: Text) -> list[Any]:
        if not isinstance(text, Conversation):
            return [text]
        try:
            if any(turn.tool_calls for turn in text) and not (
                encoder.has_chat and encoder.writes_calls()
            ):
                msg = (
                    f"{stage}: its template leaves out calls of tools, and conversations of the "
                    "rows have some: what is not written cannot be weighed; leave these rows or "
                    "this model out"
                )
                raise InputError(msg)
            return list(encoder.conversation(text) if encoder.has_chat else encoder.as_texts(text))
        except TeacherError as error:
            msg = f"{stage}: its template cannot write a conversation of the rows: {error}"
            raise InputError(msg) from error

    return read


def _some(name: str, count: int) -> dict[str, int]:
    return {name: count} if count else {}


def _sums(
    nats: np.ndarray, tokens: np.ndarray, sizes: np.ndarray, seed: int, units: np.ndarray | None
) -> dict[str, Any]:
    """Return perplexities, with counts; over several seeds of their mean log-likelihoods."""
    if not sizes.size:
        return {"perplexity": None, "byte_perplexity": None, "tokens": 0, "bytes": 0, "nats": None}
    both = np.stack([nats.mean(axis=0), tokens.mean(axis=0)])
    total, count = both.sum(axis=1)
    told: dict[str, Any] = {
        "perplexity": _exp(total / count),
        "byte_perplexity": _exp(total / sizes.sum()),
        "tokens": round(float(count)),
        "bytes": int(sizes.sum()),
        "nats": float(total),
    }
    by_unit = unit_sums(both, units)
    if by_unit.shape[1] > 1:
        low, high = interval(by_unit, seed, shares)
        if high - low > ROUNDING * abs(high):  # texts that are all alike say nothing of others
            told |= {"perplexity_low": _exp(low), "perplexity_high": _exp(high)}
    return told


def _exp(value: float) -> float | None:
    return math.exp(value) if value < _LARGEST else None


_LARGEST = 700.0  # of which a double has an exponential
