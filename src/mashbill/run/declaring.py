"""Whether what literals declare is what a manifest says: inputs, teachers, sources, tolerance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from pydantic import ValidationError

from mashbill.core import registry
from mashbill.core.artifact import named_by
from mashbill.core.base_model import with_models
from mashbill.core.errors import MashbillError
from mashbill.core.given import called
from mashbill.core.record import BILL
from mashbill.core.store import MANIFEST, NODES
from mashbill.core.students import students_named, with_students
from mashbill.core.tables import read_parquet
from mashbill.lineage.circuit.nodes import NodeTable, reachable, source_of
from mashbill.lineage.evidence.bases import models_named
from mashbill.lineage.evidence.recomposing import source_behind
from mashbill.run.scoring_again import spec_of_verifier

if TYPE_CHECKING:
    import pyarrow as pa

    from mashbill.core.artifact import InputRef, Manifest
    from mashbill.core.source import Source
    from mashbill.core.stage import StageSpec
    from mashbill.core.store import Store
    from mashbill.lineage.evidence.finding import Rederived

_TOLD = 3
_STATED = ("name", "what", "kind", "route", "version", "license", "sha256", "called_by")
"""what of a source follows from literals alone"""
_LOOKED_UP = ("provider", "country")
"""what a release may look up where literals do not say it, so that another may say else"""
_NOT_SAID = frozenset({"", "unknown", None})


@runtime_checkable
class NamesOrigins(Protocol):
    """A first stage some of whose rows name in a column what they came from."""

    def origin_names(self, rows: pa.Table) -> list[frozenset[str] | None]:
        """Return what the source of each row may be called; None where no column names one."""
        ...


def compare_declared(spec: StageSpec, manifest: Manifest, store: Store, found: Rederived) -> None:
    """Compare what an artifact's literals declare with what its manifest and nodes say."""
    _inputs(spec, manifest, store, found)
    _brought(spec, manifest, store, found)
    if (manifest.tolerance or 0) > (spec.tolerance or 0):
        what = (
            f"lets scores lie {manifest.tolerance} apart where they are computed again; its kind "
            f"lets them lie {spec.tolerance or 0} apart"
        )
        found.wrong.append((MANIFEST, what))


def _inputs(spec: StageSpec, manifest: Manifest, store: Store, found: Rederived) -> None:
    if spec.output != manifest.kind:
        found.wrong.append((MANIFEST, f"its kind makes a {spec.output}"))
    models = models_named(manifest.stage)
    declared = with_models(with_students(spec.uses(), students_named(manifest.stage)), models)
    uses = [(u.name, u.role, u.via) for u in declared if u.is_artifact]
    stated = [
        (called(item.name, manifest.stage), item.role, item.channel)
        for item in manifest.inputs
        if item.is_artifact
    ]
    if sorted(uses) != sorted(stated):
        differ = [item for item in (*uses, *stated) if (item in uses) != (item in stated)]
        told = "; ".join(f"{name} as {role}, {via}" for name, role, via in differ[:_TOLD])
        what = f"its literals declare other inputs than it states ({told or 'one twice'})"
        found.wrong.append((MANIFEST, what))
    verifiers = [u for u in declared if u.is_verifier]
    scoring = [item for item in manifest.inputs if item.is_verifier]
    if [u.via for u in verifiers] != [item.channel for item in scoring]:
        what = f"its literals declare {len(verifiers)} verifiers, and it states {len(scoring)}"
        found.wrong.append((MANIFEST, what))
        return
    for use, item in zip(verifiers, scoring, strict=True):
        _verifier(use.name, item, manifest, found)
    bases = [(models[u.name].source.title, u.via) for u in declared if u.is_source]
    started = [(item.name, item.channel) for item in manifest.inputs if item.is_base]
    if sorted(bases) != sorted(started):
        what = f"its literals declare {len(bases)} bases from outside, and it states {len(started)}"
        found.wrong.append((MANIFEST, what))
    teachers = [u for u in declared if u.is_teacher]
    given = [item for item in manifest.inputs if item.is_teacher]
    if [u.via for u in teachers] != [item.channel for item in given]:
        what = f"its literals declare {len(teachers)} teachers, and it states {len(given)}"
        found.wrong.append((MANIFEST, what))
        return
    table = NodeTable.of(store, manifest) if given else NodeTable()
    for use, item in zip(teachers, given, strict=True):
        _teacher(use.name, item, source_behind(item, table), manifest, found)


