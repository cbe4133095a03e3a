"""Columns of few words: a yes or no to whether a machine wrote a row, and whole numbers."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

FLAGS = frozenset(
    ["ai_generated", "is_ai_generated", "llm_generated", "is_llm_generated", "generated_by_ai",
     "generated_by_llm", "machine_generated", "is_machine_generated", "model_generated",
     "is_model_generated", "is_ai", "written_by_ai"]
)  # fmt: skip
"""columns that say yes or no to whether a machine wrote a row"""


def said_yes(array: pa.Array) -> int:
    """Return how many rows say yes: true, 1, or a text that says so."""
    if pa.types.is_null(array.type) or pa.types.is_nested(array.type):
        return 0
    said = pc.utf8_lower(array.cast(pa.string()))
    return pc.sum(pc.is_in(said, pa.array(["true", "1", "1.0", "yes", "y"]))).as_py() or 0


def whole_numbers(array: pa.Array) -> int:
    """Return how many rows have a number, if all that is there are whole ones from 0 on."""
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        fits = pc.match_substring_regex(array, r"^\d{1,9}(\.0)?$")
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        fits = pc.and_(pc.greater_equal(array, 0), pc.equal(array, pc.floor(array)))
    else:
        return 0
    here = len(array) - array.null_count
    return here if pc.sum(fits).as_py() == here else 0
