"""Prompts as files: sandboxed Jinja, one file a chat, its digest part of a stage's identity.

A file may have two blocks, ``system`` and ``user``; a file without blocks is the user's turn. Its
variables are columns of the input, and what the stage adds. A stage without a file of its own uses
the one that is shipped; its bytes are identity all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from jinja2 import meta, nodes

from mashbill.core.cells import is_missing
from mashbill.core.errors import InputError, RecipeError
from mashbill.core.parsing import read_text
from mashbill.stages.sandbox import Sandbox, begin, joined

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_MOST = 1 << 20  # bytes of a prompt: a million characters may be sent
_JINJA = Sandbox()
_BLOCKS = frozenset({"system", "user"})


def shipped_prompt(name: str) -> Path:
    """Return the file of a prompt that comes with the package."""
    return Path(str(resources.files("mashbill.stages") / "prompts" / f"{name}.jinja"))


@dataclass(frozen=True)
class Rendered:
    """What a prompt came to for one row."""

    system: str
    user: str


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
            msg = f"{path}, line {error.lineno}: not a Jinja template: {error.message}"
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
        blocks = set(self._template.blocks)
        if blocks - _BLOCKS or (blocks and "user" not in blocks):
            msg = f"{path}: has blocks {sorted(blocks)}; a prompt has 'user', and may have 'system'"
            raise RecipeError(msg)

    def count(self, name: str) -> int:
        """Return how many times a variable is written out."""
        written = (node for output in self._parsed.find_all(nodes.Output) for node in output.nodes)
        return sum(
            found.name == name
            for node in written
            for found in ([node] if isinstance(node, nodes.Name) else node.find_all(nodes.Name))
        )

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

    def render(self, values: Mapping[str, Any], where: str) -> Rendered:
        """Fill it for one row; a column that is null or NaN is empty text.

        Args:
            values: the row's columns, and what the stage adds.
            where: the row, for errors.

        Raises:
            InputError: naming file, row and variable.
        """
        begin()
        there = {name: "" if is_missing(value) else value for name, value in values.items()}
        try:
            context = self._template.new_context(there)
            if not self._template.blocks:
                return Rendered("", joined(self._template.root_render_func(context)))
            said = {name: joined(block(context)) for name, block in self._template.blocks.items()}
        except Exception as error:
            have = ", ".join(sorted(values))
            msg = f"{self.path} cannot be filled for {where}: {error}; there are {have}"
            raise InputError(msg) from error
        return Rendered(said.get("system", ""), said["user"])
