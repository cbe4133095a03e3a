"""The record that a trainer elsewhere leaves beside a model: ``mashbill.json``, docs/trained.md.

It is written by a callback on a machine that need not have mashbill, so it is a small table of
JSON, with a version. It is the word of who ran the training; what is read here is only that it is
a record, not that it is true.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mashbill.core.errors import InputError
from mashbill.core.explaining import explain
from mashbill.core.parsing import json_object
from mashbill.core.said_learning import MOST_EPOCHS, MOST_TOKENS

RECORD = "mashbill.json"
"""name of the file, in the model's folder"""
RECORD_FORMAT = 1
_MOST = 4 << 20
"""bytes of a record"""
_SHA256 = "^([0-9a-f]{64})?$"
_Text = Annotated[str, Field(max_length=300)]
_Epochs = Annotated[float, Field(ge=0, le=MOST_EPOCHS, allow_inf_nan=False)]
_Tokens = Annotated[int, Field(ge=0, le=MOST_TOKENS)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class RecordedTrainer(_Table):
    """Who trained."""

    name: _Text
    """of the program: trl, axolotl"""
    version: _Text = ""


class RecordedBase(_Table):
    """What the weights started from."""

    name: _Text
    """OWNER/NAME of a hub, or a path on that machine"""
    revision: _Text = ""


class RecordedDataset(_Table):
    """One dataset that was learned from."""

    name: _Text = ""
    """as the recipe names it, where it was no published folder"""
    sums: str = Field(default="", pattern=_SHA256)
    """SHA-256 of the ``SHA256SUMS`` of the published folder"""
    artifact: _Text = ""
    """NAME@VERSION, as ``bill.json`` of the published folder says it"""
    digest: str = Field(default="", pattern=_SHA256)
    """of the artifact's content, likewise"""
    rows: Annotated[int, Field(ge=0, le=MOST_TOKENS)] | None = None
    """that the trainer had"""
    tokens: _Tokens | None = None
    """seen in all"""
    epochs: _Epochs | None = None
    """times that each row was seen"""
    parts: dict[str, _Tokens] | None = Field(default=None, max_length=100_000)
    """``_bill`` of rows -> tokens seen of those rows"""

    @property
    def title(self) -> str:
        """What messages call it."""
        return self.artifact or self.name or f"the folder whose SHA256SUMS is {self.sums[:16]}"


class Record(_Table):
    """``mashbill.json``."""

    format: Literal[1]
    """version of the record's form"""
    trainer: RecordedTrainer
    base: RecordedBase | None
    """null: the weights were drawn at random"""
    datasets: tuple[RecordedDataset, ...] = Field(max_length=1000)
    method: _Text = ""
    """full, lora"""
    steps: Annotated[int, Field(ge=0)] | None = None
    epochs: _Epochs | None = None
    """of each dataset that says nothing else"""
    tokens: _Tokens | None = None
    """seen in all, over all datasets"""
    counted: _Text = ""
    """which tokens are counted, in words"""
    weights: dict[str, Annotated[str, Field(pattern="^[0-9a-f]{64}$")]] = Field(
        default={}, max_length=10_000
    )
    """file of weights -> its SHA-256 at the end of training"""

    def tokens_of(self, one: RecordedDataset) -> int | None:
        """Return the tokens that were seen of a dataset: of all where it is the only one."""
        if one.tokens is None and len(self.datasets) == 1:
            return self.tokens
        return one.tokens

    def epochs_of(self, one: RecordedDataset) -> float | None:
        """Return how often each row of a dataset was seen."""
        return self.epochs if one.epochs is None else one.epochs


def read_record(path: Path, shown: str) -> Record:
    """Read a record.

    Args:
        path: the file.
        shown: what messages call it.

    Raises:
        InputError: naming the file, the key, what was found and what to do.
    """
    told: dict[str, Any] = json_object(path, shown=shown, error=InputError, most=_MOST)
    found = told.get("format")
    if found != RECORD_FORMAT or isinstance(found, bool):
        msg = (
            f"{shown}: format is {found!r:.40}, and {RECORD_FORMAT} is read here; write the record "
            "as docs/trained.md has it"
        )
        raise InputError(msg)
    try:
        return Record.model_validate(told)
    except ValidationError as error:
        raise InputError("\n".join(explain(Path(shown), "record", Record, error))) from error
