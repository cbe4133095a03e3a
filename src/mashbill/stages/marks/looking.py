"""Looking at the rows of a first stage while they are read: what speaks against their origin.

What the rows and the files carry themselves is found in any store. What only this store shows (its
texts, the answers in its journal) is looked up in arrays that were built once; a store that holds
nothing costs nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mashbill.core.canonical import digest
from mashbill.core.marks import Contradiction, Mark, MarkKind
from mashbill.core.source import Source
from mashbill.files.rows.forms import TEXTS
from mashbill.lineage.circuit.nodes import CONTENT, reachable
from mashbill.policy.callers import writers_of
from mashbill.policy.documents import load_registry
from mashbill.policy.misdeclared import is_another
from mashbill.policy.model_names import apart, resolve
from mashbill.stages.corpus import CorpusSpec
from mashbill.stages.imported import ImportSpec
from mashbill.stages.marks.beside import Beside
from mashbill.stages.marks.columns import Columns, plain
from mashbill.stages.marks.met import ENOUGH, PART, Met
from mashbill.stages.marks.model_names import family_name, known_name
from mashbill.stages.marks.partly import Partly
from mashbill.stages.marks.row_licences import RowLicences
from mashbill.stages.marks.texts import HASHED, keyed, keyed_within

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mashbill.core.stage import StageSpec
    from mashbill.files.rows.cells import Cells
    from mashbill.lineage.circuit.nodes import NodeTable
    from mashbill.stages.marks.answers import Answers
    from mashbill.stages.marks.index import Held, Writer
    from mashbill.stages.marks.texts import Keyed

_BODIES = 2_000
"""nodes that go into the ledger with a contradiction; of more only their sources do"""
_OWN = frozenset({"own-dataset", "human"})
_STRONG = frozenset({"receipt", "beside", "row", "part", "answer", "answered"})
"""marks by which it is known what rows are, and not only that they are not what was declared"""


class Looking:
    """What was seen so far of one set."""

    def __init__(
        self, spec: StageSpec, held: Sequence[Held] = (), answers: Answers | None = None
    ) -> None:
        """Begin.

        Args:
            spec: the stage that reads the set.
            held: texts of the store, in the order of their commits.
            answers: those of its journal.
        """
        self._spec = spec
        self._held, self._answers = held, answers
        self._columns, self._beside = Columns(str(getattr(spec, "generator", ""))), Beside()
        self._licences = RowLicences()
        self._met: dict[str, Met] = {}
        self._partly = Partly(held, answers, self._speaks_against)
        self._answered: dict[str, Met] = {}
        text = str(getattr(spec, "text", "") or "")
        self._texts = frozenset([text] if text else TEXTS)

    def see_files(self, paths: Sequence[Path], top: Path) -> None:
        """Look at what lies beside the files of a set."""
        self._beside.see_files(paths, top)

    def see_members(self, archive: Path, insides: Sequence[str]) -> None:
        """Look at what lies in an archive beside members of it."""
        self._beside.see_members(archive, insides)

    def see_names(self, names: Sequence[str], address: str) -> None:
        """Look at the names of files at an address elsewhere."""
        self._beside.see_names(names, address)

    def see(self, columns: Mapping[str, Cells], rows: int) -> None:
        """Look at some rows."""
        if not rows:
            return
        self._columns.see(columns, rows)
        self._licences.see(columns)
        if not self._held and not self._answers:
            return
        keys = [
            (name in self._texts and number == 1, each)
            for name, cells in columns.items()
            for number, each in enumerate(self._keys(cells, rows))
        ]
        pieces = [_NONE]
        for is_text, each in keys:
            # Of short texts, which labels and ids are, those of the text's own column alone count.
            own = each.hashed()
            pieces.append(own if is_text else own[own["long"]])
        found = np.unique(np.concatenate(pieces))
        if len(found):
            self._look_up(found)
        self._partly.see(each for _, each in keys)

    def _keys(self, cells: Cells, rows: int) -> list[Keyed]:
        """Return the keys of a column's texts: of its cells, and of what lists and objects hold."""
        array, kind = cells.array, cells.array.type
        if pa.types.is_binary(kind):
            array = _decoded(array)
        elif not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            return []
        places = np.arange(rows)
        within = keyed_within(array, places, answers=False)
        return [within] if cells.is_json else [within, keyed(array, places)]

    def _look_up(self, found: np.ndarray) -> None:
        """Count rows that the store holds; of several artifacts the first that holds a text."""
        left = found
        for held in self._held:
            if not len(left):
                return
            at, is_there = _places(held.hashes, left["hash"])
            if not is_there.any():
                continue
            hits, left = left[is_there], left[~is_there]
            nodes = np.asarray(held.nodes[at[is_there]])
            speaks = np.isin(
                nodes,
                [n for n in np.unique(nodes).tolist() if self._speaks_against(held.writers(n))],
            )
            if speaks.any():
                self._met.setdefault(held.name, Met()).count(hits[speaks], nodes[speaks])
        if self._answers is not None and len(left):
            for who, hits in self._answers.among(left[left["long"]]):
                self._answered.setdefault(who, Met()).count(hits)

    def _speaks_against(self, writers: Sequence[Writer]) -> bool:
        return any(self._differs(writer) for writer in writers)

    def _differs(self, writer: Writer) -> bool:
        """Return whether a text's writer is another one than what the set is declared as."""
        if writer.kind in _OWN:
            return False
        if writer.kind == "public-dataset":
            title, licence = getattr(self._spec, "title", ""), getattr(self._spec, "license", None)
            is_public = getattr(self._spec, "origin", "") == "public-dataset"
            # Of two public sets that hold a text one may be the other under a licence of its own.
            is_same = writer.name.startswith(title) or licence in (None, writer.license)
            return not (is_public and is_same)
        return True

    # What it comes to.

    def contradiction(
        self, table: NodeTable, leaves: Sequence[str], *, is_made: bool = True
    ) -> Contradiction | None:
        """Return what speaks against the sources that a set was declared as; None if nothing does.

        Args:
            table: nodes of what the stage made, or would make.
            leaves: digests of those sources.
            is_made: whether they are all: before a run those that rows name are not there yet.
        """
        sources = {leaf: Source.model_validate(_facts(table.bodies[leaf])) for leaf in leaves}
        renamed: set[str] = set()
        told = {plain(source.name) for source in sources.values() if source.what == "model"}
        told |= {plain(str(getattr(self._spec, "human", "human")))}
        if isinstance(self._spec, ImportSpec):
            told |= {plain(name) for name in self._spec.models}
            if not is_made:
                told |= self._columns.told_by(self._spec)
            renamed = self._renamed(self._spec)
            told -= renamed
        marks: list[Mark] = []
        parts: dict[tuple[str, str], bool] = {}
        nodes: dict[str, dict[str, Any]] = {}
        self._of_receipts(marks, parts, nodes)
        self._of_beside(marks, parts, nodes)
        self._of_columns(marks, parts, nodes, (told, renamed))
        self._of_texts(marks, parts, nodes, {source.title for source in sources.values()})
        self._of_answers(marks, parts, nodes)
        self._of_address(marks, sources.values())
        if isinstance(self._spec, CorpusSpec):  # an import gives each row its own
            marks += self._licences.stricter(self._spec.license, self._columns.rows)
        if not marks:
            return None
        against = [leaf for leaf in leaves if sources[leaf].what != "unknown"]
        rows_tell = isinstance(self._spec, ImportSpec) and not is_made
        if not against and not rows_tell:
            # Nothing is claimed; but what the rows are known by is told, and comes in.
            marks = [mark for mark in marks if mark.kind in _STRONG]
            if not marks:
                return None
            against = list(leaves)
        declared = dict.fromkeys(
            source.kind if source.what == "dataset"
            else source.title if source.what == "model" else "of unknown origin"
            for leaf, source in sources.items() if leaf in against
        )  # fmt: skip
        return Contradiction(
            tuple(declared) or ("what its rows say",),
            tuple(against),
            tuple(marks),
            tuple((how, node, whole) for (how, node), whole in parts.items()),
            nodes,
        )

    def _of_receipts(self, marks: list[Mark], parts: _Parts, nodes: _Nodes) -> None:
        marks += [*self._columns.alone(), *self._columns.calls()]
        by_node = {name: held for held in self._held for name in held.table.numbered}
        # In a column of another name digests of nodes that the store has are receipts, too.
        elsewhere = [
            (column, {name: rows for name, rows in found.items() if self._is_of(by_node, name)})
            for column, found in self._columns.digests()
        ]
        for column, found in (*self._columns.receipts(), *elsewhere):
            if not found:
                continue
            known = {name: rows for name, rows in found.items() if name in by_node}
            names = dict.fromkeys(by_node[name].name for name in known)
            rows = sum(found.values())
            marks.append(Mark("receipt", column, tuple(names), rows, self._columns.rows))
            for name, count in list(known.items())[:_BODIES]:
                _take(parts, nodes, name, by_node[name].table, whole=count == self._columns.rows)

    def _is_of(self, by_node: Mapping[str, Held], name: str) -> bool:
        """Return whether a digest is that of a node whose texts speak against what is declared."""
        held = by_node.get(name)
        return held is not None and self._speaks_against(
            held.writers(held.table.numbered.index(name))
        )

    def _of_beside(self, marks: list[Mark], parts: _Parts, nodes: _Nodes) -> None:
        marks += self._beside.marks
        if len(self._beside.nodes) <= _BODIES:
            nodes |= self._beside.nodes
            parts |= dict.fromkeys(self._beside.parts, True)

    @staticmethod
    def _renamed(spec: ImportSpec) -> set[str]:
        """Return names of known models that the recipe says are another, or are people."""
        shipped = load_registry()
        said = [*spec.models, *([spec.human] if spec.human != "human" else ())]
        return {
            plain(name) for name in said if is_another(shipped, name, spec.origin(name, "", None))
        }

    def _of_columns(
        self, marks: list[Mark], parts: _Parts, nodes: _Nodes, said: tuple[set[str], set[str]]
    ) -> None:
        """Add what columns name; ``said``: names that are told of, and those told as others."""
        told, renamed = said
        route = f"dataset:{getattr(self._spec, 'title', self._spec.kind)}"
        for mark, names in self._columns.named(
            lambda name: (
                bool(told)
                and (plain(name) in told or all(plain(one) in told for one in apart(name)))
            ),
            lambda name: (
                bool(renamed) and any(plain(one) in renamed for one in (name, *apart(name)))
            ),
        ):
            marks.append(mark)
            for name in list(names)[:_BODIES]:
                known, found = known_name(name), resolve(name)
                if known is None and (family := family_name(name)):
                    known = family[0]
                source = Source(name=name.strip(), what="model", kind=found.kind, route=route,
                                provider=found.provider, country=found.country)  # fmt: skip
                if known is not None and known.is_model and not found.is_known:
                    source = known.source(route)
                body = {"type": "source", **source.model_dump(mode="json")}
                key = digest(body)
                nodes[key] = body
                parts[CONTENT, key] = len(names) == 1 and names[name] == self._columns.rows

    def _of_texts(
        self, marks: list[Mark], parts: _Parts, nodes: _Nodes, declared: set[str]
    ) -> None:
        """Add what the store's artifacts hold: whole texts, and parts if more rows have such."""
        total = self._columns.rows
        for held in self._held:
            whole, partly = self._met.get(held.name), self._partly.of_artifacts.get(held.name)
            found: list[tuple[MarkKind, int, Counter[int]]] = []
            if whole is not None and whole.is_enough(total):
                found.append(("row", whole.rows, whole.nodes))
            least = found[0][1] if found else 0
            if partly and partly.rows > least and partly.is_enough(total, ENOUGH, PART):
                found.append(("part", partly.rows, partly.nodes))
            for kind, rows, met in found:
                names = dict.fromkeys(
                    writer.name
                    for node in met
                    for writer in held.writers(node)
                    if self._differs(writer) and writer.name not in declared
                )
                if not names:
                    continue  # it is declared as they are
                marks.append(Mark(kind, held.name, tuple(names), rows, total))
                for node, count in met.most_common(_BODIES):
                    name = held.table.numbered[node]
                    is_whole = count == total and kind == "row"
                    _take(parts, nodes, name, held.table, whole=is_whole)

    def _of_answers(self, marks: list[Mark], parts: _Parts, nodes: _Nodes) -> None:
        if self._answers is None:
            return
        total = self._columns.rows
        found: dict[str, tuple[MarkKind, int]] = {
            who: ("answer", met.rows) for who, met in self._answered.items() if met.is_enough(total)
        }
        for who, met in self._partly.of_teachers.items():
            if met.is_enough(total, ENOUGH, PART) and met.rows > found.get(who, ("answer", 0))[1]:
                found[who] = ("answered", met.rows)
        for who, (kind, rows) in found.items():
            source = self._answers.source(who)
            marks.append(Mark(kind, source.title, (source.title,), rows, total))
            is_whole = rows == total and kind == "answer"
            student = self._answers.student(who)
            if student is not None:
                _take(parts, nodes, student.root, student, whole=is_whole)
                continue
            body = {"type": "source", **source.model_dump(mode="json")}
            key = digest(body)
            nodes[key] = body
            parts[CONTENT, key] = is_whole

    def _of_address(self, marks: list[Mark], sources: Any) -> None:
        """Look at address and title, either of which may be the id of a public set."""
        if not any(source.kind in _OWN for source in sources):
            return
        address, title = (str(getattr(self._spec, key, "")) for key in ("source", "title"))
        said = [address if address.startswith("hf:") else "", title if "/" in title else ""]
        names = dict.fromkeys(_id_of(text) for text in said if text)
        marks += [
            Mark("address", name, tuple(entity.id for entity in wrote))
            for name in names
            if (wrote := writers_of(name))
        ]


