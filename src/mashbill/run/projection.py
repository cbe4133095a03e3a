"""What a stage will cost at most, said before it buys anything; and what it came to, after."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mashbill.conduct.prices import FREE, Price, price_of
from mashbill.run.permission import PROMPT_FILES

if TYPE_CHECKING:
    from pathlib import Path

    from mashbill.core.artifact import Manifest
    from mashbill.core.recipe import Recipe

_TOKENS_A_WORD = 1.5  # of English text in a tokenizer of 100,000 entries: 1.3, and a margin
_OVERHEAD = 20  # tokens that a chat's own marks take


@dataclass(frozen=True)
class Projection:
    """What a stage asks of services at most, answers that are in the journal included."""

    calls: int
    tokens_in: int
    """estimated from words"""
    tokens_out: int
    """all answers as long as they may be"""
    usd: float | None
    """None where no table has a price"""

    def as_json(self) -> dict[str, Any]:
        """Return it for the journal."""
        return vars(self)

    def __str__(self) -> str:
        """Say it in a line."""
        price = "no price known" if self.usd is None else f"${self.usd:.4f} at most"
        return (
            f"up to {self.calls:,} calls, {self.tokens_in:,} tokens to read, "
            f"{self.tokens_out:,} to write, {price}"
        )


def price_for(spec: Any, now: datetime | None = None) -> Price:
    """Return the prices of a teacher behind HTTP; nothing where one serves it oneself."""
    if spec.source.route in {"weights", "in-process"}:
        return FREE
    return price_of(spec.service.prices, spec.model, now or datetime.now(UTC))


def project(recipe: Recipe, stage: str, inputs: list[Manifest]) -> Projection | None:
    """Return what a stage will ask of services at most; None if it asks none.

    Args:
        recipe: the recipe.
        stage: its name.
        inputs: manifests of its inputs of role ``rows``.
    """
    spec = recipe.stages[stage]
    teachers: list[Any] = [
        recipe.teachers[use.name]
        for use in spec.uses()
        if use.is_teacher and recipe.teachers[use.name].is_remote
    ]
    if not teachers:
        return None
    rows = sum(manifest.rows for manifest in inputs)
    words = sum(manifest.tokens for manifest in inputs)
    expected = spec.expected_rows({m.name: m.rows for m in inputs}) or rows
    files = [recipe.folder / name for name in spec.files()] + list(spec.own_files().values())
    each = (words / max(rows, 1) + _words(files)) * _TOKENS_A_WORD + _OVERHEAD
    reading = int(each * expected)
    usd: float | None = 0.0
    for teacher in teachers:
        price = price_for(teacher)
        if usd is not None:
            usd = usd + price.of(reading, expected * teacher.max_tokens) if price.known else None
    calls = expected * len(teachers)
    written = sum(expected * int(teacher.max_tokens) for teacher in teachers)
    return Projection(calls, reading * len(teachers), written, usd)


def _words(files: list[Path]) -> int:
    """Return the words of the prompts; other files, such as data, are not sent with each row."""
    prompts = [path for path in files if path.suffix in PROMPT_FILES]
    return sum(len(path.read_text("utf-8", "replace").split()) for path in prompts)
