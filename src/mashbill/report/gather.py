"""What a report shows, read from a store."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mashbill.calls.journal import Journal
from mashbill.core.artifact import ArtifactRef, Manifest
from mashbill.core.errors import StoreError
from mashbill.core.evaluation import evaluation_of, is_evaluation
from mashbill.core.naming import free_names
from mashbill.core.reasons import Counted, rejections, unquoted
from mashbill.core.said_learning import SAID
from mashbill.core.source import Source
from mashbill.core.stage import WARNINGS
from mashbill.lineage.bills.bill import Coverage, Summary, bill, summarised
from mashbill.lineage.bills.definitions import Verdict, judge_all
from mashbill.lineage.bills.prompted import covered_with, prompt_coverage
from mashbill.lineage.bills.telling import counted
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.contradicted import contradictions, table_of
from mashbill.lineage.circuit.nodes import NodeTable, source_of, supposing
from mashbill.lineage.described import Described, describe
from mashbill.lineage.duties.decisions import decided_runs
from mashbill.lineage.evidence.hop import Hop
from mashbill.lineage.evidence.trace import Tracer
from mashbill.lineage.evidence.withheld import withheld
from mashbill.report.confusion import Shown
from mashbill.report.costs import Cost, costs_of
from mashbill.report.data.page import data_of
from mashbill.report.judges import Judged, judged_in
from mashbill.report.rows_shown import SampleRows, examples_of, sample_rows
from mashbill.report.trainings import Training, trainings_behind
from mashbill.report.worth import Measured, systems_of, worth_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mashbill.core.store import Store

RECEIPTS = 10
_OUTSIDE = 200  # datasets of a published folder that a picture shows
_REASONS = 5  # of a stage's rejected rows
_WENT = {"dataset": "its rows were", "model": "its weights were"}


@dataclass(frozen=True)
class Box:
    """One thing of the chain's picture."""

    name: str
    what: str
    """dataset, model, or teacher: whoever acts from outside, a verifier too"""
    counted: str
    """rows or size, for people"""
    inputs: tuple[tuple[str, str], ...]
    """(name of the box it rests on, channel)"""
    kind: str = ""
    """kind of the stage that made it, or the role of who acts from outside"""
    removed: str = ""
    """the day on which its rows or weights were removed; empty if they were not"""


@dataclass(frozen=True)
class TurnedDown:
    """The rows that a stage rejected."""

    name: str
    rows: int
    of: int
    """rows that it made, those among them"""
    reasons: tuple[Counted, ...]
    """the commonest, the commonest first"""
    removed: str = ""
    """when, by whom and why its rows were removed, the rejected ones among them"""


@dataclass(frozen=True)
class VerdictTable:
    """Verdicts under one supposition, for both questions."""

    title: str
    pairs: tuple[tuple[Verdict, Verdict], ...]
    """a definition's verdicts on closed models, and on any model"""

    @property
    def unknown(self) -> list[str]:
        """What could change a conclusion, over all definitions, each once."""
        return sorted({item for closed, _ in self.pairs for item in closed.unknown})


@dataclass(frozen=True)
class ReportFacts:
    """Everything a report shows."""

    result: Manifest
    chain: tuple[Box, ...]
    rejected: tuple[TurnedDown, ...]
    described: Described
    """what it is, how it is used, where it ends"""
    measured: tuple[Measured, ...]
    """evaluations whose systems are the result, or rest on it, those of itself first"""
    costs: tuple[Cost, ...]
    """of each stage that the result rests on, and its own, in the order of their making"""
    samples: tuple[SampleRows, ...]
    """rows of the result, or of what it learned from"""
    bill: tuple[Summary, ...]
    coverage: Coverage
    verdicts: tuple[VerdictTable, ...]
    receipts: tuple[Hop, ...]
    hidden: tuple[str, ...]
    """why the texts of some that it rests on are not shown; none if all are"""
    entries: int
    head: str
    signers: tuple[str, ...]
    calls: tuple[int, int, float]
    prompted: str
    """of how much it is recorded who wrote what teachers were asked by; empty if of all"""
    contradicted: tuple[tuple[str, str], ...]
    """(artifact, what speaks against the origin declared of it), of all that the result rests on"""
    warnings: tuple[tuple[str, str], ...]
    """(artifact, what its stage warned of), of all artifacts that the result rests on"""
    judged: tuple[Judged, ...]
    """what judges said, of all artifacts that the result rests on"""
    trainings: tuple[Training, ...]
    """how the models were trained, of all that the result rests on, and itself"""
    decided: tuple[dict[str, Any], ...]
    """what was decided before each run, and who accepted it, as the ledger has it"""


