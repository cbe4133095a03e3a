"""The catalogue of public models as a circuit: the same that one's own runs have.

Every claim becomes an edge with its channel. Where the figures of a phase of training are stated,
its parts are weighted by them, and what is left over is "not recorded", with the weight that is
left; everything else may be all of the thing or nothing of it. Claims of one entire record, as a
bill of ours becomes, have its tokens for weights and leave nothing over.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from mashbill.core.errors import InputError
from mashbill.core.source import Channel, Source, parse_via, via
from mashbill.lineage.circuit.arrays import DATASET, LABELS, MADE, MODEL, SOURCE, Circuit
from mashbill.lineage.circuit.unrecorded import NOT_SAID
from mashbill.policy.claims import ENTIRE
from mashbill.policy.relations import RELATIONS
from mashbill.policy.statuses import COUNTED, STATUSES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from mashbill.core.use import StudentKind
    from mashbill.policy.claims import Catalogue, Claim, Entity
    from mashbill.policy.statuses import Status

REST = "what else it was made from, not recorded"
JUDGES = "who else judged or chose what is in it, not recorded"
WHOLE = frozenset(["", "data", "records", "rows", "tokens"])
"""phases whose parts are those of a whole dataset"""
_CODE = {label: code for code, label in enumerate(LABELS)}


@dataclass(frozen=True)
class PublicLineage:
    """The circuit of a catalogue, and which node each entity is."""

    catalogue: Catalogue
    circuit: Circuit
    """without a root: :meth:`of` has one"""
    node: dict[tuple[str, str], int]
    """(entity, route) -> node; the route is how its users reached it"""
    left_out: tuple[Claim, ...] = ()
    """claims that would close a circle: of those in it, the weakest"""

    def of(self, entity: Entity) -> Circuit:
        """Return the circuit under an entity."""
        return self.circuit.under(self.node[entity.id, own_route(entity)])

    def entity_nodes(self) -> dict[str, int]:
        """Return the node of each entity as it is by itself."""
        found = self.catalogue.entities
        return {name: self.node[name, own_route(item)] for name, item in found.items()}


def own_route(entity: Entity) -> str:
    """Return the route by which an entity is reached when no claim says another."""
    if entity.what == "dataset":
        return "public"
    return f"api:{entity.provider.lower()}" if entity.kind == "closed-api" else "weights"


def kind_of_public(catalogue: Catalogue, name: str) -> StudentKind:
    """Return what kind of model a public one is, as far as its use or making says.

    A model that others filter by is a classifier; one that writes, or was taught to, is a language
    model.
    """
    serves = catalogue.serves_as(name)
    learns = {claim.relation for claim in catalogue.claims if claim.child == name}
    if "filter-classifier" in serves:
        return "classifier"
    writes = {relation for relation, (_, _, role) in RELATIONS.items() if role in _WRITERS}
    taught = {"sft-data", "pretraining-synthetic", "preference-chosen", "rl-judge"}
    return "language-model" if serves & writes or learns & taught else "other"


_WRITERS = ("generator", "rewriter", "judge", "annotator")


def source_of_entity(entity: Entity, route: str = "") -> Source:
    """Return the source that an entity is, reached by a route.

    A step on the way is one where nothing is claimed of it: then it is a program, or of unknown
    origin, or, where it is data, it is not even said that it is there.
    """
    if entity.is_step:
        kind: Literal["program", "unknown"] = "program" if entity.kind == "program" else "unknown"
        is_unsaid = kind == "unknown" and entity.what == "dataset"
        route = NOT_SAID if is_unsaid else route or own_route(entity)
        return Source(name=entity.id, what=kind, kind=kind, route=route)
    return Source(
        name=entity.id,
        what=entity.what,
        kind=entity.kind,
        route=route or own_route(entity),
        provider=entity.provider,
        country=entity.country,
        license=entity.license,
    )


def lineage_of(
    catalogue: Catalogue,
    statuses: Collection[Status] = COUNTED,
    *,
    disputed: bool = True,
) -> PublicLineage:
    """Return the circuit of a catalogue.

    Args:
        catalogue: entities and claims.
        statuses: which claims count, by who stands behind them.
        disputed: whether claims that others contradict count: each of them then may be true.
    """
    claims = [
        claim
        for claim in catalogue.claims
        if claim.status in statuses and (disputed or not claim.dispute)
    ]
    claims, left_out = without_circles(claims)
    building = Building(catalogue, claims)
    for entity in catalogue.entities.values():
        building.entity(entity, own_route(entity))
    for claim in claims:
        building.parent(claim)
    circuit = building.circuit()
    node = {key: int(circuit.place[number]) for key, number in building.node.items()}
    return PublicLineage(catalogue, circuit, node, left_out)


_Making = Generator[tuple["Entity", str], int, int]
"""adds a node and returns its number; it yields an entity and a route, and is sent their node"""


class Building:
    """Nodes and edges as they are added; everything has the number in which it came."""

    def __init__(self, catalogue: Catalogue, claims: Iterable[Claim]) -> None:
        self._catalogue = catalogue
        self._claims: dict[str, list[Claim]] = {}
        for claim in claims:
            self._claims.setdefault(claim.child, []).append(claim)
        self.node: dict[tuple[str, str], int] = {}
        self.kinds: list[int] = []
        self.about: list[str] = []
        self.names: list[str] = []
        self._described: list[bool] = []
        self.edges: list[tuple[int, int, int, float, int]] = []

    def circuit(self) -> Circuit:
        """Put it in order."""
        columns = list(zip(*self.edges, strict=True)) or [(), (), (), (), ()]
        return Circuit.build(
            np.array(self.kinds, np.uint8),
            np.array(columns[0], np.int64),
            np.array(columns[1], np.int64),
            np.array(columns[2], np.uint8),
            np.array(columns[3], np.float64),
            np.array(columns[4], np.int64),
            digests=self.names,
            about=self.about,
            described=np.array(self._described, bool),
        )

    def _add(self, kind: int, name: str, about: dict[str, Any], *, described: bool = False) -> int:
        self.kinds.append(kind)
        self.names.append(name)
        self.about.append(json.dumps(about))
        self._described.append(described)
        return len(self.kinds) - 1

    def entity(self, entity: Entity, route: str) -> int:
        """Return the node of an entity by a route, adding it and all under it.

        A making that wants the node of a parent yields it, and is gone on with once that is there:
        claims may stand on each other more often than calls may nest.
        """
        answer: int | None = self.node.get((entity.id, route))
        waiting = [] if answer is not None else [self.made(entity, route)]
        while waiting:
            try:
                parent, by = waiting[-1].send(cast("int", answer))
            except StopIteration as done:
                waiting.pop()
                answer = done.value
                continue
            answer = self.node.get((parent.id, by))
            if answer is None:
                waiting.append(self.made(parent, by))
        return cast("int", answer)

    def parent(self, claim: Claim) -> int:
        """Return the node of a claim's parent, by the route that the claim states."""
        return self.entity(*self._asked(claim))

    def made(self, entity: Entity, route: str) -> _Making:
        """Add an entity by a route; its node is returned."""
        source = source_of_entity(entity, route).model_dump(mode="json")
        claims = self._claims.get(entity.id, [])
        kind = SOURCE if not claims else DATASET if entity.what == "dataset" else MODEL
        if kind == DATASET and entity.is_step and all(claim.tokens is None for claim in claims):
            kind = MADE  # rows that were made alike, of parts that have no weights
        about = source if kind == SOURCE else {"artifact": entity.id, "source": source}
        is_source = kind == SOURCE or not entity.is_step
        number = self._add(kind, entity.id, about, described=is_source)
        self.node[entity.id, route] = number
        phases: dict[str, list[Claim]] = {}
        for claim in claims:
            if parse_via(claim.via)[0] is Channel.WEIGHTS:
                parent = yield self._asked(claim)
                self._edge(number, parent, claim.via, np.nan, claim)
            else:
                phases.setdefault(claim.of, []).append(claim)
        named = [phase for phase in phases if phase]
        if entity.what == "dataset" and len(named) == 1 and "" in phases:
            # A dataset has one making: whoever judged or selected did so in it.
            phases[named[0]] += phases.pop("")
        whole = True
        for phase, parts in phases.items():
            whole &= yield from self._phase(number, entity, phase, parts, alone=len(phases) == 1)
        # Weights alone say nothing of what was learned on top of them, nor a phase of whether there
        # was another: unless the record is that of a whole dataset there may be more.
        entire = all(claim.of == ENTIRE for claim in claims)
        known = whole and len(phases) == 1 and WHOLE.issuperset(phases)
        if claims and not (entire or known):
            self._edge(number, self._rest(entity), "content", np.nan)
        return number

    def _asked(self, claim: Claim) -> tuple[Entity, str]:
        """Return a claim's parent, and the route by which it states that it was reached."""
        entity = self._catalogue.entities[claim.parent]
        route = own_route(entity)
        if claim.route == "api" and entity.what == "model":
            route = f"api:{entity.provider.lower()}"
        return entity, route

    def _edge(
        self, above: int, below: int, how: str, tokens: float, claim: Claim | None = None
    ) -> None:
        rows = -1 if claim is None or claim.rows is None else int(claim.rows)
        self.edges.append((above, below, _CODE[how], tokens, rows))

    def _rest(self, entity: Entity, phase: str = "", what: str = REST) -> int:
        name = f"{entity.id}{f', {phase}' if phase else ''}: {what}"
        rest = Source(name=name, what="unknown", kind="unknown", route=NOT_SAID)
        return self._add(SOURCE, name, rest.model_dump(mode="json"), described=True)

    def _phase(
        self, number: int, entity: Entity, phase: str, claims: list[Claim], *, alone: bool
    ) -> Generator[tuple[Entity, str], int, bool]:
        """Add one phase of an entity's making; return whether it leaves nothing unrecorded."""
        total = next((claim.of_tokens for claim in claims if claim.of_tokens), None)
        weights = [_tokens(claim, total) for claim in claims]
        known = sum(weight for weight in weights if weight is not None)
        unit = total if total is not None else 1.0 if _all_shares(claims) else None
        left = None if unit is None else unit - known
        if left is not None and unit is not None and left < -1e-3 * unit:
            msg = (
                f"{entity.id}: the claims about its {phase or 'making'} add up to {known:g} of "
                f"{unit:g}; correct share, tokens or of_tokens of one of them"
            )
            raise InputError(msg)
        complete = left is not None and unit is not None and left <= 1e-6 * unit
        name = f"{entity.id}, {phase or 'its making'}"
        blanks = [c for c, weight in zip(claims, weights, strict=True) if weight is None]
        # Parts that add up to all of the text leave open who else judged or chose it.
        acting = complete and (bool(blanks) or entity.what == "dataset")
        node = number
        # Parts stand beside those of other phases where all are counted in tokens; shares of a
        # phase whose size is not known can only be compared with each other.
        if (total is None and known and not alone) or acting:
            node = self._add(DATASET, name, {"artifact": name})
        for claim, weight in zip(claims, weights, strict=True):
            if weight is not None:
                parent = yield self._asked(claim)
                self._edge(node, parent, claim.via, weight, claim)
        if unit is None:
            yield from self._unweighed(node, entity, phase, blanks, rest=node != number)
        elif not complete:
            rest = self._add(DATASET, f"{name}: the rest", {"artifact": f"{name}: the rest"})
            yield from self._unweighed(rest, entity, phase, blanks, rest=True)
            self._edge(node, rest, "content", float(left or 0.0))
        weight = total if total is not None else np.nan
        if node != number and acting:
            acted = yield from self._acted_on(node, name, entity, blanks)
            whole = number
            if not alone:  # so that what the others weigh stays known
                whole = self._add(DATASET, f"{name}, acted on", {"artifact": f"{name}, acted on"})
                self._edge(number, whole, "content", weight)
            for part in (node, acted):
                self._edge(whole, part, "content", np.nan)
        elif node != number:
            self._edge(number, node, "content", weight)
        return complete and entity.what == "dataset"

    def _unweighed(
        self, node: int, entity: Entity, phase: str, claims: list[Claim], *, rest: bool
    ) -> Generator[tuple[Entity, str], int, None]:
        for claim in claims:
            parent = yield self._asked(claim)
            self._edge(node, parent, claim.via, np.nan, claim)
        if rest:
            self._edge(node, self._rest(entity, phase), "content", np.nan)

    def _acted_on(self, node: int, name: str, entity: Entity, claims: list[Claim]) -> _Making:
        """Return a node for the records that others judged or selected; how many is not known."""
        acted = self._add(MADE, f"{name}, the part acted on", {})
        self._edge(acted, node, "content", np.nan)
        for claim in claims:
            parent = yield self._asked(claim)
            self._edge(acted, parent, claim.via, np.nan, claim)
        if entity.what == "dataset":
            rest = self._rest(entity, what=JUDGES)
            self._edge(acted, rest, via(Channel.JUDGEMENT), np.nan)
        return acted


