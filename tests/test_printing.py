"""Text that others wrote is shown, and never acted on: the one way to print, and its lint."""

import ast
import io
import json
import re
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.panel import Panel
from rich.progress import Progress, TextColumn
from rich.text import Text
from rich.tree import Tree
from tests_laws import law

from mashbill.cli.printing import Terminal, line, stacked, styled, table
from mashbill.core.shown import json_text, paragraph, shown
from mashbill.run.display import Bars, Lines

SRC = Path(__file__).parents[1] / "src" / "mashbill"
PRINTS = SRC / "cli" / "printing.py"
"""the only file that may write to a terminal"""

HOSTILE = [
    "[/foo]", "[bold red]x[/]", "[link=file:///x]y[/link]", ":smiling_face:", "\\[x]", "[",
    "\x1b[31mred", "\x1b]0;title\x07", "\x1b]8;;http://x\x1b\\y\x1b]8;;\x1b\\", "\x9b2J", "\x90q",
    "a\rerror", "a\nholds: all", "\x08\x08\x7f", "\t\v\f\x85\x00", "\u2028\u2029", "\u202egpj.exe",
    "\u2066a\u2069\u200b\u200d\ufeff", "\U000e0041\U000e007f", "\ud800", "\udc9b", "\ufe0f\ufe0e",
    "x\ufe0e\ufe0f\ufe0e", "\U000e0100", "a" + "\u0301" * 50, "{x} {0} %s %(a)s {{ text }}", "=1+1",
    "\u3164\u115f\u2800", "x" * 20_000, "<script>", "\ufffe\uffff\ufffb", "🥃❤\ufe0f 1\ufe0f⃣",
]  # fmt: skip
ANY = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters())).map(str)
SGR = re.compile(r"\x1b\[[0-9;]*m")
laws = law(150)


def hidden(text, layout="\n"):
    """What of a text a terminal would act on, or nobody would see."""
    kinds = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return [c for c in text if unicodedata.category(c) in kinds and c not in layout]


def printed(*things, terminal=True, width=80):
    file = io.StringIO()
    console = Terminal(file=file, width=width, force_terminal=terminal, color_system="standard")
    for thing in things:
        console.print(thing)
    return file.getvalue()


def test_every_character_that_is_not_seen_or_is_acted_on_is_spelt_out():
    every = [chr(n) for n in range(sys.maxunicode + 1)]
    assert hidden("".join(shown("".join(every), None))) == []
    unseen = [(0xE0000, 0xE0FFF), (0xFE00, 0xFE0F), (0x115F, 0x1160), (0x17B4, 0x17B5)]
    for low, high in [*unseen, (0x34F, 0x34F), (0x180B, 0x180F), (0x3164, 0x3164)]:
        for number in range(low, high + 1):
            assert shown(f"x{chr(number)}").isascii()


@laws
@given(ANY)
def test_what_is_shown_is_one_line_that_does_nothing(text):
    told = shown(text)
    assert hidden(told, "") == []
    assert len(told) < 50_000
    assert told == text or not text.isprintable() or len(text) > 4000 or not text.isascii()
    kept = shown(text, None, layout=True)
    assert hidden(kept, "\n\t") == []
    assert kept.count("\n") == text.count("\n")


@pytest.mark.parametrize(
    "text", ["llama-3 [fp8]", "größe 日本語 عربي हिन्दी", "a\\b \\x1b", "🥃 ❤\ufe0f", "é́"]
)
def test_what_is_seen_stays_as_it_is(text):
    assert shown(text) == text


def test_marks_that_pile_up_are_cut_short():
    assert shown("a" + "\u0301" * 4) == "a" + "\u0301" * 4
    assert shown("a" + "\u0301" * 6).endswith("\\u0301\\u0301")


def test_a_line_within_a_paragraph_cannot_pass_for_another_of_ours():
    assert paragraph("x\nerror: y\r\n\x1b[2K") == "x\n  error: y\\r\n  \\x1b[2K"


@laws
@given(
    st.recursive(
        ANY, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY, inner, max_size=3)
    )
)
def test_json_keeps_each_text_and_can_be_printed(value):
    text = json_text(value)
    assert hidden(text) == []
    assert json.loads(text) == json.loads(json.dumps(value))


def test_numbers_that_json_has_not_are_texts():
    def refuse(name):
        raise AssertionError(name)

    value = {"a": [float("nan"), float("inf"), (-float("inf"), 1.5)], "b": "\x9b"}
    found = json.loads(json_text(value), parse_constant=refuse)
    assert found == {"a": ["NaN", "Infinity", ["-Infinity", 1.5]], "b": "\x9b"}


