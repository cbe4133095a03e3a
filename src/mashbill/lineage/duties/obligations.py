"""Derivative definitions: the duties that licences bring to an artifact, and what is left for it.

:mod:`mashbill.lineage.duties.standing` says how far each licence reaches; here its clauses become
duties, with the path by which they came, and decisions under a declared use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mashbill.lineage.circuit.arrays import MODEL, Circuit
from mashbill.lineage.duties.standing import DUTY, GOVERNED, OPEN, OUTPUTS, Reach, standing, way_of
from mashbill.policy.case import Case, Finding, Question
from mashbill.policy.clause_rules import find
from mashbill.policy.clauses import DERIVATIVE, Clause
from mashbill.policy.decision import Decision, cited
from mashbill.policy.documents import Document, Pointer, Version, own_name
from mashbill.policy.licence_words import Part, is_no_licence, read_licence
from mashbill.policy.licences import chosen, part_kind, spelled, together
from mashbill.policy.restrictions import reached_by

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from mashbill.core.source import Source
    from mashbill.core.use import Use
    from mashbill.policy.documents import Registry, Route

_NO_DUTIES = frozenset(["test-double", "own-dataset", "human", "program"])
"""kinds of source that bring nothing: whose text or weights went in is nobody else's"""


@dataclass(frozen=True)
class Obligation:
    """One duty that came to an artifact."""

    clause: Clause
    document: Document
    version: Version
    sources: tuple[Source, ...]
    """those that brought it"""
    state: Literal["owed", "carried", "in question"]
    """owed by this artifact; carried by these data to what is trained on them; or not settled"""
    path: tuple[str, ...]
    """from a source to the artifact"""

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        return {
            "code": self.clause.code,
            "says": self.clause.says,
            "state": self.state,
            "document": self.document.id,
            "license": self.document.license,
            "second_hand": self.version.second_hand,
            "sources": [source.title for source in self.sources],
            "path": list(self.path),
            "parameters": self.clause.model_dump(
                mode="json", exclude_defaults=True, exclude={"code", "says", "fragment", "section"}
            ),
        }


@dataclass(frozen=True)
class OutputLicence:
    """What base, teachers and data leave possible for an artifact."""

    licences: tuple[str, ...]
    """its own as stated, and those that came with weights or because it is a derivative"""
    expression: str
    """all of them together, as SPDX writes it; empty if none is recorded"""
    obligations: tuple[Obligation, ...]
    unknown: tuple[str, ...]
    """bases whose licence is not recorded"""
    stated: str = ""
    """its own, as its maker states it; empty if that is not recorded"""

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        return {
            "expression": self.expression or None,
            "licences": list(self.licences),
            "obligations": [item.as_json() for item in self.obligations],
            "unknown": list(self.unknown),
            "stated": self.stated or None,
        }


def output_licence(
    registry: Registry, circuit: Circuit, as_of: date, *, stated: str | None = None
) -> OutputLicence:
    """Return the licences and duties that reach a circuit's root.

    Args:
        registry: terms and licences.
        circuit: the artifact's; its root is what is asked about.
        as_of: the day whose texts count.
        stated: the licence that the artifact itself is under; a public one's is in the circuit.
    """
    governed: dict[str, tuple[Document, Version, list[int]]] = {}
    unknown: list[int] = []
    for node in circuit.sources().tolist():
        found, is_known = _licence_of(registry, circuit.source(node), as_of)
        if not is_known and circuit.source(node).what == "model":
            unknown.append(node)
        for document, version in found:
            governed.setdefault(document.id, (document, version, []))[2].append(node)
    obligations: list[Obligation] = []
    licences: list[str] = []
    root = circuit.root
    for document, version, nodes in governed.values():
        regranted = _regranted(circuit, document, nodes)
        obligations += _of_document(circuit, document, version, nodes, regranted)
        if document.kind == "licence" and document.license:
            own = _own(circuit, nodes)
            reach: Reach = "derivative" if _makes_derivatives(version) else "weights"
            if standing(circuit, own, reach, regranted)[root] == GOVERNED:
                licences.append(document.license)
    lacks = is_no_licence(stated)
    if circuit.described[root]:
        stated = circuit.source(root).license
        lacks = read_licence(stated or "").kind == "none"
    own_licence = "" if lacks else spelled(stated or "")
    if own_licence:
        licences.insert(0, own_licence)
    licences = list(dict.fromkeys(licences))
    order = {"owed": 0, "carried": 1, "in question": 2}
    obligations.sort(key=lambda item: (order[item.state], item.document.id, item.clause.code))
    return OutputLicence(
        tuple(licences),
        together(licences),
        tuple(obligations),
        _unlicensed(circuit, unknown),
        own_licence,
    )


