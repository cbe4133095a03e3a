"""Lines on their way into batches of events, with what was met among them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mashbill.conduct.logs import litellm, native, otel
from mashbill.conduct.logs.lines import LONGEST, NoRowError, object_of
from mashbill.conduct.logs.rows import Columns, Notes
from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from mashbill.conduct.events import Hashes
    from mashbill.conduct.logs.forms import Form
    from mashbill.conduct.scored import Scorer

TOLD = 20
"""refused rows of a batch that are told one by one"""


@dataclass(frozen=True, slots=True)
class Options:
    """How a log is to be read."""

    account_by: str = ""
    """which of the log's fields is the account: of LiteLLM one of :data:`litellm.ACCOUNTS`
    (``auto`` if empty), of OpenTelemetry an attribute (:data:`otel.ACCOUNTS` if empty)"""
    longest_line: int = LONGEST
    """bytes of a line; one that is longer is refused. A collector that puts thousands of spans with
    their messages into a line wants more, or smaller batches"""


@dataclass(frozen=True, slots=True)
class Refused:
    """A line, a span or a row that is none."""

    line: int
    """from 1 on; of Parquet the row"""
    reason: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a log, and what was met among them."""

    events: pa.RecordBatch
    """of :data:`mashbill.conduct.events.SCHEMA`, in the log's order"""
    position: dict[str, Any]
    """from where reading goes on; JSON"""
    refused: tuple[Refused, ...] = ()
    """the first :data:`TOLD` of them"""
    refused_count: int = 0
    passed: int = 0
    """lines or spans that are no rows and need not be: blank, or of other things"""
    unknown: Mapping[str, int] = field(default_factory=Counter)
    """keys that say nothing to us"""
    left_out: Mapping[str, int] = field(default_factory=Counter)
    """keys whose value could not be read, so that their rows go without it"""
    half: int = 0
    """bytes of a last line that does not end, and is no whole row: left for later"""
    told: tuple[str, ...] = ()
    """what else happened: the file was rotated, or cut"""

    @property
    def rows(self) -> int:
        """Events of the batch."""
        return int(self.events.num_rows)


class Gathering:
    """Lines on their way into a batch."""

    def __init__(self, form: Form, hashes: Hashes, options: Options, scorer: Scorer | None) -> None:
        """Gather rows of a form."""
        self._form, self._keyid = form, hashes.keyid
        self._by = options.account_by
        if form == "litellm":
            self._by = self._by or "auto"
            if self._by not in litellm.ACCOUNTS:
                msg = f"account_by is {self._by!r}; of LiteLLM choose {', '.join(litellm.ACCOUNTS)}"
                raise InputError(msg)
        self._longest = options.longest_line
        self._columns = Columns(hashes, scorer)
        self._begin()

    def _begin(self) -> None:
        self._notes = Notes()
        self._refused: list[Refused] = []
        self._refused_count = 0

    def __len__(self) -> int:
        """Return how many rows there are, refused ones too."""
        return len(self._columns) + self._refused_count + self._notes.passed

    @property
    def taken(self) -> int:
        """Rows that were read."""
        return len(self._columns)

    def take(self, line: bytes | None, number: int, offset: int) -> None:
        """Take a line, whatever it is; None is one that is too long."""
        if line is None:
            self.refuse(number, f"has more than {self._longest:,} bytes")
        elif not line or line.isspace():
            self._notes.passed += 1
        else:
            try:
                self.take_object(object_of(line), number, f"line-{number}-{offset}")
            except NoRowError as problem:
                self.refuse(number, str(problem))

    def take_object(self, row: dict[str, Any], number: int, place: str) -> None:
        """Take what a line says.

        Raises:
            NoRowError: if it says no row.
        """
        if self._form == "litellm":
            self._columns.add(litellm.read(row, self._by, self._notes))
        elif self._form == "otel":
            for call in otel.read(row, self._by, self._notes):
                if isinstance(call, NoRowError):
                    self.refuse(number, str(call))
                else:
                    self._columns.add(call)
        else:
            found = native.read(row, place, self._keyid, self._notes)
            if isinstance(found, dict):
                self._columns.add_sketched(found)
            else:
                self._columns.add(found)

    def try_object(self, row: dict[str, Any], number: int, place: str) -> None:
        """Take what a row says, or refuse it."""
        try:
            self.take_object(row, number, place)
        except NoRowError as problem:
            self.refuse(number, str(problem))

    def refuse(self, number: int, reason: str) -> None:
        """Count what is no row."""
        self._refused_count += 1
        if len(self._refused) < TOLD:
            self._refused.append(Refused(number, reason))

    def strange(self, keys: set[str]) -> None:
        """Count keys that are not known."""
        self._notes.strange(keys)

    def batch(
        self, position: dict[str, Any], *, half: int = 0, told: tuple[str, ...] = ()
    ) -> Batch:
        """Return what was gathered, and begin anew."""
        events = self._columns.batch()
        return self.of_events(events, position, half=half, told=told)

    def of_events(
        self, events: pa.RecordBatch, position: dict[str, Any], *, half: int = 0,
        told: tuple[str, ...] = (),
    ) -> Batch:  # fmt: skip
        """Return rows that were made elsewhere, with what was gathered beside them."""
        found = Batch(
            events, position, tuple(self._refused), self._refused_count, self._notes.passed,
            self._notes.unknown, self._notes.left_out, half, told,
        )  # fmt: skip
        self._begin()
        return found
