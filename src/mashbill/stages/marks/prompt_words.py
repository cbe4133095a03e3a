"""Words that teachers are asked by, against the texts that a store and its journal hold.

A prompt, an example or a rubric may be declared as people's, and hold what a teacher wrote. But
teachers repeat what they are asked: a text of the journal counts only if it was answered before it
was first asked. Formulas and what is known as one's own say nothing, as for rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mashbill.calls.journal import Journal
from mashbill.core.canonical import digest
from mashbill.core.file_origins import ORIGINS, SHIPPED
from mashbill.core.marks import Contradiction, Mark
from mashbill.core.source import Source
from mashbill.lineage.circuit.nodes import CONTENT, reachable
from mashbill.stages.marks.answers import Answers, answered_before_asked
from mashbill.stages.marks.columns import plain
from mashbill.stages.marks.index import held as held_by
from mashbill.stages.marks.passages import passages
from mashbill.stages.marks.texts import keyed, keyed_within

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mashbill.core.recipe import Recipe
    from mashbill.core.store import Store
    from mashbill.stages.marks.index import Held, Writer

LEAST = 3
"""passages of a file that must be met: about 50 bytes"""
_MOST = 4 << 20
"""bytes of a file that are looked at"""
_NO_WORDS = frozenset(["files", "teachers", ORIGINS, "kind", "input", "inputs", "version", "seed"])
"""keys of a stage's literals that hold no words"""
_BODIES = 2_000


@dataclass
class _Found:
    """Whose texts a file holds."""

    names: dict[str, None] = field(default_factory=dict)
    passages: int = 0
    nodes: list[tuple[Held, int]] = field(default_factory=list)
    teachers: list[str] = field(default_factory=list)


def words_contradicted(
    recipe: Recipe, name: str, store: Store, cache: Path, most: int | None = None
) -> Contradiction | None:
    """Return what speaks against the origin of the words that a stage asks its teachers by.

    Args:
        recipe: the recipe.
        name: of the stage.
        store: whose texts and journal are looked at.
        cache: where hashes of texts are kept.
        most: rows of datasets that are hashed now; None for all.
    """
    spec = recipe.stages[name]
    if not any(use.is_teacher for use in spec.uses()):
        return None
    words = dict(_words(recipe, name))
    if not words:
        return None
    held, _ = held_by(store, cache, most)
    looking = _Words(store, held, Answers.of(store))
    declared = {
        file: [Source.model_validate(one) for one in told]
        for file, told in recipe.origins_of(name).items()
    }
    marks: list[Mark] = []
    leaves: dict[str, str] = {}
    parts: dict[tuple[str, str], bool] = {}
    nodes: dict[str, dict[str, Any]] = {}
    for where, texts in words.items():
        sources = declared.get(where, [])
        found = looking.look(texts, sources)
        if found is None:
            continue
        marks.append(Mark("words", where, tuple(found.names)))
        for source in sources:
            said = source.kind if source.what == "dataset" else source.title
            leaves[digest(_body(source))] = said
        looking.take(found, parts, nodes)
    if not marks:
        return None
    return Contradiction(
        tuple(dict.fromkeys(leaves.values())) or ("of unrecorded origin",),
        tuple(leaves),
        tuple(marks),
        tuple((how, node, whole) for (how, node), whole in parts.items()),
        nodes,
    )


def _words(recipe: Recipe, name: str) -> Iterator[tuple[str, pa.Array]]:
    """Yield where words stand, and they: of files beside the recipe, and of the recipe itself."""
    literals = recipe.literals(name)
    for file in literals["files"]:
        path = recipe.folder / file
        if file.startswith(SHIPPED) or file.endswith(".py"):
            continue
        try:
            data = path.read_bytes()[:_MOST].decode("utf-8", "replace")
        except OSError:  # the run tells of it
            continue
        yield file, pa.array([data, *data.splitlines()], pa.string())
    said = {key: value for key, value in literals.items() if key not in _NO_WORDS}
    teachers = {f"teachers.{key}": value for key, value in literals["teachers"].items()}
    for key, value in {**{f"stages.{name}.{k}": v for k, v in said.items()}, **teachers}.items():
        texts = list(_texts(value))
        if texts:
            yield f"{key} of the recipe", pa.array(texts, pa.string())


