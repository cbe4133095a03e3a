r"""Regular expressions of strangers, in time that grows with the text and no faster.

Python's ``re`` tries one way after another, so ``^(a+)+$`` on thirty letters takes a minute. Here a
pattern is read as ``re`` reads it, and searched for by RE2, which goes over a text once. What RE2
has not, since no such machine can have it, is an error that says so: looking around (``(?=``,
``(?!``, ``(?<=``, ``(?<!``), going back to a group (``\1``, ``(?P=name)``), conditions, atomic
groups and possessive repeats.

Everything else means what it means to ``re``, to the letter. RE2's own classes, cases and bounds of
words are other ones (ASCII ones for the most part), so they are not used: characters that no part
of the pattern tells apart become one symbol each, by asking ``re`` itself, and RE2 sees symbols.
"""

from __future__ import annotations

import re
import re._constants as sre  # type: ignore[import-not-found]
import re._parser as sre_parser  # type: ignore[import-not-found]
import threading
import warnings
from functools import lru_cache
from typing import Any

import re2

from mashbill.core.errors import InputError

LONGEST = 4096
"""characters of a pattern"""
_STATES = 20_000  # parts that a pattern has once its repeats are written out
_WRITTEN = 4_000_000  # characters as RE2 is given it
_WORK = 500_000_000  # parts times characters: ten seconds at the very worst
_DEEPEST = 100
_IN_WORDS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
_ASIDE = " !\"#$%&'()*+,-./:;<=>?@[\\]^`{|}~"
_AT_MOST = 1000  # how often RE2 lets a part be repeated in one go
_ATOMS = frozenset({sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN})
_NAMING = frozenset({sre.LITERAL, sre.RANGE})
_LACKING = {
    "ASSERT": "looking around, (?= or (?<=",
    "ASSERT_NOT": "looking around, (?! or (?<!",
    "GROUPREF": "going back to a group, \\1 or (?P=name)",
    "GROUPREF_EXISTS": "a condition, (?(1)...",
    "ATOMIC_GROUP": "an atomic group, (?>",
    "POSSESSIVE_REPEAT": "a possessive repeat, such as a*+",
}
_CATEGORIES = {
    sre.CATEGORY_DIGIT: r"\d",
    sre.CATEGORY_NOT_DIGIT: r"\D",
    sre.CATEGORY_SPACE: r"\s",
    sre.CATEGORY_NOT_SPACE: r"\S",
    sre.CATEGORY_WORD: r"\w",
    sre.CATEGORY_NOT_WORD: r"\W",
}


class PatternError(InputError, ValueError):
    """A pattern that cannot be used, and why; a ValueError, so that pydantic names the key."""


