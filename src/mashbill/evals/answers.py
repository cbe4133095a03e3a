"""A system's answers, row by row: datasets that steps made of the rows of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa

from mashbill.core.errors import InputError
from mashbill.core.record import FROM
from mashbill.evals.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.core.dataset import Dataset

_HOPS = 64  # steps between the rows and the answers


class Rows(Protocol):
    """What answers are read from: a dataset, or what a model wrote here."""

    @property
    def num_rows(self) -> int:
        """How many there are."""
        ...

    def read(self, start: int, stop: int) -> pa.Table:
        """Return rows ``start`` up to ``stop``."""
        ...

    def chunks(self, rows: int) -> Iterator[tuple[int, pa.Table]]:
        """Yield (position of the first row, rows) in order, ``rows`` at a time."""
        ...


@dataclass(frozen=True)
class Answers:
    """Answers of a system, and of which row each is."""

    name: str
    """of the stage"""
    data: Rows
    places: np.ndarray
    """the row of the evaluation that each answer is of, int64, shape (answers,)"""


def answers_of(name: str, data: Dataset, rows: Dataset, of: str) -> Answers:
    """Return a dataset as answers to the rows of an evaluation, over any number of steps.

    Args:
        name: of the stage that made it.
        data: its dataset.
        rows: the rows of the evaluation.
        of: the stage that made these.

    Raises:
        InputError: if it was made of other rows, or its rows are made of several.
    """
    wanted = rows.manifest.digest
    if data.manifest.digest == wanted:  # they have it in a column of their own
        return Answers(name, data, np.arange(data.num_rows))
    places = _from(data, name, of)
    above, upstream = data, Upstream(data)
    for _ in range(_HOPS):
        inputs = [item for item in above.manifest.inputs if item.role == "rows"]
        if len(inputs) != 1:
            raise InputError(_strange(name, of, data))
        if inputs[0].digest == wanted:
            break
        above = upstream.dataset(inputs[0])
        places = _from(above, name, of)[places]
    else:
        raise InputError(_strange(name, of, data))
    if len(places) and int(places.max()) >= rows.num_rows:
        raise InputError(_strange(name, of, data))
    return Answers(name, data, places)


def _from(data: Dataset, name: str, of: str) -> np.ndarray:
    if not data.num_rows:
        return np.zeros(0, np.int64)
    if FROM not in data.columns:  # a first stage, whose rows are made of nothing
        raise InputError(_strange(name, of, data))
    column = data.column(FROM).combine_chunks()
    if pa.types.is_list(column.type):
        msg = (
            f"{name}: rows of {data.manifest.ref} are made of several rows each, so no answer "
            f"is of one row of {of}; name a dataset whose rows are answers one by one"
        )
        raise InputError(msg)
    return np.asarray(column, np.int64)


def _strange(name: str, of: str, data: Dataset) -> str:
    above = [item.name for item in data.manifest.inputs if item.role == "rows"]
    made = f" (it is made of {', '.join(above)})" if above else " (it is made of no other rows)"
    return (
        f"{name} is not made of the rows of {of}, row for row{made}; make it with input = {of!r}, "
        "or of rows that are"
    )
