"""The one way to a terminal: nothing that others wrote is acted on, or taken for markup.

Every text is shown by :func:`mashbill.core.shown.shown`; styles are given beside a text and never
within it. ``tests/test_printing.py`` holds the whole package to this module.

``out.say("Unknown: ", item)`` prints a line, ``out.print(table(...))`` a table, ``(text, "red")``
is a text with a style, and ``out.json(value)`` and ``out.emit(text)`` are for a program. What a
terminal would act on, or nobody would see, is spelt out as an escape, line breaks too.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
import warnings
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from mashbill.core.shown import json_text, paragraph, shown

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from rich.console import ConsoleOptions, RenderableType

WIDTH = 80
"""columns that everybody's terminal has"""
Part = str | tuple[str, str] | Text
"""a text, a text with its style, or what :func:`styled` and :func:`stacked` make"""


class Terminal(Console):
    """A console on which a text is only ever a text, in tables, trees and bars too."""

    def render_str(self, text: str, **asked: Any) -> Text:
        """Return a text as it may be printed; markup, emoji codes and highlighting do not exist."""
        keys = ("style", "justify", "overflow")
        return Text(shown(text), **{key: asked[key] for key in keys if key in asked})

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield the parts of what is drawn: what came past :meth:`render_str` is looked at here."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(shown(segment.text, None, layout=True), segment.style)

    def say(self, *parts: Part) -> None:
        """Print a line of these parts, which is not wrapped."""
        self.print(line(*parts), soft_wrap=True)

    def fit(self, *parts: Part, indent: int = 2) -> None:
        """Print parts in lines of at most :data:`WIDTH` columns, or as many as there are.

        Args:
            parts: what is printed.
            indent: columns that all lines but the first begin with.
        """
        width = min(self.width, WIDTH)
        for number, each in enumerate(line(*parts).wrap(self, width - indent)):
            each.rstrip()
            self.print(Text(" " * indent if number else "").append_text(each), soft_wrap=True)

    def emit(self, text: str) -> None:
        """Write a text for a program, or a file's, as it is: no width, no style."""
        self.file.write(shown(text, None, layout=True))
        self.file.flush()

    def json(self, value: Any) -> None:
        """Print a value for a program."""
        text = json_text(value)
        if self.is_terminal:
            # Console.print_json reads the text and writes it anew, with all that is escaped here.
            self.print(JSONHighlighter()(Text(text)), soft_wrap=True)
        else:
            self.file.write(text + "\n")  # to colour megabytes for a program would take seconds
            self.file.flush()


def line(*parts: Part) -> Text:
    """Return parts as one line."""
    made = Text()
    for part in parts:
        if isinstance(part, tuple):
            made.append(shown(part[0]), part[1])
        elif isinstance(part, Text):
            made.append_text(part)
        else:
            made.append(shown(part))
    return made


def styled(text: object, style: str) -> Text:
    """Return a text in a style of rich."""
    return Text(shown(text), style)


def stacked(lines: Iterable[str | Text]) -> Text:
    """Return lines one below the other, for a cell or a branch."""
    return Text("\n").join([line(each) for each in lines])


def table(*columns: str, title: str | None = None, caption: str | None = None) -> Table:
    """Return an empty table whose texts are folded and never cut off."""
    made = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


out = Terminal(width=None if sys.stdout.isatty() else 150)
err = Terminal(stderr=True)


def tell_error(what: str, error: object) -> None:
    """Print an error on standard error, in plain words."""
    err.say((f"{what}:", "red"), " ", Text(paragraph(error)))


class _Shown(logging.Handler):
    """Prints what libraries log."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            err.say(f"{record.name}: ", Text(paragraph(record.getMessage())))
        except Exception:  # noqa: BLE001 - as logging does: a log that fails ends nothing
            self.handleError(record)


def take_over() -> None:
    """Bring what others print past these consoles to them: warnings, logs, tracebacks of bugs."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what the terminal's encoding has not, is spelt out
            stream.reconfigure(errors="backslashreplace")
    warnings.showwarning = _warn
    logging.lastResort = _Shown(logging.WARNING)
    sys.excepthook = _tell_bug
    threading.excepthook = _tell_of_thread


def _warn(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    err.say(("warning:", "yellow"), " ", Text(paragraph(message)), f" ({category.__name__})")


def _tell_of_thread(told: threading.ExceptHookArgs) -> None:
    if told.exc_type is not SystemExit and told.exc_value is not None:  # as threading itself does
        _tell_bug(told.exc_type, told.exc_value, told.exc_traceback)


def _tell_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    told = "".join(traceback.format_exception(kind, error, trace))
    sys.stderr.write(shown(told, None, layout=True))