@laws
@given(ANY, ANY)
def test_nothing_that_reaches_the_console_is_acted_on_whatever_it_stands_in(one, two):
    grid = table(one, two, title=one, caption=two)
    grid.add_row(one, styled(two, "red"))
    grid.add_row(stacked([one, two]), Text(one))
    tree = Tree(one)
    tree.add(line((one, "bold"), two)).add(Text(two))
    progress = Progress(TextColumn("{task.description}", markup=False))
    progress.add_task(one)
    out = printed(one, grid, tree, Panel(one, title=Text(two)), progress, Text(two))
    assert hidden(SGR.sub("", out)) == []


@laws
@given(ANY)
def test_a_name_is_printed_whole_whatever_it_looks_like(text):
    text = text[:300]
    grid = table("name")
    grid.add_row(text)
    squeezed = "".join(printed(grid, width=2000).split())
    assert "".join(shown(text).split()) in squeezed
    assert "".join(shown(text).split()) in "".join(printed(text, width=2000).split())


@laws
@given(ANY, ANY)
def test_a_run_s_display_acts_on_no_name_note_or_line(name, note):
    for kind in (Bars, Lines):
        for console in (Terminal, Console):
            file = io.StringIO()
            shows = kind(console(file=file, width=90, force_terminal=kind is Bars))
            with shows:
                shows.tell(note)
                shows.start(name, 3)
                shows.advance(name, 1, 3, note)
                shows.finish(name, 3, 1)
                shows.cached(name + "2", 3)
            out = re.sub(r"\x1b\[\??[0-9;]*[A-Za-z]", "", file.getvalue())
            assert hidden(out, "\n\r") == []


# Who keeps to it

APART = {
    "verifiers/code/answering.py": "inside of the sandbox: a foreign program's own output",
    "models/chat_worker.py": "a program of its own, whose output is its parent's pipe",
    "conduct/text/beside.py": "a program of its own, whose output is its parent's pipe",
    "conduct/logs/ahead.py": "a program of its own, whose output is its parent's pipe",
}


def test_only_one_module_prints():
    """No module but cli/printing.py writes to a terminal, makes a console or reads markup."""
    found = []
    for path in sorted(SRC.rglob("*.py")):
        if path != PRINTS and path.relative_to(SRC).as_posix() not in APART:
            found += [
                f"{path.relative_to(SRC)}:{n}: {what}" for n, what in faults(path.read_text())
            ]
    assert found == []


RICH = {
    "console",
    "markup",
    "text",
    "panel",
    "pretty",
    "traceback",
    "prompt",
    "status",
    "logging",
    "live",
}
"""what of rich would be another way to print, or reads markup"""


def faults(source):
    """Return (line, what) for each way past the one console."""
    tree = ast.parse(source)
    typed = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.unparse(branch.test)
        for node in ast.walk(branch)
    }
    for node in ast.walk(tree):
        where = getattr(node, "lineno", 0)
        if isinstance(node, ast.ImportFrom | ast.Import) and id(node) not in typed:
            module = getattr(node, "module", None) or ""
            names = [alias.name for alias in node.names]
            whole = (
                names if isinstance(node, ast.Import) else [f"{module}.{name}" for name in names]
            )
            for name in whole:
                parts = name.split(".")
                if parts[0] == "rich" and (len(parts) < 2 or parts[1] in {*RICH, "print", "table"}):
                    yield where, f"import of {name}"
                if parts[0] == "sys" and parts[-1] in {"stdout", "stderr"}:
                    yield where, f"import of {name}"
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in {"print", "Console", "pprint"} or called.startswith(
                ("typer.echo", "typer.secho", "click.", "logging.basicConfig", "Text.from_")
            ):
                yield where, f"{called}()"
            if any(
                key.arg in {"markup", "emoji"} and getattr(key.value, "value", 1)
                for key in node.keywords
            ):
                yield where, "markup is read"
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {
            "sys.stdout",
            "sys.stderr",
            "sys.__stdout__",
        }:
            yield where, ast.unparse(node)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            marked = re.search(
                r"\[/?(red|green|yellow|blue|bold|dim|italic|magenta|cyan)\b|\[/\]", node.value
            )
            if marked and "\n" not in node.value:
                yield where, f"markup {marked[0]}"


@pytest.mark.parametrize(
    "bad",
    [
        "print(x)", "import typer\ntyper.echo(x)", "from rich.console import Console",
        "from rich import print", "import rich", "sys.stdout.write(x)",
        "from rich.text import Text",
        "from sys import stderr", "out.print(f'[red]{x}[/]')", "out.print(x, markup=True)",
        "from rich.markup import escape", "from rich.table import Table",
        "from rich.panel import Panel",
    ],
)  # fmt: skip
def test_the_lint_finds_each_way_past(bad):
    assert list(faults(bad))


def test_the_lint_lets_annotations_be():
    assert not list(
        faults("if TYPE_CHECKING:\n    from rich.text import Text\nout.say(('x', 'red'))")
    )
