"""Showing a run: a line a stage on a terminal, a line when a stage is done elsewhere.

Every kind keeps the run's books about services, and those that show anything show its total.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol, Self

from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from mashbill.core.shown import shown
from mashbill.run.spend import Spend
from mashbill.run.training_line import TrainingLine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rich.console import Console, RenderableType

    from mashbill.teachers.projection import Projection


class Display(Protocol):
    """What a run tells of itself."""

    spend: Spend
    """what services were to cost, and do"""

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(self, *ended: object) -> None:
        """End, however it ended."""
        ...

    def tell(self, line: str) -> None:
        """Tell something in a line."""
        ...

    def ask(self, question: str) -> bool | None:
        """Ask whether to go on; None if nobody is there to say it."""
        ...

    def project(self, name: str, projection: Projection) -> None:
        """Tell what a stage is to ask of services, before it does."""
        ...

    def start(self, name: str, rows: int | None) -> None:
        """Tell that a stage begins, and the rows expected of it."""
        ...

    def advance(self, name: str, done: int, total: int, note: str) -> None:
        """Tell how far a stage is; total is 0 if it is not known."""
        ...

    def measured(self, name: str, step: int, numbers: Mapping[str, float]) -> None:
        """Tell what a trainer logged at a step."""
        ...

    def on_answer(self, name: str, calls: int, tokens: int, price: float) -> None:
        """Tell that a teacher answered: calls, tokens and US dollars more."""
        ...

    def paid(self, name: str, calls: int, tokens: int, price: float) -> None:
        """Tell that it was a service: what caps count, before the display counts it."""
        ...

    def finish(self, name: str, rows: int, rejected: int = 0, reasons: str = "") -> None:
        """Tell that a stage is committed; rows is 0 for a model.

        Reasons are the commonest ones of its rejected rows, in a line.
        """
        ...

    def cached(self, name: str, rows: int) -> None:
        """Tell that a stage was done before."""
        ...


class Quiet:
    """Shows nothing, and keeps the books."""

    def __init__(self) -> None:
        self.spend = Spend()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *ended: object) -> None:
        """End."""

    def tell(self, line: str) -> None:
        """Show nothing."""

    def ask(self, question: str) -> bool | None:
        """Ask nobody."""
        del question
        return None

    def project(self, name: str, projection: Projection) -> None:
        """Keep it, and tell it."""
        self.spend.projected[name] = projection
        self.tell(f"{name}: {projection}")

    def start(self, name: str, rows: int | None) -> None:
        """Show nothing."""

    def advance(self, name: str, done: int, total: int, note: str) -> None:
        """Show nothing."""

    def measured(self, name: str, step: int, numbers: Mapping[str, float]) -> None:
        """Show nothing."""

    def on_answer(self, name: str, calls: int, tokens: int, price: float) -> None:
        """Show nothing."""

    def paid(self, name: str, calls: int, tokens: int, price: float) -> None:
        """Put it into the books."""
        self.spend.paid(name, calls, tokens, price)

    def finish(self, name: str, rows: int, rejected: int = 0, reasons: str = "") -> None:
        """Show nothing."""

    def cached(self, name: str, rows: int) -> None:
        """Show nothing."""


def _print(console: Console, line: str) -> None:
    """Print a line with nothing in it that a terminal, or the console, would act on."""
    console.print(shown(line), highlight=False, soft_wrap=True, markup=False, emoji=False)


RUN = "run so far"
"""what the total of all stages stands under"""


class _Counting(Quiet):
    """Keeps, for the stage that runs, when it began and what its teacher answered."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console
        self.began = 0.0
        self.calls = 0
        self.tokens = 0
        self.price = 0.0
        self.note = ""
        self.training = TrainingLine()

    def start(self, name: str, rows: int | None) -> None:
        """Begin to count."""
        del name, rows
        self.began, self.calls, self.tokens, self.price = time.monotonic(), 0, 0, 0.0
        self.note, self.training = "", TrainingLine()

    def advance(self, name: str, done: int, total: int, note: str) -> None:
        """Keep the note."""
        del name, done, total
        self.note = note or self.note

    def measured(self, name: str, step: int, numbers: Mapping[str, float]) -> None:
        """Keep it for the line."""
        del name
        self.training.see(step, numbers)

    @property
    def told(self) -> str:
        """What the trainer measures, or else its own note."""
        return self.training.told() or self.note

    def on_answer(self, name: str, calls: int, tokens: int, price: float) -> None:
        """Add what was answered."""
        del name
        self.calls, self.tokens, self.price = (
            self.calls + calls,
            self.tokens + tokens,
            self.price + price,
        )

    def cost(self, name: str) -> str:
        """Return tokens and cost of the stage that runs."""
        projection = self.spend.projected.get(name)
        is_priced = projection is None or not projection.unpriced
        usd = f"${self.price:.2f}" if is_priced or self.price else "no price known"
        return f"{self.tokens:,} tokens, {usd}"

    def summary(self, name: str, rows: int, rejected: int, reasons: str = "") -> str:
        """Return rate, tokens and cost of the stage that ran, and why rows were rejected."""
        seconds = max(time.monotonic() - self.began, 1e-9)
        parts = []
        if rows:
            turned_down = f" and {rejected:,} rejected" if rejected and not reasons else ""
            parts.append(f"{rows:,} rows{turned_down}, {rows / seconds:,.0f}/s")
        if self.calls:
            parts.append(f"{self.calls:,} calls, {self.cost(name)}")
        if self.told:
            parts.append(self.told)
        line = ", ".join([*parts, f"{seconds:.1f} s"])
        return f"{line}; {rejected:,} rejected: {reasons}" if rejected and reasons else line


