"""The file of a case: one finding with all that it rests on, as canonical JSON (RFC 8785).

A case is what a person decides by. It says who is meant, which rule was broken, what was compared
with what, how strong that is, and which command derives it again. Readers are the page
(:mod:`mashbill.report.conduct_case`), what an account is told
(:mod:`mashbill.conduct.evidence.explaining`), and whoever checks it.

Units: moments are whole microseconds since 1970 (UTC), as in a log's ``time``. Strengths are
e-values as decimal logarithms: under honest traffic an e-value is 1 on average at most, so that one
of 10**x or more has a chance of 10**-x at most (Markov), at any time, if it was made for that
(Ramdas, Grünwald, Vovk, Shafer, Statistical Science 2023).

Accounts are 32 hexadecimal digits and rows 16, both keyed hashes (:mod:`mashbill.conduct.events`).
A prompt's text stands nowhere but in ``samples``.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mashbill.conduct.scan.engine import Kind  # pydantic reads it at run time
from mashbill.core.canonical import canonical
from mashbill.core.errors import InputError
from mashbill.core.parsing import check_regular, json_object
from mashbill.core.store import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

BYTES = 64 << 20
"""largest case that is read: 25,000 accounts with all that is listed of them have a tenth of it"""
ROWS = 200
"""rows that one piece of evidence lists; ``rows_in_all`` says how many there are"""
ACCOUNTS = 100_000
NODES, LINKS = 2_000, 20_000
"""of a graph; what is left out is counted"""
LINES, BINS, MARKS = 2_000, 2_000, 20_000
"""of a timeline"""
SAMPLES, LETTERS = 200, 20_000
"""sample rows, and characters of one"""

_LATEST = 1 << 53

Signal = Literal[
    "handover",
    "succession",
    "inheritance",
    "partition",
    "sharing",
    "timing",
    "evenness",
    "linkage",
    "replay",
    "wording",
]
Why = Literal[
    "payment",
    "address",
    "network",
    "agent",
    "signup",
    "template",
    "handover",
    "succession",
    "replay",
]
What = Literal["429", "ban", "signup", "release", "found"]

Account = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Row = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]
Moment = Annotated[int, Field(ge=0, lt=_LATEST, strict=True)]
Count = Annotated[int, Field(ge=0, lt=_LATEST, strict=True)]
Binned = Annotated[int, Field(ge=0, lt=1 << 40, strict=True)]
"""of a timeline's table, whose sum has 64 bits"""
Number = Annotated[float, Field(allow_inf_nan=False, strict=True)]
Strength = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False, strict=True)]
"""decimal logarithm of an e-value"""
Name = Annotated[str, Field(max_length=400)]
Sentence = Annotated[str, Field(min_length=1, max_length=4_000)]
Value = (
    Annotated[bool, Field(strict=True)]
    | Count
    | Number
    | Annotated[str, Field(max_length=4_000)]
    | None
)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Subject(_Part):
    """Who is meant."""

    kind: Literal["account", "cluster"]
    accounts: tuple[Account, ...] = Field(min_length=1, max_length=ACCOUNTS)
    shown: tuple[Name, ...] = Field(max_length=ACCOUNTS)
    """what each is called on a page, such as "account 3f2a91": one an account, in their order"""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if len(self.shown) != len(self.accounts):
            msg = f"{len(self.accounts)} accounts have {len(self.shown)} names in 'shown'"
            raise ValueError(msg)
        if len(set(self.accounts)) < len(self.accounts):
            msg = "an account is there twice"
            raise ValueError(msg)
        if self.kind == "account" and len(self.accounts) != 1:
            msg = f"kind 'account' is for one account, and there are {len(self.accounts)}"
            raise ValueError(msg)
        return self


class Log(_Part):
    """What was read."""

    name: Name
    form: Name
    rows: Count
    first: Moment
    last: Moment
    digest: Hash


class Evidence(_Part):
    """One comparison with honest traffic, and how it came out."""

    signal: Signal
    statistic: dict[Name, Number] = Field(max_length=64)
    null: Sentence
    """what honest traffic was compared with, in plain words"""
    log10_e: Strength
    limit: Strength | None = None
    """what ``log10_e`` is counted as at most"""
    plain: Sentence
    rows: tuple[Row, ...] = Field(max_length=ROWS)
    rows_in_all: Count
    parameters: dict[Name, Value | tuple[Value, ...]] = Field(max_length=64)

    @model_validator(mode="after")
    def _counts_its_rows(self) -> Self:
        if self.rows_in_all < len(self.rows):
            msg = f"rows_in_all is {self.rows_in_all}, and {len(self.rows)} are listed"
            raise ValueError(msg)
        return self


class Discovery(_Part):
    """How many were tested, and at which rate of false discoveries this one stands."""

    tested: Count
    alpha: Number = Field(gt=0, lt=1)
    rank: int = Field(ge=1, lt=_LATEST, strict=True)
    method: Name


class Context(_Part):
    """What is shown beside a finding and never counts for it."""

    what: Literal["volume", "narrowness", "templates", "release", "client", "address"]
    plain: Sentence


class Node(_Part):
    """An account in the graph."""

    account: Account
    exchanges: Count
    role: Literal["member", "outside"]


class Link(_Part):
    """What two accounts have in common, or who followed whom.

    Where many accounts share one value, links need not be all pairs: those that hold them together
    (a chain, a star) are enough, with the value's hash in ``value``. Of ``handover``,
    ``succession`` and ``replay`` (sealed reasoning of ``a`` that ``b`` presents), ``a`` came first.
    """

    a: Account
    b: Account
    why: Why
    strength: Number
    value: Hash | None = None


