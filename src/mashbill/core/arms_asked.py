"""What the tables of a recipe say in each of its arms, and what they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from mashbill.core.arms import EVERY, TABLES, Declared, as_set
from mashbill.core.errors import RecipeError
from mashbill.core.explaining import near

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

Node = tuple[str, str]
"""(table of the recipe, name in it)"""
STAGES = "stages"
_MARK = EVERY + EVERY
"""behind the name of a stage: that one, whichever arm asks; no recipe can name one so"""


class Reads(Protocol):
    """Reads one table of a recipe as its kind has it."""

    def __call__(self, node: Node, table: Mapping[str, Any], set_by: Mapping[str, str]) -> Any:
        """Return the spec.

        Args:
            node: which table it is.
            table: its keys.
            set_by: key -> the table of the recipe that sets it, where that is another one.

        Raises:
            RecipeError: naming the key that is wrong.
        """
        ...


class Asked:
    """The tables of a recipe as its arms have them."""

    def __init__(
        self,
        path: Path,
        data: Mapping[str, Any],
        told: Declared,
        read: Reads,
        made: Callable[[str, str | None], list[str]],
    ) -> None:
        """Begin with nothing read.

        Args:
            path: the recipe, to be told.
            data: its tables.
            told: its arms.
            read: reads a table of it.
            made: stage, arm or None for all -> the names under which it is written out there.
        """
        self._path, self._data, self._told = path, data, told
        self._read, self._made = read, made
        self._specs: dict[tuple[str, Node], Any] = {}

    def keys(self, arm: str, node: Node) -> Any:
        """Return what an arm sets in a table: its keys, False for none at all, None for nothing."""
        return self._told.settings.get(arm, {}).get(node)

    def table(self, arm: str, node: Node) -> dict[str, Any]:
        """Return a table as an arm has it.

        Raises:
            RecipeError: if it is none.
        """
        written = self._data[node[0]][node[1]]
        if not isinstance(written, dict):
            self._read(node, written, {})  # refuses it
        table = as_set(written, self.keys(arm, node))
        if node[0] != STAGES:
            return table
        return {key: self._each(node, value) for key, value in table.items()}

    def _each(self, node: Node, value: Any) -> Any:
        """Return the value of a stage's key, with what stands for a stage of all arms written out.

        ``["STAGE.*"]`` is a list of all, ``{ NAME = "STAGE.*" }`` a table of ``NAME.ARM``, each
        the stage, or the list of those with each seed. A key may be ``STAGE.*``, too.
        """
        if isinstance(value, list):
            return self._listed(node, value)
        if not isinstance(value, dict):
            return value
        found: dict[str, Any] = {}
        for key, item in value.items():
            if self._all_of(node, item) != [item]:
                found |= self._by_arm(node, key, item)
            else:
                named = self._listed(node, item) if isinstance(item, list) else item
                found |= dict.fromkeys(self._all_of(node, key), named)
        return found

    def _listed(self, node: Node, value: list[Any]) -> list[Any]:
        return [one for item in value for one in self._all_of(node, item)]

    def _by_arm(self, node: Node, key: str, named: str) -> dict[str, Any]:
        """Return ``KEY.ARM`` of each arm that differs: its stage, or a list with one a seed."""
        stage = named.removesuffix(EVERY)
        arms = list(self._told.settings) if stage in self._data[STAGES] else []
        by_arm = {f"{key}.{arm}": self._marked(stage, arm) for arm in arms}
        if len({tuple(names) for names in by_arm.values()}) < 2:
            by_arm = {key: self._all_of(node, named)}
        return {
            name: names[0] if len(names) == 1 else names for name, names in by_arm.items() if names
        }

    def spec(self, arm: str, node: Node) -> Any:
        """Return a table as it is in an arm, read."""
        keys = self.keys(arm, node)
        held = (arm if keys else "", node)
        if held not in self._specs:
            inside = f"{node[0]}." if node[0] != STAGES else ""
            where = f"arms.{arm}.{inside}{node[1]}"
            set_by = dict.fromkeys(keys or {}, where)
            self._specs[held] = self._read(node, self.table(arm, node), set_by)
        return self._specs[held]

    def named(self, arm: str, node: Node) -> list[Node]:
        """Return what a table names of the recipe's, as far as it is there."""
        spec = self.spec(arm, node)
        if node[0] == "teachers":
            made_by = spec.made_by
            return [(STAGES, made_by)] if made_by in self._data[STAGES] else []
        if node[0] == "verifiers":
            return [("teachers", name) for name in spec.asks()]
        if node[0] != STAGES:
            return []
        found = []
        for use in spec.uses():
            table = "teachers" if use.is_teacher else "verifiers" if use.is_verifier else STAGES
            if table == STAGES and use.name not in self._data[STAGES]:
                table = "models"
            found.append((table, use.name))
        return [item for item in dict.fromkeys(found) if item[1] in self._data.get(item[0], {})]

    def is_seeded(self, arm: str, node: Node) -> bool:
        """Return whether a stage gets the seeds of ``[arms]``."""
        if not self._told.seeds:
            return False
        if self._told.seeded:
            return node[1] in self._told.seeded
        spec = self.spec(arm, node)
        return bool(spec.output == "model" and spec.draws)

    def draws(self, arm: str, node: Node) -> bool:
        """Return whether a teacher's answers follow from a seed of its own."""
        spec = self.spec(arm, node)
        has = "seed" in type(spec).model_fields
        return has and getattr(spec, "temperature", None) != 0

    def behind(self, arm: str, node: Node) -> Iterator[str]:
        """Yield the stages whose models a teacher, or a verifier's teachers, are."""
        for item in self.named(arm, node):
            if item[0] == STAGES:
                yield item[1]
            else:
                yield from (stage for _, stage in self.named(arm, item))

    def _all_of(self, node: Node, named: Any) -> list[Any]:
        """Return what ``STAGE.*``, or ``STAGE.ARM.*``, stands for; a name of another kind itself.

        Raises:
            RecipeError: if it stands for nothing.
        """
        stages = list(self._data[STAGES])
        if not isinstance(named, str) or not named.endswith(EVERY):
            return [named]
        stage, arm = named.removesuffix(EVERY), None
        if stage not in stages and "." in stage:
            stage, _, arm = stage.rpartition(".")
        if stage not in stages:
            return [named]
        where = f"{self._path}: stages.{node[1]} names {named!r}, and"
        above = stages[: stages.index(node[1])]
        if stage not in above:
            msg = f"{where} {stage!r} is no stage above it; there are: {', '.join(above) or 'none'}"
            raise RecipeError(msg)
        if arm is not None and arm not in self._told.settings:
            there = near(arm, self._told.settings) or (
                f"; arms: {', '.join(self._told.settings) or 'none'}"
            )
            msg = f"{where} {arm!r} is no arm{there}"
            raise RecipeError(msg)
        found = self._marked(stage, arm)
        if not found:
            msg = f"{where} the arms go without stages.{stage}"
            raise RecipeError(msg)
        return list(dict.fromkeys(found))

    def _marked(self, stage: str, arm: str | None) -> list[str]:
        """Return what a stage is called in an arm, or in all, a name of the recipe's own marked.

        In an arm that is the recipe as it is written a stage has the recipe's name, by which every
        other arm would mean its own.
        """
        own = self._data[STAGES]
        return [f"{name}{_MARK}" if name in own else name for name in self._made(stage, arm)]

    def unmarked(self, table: Mapping[str, Any]) -> dict[str, Any]:
        """Return a table with the names that stand for stages of all arms as they are."""
        return {key: self._unmarked(value) for key, value in table.items()}

    def _unmarked(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self._name(key): self._names(item) for key, item in value.items()}
        return self._names(value)

    def _names(self, value: Any) -> Any:
        return [self._name(one) for one in value] if isinstance(value, list) else self._name(value)

    def _name(self, value: Any) -> Any:
        is_one = isinstance(value, str) and value.endswith(_MARK)
        stage = value.removesuffix(_MARK) if is_one else ""
        return stage if stage in self._data[STAGES] else value

    def mentioned(self) -> set[str]:
        """Return the names that some stage or teacher holds, as the recipe or an arm has it."""
        left: list[tuple[str, Any]] = [
            (name, keys)
            for table in (STAGES, *TABLES)
            for name, keys in self._data.get(table, {}).items()
        ]
        left += [
            (node[1], keys) for sets in self._told.settings.values() for node, keys in sets.items()
        ]
        found: set[str] = set()
        while left:
            own, value = left.pop()
            if isinstance(value, dict):
                left += [(own, one) for pair in value.items() for one in pair]
            elif isinstance(value, list):
                left += [(own, one) for one in value]
            elif isinstance(value, str) and value != own:
                found.add(value)
        return found