class Pattern:
    """A regular expression, compiled; :meth:`found_in` is all that it can be asked."""

    def __init__(self, text: str) -> None:
        """Compile a pattern.

        Raises:
            PatternError: if it is none, needs what RE2 lacks, or is too large.
        """
        self.text = text
        if len(text) > LONGEST:
            msg = f"a pattern of {len(text):,} characters; {LONGEST:,} at most"
            raise PatternError(msg)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = sre_parser.parse(text)
        except RecursionError as error:
            msg = "not a regular expression that can be used: its groups are nested too deeply"
            raise PatternError(msg) from error
        except (re.error, OverflowError, ValueError) as error:
            msg = f"not a regular expression: {error}"
            raise PatternError(msg) from error
        self._flags = tree.state.flags
        self._atoms: dict[tuple[str, int], int] = {}
        """(pattern of one character, flags) -> its place in the members of a symbol"""
        self._tests: list[re.Pattern[str]] = []
        self._named: set[str] = set()
        """characters that it names, and their other cases"""
        self._ends: set[str] = set()
        self._bounds: set[int] = set()
        self.states = self._measure(tree, self._flags, 0)
        if len(self._bounds) > 1 or len(self._ends) > 1:
            what = (
                "\\b of Unicode and of ASCII" if len(self._bounds) > 1 else "$ with and without m"
            )
            msg = f"{text[:80]!r} has {what} in one pattern; write two stages, or one kind"
            raise PatternError(msg)
        self._tree = tree
        self._table = _Table(self)
        self._lock = threading.Lock()
        self._program: Any = None
        self._of_nothing: Any = None
        for code in (*range(128), *map(ord, sorted(self._named))):
            self._table[code]
        self._compile()

    def found_in(self, text: str) -> bool:
        """Return whether a text holds the pattern somewhere, as ``re.search`` would.

        Raises:
            InputError: if the text is so long that this pattern could take minutes.
        """
        if self.states * len(text) > _WORK:
            msg = (
                f"the pattern {self.text[:80]!r} has {self.states:,} parts with its repeats "
                f"written out, and the text {len(text):,} characters; shorten one of them"
            )
            raise InputError(msg)
        with self._lock:
            symbols = text.translate(self._table)
            if self._table.grown:
                self._compile()
            program = self._program if text else self._of_nothing
        if text.endswith("\n") and "one" in self._ends:
            symbols = symbols[:-1] + "\n"
        return program.search(symbols) is not None

    def _lacks(self, what: str) -> PatternError:
        return PatternError(
            f"{self.text[:80]!r} has {what}, which the engine that is used here lacks, so that no "
            "pattern can take for ever; write it without, or filter in two steps (match and refuse)"
        )

    def _measure(self, items: Any, flags: int, depth: int) -> int:
        """Gather the atoms of a part of the tree; return how many, with repeats written out."""
        if depth > _DEEPEST:
            msg = "not a regular expression that can be used: its groups are nested too deeply"
            raise PatternError(msg)
        total = 0
        for op, argument in items:
            if op in _ATOMS:
                self._atom(op, argument, flags)
                total += 1
            elif op is sre.AT:
                self._meet_place(argument, flags)
                total += 1
            elif op is sre.BRANCH:
                total += sum(self._measure(each, flags, depth + 1) for each in argument[1])
            elif op is sre.SUBPATTERN:
                _, add, without, inner = argument
                total += self._measure(inner, (flags | add) & ~without, depth + 1)
            elif op in {sre.MAX_REPEAT, sre.MIN_REPEAT}:
                low, high, inner = argument
                times = max(1, low if high is sre.MAXREPEAT else high)
                total += times * max(1, self._measure(inner, flags, depth + 1))
            elif op is not sre.FAILURE:
                raise self._lacks(_LACKING.get(str(op), str(op)))
            if total > _STATES:
                msg = (
                    f"{self.text[:80]!r} is a pattern of more than {_STATES:,} parts once its "
                    "repeats are written out; use smaller numbers, or min_chars for a length"
                )
                raise PatternError(msg)
        return total

    def _atom(self, op: Any, argument: Any, flags: int) -> int:
        """Return the place of an atom among those that symbols are members of."""
        codes = [argument] if isinstance(argument, int) else _codes(argument or ())
        for each in map(chr, codes):
            self._named |= {one for one in (each, each.lower(), each.upper()) if len(one) == 1}
        kinds = flags & (re.IGNORECASE | re.ASCII | re.DOTALL)
        if op is sre.ANY:
            text = "."
        elif op is sre.IN:
            text = f"[{''.join(map(_in_class, argument))}]"
        else:
            text = f"[{'^' if op is sre.NOT_LITERAL else ''}{_escaped(argument)}]"
        key = (text, kinds)
        if key not in self._atoms:
            self._atoms[key] = len(self._tests)
            self._tests.append(re.compile(text, kinds))
        return self._atoms[key]

    def _meet_place(self, place: Any, flags: int) -> None:
        if place in {sre.AT_BOUNDARY, sre.AT_NON_BOUNDARY}:
            self._bounds.add(flags & re.ASCII)
        elif place is sre.AT_END or (place is sre.AT_BEGINNING and flags & re.MULTILINE):
            self._ends.add("each" if flags & re.MULTILINE else "one")

    def members(self, character: str) -> tuple[bool, ...]:
        """Return which atoms take a character, and whether it is one of words where that counts."""
        taken = [test.fullmatch(character) is not None for test in self._tests]
        words = (re.fullmatch(r"\w", character, kind) is not None for kind in self._bounds)
        return (*taken, *words)

    def is_in_words(self, character: str) -> bool | None:
        """Return whether a character is one of words; None where that does not count."""
        return next((self.members(character)[-1] for _ in self._bounds), None)

    def _compile(self) -> None:
        self._table.grown = False
        options = re2.Options()
        options.log_errors = False
        options.max_mem = 64 << 20
        written = self._write(self._tree, self._flags, of_nothing=False)
        if len(written) > _WRITTEN:
            msg = f"{self.text[:80]!r} is too large a pattern once its repeats are written out"
            raise PatternError(msg)
        try:
            self._program = re2.compile(written, options)
            self._of_nothing = re2.compile(
                self._write(self._tree, self._flags, of_nothing=True), options
            )
        except re2.error as error:
            msg = f"{self.text[:80]!r} is too large a pattern: {error}; use smaller numbers"
            raise PatternError(msg) from error

    def _write(self, items: Any, flags: int, *, of_nothing: bool) -> str:
        """Return a part of the tree as RE2 reads it, over symbols."""
        parts = []
        for op, argument in items:
            if op in _ATOMS:
                parts.append(self._table.taken_by(self._atom(op, argument, flags)))
            elif op is sre.AT:
                parts.append(_place(argument, flags, of_nothing=of_nothing))
            elif op is sre.BRANCH:
                ways = (self._write(each, flags, of_nothing=of_nothing) for each in argument[1])
                parts.append(f"(?:{'|'.join(ways)})")
            elif op is sre.SUBPATTERN:
                _, add, without, inner = argument
                own = (flags | add) & ~without
                parts.append(f"(?:{self._write(inner, own, of_nothing=of_nothing)})")
            elif op is sre.FAILURE:
                parts.append(_NOTHING)
            else:
                low, high, inner = argument
                part = f"(?:{self._write(inner, flags, of_nothing=of_nothing)})"
                most = 1 if _repeats(inner) else _AT_MOST
                parts.append(_repeated(part, low, None if high is sre.MAXREPEAT else high, most))
        return "".join(parts)


