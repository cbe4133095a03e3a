"""What a stage asks of its teachers and what that costs, at least and at most, before it does.

Calls are bounds: no candidate is asked about more often than its stage may ask. Tokens written are
bounds too. Tokens read are estimated from the texts, since every model counts them in its own way.
At least means that every row can be asked about and no answer has to be asked for again; what falls
out on the way, and what the journal holds, is not bought and comes off.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from mashbill.client.prices import FREE, Price, price_of
from mashbill.core.errors import MissingExtraError
from mashbill.core.plain import counted
from mashbill.core.record import user_columns
from mashbill.core.source import Purpose
from mashbill.teachers.services import batches_of, wire_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mashbill.core.dataset import Dataset
    from mashbill.core.recipe import Recipe

_BYTES_A_TOKEN = (6.0, 3.0)  # at most and at least, of prose and code in vocabularies of 100,000
_OVERHEAD = 100  # tokens at most: a chat's own marks, and what is said when it is asked again
_DATA = frozenset({".jsonl"})
"""what is looked up; prompts, schemas and tools go with each request"""
_PLACES, _AT_EACH = 8, 32  # rows that are looked at to say how long they are
_OWN = frozenset({"localhost", "local", "internal", "lan", "home", "arpa"})
"""last parts of names that lead to no public host"""


@dataclass(frozen=True)
class Amount:
    """Calls, the tokens that they read and write, and US dollars; None where no price is known."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    usd: float | None = 0.0

    def __add__(self, other: Amount) -> Amount:
        usd = None if self.usd is None or other.usd is None else self.usd + other.usd
        return Amount(
            self.calls + other.calls,
            self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out,
            usd,
        )


@dataclass(frozen=True)
class Projection:
    """What is asked, at least and at most; see the module."""

    least: Amount = Amount()
    most: Amount | None = Amount()
    """None where nothing limits it but a cap"""
    unpriced: tuple[str, ...] = ()
    """teachers whose price is not known"""
    lacks: str = ""
    """what is not installed that would know prices"""
    once: Mapping[str, int] = field(default_factory=dict)
    """calls at least, by teacher"""

    def __add__(self, other: Projection) -> Projection:
        return Projection(
            self.least + other.least,
            None if self.most is None or other.most is None else self.most + other.most,
            tuple(dict.fromkeys((*self.unpriced, *other.unpriced))),
            self.lacks or other.lacks,
            dict(Counter(self.once) + Counter(other.once)),
        )

    def as_json(self) -> dict[str, Any]:
        """Return it for the journal, and for programs."""
        return {
            "least": asdict(self.least),
            "most": None if self.most is None else asdict(self.most),
            "unpriced": list(self.unpriced),
        }

    @property
    def calls(self) -> str:
        """The calls in words."""
        least, most = self.least.calls, self.most
        if most is None:
            return f"at least {counted(least, 'call')}, and no limit to how many"
        if most.calls == least:
            return counted(least, "call")
        return f"at least {counted(least, 'call')}, at most {most.calls:,}"

    @property
    def price(self) -> str:
        """The price in words."""
        if self.least.usd is None:
            return f"no price known of {', '.join(self.unpriced)}"
        least = f"${self.least.usd:.4f}"
        if self.most is None or self.most.usd is None:
            return f"about {least} at least"
        most = f"${self.most.usd:.4f}"
        return most if most == least else f"about {least} to {most}"

    def __str__(self) -> str:
        """Say it in a line."""
        tokens = ""
        if self.most is not None:
            tokens = (
                f"; about {self.least.tokens_in:,} to {self.most.tokens_in:,} tokens to read, "
                f"at most {self.most.tokens_out:,} to write"
            )
        return f"{self.calls}, less what the journal holds{tokens}; {self.price}"


def price_for(spec: Any, now: datetime | None = None) -> Price:
    """Return the prices of a teacher behind HTTP: what the recipe says, or what a table does.

    Weights that are served on a network of one's own cost nothing. A server elsewhere may be a
    router that wants money, so its price is not known.
    """
    if spec.usd_per_million_read is not None:
        read, written = spec.usd_per_million_read, spec.usd_per_million_written
        # As the recipe says: no discount of a batch endpoint comes off.
        return Price(
            known=True, table="the recipe", _of=lambda c: (c[0] * read + c[1] * written) / 1e6
        )
    route = spec.source.route
    if route == "in-process" or (route == "weights" and _is_own(spec.base_url)):
        return FREE
    if route == "weights":
        return Price(known=False, table="the recipe", _of=lambda _: 0.0)
    wire = wire_of(spec.wire or spec.service.wire)
    batches = batches_of(wire) if spec.batch else None
    factor = 1.0 if batches is None else 1 - batches.limits.discount
    return price_of(spec.service.prices, spec.model, now or datetime.now(UTC), factor)


def _is_own(base_url: str) -> bool:
    """Return whether an address is this machine, or one of a network that is not public."""
    host = (urlsplit(base_url).hostname or "").rstrip(".")
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.rpartition(".")[2] in _OWN


