"""What a row weighs in shares: the words that a model would learn to write from it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mashbill.core.record import user_columns


def words_of(table: pa.Table) -> np.ndarray:
    """Return the words in each row's text, shape (rows,): the unit in which shares are weighed.

    Words separated by white space, because every step of a chain may have another tokenizer.
    """
    total = np.zeros(table.num_rows, np.int64)
    columns = weighed(table.schema)
    for name in columns:
        text = pc.utf8_trim_whitespace(table.column(name))
        gaps = pc.count_substring_regex(text, r"\s+")
        words = pc.if_else(pc.equal(text, ""), 0, pc.add(gaps, 1))
        total += np.asarray(pc.fill_null(words, 0), np.int64)
    return total if columns else np.ones(table.num_rows, np.int64)


def weighed(schema: pa.Schema) -> list[str]:
    """Return the columns whose words are a row's weight: what a model would learn to write."""
    names = [n for n in user_columns(schema.names) if pa.types.is_string(schema.field(n).type)]
    for wanted in (["text"], ["prompt", "chosen", "rejected"], ["completion"]):
        found = [name for name in wanted if name in names]
        if found:
            return found
    return names[:1]
