"""One hop of a trace, and all that lies behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_NESTED = 40  # hops inside each other that JSON has


@dataclass
class Hop:
    """One hop of a trace: a row, a model, a call or a source, and what lies behind it."""

    kind: str
    """row, model, call or source"""
    what: str
    """artifact address with row, or a title"""
    facts: dict[str, Any] = field(default_factory=dict)
    behind: list[Hop] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the hop and all behind it for a program.

        Readers of JSON follow only so many levels: what is nested deeper than 40 hops stands in
        ``further`` of the outermost, and in its place a hop of kind ``further`` whose fact
        ``place`` says where in that list.
        """
        top = self._alone()
        further: list[dict[str, Any]] = []
        waiting = [(self, top, 1)]
        while waiting:
            hop, made, depth = waiting.pop()
            for other in hop.behind:
                own = other._alone()  # noqa: SLF001
                if depth < _NESTED:
                    made["behind"].append(own)
                    waiting.append((other, own, depth + 1))
                    continue
                pointer = Hop("further", other.what, {"place": len(further)})
                made["behind"].append(pointer._alone())
                further.append(own)
                waiting.append((other, own, 1))
        return {**top, "further": further} if further else top

    def _alone(self) -> dict[str, Any]:
        return {"kind": self.kind, "what": self.what, "facts": self.facts, "behind": []}

    def walk(self) -> Iterator[tuple[int, Hop]]:
        """Yield (depth, hop) of this one, at depth 0, and of all behind it, each before its own."""
        waiting = [(0, self)]
        while waiting:
            depth, hop = waiting.pop()
            yield depth, hop
            waiting += [(depth + 1, other) for other in reversed(hop.behind)]
