"""``schema``: 1 if an output is JSON that satisfies a JSON Schema, else 0.

Nothing is mended: what a program reads it has to be able to read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from mashbill.core.controls import JUNK
from mashbill.core.verifier import Case, Control, Score, VerifierSpec
from mashbill.prompts.schema import Structure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class SchemaSpec(VerifierSpec):
    """``kind = "schema"``."""

    repeats: ClassVar[bool] = True

    kind: Literal["schema"] = "schema"
    file: str
    """JSON Schema beside the recipe"""

    def files(self) -> tuple[str, ...]:
        """The schema."""
        return (self.file,)

    def controls(self) -> tuple[Control, ...]:
        """Junk, which is no JSON."""
        return tuple(Control(name, Case(text), is_right=False) for name, text in JUNK.items())

    def load(self, folder: Path, cache: Path, threads: int) -> Schema:
        """Read the schema.

        Raises:
            InputError: naming the file, if it is no schema.
        """
        del cache, threads
        return Schema(Structure.of(folder, self.file))


class Schema:
    """Holds outputs to a schema."""

    def __init__(self, structure: Structure) -> None:
        """Prepare to hold outputs to it."""
        self._structure = structure

    def score(self, cases: Sequence[Case]) -> list[Score]:
        """Return 1 or 0 for each."""
        return [self._one(case.output) for case in cases]

    def _one(self, text: str) -> Score:
        read = self._structure.read(text, may_mend=False)
        if read.problem:
            return Score(0.0, f"it does not fit the schema: {read.problem:.200}")
        return Score(1.0, "it fits the schema")