class _Table(dict[int, str]):
    """Code point -> symbol, made as characters are met; symbols are those of one kind of character.

    Where words have bounds, symbols of characters in words are ASCII ones in words, so that RE2's
    own bounds are those of ``re``. A newline is its own symbol where it is the end of a line.
    """

    def __init__(self, pattern: Pattern) -> None:
        super().__init__()
        self._pattern = pattern
        self._symbols: dict[tuple[Any, ...], str] = {}
        self.grown = False

    def __missing__(self, code: int) -> str:
        character = chr(code)
        members = self._pattern.members(character)
        key = (*members, character == "\n")
        if key not in self._symbols:
            self._symbols[key] = self._new(character)
            self.grown = True
        self[code] = self._symbols[key]
        return self[code]

    def _new(self, character: str) -> str:
        """Return a symbol that is not taken."""
        used = set(self._symbols.values())
        if character == "\n":
            # At the end of a text it is put back (found_in); elsewhere, it ends lines or does not.
            return "\n" if "one" not in self._pattern._ends else "\r"  # noqa: SLF001 - its own
        in_words = self._pattern.is_in_words(character)
        pool = _IN_WORDS if in_words else _ASIDE if in_words is False else _IN_WORDS + _ASIDE
        free = next((each for each in pool if each not in used), "")
        if in_words and not free:
            msg = (
                f"{self._pattern.text[:80]!r} has \\b and tells more than {len(_IN_WORDS)} "
                "letters apart; write it without \\b, or with fewer letters"
            )
            raise PatternError(msg)
        # From U+0100 on there is no end of symbols, and none of them is in words to RE2.
        return free or chr(0x100 + len(used))

    def taken_by(self, atom: int) -> str:
        """Return the class of the symbols that an atom takes."""
        found = {symbol for key, symbol in self._symbols.items() if key[atom]}
        if "\r" in found:  # the newline at the very end, where that is a symbol of its own
            found.add("\n")
        if not found:
            return _NOTHING
        return "[" + "".join(f"\\x{{{ord(symbol):x}}}" for symbol in sorted(found)) + "]"


_NOTHING = r"[^\x{0}-\x{10ffff}]"


def _escaped(code: int) -> str:
    return f"\\U{code:08x}"


def _in_class(item: tuple[Any, Any]) -> str:
    op, argument = item
    if op is sre.NEGATE:
        return "^"
    if op is sre.LITERAL:
        return _escaped(argument)
    if op is sre.RANGE:
        return f"{_escaped(argument[0])}-{_escaped(argument[1])}"
    return _CATEGORIES[argument]


def _codes(items: Any) -> list[int]:
    """Return the code points that a class names."""
    listed = [[arg] if op is sre.LITERAL else arg for op, arg in items if op in _NAMING]
    return [code for codes in listed for code in codes]


def _place(place: Any, flags: int, *, of_nothing: bool) -> str:
    if place is sre.AT_BOUNDARY:
        return r"\b"
    if place is sre.AT_NON_BOUNDARY:
        return _NOTHING if of_nothing else r"\B"  # re finds no place at all in an empty text
    if place is sre.AT_END:
        return "(?m:$)"  # what may be the end of a line is only what is one: see _Table
    if place is sre.AT_END_STRING:
        return r"\z"
    return "(?m:^)" if place is sre.AT_BEGINNING and flags & re.MULTILINE else r"\A"


def _repeats(items: Any) -> bool:
    """Return whether a part has one in it that is repeated so many times: RE2 multiplies them."""
    for op, argument in items:
        if op in {sre.MAX_REPEAT, sre.MIN_REPEAT}:
            low, high, inner = argument
            if low > 1 or high is not sre.MAXREPEAT or _repeats(inner):
                return True
        elif (op is sre.SUBPATTERN and _repeats(argument[3])) or (
            op is sre.BRANCH and any(map(_repeats, argument[1]))
        ):
            return True
    return False


def _repeated(part: str, low: int, high: int | None, most: int) -> str:
    """Return a part so often as is wanted, in pieces of so many as RE2 takes."""
    must = _pieces(part, low, most)
    if high is None:
        return f"{must}{part}*"
    return must + _pieces(f"{part}?", high - low, most)


def _pieces(part: str, times: int, most: int) -> str:
    if most == 1 or times == 1:
        return part * times
    whole, left = divmod(times, most)
    part = f"(?:{part})"
    return f"{part}{{{most}}}" * whole + (f"{part}{{{left}}}" if left else "")


@lru_cache(256)
def compiled(text: str) -> Pattern:
    """Return a pattern, compiled once."""
    return Pattern(text)


def found(text: str, within: str) -> bool:
    """Return whether a text holds a pattern somewhere."""
    return compiled(text).found_in(within)
