"""A recipe with ``[arms]``, written out: what differs between arms and seeds is made apart.

Stage by stage, in the order of the recipe, and cell by cell (an arm with a seed):

1. A stage is touched by an arm if that arm sets a key of it, or of a teacher, a verifier or a model
   that it names, or if an input of it is touched; by a seed if it is seeded, or an input is.
2. What is not touched keeps its name, and is made once. What is touched is called
   ``NAME.ARM.sSEED``, of which that is left out which does not touch it.
3. Where two cells ask for the same, it is made once, under the name that came first.

So what an arm is called, and its fingerprints, follow from that arm and those before it alone: one
more arm or seed at the end changes nothing of what is made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mashbill.core.arms import ARMS, TABLES, Arms, Cell, Declared, resting, spelt
from mashbill.core.arms_asked import STAGES, Asked, Node, Reads
from mashbill.core.canonical import digest
from mashbill.core.errors import PluginError, RecipeError
from mashbill.core.plain import listed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class _Made:
    """A table as it is written out, for one cell."""

    name: str
    arm: bool = False
    """whether the arm touches it"""
    seed: bool = False
    """whether the seed touches it"""


@dataclass
class _Cell:
    arm: str
    seed: int | None
    made: dict[Node, _Made] = field(default_factory=dict)
    used: dict[str, set[str]] = field(default_factory=dict)
    """stage -> stages that it rests on, as the recipe calls them"""

    def __str__(self) -> str:
        """Say which it is."""
        return str(Cell(self.arm, self.seed))


def written_out(
    path: Path, data: dict[str, Any], told: Declared, read: Reads
) -> tuple[dict[str, Any], Arms]:
    """Return the tables of a recipe with its arms and seeds written out, and which stage is what.

    Args:
        path: the recipe, to be told.
        data: its tables.
        told: its arms.
        read: reads a table of it.

    Raises:
        RecipeError: naming the arm, the key, what was found and what to do.
    """
    work = _Writing(path, data, told, read)
    work.name_all()
    return work.tables(), work.arms()


class _Writing:
    def __init__(self, path: Path, data: dict[str, Any], told: Declared, read: Reads) -> None:
        self._path, self._data, self._told, self._read = path, data, told, read
        self._cells = [_Cell(arm, seed) for arm, seed in told.cells]
        self._asked = Asked(path, data, told, read, self._names_of)
        self._known: dict[str, str] = {}
        """digest of what is asked for -> the name that it is made under"""
        self._out: dict[Node, dict[str, dict[str, Any]]] = {}
        """table of the recipe -> name -> what is written in its place, in order"""
        self._rests: dict[Node, set[Node]] = {}
        """what is written -> what it names, both as they are written"""
        self._unasked: set[Node] = set()
        """teachers, verifiers and models, as they are written, that no stage names"""
        self._taken = {name for table in (STAGES, *TABLES) for name in data.get(table, {})}

    def _names_of(self, stage: str, arm: str | None) -> list[str]:
        """Return what a stage is called in an arm, or in all."""
        found = (cell.made.get((STAGES, stage)) for cell in self._cells if arm in (None, cell.arm))
        return list(dict.fromkeys(made.name for made in found if made is not None))

    # Names.

    def name_all(self) -> None:
        """Decide what every stage is in every cell.

        Raises:
            RecipeError: if arms are alike, a seed touches nothing, or names collide.
        """
        for name in self._data[STAGES]:
            for cell in self._cells:
                if self._asked.keys(cell.arm, (STAGES, name)) is not False:
                    self._name_stage(cell, (STAGES, name))
        named = set(self._out)
        for node in [(table, name) for table in TABLES for name in self._data.get(table, {})]:
            if node not in named:
                self._name_unasked(node)
                self._unasked |= {(node[0], name) for name in self._out.get(node, {})}
        self._check_seeds()
        self._leave_unneeded()
        self._check_alike()

    def _name_unasked(self, node: Node) -> None:
        """Decide what a teacher, a verifier or a model is that no stage names."""
        for cell in self._cells:
            behind = {(STAGES, stage) for stage in self._asked.behind(cell.arm, node)}
            if behind <= cell.made.keys():
                self._name(cell, node)

    def _name_stage(self, cell: _Cell, node: Node) -> None:
        keys, spec = self._asked.keys(cell.arm, node), self._asked.spec(cell.arm, node)
        is_seeded = self._asked.is_seeded(cell.arm, node)
        if is_seeded:
            self._check_seed(cell, node, spec)
        found = {
            item: self._name_named(cell, node, item, seeded=is_seeded)
            for item in self._asked.named(cell.arm, node)
        }
        cell.used[node[1]] = {item[1] for item in found if item[0] == STAGES}
        cell.used[node[1]] |= {
            stage
            for item in found
            for stage in self._asked.behind(cell.arm, item)
            if item[0] != STAGES
        }
        own = _Made("", bool(keys), is_seeded)
        self._make(cell, node, own, found)

    def _name_named(self, cell: _Cell, node: Node, item: Node, *, seeded: bool) -> _Made:
        """Return what a stage names, in a cell; a teacher that draws gets the seed of the stage.

        Raises:
            RecipeError: if the arm goes without it.
        """
        if item[0] != STAGES:
            draws = seeded and item[0] == "teachers" and self._asked.draws(cell.arm, item)
            return self._name(cell, item, seeded=draws)
        if self._asked.keys(cell.arm, item) is False:
            msg = (
                f"{self._path}: arms.{cell.arm} goes without stages.{item[1]}, and "
                f"stages.{node[1]} rests on it: set arms.{cell.arm}.{node[1]} to take another, or "
                "to false"
            )
            raise RecipeError(msg)
        return cell.made.get(item, _Made(item[1]))  # one that stands below is told when it is read

    def _name(self, cell: _Cell, node: Node, *, seeded: bool = False) -> _Made:
        """Return a teacher, a verifier or a model as it is in a cell."""
        inner = self._asked.named(cell.arm, node)
        found = {}
        for item in inner:
            if item[0] == STAGES:
                found[item] = cell.made.get(item, _Made(item[1]))
            else:  # the teachers of a verifier, which name stages alone
                found[item] = self._name_teacher(cell, item)
        return self._make(
            cell, node, _Made("", bool(self._asked.keys(cell.arm, node)), seeded), found
        )

    def _name_teacher(self, cell: _Cell, node: Node) -> _Made:
        found = {
            item: cell.made.get(item, _Made(item[1])) for item in self._asked.named(cell.arm, node)
        }
        return self._make(cell, node, _Made("", bool(self._asked.keys(cell.arm, node))), found)

    def _make(self, cell: _Cell, node: Node, own: _Made, found: Mapping[Node, _Made]) -> _Made:
        """Return a table as it is in a cell, and keep it to be written."""
        by_arm = own.arm or any(item.arm for item in found.values())
        by_seed = own.seed or any(item.seed for item in found.values())
        names = {item[1]: made.name for item, made in found.items() if made.name != item[1]}
        self._check_names(cell, node, found)
        seed = cell.seed if own.seed else None
        table = self._asked.unmarked(self._renamed(cell.arm, node, names, seed))
        called = spelt(node[1], cell.arm if by_arm else "", cell.seed if by_seed else None)
        asked = digest([*node, self._body(node, table)])
        name = self._known.setdefault(asked, called)
        if names and node[0] == STAGES:
            self._check_renamed(node, table, {made.name for made in found.values()})
        made = _Made(name, by_arm, by_seed)
        out = self._out.setdefault(node, {})
        if name not in out:
            if name in self._taken and name != node[1]:
                msg = (
                    f"{self._path}: {name!r} is written in the recipe, and {cell} would call "
                    f"{node[0]}.{node[1]} so; rename one of them"
                )
                raise RecipeError(msg)
            out[name] = table
        self._rests.setdefault((node[0], name), set()).update(
            (item[0], one.name) for item, one in found.items()
        )
        cell.made[node] = made
        return made

    def _body(self, node: Node, table: dict[str, Any]) -> dict[str, Any]:
        """Return what a table asks for, however it is written: defaults that are spelt out too."""
        spec = self._read(node, table, {})
        dumped: dict[str, Any] = spec.model_dump(mode="json") if spec is not None else table
        return dumped

    def _renamed(
        self, arm: str, node: Node, names: Mapping[str, str], seed: int | None
    ) -> dict[str, Any]:
        """Return the keys of a table with what it names as it is written out."""
        table, spec = self._asked.table(arm, node), self._asked.spec(arm, node)
        new = dict(table)
        if names and node[0] == "teachers":
            own = [key for key, value in table.items() if value == spec.made_by and key != "kind"]
            new |= {key: names.get(spec.made_by, spec.made_by) for key in own}
        elif names:
            changed = type(spec).renamed(table, names)
            # A rebuild leaves out what is empty; here it stays as it was written.
            new = {key: changed.get(key, value) for key, value in table.items()} | changed
        return new if seed is None else {**new, "seed": seed}

    # What cannot be.

    def _check_names(self, cell: _Cell, node: Node, found: Mapping[Node, _Made]) -> None:
        """See that one name does not mean two tables that are written out differently."""
        for (table, name), made in found.items():
            others = [item for item in found if item[1] == name and item[0] != table]
            if any(found[item].name != made.name for item in others):
                msg = (
                    f"{self._path}: {node[0]}.{node[1]} names {table}.{name} and "
                    f"{others[0][0]}.{name}, which are not the same in {cell}; rename one of them"
                )
                raise RecipeError(msg)

    def _check_renamed(self, node: Node, table: dict[str, Any], names: set[str]) -> None:
        """See that a stage names what it is to name, for kinds that name it by unlisted keys.

        Raises:
            PluginError: if it does not.
        """
        spec = self._read(node, table, {})
        lacking = names - {use.name for use in spec.uses()}
        if lacking:
            msg = (
                f"{self._path}: stages.{node[1]}: kind {spec.kind!r} names stages or teachers by a "
                "key that is not among its `references`, so its arms cannot be told apart"
            )
            raise PluginError(msg)

    def _check_seed(self, cell: _Cell, node: Node, spec: Any) -> None:
        if "seed" in self._asked.table(cell.arm, node):
            msg = (
                f"{self._path}: stages.{node[1]} sets seed, and gets those of [arms]; remove it, "
                "or name other stages in arms.seeded"
            )
            raise RecipeError(msg)
        if not spec.draws:
            msg = (
                f"{self._path}: arms.seeded names {node[1]!r} (kind {spec.kind!r}), which draws "
                "nothing, so that all seeds would give the same; name what draws before it, such "
                "as a split, or leave seeds out"
            )
            raise RecipeError(msg)

    def _check_seeds(self) -> None:
        touched = any(made.seed for cell in self._cells for made in cell.made.values())
        if self._told.seeds and not touched:
            made = [name for name in self._data[STAGES] if self._makes_model(name)]
            what = (
                f"{listed([f'stages.{name}' for name in made])} "
                f"{'draws' if len(made) == 1 else 'draw'} nothing"
                if made
                else "no stage trains a model"
            )
            msg = (
                f"{self._path}: arms.seeds touch no stage: {what}, so all seeds would give the "
                "same; name in arms.seeded what draws, such as a split or a stage that asks a "
                "teacher with a temperature"
            )
            raise RecipeError(msg)

    def _makes_model(self, name: str) -> bool:
        cells = (cell for cell in self._cells if (STAGES, name) in cell.made)
        return any(self._asked.spec(cell.arm, (STAGES, name)).output == "model" for cell in cells)

    def _check_alike(self) -> None:
        found: dict[str, str] = {}
        for cell in self._cells[:: max(1, len(self._told.seeds))]:
            asked = digest({node[1]: made.name for node, made in cell.made.items()
                            if node[0] == STAGES})  # fmt: skip
            other = found.setdefault(asked, cell.arm)
            if other != cell.arm:
                msg = (
                    f"{self._path}: arms.{other} and arms.{cell.arm} ask for the same, so there is "
                    "nothing to compare; remove one, or set something otherwise"
                )
                raise RecipeError(msg)

    # What is written.

    def _leave_unneeded(self) -> None:
        """Leave out of a cell what the recipe or another arm uses, and this arm does not."""
        wanted = str(self._data.get("recipe", {}).get("result", ""))
        gathered, mentioned = self._gathered(), self._asked.mentioned()
        for name in reversed(list(self._data[STAGES])):
            node = (STAGES, name)
            if name in gathered or name not in mentioned:
                continue
            for cell in self._cells:
                made = cell.made.get(node)
                if made is None or made.name == wanted or not (made.arm or made.seed):
                    continue
                if not any(name in used for used in cell.used.values()):
                    del cell.made[node]
                    cell.used.pop(name, None)

    def _gathered(self) -> set[str]:
        """Return the stages that some stage takes of all arms, or by the name of one of them."""
        names = {
            use.name
            for cell in self._cells
            for node in cell.made
            if node[0] == STAGES
            for use in self._asked.spec(cell.arm, node).uses()
            if use.is_artifact
        }
        return {
            name
            for name in self._data[STAGES]
            if any(each.startswith(f"{name}.") for each in names)
        }

    def tables(self) -> dict[str, Any]:
        """Return the recipe as it is written out."""
        data = {key: value for key, value in self._data.items() if key != ARMS}
        stages = {
            (STAGES, made.name)
            for cell in self._cells
            for node, made in cell.made.items()
            if node[0] == STAGES
        }
        alone = {
            one
            for one in self._unasked
            if all(item[0] != STAGES or item in stages for item in resting([one], self._rests))
        }
        kept = resting(stages | alone, self._rests)
        for table in (*TABLES, STAGES):
            if table in data:
                data[table] = {
                    name: keys
                    for own in self._data[table]
                    for name, keys in self._written((table, own), kept).items()
                }
        result = self._result()
        if result:
            data["recipe"] = {**data["recipe"], "result": result}
        return data

    def _written(self, node: Node, kept: set[Node]) -> dict[str, dict[str, Any]]:
        """Return what is written in the place of a table, by name."""
        if node[0] != STAGES:
            found = self._out.get(node, {})
            return {n: keys for n, keys in found.items() if (node[0], n) in kept or n == node[1]}
        return {n: keys for n, keys in self._out.get(node, {}).items() if (STAGES, n) in kept}

    def _result(self) -> str:
        """Return the stage that the bill is about, where the recipe means one that is made apart.

        It is that of the first arm that has it, with the first seed.
        """
        wanted = str(self._data.get("recipe", {}).get("result", ""))
        if not wanted:
            models = [name for name in self._data[STAGES] if self._makes_model(name)]
            wanted = (models or list(self._data[STAGES]))[-1]
        found = (cell.made[STAGES, wanted] for cell in self._cells
                 if (STAGES, wanted) in cell.made)  # fmt: skip
        name = next((made.name for made in found), "")
        if not name and wanted in self._data[STAGES]:
            msg = (
                f"{self._path}: recipe.result = {wanted!r}, and no arm makes stages.{wanted}; name "
                "a stage that one of them makes"
            )
            raise RecipeError(msg)
        return name

    def arms(self) -> Arms:
        """Return which stage is what."""
        apart: dict[str, str] = {}
        cells = []
        for cell in self._cells:
            stages = {node[1]: made for node, made in cell.made.items() if node[0] == STAGES}
            cells.append(
                Cell(cell.arm, cell.seed, {name: made.name for name, made in stages.items()})
            )
            apart |= {made.name: name for name, made in stages.items() if made.name != name}
        names = tuple(self._told.settings) or ("",)
        return Arms(names, self._told.seeds, tuple(cells), apart, self._told.sets)