def _texts(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            waiting += item.values()
        elif isinstance(item, list | tuple):
            waiting += item


class _Words:
    """What a store holds, for words to be looked up in."""

    def __init__(self, store: Store, held: Sequence[Held], answers: Answers | None) -> None:
        self._store, self._held, self._answers = store, held, answers
        self._names = {one.name for one in held}

    def look(self, texts: pa.Array, declared: Sequence[Source]) -> _Found | None:
        """Return whose texts these are, if they are enough, and another's than is declared."""
        places = np.arange(len(texts))
        found = [keyed(texts, places), keyed_within(texts, places, answers=False)]
        left = np.unique(np.concatenate([passages(each)["hash"] for each in found]))
        told = _Found()
        for held in self._held:
            at, is_there = held.passages.at(left)
            if not is_there.any():
                continue
            numbers = np.asarray(held.passages.nodes[at[is_there]])
            against = [
                n
                for n in np.unique(numbers).tolist()
                if n >= 0 and any(_differs(writer, declared) for writer in held.writers(n))
            ]
            hits = left[is_there][np.isin(numbers, against)]
            if self._told_elsewhere(held):
                known = left[is_there][~np.isin(numbers, against)]
                left = np.setdiff1d(left, known, assume_unique=True)
                continue
            told.passages += len(hits)
            told.nodes += [(held, n) for n in against]
            writers = [writer for n in against for writer in held.writers(n)]
            told.names |= {w.name: None for w in writers if _differs(w, declared)}
            left = left[~is_there]
        if self._answers is not None and len(left):
            self._of_answers(told, left, declared)
        return told if told.passages >= LEAST else None

    def _told_elsewhere(self, held: Held) -> bool:
        """Whether all that a dataset holds has its place in others, or in the journal.

        What a teacher of this store wrote is in the journal, with what it was asked by; what a
        stage took from datasets that are here is looked up in these.
        """
        if held.manifest.stage.get("teachers"):
            return self._answers is not None
        taken = [one.name for one in held.manifest.inputs if one.source is None]
        return bool(taken) and self._names.issuperset(taken)

    def _of_answers(self, told: _Found, left: np.ndarray, declared: Sequence[Source]) -> None:
        answers = self._answers
        at, is_there = answers.passages.at(left)  # type: ignore[union-attr]
        if not is_there.any():
            return
        who = np.asarray(answers.passages.nodes[at[is_there]])  # type: ignore[union-attr]
        journal = Journal.of(self._store)
        if journal is None:
            return
        try:
            earlier = answered_before_asked(journal, left[is_there])
        finally:
            journal.close()
        for number in np.unique(who[earlier & (who >= 0)]).tolist():
            teacher = answers.teachers[number]  # type: ignore[union-attr]
            source = answers.source(teacher)  # type: ignore[union-attr]
            if any(_same(source.name, source.title, one) for one in declared):
                continue
            told.passages += int((earlier & (who == number)).sum())
            told.names[source.title] = None
            told.teachers.append(teacher)

    def take(
        self, found: _Found, parts: dict[tuple[str, str], bool], nodes: dict[str, dict[str, Any]]
    ) -> None:
        """Add what a file's words lead to."""
        made = [(held.table, held.table.numbered[number]) for held, number in found.nodes[:_BODIES]]
        students = {who: self._answers.student(who) for who in found.teachers}  # type: ignore[union-attr]
        made += [(table, table.root) for table in students.values() if table is not None]
        for table, name in made:
            under = reachable(table, [name])
            if len(nodes) + len(under) <= _BODIES:
                nodes |= {each: table.bodies[each] for each in under}
                parts[CONTENT, name] = True
        for teacher in (who for who, table in students.items() if table is None):
            body = _body(self._answers.source(teacher))  # type: ignore[union-attr]
            nodes[digest(body)] = body
            parts[CONTENT, digest(body)] = True


def _body(source: Source) -> dict[str, Any]:
    return {"type": "source", **source.model_dump(mode="json")}


def _differs(writer: Writer, declared: Sequence[Source]) -> bool:
    """Return whether a text's writer is another one than those that are declared."""
    if writer.kind in ("own-dataset", "human"):
        return False
    return not any(_same(writer.name, writer.name, source) for source in declared)


def _same(name: str, title: str, source: Source) -> bool:
    return plain(source.name) == plain(name) or source.title in (name, title)
