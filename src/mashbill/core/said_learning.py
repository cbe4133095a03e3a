"""What is said of how a model learned that was trained elsewhere, and what follows for its bill.

Our own trainers count each row (:mod:`mashbill.core.learning`). Of a model that comes from
elsewhere somebody says how much of each dataset it saw: tokens in all, or how often it saw each
row. Both are numbers of a whole dataset, and a bill has one weight for each origin in it. So a
weight is known

* in tokens, where they are said of each origin, or the dataset has only one;
* in words, where every row was seen equally often, a whole number of times.

Which of both is taken is one choice for all datasets of a model, since tokens and words are not
compared; it is the one that tells more of them. What neither tells is unknown, an interval on the
bill, and never a guess. The sums are those of our own trainers, done by the same code, so that one
who says as much gets the same bill.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.artifact import TOKEN_UNIT, LearnedFrom
from mashbill.core.given import TRAINED
from mashbill.core.learning import COUNTED_UNIT, Learned, RowSizes, weigh

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mashbill.core.artifact import Manifest

SAID = "said"
"""key of a manifest's measures under which all of it stands"""
MOST_TOKENS = 1 << 50
"""tokens that may be said of one dataset: sums stay whole numbers"""
MOST_EPOCHS = 10_000


@dataclass(frozen=True)
class OriginSize:
    """One origin within a dataset: a node that some of its rows point at."""

    node: str
    """digest"""
    rows: int | None
    """None where that is not known, as of a dataset of which only the bill is there"""
    words: int | None
    """likewise"""


@dataclass(frozen=True)
class SaidDataset:
    """What is said of one dataset that a model learned from."""

    name: str
    """address of the artifact"""
    rows: int | None = None
    """that the trainer had of it"""
    tokens: int | None = None
    """seen in all, each as often as it was"""
    epochs: float | None = None
    """times that each row was seen"""
    weight: float = 1.0
    """of its part of the loss"""
    parts: dict[str, int] | None = None
    """node -> tokens seen of its rows, where the trainer counted them apart"""
    outside: tuple[OriginSize, ...] | None = None
    """its origins, where it is no artifact of the store"""
    told: str = ""
    """on whose word these are"""
    digest: str = ""
    """of the content of one that is no artifact of the store, where that is known"""
    sums: str = ""
    """SHA-256 of its SHA256SUMS, if it is a published folder"""

    def as_json(self) -> dict[str, Any]:
        """Return it for a manifest."""
        outside = self.outside
        return {
            "name": self.name,
            "rows": self.rows,
            "tokens": self.tokens,
            "epochs": self.epochs,
            "weight": self.weight,
            "parts": self.parts,
            "outside": outside and [[one.node, one.rows, one.words] for one in outside],
            "told": self.told,
            "digest": self.digest,
            "sums": self.sums,
        }

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> SaidDataset:
        """Read what :meth:`as_json` wrote.

        Raises:
            ValueError: if it is none; a KeyError or TypeError where a part is missing.
        """
        outside, parts = value["outside"], value["parts"]
        epochs, weight = value["epochs"], float(value["weight"])
        if not 0 < weight < float("inf"):
            msg = f"the weight of {value['name']!r:.80} is {weight}"
            raise ValueError(msg)
        return cls(
            name=str(value["name"]),
            rows=_count(value["rows"]),
            tokens=_count(value["tokens"]),
            epochs=None if epochs is None else _epochs(epochs),
            weight=weight,
            parts=None
            if parts is None
            else {str(node): _count(each) or 0 for node, each in parts.items()},
            outside=None
            if outside is None
            else tuple(
                OriginSize(str(node), _count(rows), _count(words)) for node, rows, words in outside
            ),
            told=str(value["told"]),
            digest=str(value["digest"]),
            sums=str(value["sums"]),
        )


@dataclass(frozen=True)
class SaidWeights:
    """What the datasets of a model weigh in it, by what is said."""

    by_node: dict[str, list[int | None]]
    """dataset -> weight of each of its origins; None where it is not known"""
    unit: str
    learned_from: tuple[LearnedFrom, ...]
    """of those datasets of which enough is said"""

    @property
    def tokens(self) -> int:
        """Seen in all, as far as it is known."""
        return sum(each.seen for each in self.learned_from)

    @property
    def unknown(self) -> tuple[str, ...]:
        """The datasets of which it is not known how much they weigh."""
        return tuple(name for name, each in self.by_node.items() if None in each)


