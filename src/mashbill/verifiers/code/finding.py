"""The program in an output: what stands in its last fence that fits, or all of it.

A fence is three backquotes or more, or tildes, on a line of their own, as in CommonMark 0.31.2,
section 4.5; one that is never closed goes to the end.
"""

from __future__ import annotations

import re

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})[ \t]*([\w+#.-]*)[^\n`]*$")
_PYTHON = frozenset({"", "py", "python", "python3", "py3"})


def program_in(output: str, function: str = "") -> str:
    """Return the program that an output holds; empty if there is none.

    Args:
        output: what was written: a program, or text around fences.
        function: that the program should define: the last fence that does is taken.
    """
    fenced, is_fenced = _blocks(output)
    if not is_fenced:
        return output if output.strip() else ""
    blocks = [text for language, text in fenced if language.casefold() in _PYTHON and text.strip()]
    wanted = function.partition(".")[0]
    for text in reversed(blocks):
        if wanted and re.search(
            rf"^\s*(?:async\s+def|def|class)\s+{re.escape(wanted)}\b", text, re.MULTILINE
        ):
            return text
    return blocks[-1] if blocks else ""


def _blocks(output: str) -> tuple[list[tuple[str, str]], bool]:
    found: list[tuple[str, str]] = []
    lines: list[str] = []
    fence, language, any_fence = "", "", False
    for line in output.splitlines():
        mark = _FENCE.match(line)
        if not fence and mark:
            fence, language, lines, any_fence = mark[1], mark[2], [], True
        elif fence and mark and not mark[2] and mark[1].startswith(fence):
            found.append((language, "\n".join(lines)))
            fence = ""
        elif fence:
            lines.append(line)
    if fence:
        found.append((language, "\n".join(lines)))
    return found, any_fence