def _regranted(circuit: Circuit, document: Document, nodes: list[int]) -> np.ndarray | None:
    """Return the models that a licence's own licensor gave out under a licence of their own.

    DeepSeek's R1 is MIT by DeepSeek's word, though the base that it was made from was not: nobody
    is bound by a licence of his own, and who has R1 has it under MIT. None if there is no such.
    """
    if document.kind != "licence" or not document.provider:
        return None
    under = set(nodes)
    found = np.zeros(circuit.size, bool)
    for node in np.flatnonzero(circuit.described & (circuit.type == MODEL)).tolist():
        source = circuit.source(node)
        found[node] = (
            node not in under and bool(source.license) and source.provider == document.provider
        )
    return found if found.any() else None


def _unlicensed(circuit: Circuit, nodes: Iterable[int]) -> tuple[str, ...]:
    own = _own(circuit, list(nodes))
    values = standing(circuit, own, "weights")
    if values[circuit.root] != GOVERNED:
        return ()
    by_weights = [
        node
        for node in np.flatnonzero(own == GOVERNED).tolist()
        if node != circuit.root and _reaches_by_weights(circuit, node)
    ]
    return tuple(circuit.title(node) for node in by_weights)


def _reaches_by_weights(circuit: Circuit, node: int) -> bool:
    return bool(standing(circuit, _own(circuit, [node]), "weights")[circuit.root] == GOVERNED)


def _own(circuit: Circuit, nodes: list[int]) -> np.ndarray:
    own = np.zeros(circuit.size, np.uint8)
    for node in nodes:
        own[node] = OUTPUTS if circuit.source(node).what == "dataset" else GOVERNED
    return own


def _makes_derivatives(version: Version) -> bool:
    return any(clause.code == "student-is-derivative" for clause in version.clauses)


def _licence_of(
    registry: Registry, source: Source, as_of: date
) -> tuple[list[tuple[Document, Version]], bool]:
    """Return the texts that may bring duties to what is made of a source, and if all are known."""
    if source.what == "unknown" or source.kind in _NO_DUTIES:
        return [], False
    found = []
    ways: list[tuple[str, Route]] = [(source.provider, "data")]
    for provider, route in reached_by(source) if source.what == "model" else ways:
        for document in registry.governing(provider, source.name, route, as_of):
            version = document.on(as_of)
            if version is not None:
                found.append((document, version))
    licensed = any(document.kind == "licence" for document, _ in found)
    if not source.license or licensed:
        return found, licensed  # terms of a service are no licence of weights
    # Of an expression each that holds; where it leaves a choice, those that ask least.
    alone = len(read_licence(source.license).steps) == 1
    plain = [
        _plain_licence(part, source.license if alone else part.text)
        for part in chosen(source.license)
    ]
    found += [document for document in plain if document is not None]
    return found, bool(found) and None not in plain


def _plain_licence(part: Part, licence: str) -> tuple[Document, Version] | None:
    """Return a licence that is known by its identifier alone, as a document."""
    clauses = {
        "permissive": [Clause(code="notice", says="Keep its notice and licence text.",
                              when=("weights",), if_distributed=True)],
        "share-alike": [Clause(code="share-alike", says="Pass it on under the same licence.",
                               if_distributed=True)],
        "non-commercial": [Clause(code="non-commercial", says="Non-commercial use only.")],
    }.get(part_kind(part))  # fmt: skip
    if clauses is None:
        return None
    name = spelled(licence)
    version = Version(pointer=Pointer(seen_in="SPDX licence list"), clause=tuple(clauses))
    document = Document(
        id=f"spdx-{name.lower().replace(' ', '-').strip('()')}", title=name, kind="licence",
        routes=("weights", "data"), license=name, version=(version,),
    )  # fmt: skip
    return document, version


def _reaches(clause: Clause, version: Version, *, data: bool) -> list[Reach]:
    if data:
        asks = clause.code in ("non-commercial", "share-alike")
        return ["data" if asks else "weights"]
    if _makes_derivatives(version):
        return ["derivative"]
    if clause.when and "outputs" in clause.when:
        return ["outputs"]
    return ["weights"]


