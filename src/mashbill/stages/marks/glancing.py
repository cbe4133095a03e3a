"""A look at what speaks against a declared origin before anything runs: at the first rows alone.

A run looks at all rows, and at texts of a store of any size. What is seen here is seen there, too.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from mashbill.core.errors import MashbillError
from mashbill.core.store import CALLS
from mashbill.files.listing import fetch_all, is_elsewhere
from mashbill.files.rows.folders import in_order
from mashbill.stages.corpus import CorpusSpec
from mashbill.stages.marks.answers import Answers
from mashbill.stages.marks.index import held
from mashbill.stages.marks.looking import Looking
from mashbill.stages.reading import ReadsFiles

if TYPE_CHECKING:
    from pathlib import Path

    from mashbill.core.marks import Contradiction
    from mashbill.core.stage import StageSpec
    from mashbill.core.store import Store
    from mashbill.lineage.circuit.nodes import NodeTable
    from mashbill.stages.marks.index import Held

_ROWS, _BYTES = 20_000, 32 << 20
"""of a set that are looked at; of an archive, whose list is read"""
MOST_HELD, _JOURNAL = 200_000, 64 << 20
"""rows of a store that are hashed now, and bytes of a journal that are read"""


def glanced(
    spec: StageSpec, folder: Path, table: NodeTable, store: Store | None, cache: Path
) -> Contradiction | None:
    """Return what a look at a first stage's files says against the origin declared of them.

    Args:
        spec: the stage.
        folder: that of the recipe.
        table: nodes that the stage would make.
        store: where it would be made, if there is one.
        cache: where hashes of texts are kept.
    """
    if not isinstance(spec, ReadsFiles):
        return None
    texts: list[Held] = []
    answers = None
    if store is not None:
        texts, _ = held(store, cache, MOST_HELD)
        journal = store.root / CALLS
        if journal.exists() and journal.stat().st_size <= _JOURNAL:
            answers = Answers.of(store)
    looking = Looking(spec, texts, answers)
    if not is_elsewhere(spec.source):
        # What cannot be read ends a run, with its reason; a plan has told it by its own look.
        with suppress(MashbillError, OSError):
            _look(spec, folder, looking)
    leaves = [name for name, body in table.bodies.items() if body["type"] == "source"]
    return looking.contradiction(table, sorted(leaves), is_made=False)


def _look(spec: ReadsFiles, folder: Path, looking: Looking) -> None:
    files = in_order(fetch_all(spec.source, spec.sha256, folder, folder, spec.chosen))
    spec.show_files(files, looking, folder)
    if getattr(spec, "members", None):
        # Rows of an archive are not unpacked for a plan; what lies beside them is read at once.
        if isinstance(spec, CorpusSpec) and sum(f.path.stat().st_size for f in files) <= _BYTES:
            spec.show_members(files, looking)
        return
    rows = size = 0
    for file in files:
        for chunk in spec.chunks_of(file, files):
            looking.see(chunk.columns, chunk.rows)
            rows += chunk.rows
            size += sum(cells.array.nbytes for cells in chunk.columns.values())
            if rows >= _ROWS or size >= _BYTES:
                return