def project(
    recipe: Recipe,
    stage: str,
    rows: Mapping[str, int],
    data: Mapping[str, Dataset],
    *,
    services_only: bool = False,
    sizes: Mapping[str, Mapping[str, float]] | None = None,
) -> Projection | None:
    """Return what a stage will ask, answers that are in the journal included.

    Args:
        recipe: the recipe.
        stage: its name.
        rows: of each of its inputs.
        data: those inputs that are made already: how long their rows are is seen there.
        services_only: count no teacher that runs here.
        sizes: mean bytes of each column of text of inputs that are not made yet.

    Returns:
        None if it asks nobody.
    """
    spec = recipe.stages[stage]
    asked = {
        use.name: use.purpose is not Purpose.VERIFYING
        for use in reversed(spec.uses())
        if use.is_teacher and (recipe.teachers[use.name].is_remote or not services_only)
    }
    if not asked:
        return None
    asks = spec.asks(rows, data, recipe.folder)
    counted = _Counting(recipe, asked, only_chooses=not spec.asks_to_write)
    asked_by = [*spec.files(), *recipe.files_asked_by(stage)]
    files = [recipe.folder / name for name in asked_by] + list(spec.own_files().values())
    sent = sum(path.stat().st_size for path in files if path.suffix not in _DATA)
    inputs = [use.name for use in spec.uses() if use.role == "rows"]
    known = sizes or {}
    shortest, longest = _row_bytes(spec, [data.get(n) or known.get(n) for n in inputs])
    # Which of several prompts goes with which question is the stage's own affair.
    surely = sent if len(asks.once) == 1 else 0
    least = counted.of(asks.once, asks.least, (surely + shortest) / _BYTES_A_TOKEN[0])
    most = None
    if asks.worst is not None:
        each = None if longest is None else (sent + longest) / _BYTES_A_TOKEN[1] + _OVERHEAD
        most = counted.of(asks.worst, asks.most, each, longest=True)
    once = {name: count * asks.least for name, count in Counter(asks.once).items()}
    return Projection(least, most, tuple(counted.unpriced), counted.lacks, once)


class _Counting:
    """Adds up the calls of a stage's candidates, each teacher at its price."""

    def __init__(self, recipe: Recipe, asked: Mapping[str, bool], *, only_chooses: bool) -> None:
        """Look prices up.

        Args:
            recipe: the recipe.
            asked: teachers that count; False for those who verify, whose answers nobody reads on.
            only_chooses: whether all of them choose among given answers, as those who verify do.
        """
        self._specs: dict[str, Any] = {name: recipe.teachers[name] for name in asked}
        self._is_read = asked
        self._longest = {
            name: _longest_answer(spec, chooses=only_chooses or not asked[name])
            for name, spec in self._specs.items()
        }
        self._prices: dict[str, Price] = {}
        self.lacks = ""
        for name, spec in self._specs.items():
            try:
                if spec.is_remote:
                    self._prices[name] = price_for(spec)
            except MissingExtraError as error:
                self.lacks = str(error)
        self.unpriced = [
            name for name, spec in self._specs.items()
            if not (self._prices[name].known if name in self._prices
                    else not spec.is_remote and spec.price is not None)
        ]  # fmt: skip

    def of(
        self, order: Sequence[str], candidates: int, each: float | None, *, longest: bool = False
    ) -> Amount:
        """Return what candidates come to.

        Args:
            order: who is asked for one of them, in order.
            candidates: how many there are.
            each: tokens of a request without what was answered before; None if it is not known.
            longest: whether answers are as long as they may be, or one token.
        """
        total, before = Amount(), 0
        for name in order:
            if name not in self._specs:
                continue
            spec = self._specs[name]
            written = self._longest[name] if longest else 1
            read = 0 if each is None else round(each) + before
            usd: float | None = None
            if name not in self.unpriced and (each is not None or not spec.is_remote):
                usd = self._prices[name].of(read, written) if spec.is_remote else spec.price
            total += Amount(1, read, written, usd)
            if self._is_read[name]:
                before += written + (_OVERHEAD if longest else 0)
        return Amount(
            total.calls * candidates,
            total.tokens_in * candidates,
            total.tokens_out * candidates,
            None if total.usd is None else total.usd * candidates,
        )


def _longest_answer(spec: Any, *, chooses: bool) -> int:
    """Return the tokens of an answer at most: one where a choice is read off its probabilities."""
    if not spec.is_remote:
        return int(getattr(spec, "max_tokens", 1))
    return 1 if chooses and spec.weighed else int(spec.max_tokens)


def _row_bytes(
    spec: Any, inputs: Iterable[Dataset | Mapping[str, float] | None]
) -> tuple[float, float | None]:
    """Return the bytes of text of a row that are asked about, at least and at most.

    At least it is the column that the stage names, at most all columns of text; where a stage
    takes no more than so many characters of a text, no more. None if nothing says how long it is.
    """
    most = getattr(spec, "most_chars", None) or getattr(spec, "max_chars", None)
    column = getattr(spec, "about", "text")
    shortest, longest = 0.0, 0.0
    for data in inputs:
        if not data or not (isinstance(data, Mapping) or data.num_rows):
            return 0.0, most and most * max(len(getattr(spec, "columns", ())), 1)
        for name, size in (
            {n: min(s, (most or s) * 4) for n, s in data.items()}
            if isinstance(data, Mapping)
            else _column_bytes(data, most)
        ).items():
            longest += size
            shortest += size if name == column else 0.0
    return shortest, longest


def _column_bytes(data: Dataset, most: int | None) -> dict[str, float]:
    """Return the mean bytes of each column of text, seen at a few places of a dataset."""
    starts = {place * data.num_rows // _PLACES for place in range(_PLACES)}
    table = pa.concat_tables(
        data.read(start, min(start + _AT_EACH, data.num_rows), user_columns(data.columns))
        for start in sorted(starts)
    )
    sizes: dict[str, float] = {}
    for name in table.column_names:
        kind = table.schema.field(name).type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            counted = pc.fill_null(pc.binary_length(table.column(name)), 0)
            if most is not None:
                counted = pc.min_element_wise(counted, most * 4)
            sizes[name] = float(pc.mean(counted).as_py() or 0.0)
    return sizes