def gather(store: Store, result: Manifest) -> ReportFacts:
    """Read what a report of ``result`` shows."""
    table = table_of(store, result)
    circuit = Circuit.of(table)
    journal, prompted = Journal.of(store), prompt_coverage(store, result)
    entries = store.ledger.accepted
    hidden = withheld(store, result)
    try:
        return ReportFacts(
            result=result,
            chain=tuple(_chain(store, result)),
            prompted=str(prompted),
            contradicted=tuple(
                (name, told.says) for name, told in contradictions(store, result).items()
            ),
            warnings=tuple(_warnings(store, table, hidden)),
            judged=judged_in([m for m in store.manifests() if m.bill in table.bodies]),
            rejected=tuple(_rejected(store, result, hidden)),
            described=describe(store, result),
            measured=tuple(_measured(store, result, hidden)),
            costs=costs_of(store, _behind(store, result)),
            samples=tuple(
                sample_rows(store, one, hidden.get(str(one.ref), ""))
                for one in data_of(store, result)
            ),
            bill=tuple(summarised(bill(circuit))),
            coverage=covered_with(circuit, prompted),
            verdicts=tuple(verdict_tables(table)),
            receipts=tuple(_receipts(store, result, Tracer(store, journal, hidden))),
            hidden=tuple(sorted(set(hidden.values()))),
            entries=len(entries),
            head=entries[-1].digest,
            signers=tuple(sorted({entry.keyid for entry in entries})),
            calls=journal.totals() if journal else (0, 0, 0.0),
            trainings=trainings_behind(store, table, hidden, str(result.ref)),
            decided=decided_runs(store),
        )
    finally:
        if journal is not None:
            journal.close()


def verdict_tables(table: NodeTable) -> list[VerdictTable]:
    """Return the verdicts as recorded and, if every teacher was open, as if it had been closed."""
    tables = [VerdictTable("As it was run", tuple(judge_all(table)))]
    open_models = {
        name: source_of(body)
        for name, body in table.bodies.items()
        if body["type"] == "source" and body["what"] == "model" and body["kind"] != "closed-api"
    }
    if open_models:
        closed = Source(
            name="a closed model",
            what="model",
            kind="closed-api",
            route="api",
            provider="its maker",
        )
        supposed = supposing(table, dict.fromkeys(open_models, closed))
        names = ", ".join(sorted(source.title for source in open_models.values()))
        title = f"Had a closed API stood in the place of {names}"
        tables.append(VerdictTable(title, tuple(judge_all(supposed))))
    return tables


def _rejected(store: Store, result: Manifest, hidden: Mapping[str, str]) -> list[TurnedDown]:
    """Return what was rejected on the way to the result, inputs first."""
    found = []
    for manifest in reversed(_behind(store, result)):
        if not manifest.rejected_rows:
            continue
        folder = store.folder(manifest.kind, manifest.ref)
        reasons = rejections(folder, manifest.rejected, elided=str(manifest.ref) in hidden)
        total = manifest.rows + manifest.rejected_rows
        why = tuple(reasons.commonest(_REASONS))
        removed = str(store.removal(manifest.ref) or "")
        found.append(TurnedDown(manifest.name, manifest.rejected_rows, total, why, removed))
    return found


def _behind(store: Store, result: Manifest) -> list[Manifest]:
    """Return a result and all that it rests on, itself first, of each name one."""
    behind: dict[str, Manifest] = {}
    waiting = [result]
    while waiting:
        manifest = waiting.pop()
        if manifest.name not in behind:
            behind[manifest.name] = manifest
            names = (item.name for item in manifest.inputs if item.is_artifact)
            waiting += [store.find(name) for name in names]
    return list(behind.values())


