"""Prompts as files: sandboxed Jinja, one file a chat, its digest part of a stage's identity.

A file may have two blocks, ``system`` and ``user``; a file without blocks is the user's turn. Its
variables are columns of the input, and what the stage adds; ``row`` holds the columns by their
names, for those whose names are none of Jinja's. A stage without a file of its own uses the one
that is shipped; its bytes are identity all the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from jinja2 import meta, nodes

from mashbill.core.cells import is_missing
from mashbill.core.errors import InputError, RecipeError
from mashbill.core.parsing import read_text
from mashbill.prompts.bounds import Sandbox, begin, joined
from mashbill.prompts.nested import ROW, Row, spelled

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

_MOST = 1 << 20  # bytes of a prompt: a million characters may be sent
_JINJA = Sandbox()
_BLOCKS = frozenset({"system", "user"})


def shipped_prompt(name: str) -> Path:
    """Return the file of a prompt that comes with the package."""
    return Path(str(resources.files("mashbill.prompts") / "shipped" / f"{name}.jinja"))


@dataclass(frozen=True)
class Rendered:
    """What a prompt came to for one row."""

    system: str
    user: str

    @property
    def whole(self) -> str:
        """Both, as one text."""
        return f"{self.system}\n\n{self.user}" if self.system else self.user


class Prompt:
    """A prompt file, read and checked."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            RecipeError: naming file and line, if it is no Jinja template, or has another block.
        """
        self.path = path
        try:
            self.text = read_text(path, most=_MOST, error=RecipeError)
            parsed = _JINJA.parse(self.text)
            self._template = _JINJA.from_string(self.text)
        except jinja2.TemplateSyntaxError as error:
            msg = (
                f"{path}, line {error.lineno}: not a Jinja template: {error.message} (a column "
                'whose name has a space or begins with a digit is {{ row["my column"] }})'
            )
            raise RecipeError(msg) from error
        except RecipeError:
            raise
        except (SyntaxError, RecursionError) as error:
            msg = f"{path}: its blocks and loops are nested too deeply: {error}"
            raise RecipeError(msg) from error
        except Exception as error:
            msg = f"{path}: not a Jinja template that can be read: {error!r:.300}"
            raise RecipeError(msg) from error
        self._parsed = parsed
        self.variables = frozenset(meta.find_undeclared_variables(parsed))
        self._looked_up = _looked_up(parsed) if ROW in self.variables else frozenset()
        blocks = set(self._template.blocks)
        if blocks - _BLOCKS or (blocks and "user" not in blocks):
            msg = f"{path}: has blocks {sorted(blocks)}; a prompt has 'user', and may have 'system'"
            raise RecipeError(msg)

    def in_one(self, told: Rendered, names: Collection[str]) -> tuple[str, str]:
        """Return what it came to as one text, for teachers that weigh how it goes on.

        Such a teacher has no turns, and computes once what all its questions begin with: the system
        text, and the user's up to the first value.

        Args:
            told: what it came to.
            names: its variables.

        Returns:
            what all texts of it begin with, without the space before a value, and the rest.
        """
        text = told.whole
        head = self._head(tuple(sorted(names)))
        return (head, text[len(head) :]) if text.startswith(head) else ("", text)

    @lru_cache(maxsize=8)  # noqa: B019 - as many as one prompt has sets of variables: one
    def _head(self, names: tuple[str, ...]) -> str:
        one, two = (
            self.render(dict.fromkeys(names, word), "no row", dict.fromkeys(names, word)).whole
            for word in ("0", "1")
        )
        pairs = enumerate(zip(one, two, strict=False))
        same = next((at for at, (a, b) in pairs if a != b), min(len(one), len(two)))
        return one[:same].rstrip(" ")

    def count(self, name: str) -> int:
        """Return how many times a variable is written out."""
        written = (node for output in self._parsed.find_all(nodes.Output) for node in output.nodes)
        return sum(
            found.name == name
            for node in written
            for found in ([node] if isinstance(node, nodes.Name) else node.find_all(nodes.Name))
        )

    def reads(self, columns: Collection[str]) -> frozenset[str]:
        """Return which of a row's columns it looks at, or may look at.

        Args:
            columns: all of them.
        """
        named = self.variables.intersection(columns)
        if ROW not in self.variables or ROW in columns:
            return named
        looked_up = columns if self._looked_up is None else {name for name, _ in self._looked_up}
        return named | set(columns).intersection(looked_up)

    def check_row(self, known: Collection[str], of: str) -> None:
        """Check that there are the columns that it needs by ``row["NAME"]``.

        Args:
            known: the columns.
            of: whose they are, for errors.

        Raises:
            RecipeError: naming the column; one for which it has a default need not be there.
        """
        lacking = sorted({name for name, needed in self._looked_up or () if needed} - set(known))
        if lacking and ROW not in known:
            msg = (
                f"{self.path}: the column {lacking[0]!r}, by {ROW}[...], is not there; {of} has "
                f"{', '.join(map(repr, known))}"
            )
            raise RecipeError(msg)

    def check(self, known: Collection[str]) -> None:
        """Check that its variables are among those there will be.

        Raises:
            RecipeError: naming the variable.
        """
        for name in sorted(self.variables - set(known)):
            msg = (
                f"{self.path}: {{{{ {name} }}}} is not there; there are {', '.join(sorted(known))}"
            )
            raise RecipeError(msg)

    def render(
        self, values: Mapping[str, Any], where: str, row: Mapping[str, Any] | None = None
    ) -> Rendered:
        """Fill it for one row; a column that is null or NaN is empty text.

        Args:
            values: the row's columns, and what the stage adds.
            where: the row, for errors.
            row: the columns alone, for ``row``; a column of that name goes before it.

        Raises:
            InputError: naming file, row and variable.
        """
        begin()
        there = {name: "" if is_missing(value) else value for name, value in values.items()}
        if row is not None:
            columns = {name: "" if is_missing(value) else value for name, value in row.items()}
            there.setdefault(ROW, Row(columns))
        try:
            context = self._template.new_context(there)
            if not self._template.blocks:
                return Rendered("", joined(self._template.root_render_func(context)))
            said = {name: joined(block(context)) for name, block in self._template.blocks.items()}
        except Exception as error:
            have = ", ".join(map(spelled, sorted(values)))
            if ROW in values and ROW in self.variables:
                have += f" ({ROW} is a column here: rename it to have the others by {ROW}[...])"
            says = f"{error}{_meant(error, values)}"
            msg = f"{self.path} cannot be filled for {where}: {says}; there are {have}"
            raise InputError(msg) from error
        return Rendered(said.get("system", ""), said["user"])


def _meant(error: Exception, names: Collection[str]) -> str:
    """Return which columns an undefined variable may be the beginning of: a-b is a, less b."""
    found = re.search(r"'([^']+)' is undefined", str(error))
    begun = found[1] if found else ""
    meant = sorted(
        name
        for name in names
        if begun and name.startswith(begun) and not name[: len(begun) + 1].isidentifier()
    )
    return "".join(f" (the column {name!r} is written {spelled(name)})" for name in meant[:3])


def _looked_up(parsed: nodes.Template) -> frozenset[tuple[str, bool]] | None:
    """Return the columns that are looked up in ``row``, each with whether it must be there.

    None if it cannot be said: ``row`` is gone through, passed on, or given a value.
    """
    found: set[tuple[str, bool]] = set()
    names = {id(name): name for name in parsed.find_all(nodes.Name) if name.name == ROW}
    spared = {
        id(asked.node)
        for asked in _of(parsed, nodes.Test, nodes.Filter)
        if asked.name in ("defined", "undefined", "default", "d")
    }
    for looked in _of(parsed, nodes.Getitem, nodes.Getattr):
        if id(looked.node) not in names:
            continue
        if isinstance(looked, nodes.Getattr):
            key = looked.attr
        elif isinstance(looked.arg, nodes.Const):
            key = looked.arg.value
        else:
            return None
        found.add((str(key), id(looked) not in spared))
        del names[id(looked.node)]
    return None if names else frozenset(found)


def _of(parsed: nodes.Template, *kinds: type[nodes.Node]) -> Iterator[Any]:
    return parsed.find_all(kinds)