def _brought(spec: StageSpec, manifest: Manifest, store: Store, found: Rederived) -> None:
    """Compare the sources that a first stage brings in with what its literals say of them."""
    if spec.uses() or spec.output != "dataset":
        return
    table = NodeTable.of(store, manifest)
    have = [
        source_of(body)
        for body in (table.bodies[node] for node in table.numbered)
        if body["type"] == "source"
    ]
    if isinstance(spec, NamesOrigins):
        _named(spec, manifest, store, table, found)
    for source in spec.sources(Path()):
        if not any(not _differ(source, other) for other in have):
            what = (
                f"its literals say that it brings in {source.title} ({source.kind}, "
                f"{source.license or 'no licence'}, of {source.provider}), and no node of it is "
                "that source"
            )
            found.wrong.append((NODES, what))


def _named(
    spec: NamesOrigins, manifest: Manifest, store: Store, table: NodeTable, found: Rederived
) -> None:
    """Compare what rows say of their origin with the nodes that they point at."""
    names = [
        frozenset(
            table.bodies[part]["name"]
            for part in reachable(table, [node])
            if table.bodies[part]["type"] == "source"
        )
        for node in table.numbered
    ]
    for shard in manifest.shards:
        path = store.folder(manifest.kind, manifest.ref) / shard.file
        rows = read_parquet(path, path)
        bills = rows.column(BILL).to_pylist()
        wrong = [
            (row, said, names[bill])
            for row, (said, bill) in enumerate(zip(spec.origin_names(rows), bills, strict=True))
            if said is not None and not said & names[bill]
        ]
        if wrong:
            row, said, told = wrong[0]
            what = (
                f"{len(wrong):,} rows name another origin than their node, the first of them row "
                f"{row}: {' or '.join(sorted(said))}, and its node {', '.join(sorted(told))}"
            )
            found.wrong.append((shard.file, f"{what:.400}"))


def _teacher(
    name: str, item: InputRef, source: Source | None, manifest: Manifest, found: Rederived
) -> None:
    literals = manifest.stage.get("teachers", {}).get(name)
    if source is None or not isinstance(literals, dict):
        return  # found already, or of a release that did not write it
    kind = str(literals.get("kind"))
    if registry.is_plugin(kind, registry.TEACHERS):
        found.not_derived.append(f"its teacher {name!r} is a plugin's")
        return
    try:
        spec = registry.find(kind, registry.TEACHERS).model_validate(literals)
        wanted, named = spec.source, named_by(spec.identity)
    except (ValidationError, MashbillError, OSError) as error:
        found.not_derived.append(
            f"its teacher {name!r} is not read by this release: {error!s:.120}"
        )
        return
    differ = _differ(wanted, source)
    if wanted.provider in _NOT_SAID and source.provider not in _NOT_SAID:
        found.not_derived.append(
            f"its teacher {name!r} is said to be of {source.provider}, which its literals do not "
            "say, and this release does not know"
        )
    if any(named.get(key, value) != value for key, value in (item.asks or {}).items()):
        differ.append("what its calls name it by")
    if differ:
        what = (
            f"its teacher {name!r} is {_told(source)} there, and by its literals {_told(wanted)}: "
            f"{', '.join(differ)} differ"
        )
        found.wrong.append((MANIFEST, what))


def _verifier(name: str, item: InputRef, manifest: Manifest, found: Rederived) -> None:
    """Compare the source that a verifier is with what its literals say, where they can be read."""
    spec = spec_of_verifier(name, manifest)
    if isinstance(spec, str) or item.source is None:
        return
    differ = _differ(spec.source, item.source)
    if differ:
        what = (
            f"its verifier {name!r} is {_told(item.source)} there, and by its literals "
            f"{_told(spec.source)}: {', '.join(differ)} differ"
        )
        found.wrong.append((MANIFEST, what))


def _told(source: Source) -> str:
    return f"{source.title} of {source.provider} ({source.kind}, {source.route})"


def _differ(wanted: Source, other: Source) -> list[str]:
    """Return which facts of a source are not what its literals say."""
    differ: list[str] = [key for key in _STATED if getattr(wanted, key) != getattr(other, key)]
    for key in _LOOKED_UP:
        said: Any = getattr(wanted, key)
        # Nobody looks anything up of data: what its literals leave out, its source does, too.
        is_open = said in _NOT_SAID and wanted.what != "dataset"
        if not is_open and said != getattr(other, key):
            differ.append(key)
    return differ