class Graph(_Part):
    """Who acts as one with whom, and why."""

    nodes: tuple[Node, ...] = Field(max_length=NODES)
    links: tuple[Link, ...] = Field(max_length=LINKS)
    left_out: Count

    @model_validator(mode="after")
    def _ends_are_nodes(self) -> Self:
        there = {node.account for node in self.nodes}
        if len(there) < len(self.nodes):
            msg = "an account is a node twice"
            raise ValueError(msg)
        for place, link in enumerate(self.links):
            if link.a == link.b or link.a not in there or link.b not in there:
                msg = f"links.{place} must join two of the nodes"
                raise ValueError(msg)
        return self


class Line(_Part):
    """Exchanges of an account, a bin each."""

    account: Account
    counts: tuple[Binned, ...] = Field(max_length=BINS)


class Mark(_Part):
    """Something that happened, to one account or (None) to all."""

    time: Moment
    what: What
    account: Account | None


class Timeline(_Part):
    """When who asked."""

    start: Moment
    bin_seconds: int = Field(ge=1, le=31_622_400, strict=True)
    rows: tuple[Line, ...] = Field(max_length=LINES)
    left_out: Count
    marks: tuple[Mark, ...] = Field(max_length=MARKS)

    @model_validator(mode="after")
    def _is_a_table(self) -> Self:
        if len({len(row.counts) for row in self.rows}) > 1:
            msg = "its rows have different numbers of counts"
            raise ValueError(msg)
        return self


class Grown(_Part):
    """The four statistics at one moment, as decimal logarithms of e-values."""

    time: Moment
    J: Strength
    X: Strength
    I: Strength  # noqa: E741 - the finding's letter
    L: Strength


class Sample(_Part):
    """A row, with its text where the log had it."""

    row: Row
    time: Moment
    account: Account
    text: Annotated[str, Field(max_length=LETTERS)] | None
    jailbreak: Strength | None
    extraction: Strength | None


class Thresholds(_Part):
    """From which strength on a case is in which tier."""

    note: Strength
    review: Strength
    act: Strength


class Declared(_Part):
    """Signed statements of runs that the accounts sent."""

    statements: Count
    plain: Sentence


class Derive(_Part):
    """What makes the same file again, byte for byte."""

    command: Sentence
    parameters_digest: Hash


class Case(_Part):
    """A finding, and all that it rests on."""

    type: Literal["urn:mashbill:conduct-case:v1"] = "urn:mashbill:conduct-case:v1"
    id: Row
    finding: Kind
    tier: Literal["note", "review", "act"]
    subject: Subject
    log: Log
    found: Moment
    """when, on the log's clock, it first reached its tier"""
    first: Moment
    last: Moment
    exchanges: Count
    exchanges_before: Count | None = None
    """of them, those until ``found``; all of them where the case was made at that moment"""
    evidence: tuple[Evidence, ...] = Field(min_length=1, max_length=64)
    log10_e: Strength
    threshold: Strength
    """that ``log10_e`` had to reach for its tier"""
    thresholds: Thresholds | None = None
    """of all three tiers"""
    discovery: Discovery | None
    context: tuple[Context, ...] = Field(max_length=64)
    graph: Graph
    timeline: Timeline
    growth: tuple[Grown, ...] = Field(max_length=20_000)
    samples: tuple[Sample, ...] = Field(max_length=SAMPLES)
    clears: tuple[Sentence, ...] = Field(max_length=64)
    declared: Declared | None
    derive: Derive

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        if self.first > self.last:
            msg = "'first' is later than 'last'"
            raise ValueError(msg)
        if self.exchanges_before is not None and self.exchanges_before > self.exchanges:
            msg = f"exchanges_before is {self.exchanges_before}, of {self.exchanges} in all"
            raise ValueError(msg)
        times = [one.time for one in self.growth]
        if times != sorted(times):
            msg = "'growth' is not in the order of time"
            raise ValueError(msg)
        return self

    def written(self) -> bytes:
        """Return the case's bytes, which its digest and a signature are of.

        Raises:
            CanonicalError: if a text in it has no encoding, such as half of a surrogate pair.
        """
        return canonical(self.model_dump(mode="json")) + b"\n"

    def write(self, path: Path) -> Path:
        """Write the case, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, self.written())
        return path

    @cached_property
    def names(self) -> dict[str, str]:
        """Return what each account of the finding is called on a page."""
        return dict(zip(self.subject.accounts, self.subject.shown, strict=True))

    def name_of(self, account: str) -> str:
        """Return what an account is called on a page, one outside of the finding too."""
        return self.names.get(account) or f"account {account[:6]}"


def read(path: Path) -> Case:
    """Return the case of a file.

    Raises:
        InputError: if it is no case; names the file and the key.
    """
    check_regular(path, error=InputError)
    return case_of(json_object(path, what="a case", most=BYTES), path)


def case_of(value: object, shown: object) -> Case:
    """Return the case of a JSON value.

    Args:
        value: it, as JSON was read.
        shown: the file, for the message.

    Raises:
        InputError: if it is no case; names the key.
    """
    try:
        return Case.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:200] or "the whole"
        why = first["msg"].removeprefix("Value error, ")
        msg = (
            f"{shown}: not a case: {where}: {why[:300]}; a case is what `mashbill conduct scan` "
            "wrote, unchanged: derive it again"
        )
        raise InputError(msg) from error
