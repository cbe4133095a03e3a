"""An expression in LaTeX or plain text as tokens; what is only layout is left out."""

# ruff: noqa: RUF001 - signs as texts have them

from __future__ import annotations

import re

from mashbill.verifiers.maths.exact import TooHardError

_LONGEST = 2_000  # characters of an answer
_MOST = 400  # tokens
_DEEPEST = 30  # brackets in one another

_SAME = {
    "−": "-", "–": "-", "×": "*", "·": "*", "⋅": "*", "∗": "*", "÷": "/", "π": r"\pi ",
    "√": r"\sqrt ", "∞": r"\infty ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "∪": r"\cup ",
    "±": r"\pm ", "²": "^2 ", "³": "^3 ", "½": r"\frac{1}{2}", "¼": r"\frac{1}{4}",
    "¾": r"\frac{3}{4}", "°": r"^\circ ", "\u2009": " ", "\u202f": " ", "\xa0": " ", "％": "%",
    "（": "(", "）": ")", "，": ",", "：": ":",
}  # fmt: skip
_UNUSUAL = re.compile(r"[−–×·⋅∗÷π√∞≤≥≠∪±²³½¼¾°\u2009\u202f\xa0％（），：]")
_LAYOUT = re.compile(
    r"\\(?:left|right|bigl|bigr|Bigl|Bigr|big|Big|displaystyle|limits|boldsymbol|mathbf|mathit|bf|"
    r"rm|mathrm|text)(?![a-zA-Z])|(?<!\\)\\[,;:! ]|~|\\(?:quad|qquad)(?![a-zA-Z])|\\[\[\]()]|\\?\$"
)
_THIN = re.compile(r"(?<=\d)(?:,?\\!\s*|\\,|\{,\}|\\ )(?=\d{3}(?!\d))")
_POINT = re.compile(r"(?<=\d)\.(?=/)")  # 1./3
_REMARK = re.compile(r"(?<=\d)\s*\(([a-zA-Z][a-zA-Z ]*)\)\s*$")  # 9 (apples)
_SAME_COMMANDS = {
    r"\dfrac": r"\frac", r"\tfrac": r"\frac", r"\cfrac": r"\frac", r"\cdot": "*", r"\times": "*",
    r"\div": "/", r"\leq": r"\le", r"\leqslant": r"\le", r"\geq": r"\ge", r"\geqslant": r"\ge",
    r"\neq": r"\ne", r"\lt": "<", r"\gt": ">", r"\lbrace": r"\{", r"\rbrace": r"\}",
    r"\lbrack": "[", r"\rbrack": "]", r"\ast": "*", r"\degree": "deg", r"\mid": "|",
    r"\lvert": "|", r"\rvert": "|", r"\vert": "|", r"\land": ",", r"\lor": ",",
}  # fmt: skip
_WORDS = {
    "sqrt": r"\sqrt", "pi": r"\pi", "ln": r"\ln", "log": r"\log", "sin": r"\sin", "cos": r"\cos",
    "tan": r"\tan", "exp": r"\exp", "infinity": r"\infty", "inf": r"\infty", "oo": r"\infty",
    "and": ",", "or": ",", "union": r"\cup",
}  # fmt: skip
_TOKEN = re.compile(
    r"\s*(?:((?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{1,3}(?![\w.]))?)|(\\[a-zA-Z]+|\\[{}%\\])|([a-zA-Z]+)|(<=|>=|!=|\*\*|[-+*/^_=<>(){}\[\],"
    r";:|!%&'])|(\S))"
)
_SAID = frozenset({"yes", "no", "all", "odd", "even", "true", "false", "none"})
_TEXTS = re.compile(r"\\(?:text|textbf|textit|mathrm|mbox|operatorname|textrm)\s*\{([^{}]*)\}")


def tokens(text: str) -> list[str]:
    """Return the tokens of an answer.

    Words stand as ``'word`` with a leading quotation mark; commands and signs as they are, those
    that mean the same in one spelling.

    Raises:
        TooHardError: if it is longer than an answer is, or has a sign that is not known.
    """
    if len(text) > _LONGEST:
        raise TooHardError
    plain = _REMARK.sub(r" \1", _POINT.sub("", _THIN.sub("", text)))
    if _UNUSUAL.search(plain):
        plain = _UNUSUAL.sub(lambda found: _SAME[found[0]], plain)
    if "\\" in plain or "$" in plain or "~" in plain:
        plain = _TEXTS.sub(lambda found: f" {_named(found[1])} ", plain)
        plain = _LAYOUT.sub(" ", plain).replace(r"\circ", "deg ")
        plain = plain.replace(r"\%", "%")
    found: list[str] = []
    for number, command, word, sign, other in _TOKEN.findall(plain):
        if number:
            found.append(number)
        elif command:
            found.append(_SAME_COMMANDS.get(command, command))
        elif word:
            found += _words(word)
        elif sign:
            found.append("^" if sign == "**" else sign)
        elif other:
            raise TooHardError
        if len(found) > _MOST:
            raise TooHardError
    if _depth(found) > _DEEPEST:
        raise TooHardError
    return found


def _depth(found: list[str]) -> int:
    """Return how many brackets stand in one another."""
    depth = deepest = 0
    for mark in found:
        if mark in {"(", "[", "{", r"\{"}:
            depth += 1
            deepest = max(deepest, depth)
        elif mark in {")", "]", "}", r"\}"}:
            depth -= 1
    return deepest


def _named(text: str) -> str:
    said = text.strip()
    return "," if said in {"and", "or", ","} else said


def _words(word: str) -> list[str]:
    """Return a word's tokens: a function's name, letters that are multiplied, or the word."""
    known = _WORDS.get(word)
    if known is not None:
        return [known]
    if word == "deg":
        return ["deg"]
    if word.casefold() in _SAID:
        return [f"'{word} "]
    return [word] if len(word) == 1 else [f"'{word}"]
