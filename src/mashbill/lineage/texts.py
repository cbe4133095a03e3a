"""Texts of a column that stay where they lie until one is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mashbill.policy.index import places as numbers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_AT_ONCE = 1 << 16


class Texts(Sequence[str]):
    """Texts, each once, and an empty one behind them; questions about all take no Python each."""

    def __init__(self, texts: pa.StringArray) -> None:
        self._texts = texts

    def __len__(self) -> int:
        return len(self._texts) + 1

    def __getitem__(self, place: int) -> str:  # type: ignore[override]
        return "" if place == len(self._texts) else str(self._texts[place].as_py())

    def __iter__(self) -> Iterator[str]:
        for begin in range(0, len(self._texts), _AT_ONCE):
            yield from self._texts.slice(begin, _AT_ONCE).to_pylist()
        yield ""

    def many(self, code: np.ndarray) -> list[str]:
        """Return the texts of some places, shape (wanted,)."""
        found = [""] * len(code)
        there = np.flatnonzero(code < len(self._texts))
        texts = self._texts.take(numbers(code[there])).to_pylist()
        for at, text in zip(there.tolist(), texts, strict=True):
            found[at] = text
        return found

    def places(self, wanted: Collection[str]) -> dict[str, int]:
        """Return the places of those of some texts that are there."""
        mask = pc.is_in(self._texts, pa.array(list(wanted), pa.string()))
        found = _where(mask)
        told = dict(zip(self._texts.take(numbers(found)).to_pylist(), found.tolist(), strict=True))
        return {**told, "": len(self._texts)} if "" in wanted else told

    def ending(self, end: str) -> list[int]:
        """Return the places of texts with an end."""
        found: list[int] = _where(pc.ends_with(self._texts, end)).tolist()
        return found if end else [*found, len(self._texts)]


def _where(mask: pa.BooleanArray) -> np.ndarray:
    return np.flatnonzero(np.from_dlpack(mask.cast(pa.uint8())))
