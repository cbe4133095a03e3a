"""Asking a model that a stage trained again, for an audit that derives and does not believe.

Its weights are in the store, and the journal has what it was asked and how it wrote: so its answers
follow from what is there, as those of no other teacher do. Another machine's sums have other last
bits, after which a text may go on otherwise; this happens to one answer in thousands. So a few that
differ are told, and only many are a finding.
"""

from __future__ import annotations

import json
import random
import tempfile
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mashbill.calls.journal import Journal
from mashbill.calls.written import WrittenQuestion
from mashbill.core import registry
from mashbill.core.artifact import ArtifactRef
from mashbill.core.errors import StoreError
from mashbill.core.plain import counted
from mashbill.core.record import CALL
from mashbill.core.store import MANIFEST
from mashbill.core.students import STUDENT
from mashbill.core.tables import read_parquet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mashbill.calls.asked_here import Call
    from mashbill.core.artifact import InputRef, Manifest
    from mashbill.core.store import Store
    from mashbill.core.teacher import Answer
    from mashbill.lineage.evidence.finding import Rederived

_LOOKED_AT = 4_096  # calls of an artifact among which those of a model are looked for
_MOST = 256  # answers of a model to one artifact that are asked for again
_MANY = 0.1  # share of them that differ from which on it is no matter of last bits
_TOLERANCE = 1e-3
"""of a log-probability"""
_OF_THE_MODEL = frozenset({"kind", "model", "sha256", "engine_version"})
"""what in a student's identity is no key of how it writes"""


def ask_again(
    manifest: Manifest, store: Store, found: Rederived, *, share: float, seed: int, threads: int
) -> None:
    """Ask the models that an artifact's rows rest on what they were asked, and compare.

    Args:
        manifest: of the artifact.
        store: where it lies, with its journal and the models.
        found: gets what differs, or was not asked again.
        share: of the answers, 1 for all of at most 256.
        seed: of the drawing.
        threads: for the models.
    """
    students = [item for item in manifest.inputs if item.is_artifact and item.asks is not None]
    journal = Journal.of(store) if students else None
    if journal is None:
        return
    try:
        calls = sorted(_calls(manifest, store))
        draw = random.Random(f"{seed} {manifest.digest}")  # noqa: S311 - a sample
        draw.shuffle(calls)
        for item in dict.fromkeys(item.name for item in students):
            (student, *_) = (each for each in students if each.name == item)
            try:
                _ask(student, calls, journal, store, found, share, threads)
            except Exception as error:  # noqa: BLE001 - whatever strange rows raise is told
                found.not_derived.append(f"{item} could not be asked again: {error!s:.200}")
    finally:
        journal.close()


def _calls(manifest: Manifest, store: Store) -> set[str]:
    calls: set[str] = set()
    for shard in manifest.shards:
        path = store.folder(manifest.kind, manifest.ref) / shard.file
        rows = read_parquet(path, path)
        if CALL in rows.column_names:
            calls |= {call.hex() for call in rows.column(CALL).to_pylist() if call}
    return calls


def _of_model(item: InputRef, calls: Iterable[str], journal: Journal) -> Iterator[Call]:
    """Yield the calls that a model answered, of the first few thousand."""
    for digest in islice(calls, _LOOKED_AT):
        call = journal.here.call(digest)
        of: Any = call.teacher if call is not None else None
        if call is not None and isinstance(of, dict) and of.get("sha256") == item.digest:
            yield call


def _ask(
    item: InputRef,
    calls: Iterable[str],
    journal: Journal,
    store: Store,
    found: Rederived,
    share: float,
    threads: int,
) -> None:
    """Ask one model again, by each way in which it was had write."""
    model = store.get(ArtifactRef.parse(item.name))
    if model is None or model.digest != item.digest:
        return  # found already
    kind = str(model.stage.get("kind"))
    if registry.is_plugin(kind, registry.TRAINERS):
        msg = f"its kind {kind!r} is a plugin's, whose code is not run here"
        raise StoreError(msg)
    asked: dict[str, list[Call]] = {}
    for call in islice(_of_model(item, calls, journal), _MOST):
        asked.setdefault(json.dumps(call.teacher, sort_keys=True), []).append(call)
    differ = compared = 0
    first = ""
    for identity, some in asked.items():
        part = some[: max(round(len(some) * share), 1)]
        compared += len(part)
        answers = _answers(json.loads(identity), model, store, part, threads)
        for call, answer in zip(part, answers, strict=True):
            if _differs(call, answer):
                differ += 1
                first = first or call.request[:16]
    if not differ:
        return
    what = (
        f"{differ:,} of {counted(compared, 'answer')} of {item.name} come out otherwise where it "
        f"is asked again, the first of them that to call {first}"
    )
    if differ > _MANY * compared:
        found.wrong.append((MANIFEST, what))
    else:
        found.not_derived.append(f"{what}; as far as that goes it may be another machine's sums")


def _answers(
    identity: Mapping[str, Any],
    model: Manifest,
    store: Store,
    calls: Sequence[Call],
    threads: int,
) -> list[Answer]:
    keys = {key: value for key, value in identity.items() if key not in _OF_THE_MODEL}
    spec = registry.find(STUDENT, registry.TEACHERS).model_validate({**keys, "model": model.name})
    folder = store.folder(model.kind, model.ref)
    questions = [
        WrittenQuestion(
            call.prefix,
            call.body,
            call.choices,
            **(json.loads(call.more).get("asked", {}) if call.more else {}),
        ).read()
        for call in calls
    ]
    answers: list[Answer] = []
    with tempfile.TemporaryDirectory() as scratch:  # what an engine converts a model into
        student: Any = spec.as_made(model, folder).load(folder, Path(scratch), threads)
        for start in range(0, len(questions), student.batch):
            answers += student.answer(questions[start : start + student.batch])
    return answers


def _differs(call: Call, answer: Answer) -> bool:
    if call.choices:
        pairs = zip(call.logprobs, answer.logprobs, strict=True)
        return any(abs(one - other) > _TOLERANCE for one, other in pairs)
    return call.text != answer.text
