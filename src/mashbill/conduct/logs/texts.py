"""The texts of a few rows of a log, for the page of a case; nothing else keeps one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mashbill.conduct.logs.reading import open_log

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from mashbill.conduct.events import Hashes
    from mashbill.conduct.logs.gathering import Options

LONGEST = 20_000
"""letters of a text"""


class _Kept:
    """Stands where a batch's texts are scored, and gives each its place instead of a score."""

    def __init__(self) -> None:
        self.texts: Sequence[str] = ()

    def score(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Keep the texts of a batch, and return their places."""
        self.texts = texts
        places = np.arange(len(texts), dtype=np.float32)
        return places, places


def texts_of(
    log: Path, hashes: Hashes, rows: Collection[str], options: Options | None = None
) -> dict[str, str]:
    """Return the texts of rows, as far as the log has them: system prompt and last turn.

    Args:
        log: it.
        hashes: of the key by which rows were named.
        rows: names of rows, as a case has them.
        options: how the log is read.

    Raises:
        InputError: if the log cannot be read.
    """
    kept = _Kept()
    found: dict[str, str] = {}
    for batch in open_log(log, hashes, options=options, scorer=kept).batches():
        names = batch.events.column("id").to_pylist()
        places = batch.events.column("jailbreak").to_pylist()
        for name, place in zip(names, places, strict=True):
            row = hashes.row(name)
            if row in rows and place is not None and place < len(kept.texts):
                found[row] = kept.texts[int(place)][:LONGEST]
        kept.texts = ()
        if len(found) == len(rows):
            break
    return found
