"""Marks: what speaks against the origin that a recipe declares for data, and what they come to.

A mark is carried by rows or files themselves (receipts, a bill beside them, a column that names a
model), or it is that the same texts stand in the store already. With marks a declared origin is
*contradicted*. That is kept in the ledger's entry of the commit, and never in a node: nodes say
what was declared, so that they do not depend on what else a store holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from mashbill.core.errors import StoreError
from mashbill.core.parsing import foreign

if TYPE_CHECKING:
    from collections.abc import Mapping

MarkKind = Literal[
    "receipt",
    "column",
    "beside",
    "generator",
    "named",
    "call",
    "row",
    "part",
    "answer",
    "answered",
    "address",
    "licence",
    "words",
    "claim",
    "weights",
]
"""our receipts in the rows; a column of a name and a kind that we write; our files beside them; a
column that says who wrote a row; a column of names of models; ids that an API of models gives to
its answers; texts of this store, and parts of such texts; answers in its journal, and parts;
a public dataset's address; a column of stricter licences than the one declared; words that
teachers are asked by; what a model's own files name as what it was made of; weights that are not
those of the end of its training"""

CONTRADICTED = "contradicted"
"""fact of a commit's entry that holds a :class:`Contradiction`"""
_NAMED = 5  # names that a sentence tells
_LONGEST = 80  # characters of one
_KINDS: tuple[MarkKind, ...] = get_args(MarkKind)


@dataclass(frozen=True)
class Mark:
    """One thing that speaks against a declared origin."""

    kind: MarkKind
    where: str
    """file or column that bears it; the artifact or teacher whose texts they are"""
    names: tuple[str, ...] = ()
    """what it names: models, artifacts"""
    rows: int | None = None
    """rows that bear it; None for a file"""
    of: int = 0
    """rows that were looked at"""

    @property
    def says(self) -> str:
        """What it is, as the rest of a sentence."""
        names = _listed(self.names)
        rows = f"{self.rows or 0:,} of {self.of:,} rows"
        match self.kind:
            case "receipt":
                by = f", of {names}," if names else ""
                return f"{rows} carry receipts of mashbill{by} in column {self.where!r}"
            case "column":
                return f"{rows} have numbers in {self.where!r}, a column that mashbill writes"
            case "call":
                return f"{rows} carry ids of answers of {names} in column {self.where!r}"
            case "beside":
                return f"{self.where} lies beside them and tells of {names or 'another artifact'}"
            case "generator":
                return f"{rows} name {names} in column {self.where!r}, as who wrote them"
            case "named":
                return f"{rows} name {names} in column {self.where!r}"
            case "row":
                return f"{rows} hold texts of {self.where}, which rests on {names}"
            case "part":
                return f"{rows} hold parts of texts of {self.where}, which rests on {names}"
            case "answered":
                return f"{rows} hold parts of answers that {self.where} gave in this store"
            case "answer":
                return f"{rows} hold answers that {self.where} gave in this store"
            case "licence":
                says = f"{rows} say in column {self.where!r} that they are under {names}"
                return f"{says}, which asks for more than is declared"
            case "words":
                return f"{self.where} holds words of {names}, which this store has as theirs"
            case "address":
                return f"{self.where} is a public dataset, which {names} wrote"
            case "claim":
                return f"{self.where} names {names}"
            case "weights":
                return f"{self.where} is not as {names} has it at the end of training"

    def facts(self) -> dict[str, Any]:
        """Return it for the ledger and for a program."""
        return {
            "kind": self.kind, "where": self.where, "names": list(self.names), "rows": self.rows,
            "of": self.of, "says": self.says,
        }  # fmt: skip


@dataclass(frozen=True)
class Contradiction:
    """A declared origin with its marks, and the lineage that they bring in."""

    declared: tuple[str, ...]
    """what it was declared as: own-dataset, public-dataset, human, a model's name"""
    leaves: tuple[str, ...]
    """digests of the sources that were declared"""
    marks: tuple[Mark, ...]
    parts: tuple[tuple[str, str, bool], ...] = ()
    """(via, digest of a node, whether it is behind every row) that marks lead to"""
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict, hash=False)
    """bodies of these nodes, and of all that they rest on"""

    @property
    def says(self) -> str:
        """The whole of it, in a sentence."""
        told = "; ".join(mark.says for mark in self.marks)
        return f"declared as {_listed(self.declared)}, but {told}"

    def as_json(self) -> dict[str, Any]:
        """Return it for the ledger."""
        return {
            "declared": list(self.declared),
            "leaves": list(self.leaves),
            "marks": [mark.facts() for mark in self.marks],
            "parts": [[how, node, whole] for how, node, whole in self.parts],
            "nodes": self.nodes,
        }

    @classmethod
    def read(cls, value: Mapping[str, Any], where: str) -> Contradiction:
        """Read what :meth:`as_json` wrote.

        Raises:
            StoreError: if it is none: whoever signed it need not have been us.
        """
        with foreign(where, "a contradiction", error=StoreError, remedy="run `mashbill audit`"):
            return cls(
                tuple(str(item) for item in value["declared"]),
                tuple(str(item) for item in value["leaves"]),
                tuple(map(_mark, value["marks"])),
                tuple((str(how), str(node), bool(whole)) for how, node, whole in value["parts"]),
                {str(name): dict(body) for name, body in value["nodes"].items()},
            )


def _mark(value: Mapping[str, Any]) -> Mark:
    kind = next(kind for kind in _KINDS if kind == value["kind"])
    rows = None if value["rows"] is None else int(value["rows"])
    names = tuple(str(name) for name in value["names"])
    return Mark(kind, str(value["where"]), names, rows, int(value["of"]))


def _listed(names: tuple[str, ...]) -> str:
    told = [f"{name[:_LONGEST]}..." if len(name) > _LONGEST else name for name in names[:_NAMED]]
    more = len(names) - _NAMED
    if more > 0:
        return f"{', '.join(told)} and {more} more"
    return " and ".join([", ".join(told[:-1]), told[-1]] if len(told) > 1 else told)