_Parts = dict[tuple[str, str], bool]
_Nodes = dict[str, dict[str, Any]]
_NONE = np.empty(0, HASHED)


def _id_of(text: str) -> str:
    """Return OWNER/NAME of an address on the hub, or of a title that is one."""
    bare = re.sub(r"^(https?://)?huggingface\.co/", "", text.strip())
    bare = bare.removeprefix("hf:").removeprefix("datasets/")
    return "/".join(bare.split("/")[:2]).partition("@")[0].strip()


def _decoded(array: pa.Array) -> pa.Array:
    """Return bytes as the texts that they write; what writes none is missing."""
    found: list[str | None] = []
    for each in array.to_pylist():
        try:
            found.append(None if each is None else each.decode())
        except UnicodeDecodeError:
            found.append(None)
    return pa.array(found, pa.string())


def _facts(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != "type"}


def _places(sorted_hashes: np.ndarray, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where hashes stand in a sorted array, and which of them do, both shape (hashes,)."""
    if not len(sorted_hashes):
        return np.zeros(len(hashes), np.int64), np.zeros(len(hashes), bool)
    at = np.minimum(np.searchsorted(sorted_hashes, hashes), len(sorted_hashes) - 1)
    return at, np.asarray(sorted_hashes[at]) == hashes


def _take(parts: _Parts, nodes: _Nodes, name: str, table: NodeTable, *, whole: bool) -> None:
    """Add a node as a part, with the bodies under it; where they are many, its sources alone."""
    under = reachable(table, [name])
    if len(nodes) + len(under) <= _BODIES:
        nodes |= {each: table.bodies[each] for each in under}
        parts[CONTENT, name] = parts.get((CONTENT, name), False) or whole
        return
    for each in under:
        if table.bodies[each]["type"] == "source" and len(nodes) < 2 * _BODIES:
            nodes[each] = table.bodies[each]
            parts[CONTENT, each] = False