def _measured(store: Store, result: Manifest, hidden: Mapping[str, str]) -> list[Measured]:
    """Return evaluations of a result, or of what rests on it; of several versions the last."""
    found: dict[str, Measured] = {}
    for manifest in store.manifests():
        evaluation = evaluation_of(manifest.measures)
        if evaluation is None or result.bill not in NodeTable.of(store, manifest).bodies:
            continue
        mine = tuple(
            name for name in systems_of(store, manifest, result) if name in evaluation.systems
        )
        why = hidden.get(str(manifest.ref)) or withheld(store, manifest).get(str(manifest.ref), "")
        examples = None
        if len(mine) == 1 and evaluation.metric == "accuracy" and manifest.kind == "dataset":
            examples = examples_of(store, manifest, mine[0], why)
        found[manifest.name] = Measured(
            Shown(manifest.name, evaluation),
            mine,
            tuple(worth_of(evaluation, name) for name in mine),
            examples,
        )
    return sorted(found.values(), key=lambda one: not one.mine)


def _published(manifest: Manifest) -> list[str]:
    """Return the datasets that a model learned from elsewhere and that no store here has."""
    told = manifest.measures.get(SAID)
    datasets = told.get("datasets") if isinstance(told, dict) else None
    return [
        str(one["name"])
        for one in (datasets[:_OUTSIDE] if isinstance(datasets, list) else ())
        if isinstance(one, dict) and one.get("outside") and isinstance(one.get("name"), str)
    ]


def _chain(store: Store, result: Manifest) -> list[Box]:
    """Return the artifacts that the result rests on, inputs first, teachers as boxes too."""
    found: dict[str, Manifest] = {}
    teachers: dict[str, str] = {}
    waiting = [result]
    while waiting:
        manifest = waiting.pop()
        if str(manifest.ref) in found:
            continue
        found[str(manifest.ref)] = manifest
        teachers |= {item.name: item.role for item in manifest.inputs if not item.is_artifact}
        for item in manifest.inputs:
            if not item.is_artifact:
                continue
            source = store.get(ArtifactRef.parse(item.name))
            if source is None:
                msg = f"{store.root} lacks {item.name}, which {manifest.ref} was made of"
                raise StoreError(msg)
            waiting.append(source)
    counts = Counter(manifest.name for manifest in found.values())
    named = {ref: m.name if counts[m.name] == 1 else ref for ref, m in found.items()}
    called = free_names(teachers, set(named.values()), "teacher")
    boxes = {
        called[name]: Box(called[name], "teacher", role, (), role)
        for name, role in teachers.items()
    }
    for ref, manifest in found.items():
        inputs = [
            (named[item.name] if item.is_artifact else called[item.name], item.channel)
            for item in manifest.inputs
        ]
        for name in _published(manifest):
            box = free_names([name], boxes.keys() | set(named.values()), "dataset")[name]
            boxes[box] = Box(box, "dataset", "of a published folder", ())
            inputs.append((box, "content"))
        if manifest.kind == "dataset":
            size = counted(manifest.rows, "row")
            if manifest.rejected_rows:
                size += f", {manifest.rejected_rows:,} rejected"
        else:
            own = manifest.measures.get("parameters")
            size = counted(own, "parameter") if isinstance(own, int) else ""
        kind = str(manifest.stage.get("kind", ""))
        removal = store.removal(manifest.ref)
        day = removal.day if removal is not None else ""
        boxes[named[ref]] = Box(named[ref], manifest.kind, size, tuple(inputs), kind, day)
    return list(boxes.values())


def _warnings(store: Store, table: NodeTable, hidden: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what stages warned of, of the result and of what it rests on or is measured by."""
    found = []
    for manifest in store.manifests():
        rests = table.root in NodeTable.of(store, manifest).bodies
        if manifest.bill in table.bodies or (rests and is_evaluation(manifest.measures)):
            told = manifest.measures.get(WARNINGS, [])
            shown = [unquoted(text) for text in told] if str(manifest.ref) in hidden else told
            found += [(str(manifest.ref), text) for text in shown]
            if (removal := store.removal(manifest.ref)) is not None:
                found.append((str(manifest.ref), f"{_WENT[manifest.kind]} {removal}"))
    return found


def _receipts(store: Store, result: Manifest, tracer: Tracer) -> list[Hop]:
    """Trace ten rows at even distances."""
    total = result.rows
    if result.kind == "model":
        trained_on = [i.name for i in result.inputs if i.role == "trained-on"]
        manifests = [store.get(ArtifactRef.parse(name)) for name in trained_on]
        total = sum(manifest.rows for manifest in manifests if manifest is not None)
    count = min(RECEIPTS, total)
    return [tracer.trace(str(result.ref), i * total // count) for i in range(count)]