def word_of_training(manifest: Manifest) -> str:
    """Say on whose word it is what a model learned from; empty where it was counted here."""
    said = manifest.measures.get(SAID)
    if manifest.stage.get("kind") != TRAINED or not isinstance(said, dict):
        return ""
    by = "a record that its trainer left, and the recipe, say"
    if said.get("by") != "record":
        by = "the recipe says"
    return (
        f"it was trained elsewhere, and what it learned from is what {by}: nothing was counted here"
    )


def weigh_said(
    said: Iterable[SaidDataset], sizes: Mapping[str, tuple[OriginSize, ...]]
) -> SaidWeights:
    """Return what each origin weighs in a model.

    Args:
        said: of each dataset, each once.
        sizes: its origins, in the order of its nodes' numbers.
    """
    told = {one.name: one for one in said}
    tokens = {name: _tokens(one, sizes[name]) for name, one in told.items()}
    words = {name: _words(one, sizes[name]) for name, one in told.items()}
    counted, read = (
        sum(1 for each in found.values() if each is not None) for found in (tokens, words)
    )
    is_counted = counted >= read
    chosen = tokens if is_counted else words
    known = {name: each for name, each in chosen.items() if each is not None and any(each)}
    learned = {
        name: Learned(
            np.ones(len(each), np.int64),
            np.full(len(each), told[name].weight),
            np.array(each, np.int64) if is_counted else None,
        )
        for name, each in known.items()
    }
    rows = {
        name: RowSizes(np.array(each, np.int64), np.arange(len(each)), len(each))
        for name, each in known.items()
    }
    found = weigh(learned, rows)
    by_node: dict[str, list[int | None]] = {}
    for name in told:
        if name in known:
            by_node[name] = found.by_node[name].tolist()
        elif chosen[name] is not None:  # nothing of it was seen
            by_node[name] = [0] * len(sizes[name])
        else:  # whose rows were all rejected is in nothing
            by_node[name] = [0 if one.rows == 0 else None for one in sizes[name]]
    learned_from = (_learned_from(told[each.name], each, sizes) for each in found.learned_from)
    unit = COUNTED_UNIT if is_counted and known else TOKEN_UNIT
    return SaidWeights(by_node, unit, tuple(one for one in learned_from if one is not None))


def _tokens(one: SaidDataset, sizes: tuple[OriginSize, ...]) -> list[int] | None:
    """Return the tokens that were seen of each origin; None where that is not said."""
    if one.parts is not None:
        return [one.parts.get(size.node, 0) for size in sizes]
    if one.tokens == 0:
        return [0] * len(sizes)
    there = [size for size in sizes if size.rows != 0]
    if one.tokens is None or len(there) != 1:
        return None
    return [one.tokens if size is there[0] else 0 for size in sizes]


def _words(one: SaidDataset, sizes: tuple[OriginSize, ...]) -> list[int] | None:
    """Return the words that were seen of each origin; None where that does not follow."""
    if one.epochs == 0:
        return [0] * len(sizes)
    if one.epochs is None or one.epochs != int(one.epochs):
        return None
    if any(size.words is None or size.rows is None for size in sizes):
        return None
    if one.rows is not None and one.rows != sum(size.rows or 0 for size in sizes):
        return None  # some rows were not seen, and which is not said
    return [(size.words or 0) * int(one.epochs) for size in sizes]


def _learned_from(
    one: SaidDataset, found: LearnedFrom, sizes: Mapping[str, tuple[OriginSize, ...]]
) -> LearnedFrom | None:
    """Return what a dataset is in a model, for people; None where its rows or passes are unknown.

    Tokens of one pass are those of all passes over their number, rounded.
    """
    rows = [size.rows for size in sizes[one.name]]
    known = one.rows if one.rows is not None else None if None in rows else sum(filter(None, rows))
    if known is None or not one.epochs:
        return None
    return found.model_copy(update={"rows": known, "tokens": round(found.seen / one.epochs)})


def _count(value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST_TOKENS:
        msg = f"{value!r:.60} is no count"
        raise ValueError(msg)
    return value


def _epochs(value: Any) -> float:
    number = float(value)
    if not 0 <= number <= MOST_EPOCHS:
        msg = f"{value!r:.60} is no number of epochs"
        raise ValueError(msg)
    return number