class Lines(_Counting):
    """One line a finished stage, for logs."""

    def tell(self, line: str) -> None:
        """Print the line."""
        _print(self.console, line)

    def finish(self, name: str, rows: int, rejected: int = 0, reasons: str = "") -> None:
        """Print the stage's line, and the run's total behind it once services were to be asked."""
        line = f"{name}: {self.summary(name, rows, rejected, reasons)}"
        if name in self.spend.projected:
            line += f"; {RUN}: {self.spend.running()}"
        _print(self.console, line)

    def cached(self, name: str, rows: int) -> None:
        """Print that nothing was to be done."""
        counted = f", {rows:,} rows" if rows else ""
        _print(self.console, f"{name}: done before{counted}")


class _WithTotal(Progress):
    """Bars, and a line below them, made when it is drawn: answers come faster than that."""

    total: Callable[[], str] = staticmethod(lambda: "")

    def get_renderables(self) -> Iterable[RenderableType]:
        """Yield the bars and the line."""
        yield from super().get_renderables()
        total = self.total()
        if total:
            yield shown(total)


class Bars(_Counting):
    """A line a stage on a terminal, with rows, rate, remaining time, tokens and cost.

    Below them stands the run's total, once services are to be asked.
    """

    def __init__(self, console: Console) -> None:
        """Show on this console."""
        super().__init__(console)
        self._tasks: dict[str, TaskID] = {}
        self._progress = _WithTotal(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description}", justify="left", markup=False),
            BarColumn(bar_width=18),
            TimeElapsedColumn(),
            TextColumn("{task.fields[told]}", markup=False),
            console=console,
        )
        self._progress.total = self._total

    def tell(self, line: str) -> None:
        """Print the line above the bars."""
        _print(self._progress.console, line)

    def ask(self, question: str) -> bool | None:
        """Ask below the bars, which stand still meanwhile; Enter alone means no."""
        if not sys.stdin.isatty():
            return None
        self._progress.stop()
        try:
            said = self.console.input(shown(f"{question} Go on? [y/N] ", None), markup=False)
        except EOFError:
            said = ""
        self._progress.start()
        return said.strip().lower() in {"y", "yes"}

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._progress.start()
        return self

    def __exit__(self, *ended: object) -> None:
        """Stop drawing."""
        self._progress.stop()

    def start(self, name: str, rows: int | None) -> None:
        """Open the stage's line."""
        super().start(name, rows)
        self._tasks[name] = self._progress.add_task(shown(name), total=rows or None, told="")

    def advance(self, name: str, done: int, total: int, note: str) -> None:
        """Move the bar."""
        super().advance(name, done, total, note)
        if self._expected(name):
            return  # calls move it, which come all the time; rows come a shard at once
        task = self._tasks[name]
        self._progress.update(task, completed=done, total=total or None)
        self._tell(name, done, total)

    def on_answer(self, name: str, calls: int, tokens: int, price: float) -> None:
        """Count; between shards the calls move the bar."""
        super().on_answer(name, calls, tokens, price)
        task, expected = self._progress.tasks[self._tasks[name]], self._expected(name)
        if expected:
            done = min(self.calls, expected)
            self._progress.update(self._tasks[name], completed=done, total=expected)
        elif task.total and self.calls > task.completed:
            self._progress.update(self._tasks[name], completed=min(self.calls, task.total))
        self._tell(name, self.calls, expected or int(task.total or 0))

    def _expected(self, name: str) -> int:
        """Return the calls that a stage makes at least, where services are asked; else 0."""
        projection = self.spend.projected.get(name)
        return projection.least.calls if projection is not None else 0

    def _total(self) -> str:
        return f"{RUN}: {self.spend.running()}" if self.spend.projected else ""

    def _tell(self, name: str, done: int, total: int) -> None:
        seconds = max(time.monotonic() - self.began, 1e-9)
        rate, left = done / seconds, None
        if self.training.is_there:  # a run that was resumed did not do all of it in this time
            rate, left = self.training.steps_a_second or 0.0, self.training.left(done, total)
        elif total and done:
            left = max(total - done, 0) / rate
        parts = [f"{done:,}/{total:,}" if total else f"{done:,}"]
        parts += [f"{rate:,.0f}/s" if rate >= 10 or not rate else f"{rate:.2g}/s"]
        if left is not None:
            parts.append(f"{left:,.0f} s left")
        if self.calls:
            parts.append(self.cost(name))
        if self.told:
            parts.append(self.told)
        self._progress.update(self._tasks[name], told=shown(", ".join(parts)))

    def finish(self, name: str, rows: int, rejected: int = 0, reasons: str = "") -> None:
        """Close the stage's line; why rows were rejected is too long for it, and stands above."""
        told = self.summary(name, rows, rejected)
        if rejected and reasons:
            self.tell(f"{name}: {rejected:,} rejected: {reasons}")
        self._progress.update(self._tasks[name], completed=1, total=1, told=shown(told))

    def cached(self, name: str, rows: int) -> None:
        """Show a closed line."""
        told = f"done before{f', {rows:,} rows' if rows else ''}"
        self._progress.add_task(shown(name), total=1, completed=1, told=told)


def display_for(console: Console) -> Display:
    """Return bars on a terminal, lines elsewhere."""
    return Bars(console) if console.is_terminal else Lines(console)
