"""Rows given to a chain as they are, nulls and NaN in any cell: no file is read on the way."""

import math

import numpy as np
import pyarrow as pa

from mashbill.core.record import BILL, FROM
from mashbill.core.source import Channel
from mashbill.stages.imported import ImportSpec

NAN = math.nan
KINDS = {
    "text": pa.string(),
    "prompt": pa.string(),
    "key": pa.float64(),
    "score": pa.float64(),
    "written": pa.string(),
    "gold": pa.string(),
    "sample": pa.int64(),
}


def given_rows(monkeypatch, tables, kinds=()):
    """Let ``import`` give these rows, by title, as no file could hold all of them.

    Args:
        monkeypatch: pytest's.
        tables: title -> rows.
        kinds: types of columns that are not among those above.
    """
    kinds = dict(kinds)

    def run(self, records, ctx):
        del records
        rows = tables[self.title]
        ctx.origins.append(((Channel.CONTENT, self.origin("m", "", None)),))
        columns = {
            name: pa.array([row.get(name) for row in rows], kind, from_pandas=False)
            for name, kind in {**KINDS, **kinds}.items()
            if any(name in row for row in rows)
        }
        places = pa.array(np.arange(len(rows)), pa.int64())
        yield pa.RecordBatch.from_pydict(
            columns | {BILL: pa.array([0] * len(rows), pa.int32()), FROM: places}
        )

    monkeypatch.setattr(ImportSpec, "run", run)
    # what the file has says nothing of these rows
    monkeypatch.setattr(ImportSpec, "may_have", lambda *_: None)


def imported(name):
    return (
        f'[stages.{name}]\nkind = "import"\ntitle = "{name}"\nsource = "set.jsonl"\n'
        'generator = "none"\n'
    )
