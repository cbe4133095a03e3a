"""A case derived again: the log is scanned anew up to the finding, and the bytes are compared."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mashbill.conduct.evidence.building import facts, parameters
from mashbill.conduct.evidence.case import read
from mashbill.conduct.logs.ahead import batches
from mashbill.conduct.logs.reading import open_log
from mashbill.conduct.scan.scanning import Scan
from mashbill.conduct.scan.state import State
from mashbill.core.canonical import digest
from mashbill.core.parsing import json_value

if TYPE_CHECKING:
    from mashbill.conduct.events import Hashes
    from mashbill.conduct.evidence.case import Case
    from mashbill.conduct.logs.gathering import Options
    from mashbill.conduct.scan.tally import Levels
    from mashbill.conduct.scan.ticking import Held
    from mashbill.conduct.scored import Scorer


class _ReachedError(Exception):
    """The moment of the case is behind."""


@dataclass(frozen=True)
class Derived:
    """What came of deriving a case again."""

    problem: str = ""

    @property
    def holds(self) -> bool:
        """Say whether it is the same, byte for byte."""
        return not self.problem


def derive(
    case_file: Path,
    log: Path,
    *,
    hashes: Hashes,
    levels: Levels,
    scorer: Scorer | None,
    options: Options | None = None,
) -> Derived:
    """Derive a case again from its log.

    Args:
        case_file: a case, as a scan wrote it.
        log: that it is about, from its first row on.
        hashes: of the key that the scan had.
        levels: of scores.
        scorer: scores texts, as the scan's did.
        options: how the log is read.

    Raises:
        InputError: if the file is no case, or the log cannot be read.
    """
    case = read(case_file)
    wanted = digest(parameters(levels))
    if case.derive.parameters_digest != wanted:
        return Derived(
            f"the case was made with parameters {case.derive.parameters_digest[:16]}, and this "
            f"version has {wanted[:16]}; derive it with the version that made it"
        )
    if log.name != case.log.name:
        return Derived(f"the case is about a log named {case.log.name}, and not {log.name}")
    with tempfile.TemporaryDirectory(prefix="mashbill-derive-") as folder:
        state = Path(folder) / "state"
        found = _scanned(state, case.id, case.found, log, hashes, levels, scorer, options)
    if found is None:
        return Derived(
            "the log does not give this finding at that moment; it is another log, or another "
            "key, or rows were changed, added or taken away"
        )
    return Derived("" if found == case_file.read_bytes() else _differs(found, case))


def _scanned(
    path: Path,
    name: str,
    moment: int,
    log: Path,
    hashes: Hashes,
    levels: Levels,
    scorer: Scorer | None,
    options: Options | None,
) -> bytes | None:
    def reached(held: Held) -> None:
        if held.found > moment or (held.weighed.name == name and held.found == moment):
            raise _ReachedError

    opened = open_log(log, hashes, options=options, scorer=scorer)
    state = State(path, facts(hashes, levels))
    scan = Scan(state, hashes, levels, log.name, opened.form or "native", reached)
    try:
        scan.take(batches(opened))
        scan.end()
    except _ReachedError:
        pass
    rows = state.database.run(
        "SELECT body FROM cases WHERE id = ? AND found = ? ORDER BY version DESC", (name, moment)
    )
    state.database.close()
    return rows[0][0].encode() if rows else None


def _differs(found: bytes, case: Case) -> str:
    """Return where two cases differ first, by their keys."""
    one, other = json_value(found, "derived again"), case.model_dump(mode="json")
    keys = [name for name in one if one[name] != other[name]]
    return f"derived again, it differs in {', '.join(keys) or 'the way it is written'}"
