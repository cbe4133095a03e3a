"""The models of one's own that had a part in an artifact, with no model between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.core.source import Channel
from mashbill.lineage.circuit.nodes import children

if TYPE_CHECKING:
    from mashbill.lineage.circuit.nodes import NodeTable

_GOES_ON = frozenset({Channel.CONTENT, Channel.TRANSFORM})
"""channels by which a text is still the text: what reached it reaches what it became"""


def own_teachers(table: NodeTable) -> dict[str, frozenset[Channel]]:
    """Return the models that were trained here and acted on this, and how: by address.

    Who wrote the prompt of a text had a part by prompt, though it wrote that prompt by content.

    Args:
        table: nodes of the artifact.
    """
    found: dict[str, set[Channel]] = {}
    waiting = [(table.root, Channel.CONTENT)]
    met = set(waiting)
    while waiting:
        node, before = waiting.pop()
        for channel, part in children(table.bodies[node]):
            how = channel if before in _GOES_ON else before
            body = table.bodies[part]
            if body["type"] == "model":
                found.setdefault(str(body["artifact"]), set()).add(how)
            elif (part, how) not in met:
                met.add((part, how))
                waiting.append((part, how))
    return {name: frozenset(found[name]) for name in sorted(found)}
