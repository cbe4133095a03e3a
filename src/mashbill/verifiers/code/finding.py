"""The program in an output: what stands in its last fence that fits, or all of it.

A fence is three backquotes or more, or tildes, on a line of their own, as in CommonMark 0.31.2,
section 4.5; one that is never closed goes to the end.
"""

from __future__ import annotations

import re

from mashbill.core.parsing import MARK

# nothing is given back (possessive): else a line without end that does not match takes as long
_FENCE = re.compile(r"^([ \t]*+)(`{3,}+|~{3,}+)[ \t]*+\{?+([\w+#-]*+)[^`]*+$")
_THOUGHT = "</think>"
_BEGINS = re.compile(r"(?:def|class) \w++.*:|import \w|from [\w.]++ import |@\w")
_PYTHON = frozenset({"", "py", "python", "python3", "py3"})


def program_in(output: str, function: str = "") -> str:
    """Return the program that an output holds; empty if there is none.

    Fences that name Python go before such that name nothing, which may hold examples. What was
    thought before the answer does not count.

    Args:
        output: what was written: a program, or text around fences.
        function: that the program should define: the last fence that does is taken.
    """
    output = output.replace("\r\n", "\n").lstrip(MARK)
    fenced, is_fenced = _blocks(output.rpartition(_THOUGHT)[2])
    if not is_fenced:
        return output if output.strip() else ""
    named = [text for language, text in fenced if language in _PYTHON - {""} and text.strip()]
    unnamed = [text for language, text in fenced if not language and text.strip()]
    name = re.escape(function.partition(".")[0])
    defines = re.compile(
        rf"^[ \t]*+(?:(?:async[ \t]++)?(?:def|class)[ \t]++{name}\b|{name}[ \t]*+=(?!=))",
        re.MULTILINE,
    )
    for text in (*reversed(named), *reversed(unnamed)) if name else ():
        if defines.search(text):
            return text
    return next(reversed(named or unnamed), "")


def _blocks(output: str) -> tuple[list[tuple[str, str]], bool]:
    """Return (language, text) of each fence, and whether there is one.

    As the standard has it, lines lose as much space as their fence has. Fences may stand further
    in than it allows, since lists hold them, but not in what is a program itself.
    """
    found: list[tuple[str, str]] = []
    lines: list[str] = []
    fence, language, space, any_fence, is_program = "", "", "", False, False
    for line in output.split("\n"):
        mark = _FENCE.match(line)
        if not fence and mark and not (is_program and mark[1]):
            space, fence, language, lines, any_fence = (
                mark[1],
                mark[2],
                mark[3].casefold(),
                [],
                True,
            )
        elif fence and mark and not mark[3] and mark[2].startswith(fence):
            found.append((language, "\n".join(lines)))
            fence = ""
        elif fence:
            lines.append(line.removeprefix(space) if line.startswith(space) else line.lstrip(" \t"))
        is_program = is_program or (not fence and bool(_BEGINS.match(line)))
    if fence:
        found.append((language, "\n".join(lines)))
    return found, any_fence