def _tokens(claim: Claim, total: float | None) -> float | None:
    """Return the weight of a claim in its phase: tokens, or a share of one where no total is."""
    if claim.tokens is not None and (total is not None or claim.share is None):
        return claim.tokens
    if claim.share is None:
        return None
    return claim.share * (total if total is not None else 1.0)


def _all_shares(claims: list[Claim]) -> bool:
    """Return whether every figure is a share, so that they are parts of one."""
    figures = [claim for claim in claims if claim.share is not None or claim.tokens is not None]
    return bool(figures) and all(claim.share is not None for claim in figures)


def without_circles(claims: list[Claim]) -> tuple[list[Claim], tuple[Claim, ...]]:
    """Return the claims without those that would make a thing its own ancestor, and these.

    Only what takes part in a circle is looked at: of it, the strongest claims are kept first
    (stated before derived, sworn and alleged; first-hand before second-hand).
    """
    suspects = _in_circles({(claim.child, claim.parent) for claim in claims})
    if not suspects:
        return claims, ()
    doubtful = [c for c in claims if c.child in suspects and c.parent in suspects]
    doubtful.sort(key=lambda c: (STATUSES.index(c.status), c.second_hand))
    above: dict[str, set[str]] = {}
    dropped: set[int] = set()

    def reaches(start: str, goal: str) -> bool:
        seen, waiting = {start}, [start]
        while waiting:
            for parent in above.get(waiting.pop(), ()):
                if parent == goal:
                    return True
                if parent not in seen:
                    seen.add(parent)
                    waiting.append(parent)
        return False

    for claim in doubtful:
        if claim.parent == claim.child or reaches(claim.parent, claim.child):
            dropped.add(id(claim))
        else:
            above.setdefault(claim.child, set()).add(claim.parent)
    kept = [claim for claim in claims if id(claim) not in dropped]
    return kept, tuple(claim for claim in claims if id(claim) in dropped)


def _in_circles(pairs: Iterable[tuple[str, str]]) -> set[str]:
    """Return all that lies on, or between, circles: what is left when both kinds of ends go."""
    edges = set(pairs)
    for end, other in ((0, 1), (1, 0)):  # first what has no parent, then what is nobody's
        held = Counter(pair[end] for pair in edges)  # by how many edges each is still held
        behind: dict[str, list[str]] = {}
        for pair in edges:
            behind.setdefault(pair[other], []).append(pair[end])
        gone: set[str] = set()
        waiting = [name for pair in edges for name in pair if not held[name]]
        while waiting:
            name = waiting.pop()
            if name in gone:
                continue
            gone.add(name)
            for above in behind.get(name, ()):
                held[above] -= 1
                if not held[above]:
                    waiting.append(above)
        edges = {pair for pair in edges if not gone.intersection(pair)}
    return {name for pair in edges for name in pair}
