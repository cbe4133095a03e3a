"""What stages with a teacher share: files beside the recipe, prompts with slots, rejected rows."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mashbill.core.errors import RecipeError
from mashbill.core.parsing import read_text
from mashbill.core.record import REASON, REJECTED_BY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mashbill.core.teacher import Answer, Question, TeacherSession


FileName = str
"""a file beside the recipe, or below: what else it may read is for :mod:`mashbill.core.folder`"""

_MOST = 1 << 20  # bytes of a prompt
_FAR = 700.0  # log-odds; a float holds no larger exponential
_BRACES = re.compile(r"\{(?:[\w{ -]|[^\x00-\x7f\s]){1,40}\}*")
# Beyond ASCII all that is seen may be in a name: \w takes no vowels of Hindi, Thai and others.
_PLAIN = r"(?:[\w-]|[^\x00-\x7f\s])+"
_BY_NAME = r'row\["([^"\n]+)"\]'


class Template:
    """A prompt file beside the recipe, with ``{{ name }}`` where a value goes."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        """Read the file.

        Raises:
            RecipeError: if each of these names does not stand in it once, or if another does.
        """
        text = read_text(path, most=_MOST, error=RecipeError).rstrip("\n")
        slot = _slot(names)
        found = [a or b for a, b in slot.findall(text)]
        for name in names:
            if found.count(name) != 1:
                msg = (
                    f"{path} has {{{{ {name} }}}} {found.count(name)} times; once is needed, where "
                    f"the {name} is to go{_instead(text, names)}"
                )
                raise RecipeError(msg)
        for name in set(found) - set(names):
            msg = f"{path} has {{{{ {name} }}}}; there are only {', '.join(names)}; correct it"
            raise RecipeError(msg)
        before, *rest = slot.split(text)
        # Each slot comes as two, of which one is its name.
        self._rest = [
            piece
            for at in range(0, len(rest), 3)
            for piece in (rest[at] or rest[at + 1], rest[at + 2])
        ]
        # The space before a value belongs to its first token, so it is not in the prefix.
        self.prefix = before.rstrip(" ")
        self._gap = before[len(self.prefix) :]

    def ending(self) -> str:
        """Return the whole text, a word in place of each value: what choices go on from."""
        values = dict.fromkeys(self._rest[::2], "word")
        return self.prefix + self.fill(values, 4)

    def fill(self, values: Mapping[str, str], max_chars: int) -> str:
        """Return what follows the prefix: values on one line each, cut to ``max_chars``."""
        pieces = [
            piece if place % 2 else " ".join(values[piece][:max_chars].split())
            for place, piece in enumerate(self._rest)
        ]
        return self._gap + "".join(pieces)


def _slot(names: Sequence[str]) -> re.Pattern[str]:
    """Return what a slot is: a name of one of these, or of a plain word; ``row["NAME"]`` too."""
    own = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.compile(rf"\{{\{{ (?:({own}|{_PLAIN})|{_BY_NAME}) \}}\}}")


def _instead(text: str, names: Sequence[str]) -> str:
    """Return what of a prompt was perhaps meant as a slot."""
    right = {f"{{{{ {name} }}}}" for name in names}
    others = [mark.strip() for mark in _BRACES.findall(text) if mark not in right]
    return f" (there is {', '.join(dict.fromkeys(others))})" if others else ""


def asked_where(
    teacher: TeacherSession, questions: Sequence[Question], reasons: list[str | None]
) -> list[tuple[str | None, Answer | None]]:
    """Ask what has no reason yet; return call and answer of each, None where there is none.

    What is not answered gets its reason, in place.
    """
    open_ = [place for place, reason in enumerate(reasons) if reason is None]
    found: list[tuple[str | None, Answer | None]] = [(None, None)] * len(reasons)
    answers = teacher.ask([questions[place] for place in open_])
    for place, (call, answer) in zip(open_, answers, strict=True):
        problem = unchosen(answer)
        found[place] = (call or None, None if problem else answer)
        if problem:
            reasons[place] = problem
    return found


def unchosen(answer: Answer) -> str:
    """Return why an answer to a question with choices says nothing of them, empty if it does."""
    if answer.failed:
        return answer.failed
    if not all(map(math.isfinite, answer.logprobs)):  # one would spoil every mean that it is in
        return f"its log-probabilities are {answer.logprobs}, and not all of them are numbers"
    return ""


def right_of(answer: Answer) -> float:
    """Return how probable the first of two choices is, by an answer that says something of them."""
    lean = answer.logprobs[0] - answer.logprobs[1]
    return 1 / (1 + math.exp(-lean)) if lean > -_FAR else 0.0


def scores_of(found: Sequence[tuple[str | None, Answer | None]], choices: int) -> np.ndarray:
    """Return log-probabilities, shape (rows, choices); those of a row without an answer are NaN."""
    nothing = (np.nan,) * choices
    rows = [nothing if answer is None else answer.logprobs for _, answer in found]
    return np.array(rows, np.float64).reshape(-1, choices)


def marks(by: str, reasons: Sequence[str | None]) -> dict[str, pa.Array]:
    """Return the two columns that say which rows a stage turned down, and why."""
    return {
        REJECTED_BY: pa.array([by if reason else None for reason in reasons], pa.string()),
        REASON: pa.array(reasons, pa.string()),
    }
