"""What rests on some sources, and the recipe of a rebuild without them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mashbill.core.errors import InputError
from mashbill.lineage.bills.text import share_text
from mashbill.lineage.whatif.rebuild import Rebuild, rebuild, write_rebuild
from mashbill.lineage.whatif.removal import Affected, Selector, affected, affected_rows
from mashbill.workspace.recipes import recipe_path
from mashbill.workspace.tables import html_table, text_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mashbill.core.store import Store
    from mashbill.plan import Plan
    from mashbill.workspace.recipes import PathLike

_COLUMNS = ("artifact", "what", "records", "of", "share of tokens")


@dataclass(frozen=True)
class AffectedBy:
    """What of a store rests on some sources."""

    selector: Selector
    """which sources"""
    found: tuple[Affected, ...]
    in_all: int
    """artifacts of the store"""

    def as_json(self) -> dict[str, Any]:
        """Return it for a program, as ``affected --json`` does."""
        return {
            "without": self.selector.model_dump(exclude_none=True),
            "affected": [item.as_json() for item in self.found],
        }

    def _table(self) -> tuple[str, tuple[str, ...], list[tuple[Any, ...]]]:
        title = f"{len(self.found):,} of {self.in_all:,} artifacts rest on {self.selector}"
        rows = [
            (item.manifest.ref, item.what, item.records, item.as_json()["of"],
             share_text(item.share))
            for item in self.found
        ]  # fmt: skip
        return title, _COLUMNS, rows

    def __str__(self) -> str:
        return text_table(*self._table())

    def _repr_html_(self) -> str:
        return html_table(*self._table())


@dataclass(frozen=True)
class AffectedRows:
    """Which rows of a dataset rest on some sources."""

    artifact: str
    ranges: tuple[tuple[int, int], ...]
    """first row, and the one behind the last"""

    def as_json(self) -> dict[str, Any]:
        """Return it for a program, as ``affected --rows --json`` does."""
        return {"artifact": self.artifact, "rows": self.ranges}

    def __str__(self) -> str:
        return text_table(f"Rows of {self.artifact}", ("from", "to before"), self.ranges)

    def _repr_html_(self) -> str:
        return html_table(f"Rows of {self.artifact}", ("from", "to before"), self.ranges)


@dataclass(frozen=True)
class Rebuilt:
    """The recipe of a rebuild, where it was written, and its plan."""

    made: Rebuild = field(repr=False)
    recipe: Path
    plan: Plan | None = field(repr=False)
    """None where no stage can be made"""

    def as_json(self) -> dict[str, Any]:
        """Return it for a program, as ``rebuild --json`` does."""
        return {
            **self.made.as_json(),
            "recipe": str(self.recipe),
            "plan": self.plan and self.plan.as_json(),
        }

    def _table(self) -> tuple[str, tuple[str, ...], list[tuple[Any, ...]]]:
        made = self.made
        rows = [
            *((name, "kept", None) for name in made.kept),
            *((name, "thinned", f"{rows:,} rows less") for name, rows in made.thinned.items()),
            *((name, "made anew", None) for name in made.rebuilt),
            *((name, "gone", why) for name, why in made.gone.items()),
        ]
        return f"Rebuild: {self.recipe}", ("stage", "becomes", ""), rows

    def __str__(self) -> str:
        return text_table(*self._table())

    def _repr_html_(self) -> str:
        return html_table(*self._table())


def selecting(selector: Selector | None, facts: Mapping[str, str]) -> Selector:
    """Return the sources that are meant.

    Raises:
        InputError: if nothing says which, or a fact cannot be.
    """
    if selector is not None:
        return selector
    if not facts:
        msg = f"say which sources: {', '.join(Selector.model_fields)}"
        raise InputError(msg)
    try:
        return Selector.model_validate(facts)
    except ValidationError as error:
        first = error.errors()[0]
        msg = f"{first['loc'][0]} {first['input']!r}: {first['msg']}"
        raise InputError(msg) from error


def affected_by(store: Store, selector: Selector) -> AffectedBy:
    """Return what of a store rests on sources."""
    found = affected(store, selector)
    return AffectedBy(selector, tuple(found), len({item.ref for item in store.manifests()}))


def rows_affected_by(store: Store, name: str, selector: Selector) -> AffectedRows:
    """Return which rows of a dataset rest on sources.

    Raises:
        StoreError: if there is none of that name.
    """
    manifest = store.find(name)
    return AffectedRows(str(manifest.ref), tuple(affected_rows(store, manifest, selector)))


def rebuild_without(
    store: Store,
    recipe: PathLike,
    selector: Selector,
    *,
    teacher: Mapping[str, str],
    to: PathLike | None,
    allow: Sequence[PathLike],
) -> Rebuilt:
    """Write the recipe of a rebuild and plan it; see :meth:`mashbill.Workspace.rebuild`."""
    from mashbill.core.recipe import load_recipe
    from mashbill.plan import build

    path, folders = recipe_path(recipe), [os.fspath(folder) for folder in allow]
    made = rebuild(path, store, selector, dict(teacher), folders)
    target = Path(to) if to is not None else Path(f"{path.stem}-without.toml")
    write_rebuild(made, path, target, selector, folders)
    stays = bool(made.data["stages"])
    plan = build(load_recipe(target, folders), store) if stays else None
    return Rebuilt(made, target, plan)