def _of_document(
    circuit: Circuit,
    document: Document,
    version: Version,
    nodes: list[int],
    regranted: np.ndarray | None,
) -> list[Obligation]:
    found = []
    clauses = [clause for clause in version.clauses if clause.code in DERIVATIVE]
    data = all(circuit.source(node).what == "dataset" for node in nodes)
    own = _own(circuit, nodes)
    by_reach: dict[Reach, np.ndarray] = {}
    for clause in clauses:
        for reach in _reaches(clause, version, data=data):
            if reach not in by_reach:
                by_reach[reach] = standing(circuit, own, reach, regranted)
            value = by_reach[reach]
            state = _state(int(value[circuit.root]), circuit, reach, data=data)
            if state is not None:
                path = way_of(circuit, value, own, reach)
                sources = tuple(circuit.source(node) for node in nodes)
                found.append(Obligation(clause, document, version, sources, state, path))
    return found


def _state(
    value: int, circuit: Circuit, reach: Reach, *, data: bool
) -> Literal["owed", "carried", "in question"] | None:
    """Return how a duty stands to the root: what data hold of a model goes on, or it is nothing."""
    if value in (GOVERNED, DUTY):
        return "owed"
    if value == OUTPUTS and circuit.type[circuit.root] != MODEL:
        if data:
            return "owed"
        return None if reach == "weights" else "carried"
    return "in question" if value == OPEN else None


def decide_obligations(
    licence: OutputLicence, name: str, use: Use, as_of: date, *, is_public: bool = False
) -> list[Decision]:
    """Return what each duty comes to under a declared use.

    Args:
        licence: what reached the artifact.
        name: its name, as it would be or is distributed.
        use: what is declared.
        as_of: the day asked about.
        is_public: the artifact is somebody else's, and out already.
    """
    return [
        _decide(item, name, use, as_of, is_public=is_public) for item in licence.obligations
    ] + [
        Decision(
            "review", "derivative", "licence-not-known", name,
            f"no licence of {base} is recorded, and {name} is built on its weights; write license "
            "where the recipe names it, or give its text by --terms-file", as_of,
            lacking=("licence of a base",),
        )
        for base in licence.unknown
    ]  # fmt: skip


def _decide(item: Obligation, name: str, use: Use, as_of: date, *, is_public: bool) -> Decision:
    clause = item.clause
    found = Finding("allow", f"{STATES[item.state]}: {clause.says}")
    if item.state == "in question":
        because = f"{clause.says} Whether that reaches {name} this way is not settled"
        found = Finding("review", because, lacking=("a reading of the clause",))
    elif clause.code == "derivative-naming" and item.state == "owed":
        found = _naming(clause, name, use, is_public=is_public)
    elif clause.code in ("non-commercial", "scale-cap", "territory"):
        question = Question(item.sources[0], (), use, as_of)
        found = find(Case(clause, (), question, item.document.provider)) or found
    return Decision(
        outcome=found.outcome,
        engine="derivative",
        rule=clause.code,
        about=name,
        because=found.because,
        as_of=as_of,
        section=clause.section,
        fragment=clause.fragment,
        path=item.path,
        used=found.used,
        lacking=found.lacking,
        **cited(item.document, item.version),
    )


STATES = {"owed": "owed", "carried": "goes on to what is trained on it", "in question": "open"}
"""how a duty stands, for people"""


def _naming(clause: Clause, name: str, use: Use, *, is_public: bool) -> Finding:
    if clause.if_distributed and not is_public:
        if use.distributed is None:
            return Finding(
                "review",
                f"{clause.says} Whether it is distributed is not declared",
                lacking=("use.distribution",),
            )
        if not use.distributed:
            return Finding(
                "allow",
                f"not due while it is private: {clause.says}",
                {"use.distribution": use.distribution},
            )
    shown = name if is_public else use.published_name
    if not shown:
        return Finding(
            "review",
            f"{clause.says} The name it gets is not declared",
            lacking=("use.published_name",),
        )
    used = {"published name": shown}
    if own_name(shown).startswith(clause.prefix.lower()):
        return Finding("allow", f"its name begins with {clause.prefix!r}", used)
    because = f"the name does not begin with {clause.prefix!r}. {clause.says}"
    return Finding("review" if is_public else "deny", because, used)
