r"""Which characters make words, which are signs of their own, and which only set words apart.

``\w`` of Python's ``re`` takes no combining marks, so that the vowels of Hindi, Thai and many
other scripts are no letters to it, and no signs, so that + and - are the same. Here, by Unicode's
general categories:

* **Words** are made of letters, marks, numbers, ``_`` and its like, and of what shapes letters
  without being seen: the zero-width joiner and non-joiner, tags of emoji.
* **Signs** stand for something by themselves, each alone: mathematics, currencies, emoji and all
  other symbols, and of what Unicode calls punctuation ``# % & * / @ \``, their like in other
  scripts, primes, daggers and section marks.
* **What sets apart** is white space, control characters and all other punctuation; also quotation
  marks that Unicode counts as symbols (a backtick, a free-standing acute).
* **What is not seen** and bears no meaning is taken out: the soft hyphen, byte order marks, what
  directs writing to the left or right, zero-width spaces, variation selectors of emoji, and the
  Armenian marks of tone, which stand inside of a word.
"""

from __future__ import annotations

import functools
import re
import unicodedata

_SIGNS = "#%&*/@\\§¶†‡※‖⁂‰‱′″‴‵‶‷⁗٪؉؊٭＃％＆＊／＠＼﹟﹠﹡﹨﹪﹫"  # noqa: RUF001
"""signs among what Unicode calls punctuation"""
_QUOTES = "`´｀"  # noqa: RUF001
"""punctuation among what Unicode calls symbols"""
_UNSEEN = re.compile(
    "[\xad\u034f\u055b\u055c\u055e\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f"
    "\ufe0e\ufe0f\ufeff\ufff9-\ufffb]+"
)
_MOST_MARKS = 64
_DOTTED = re.compile("i\u0307+")
UNSPACED = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u0edc-\u0edf"  # Thai, Lao
    "\u1000-\u103f\u104c-\u108f\u109a-\u109f\ua9e0-\ua9ef\ua9fa-\ua9fe\uaa60-\uaa76\uaa7a-\uaa7f"
    "\u1780-\u17d3\u17d7\u17dc\u17dd"  # Burmese above, Khmer
    "\u1950-\u1974\u1980-\u19c9\u1a20-\u1a7c\uaa80-\uaadd"  # Tai scripts
    "\u3005-\u3007\u3031-\u3035\u303b\u3041-\u309a\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff"
    "\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff\uff66-\uff9f"  # kana and bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese characters
)
"""letters and marks of scripts that set no space between words, for a class of ``re``"""


def folded(text: str) -> str:
    """Return a text as it is compared: without case, in one of its canonical spellings.

    Full case folding of Unicode, after what is not seen was taken out; the result is in NFC. Two
    letters are dealt with apart. ß stays what it is, and is not ss: Maße and Masse are different
    words. İ is i, of which it is the capital; a dotless i is none. NFKC would make x² and x2 the
    same.
    """
    if text.isascii():
        return text.lower()
    text = _stacked().sub(_in_reach, _UNSEEN.sub("", text))
    text = unicodedata.normalize("NFD", text).replace("ẞ", "ß")
    text = "ß".join([part.casefold() for part in text.split("ß")])
    return unicodedata.normalize("NFC", _DOTTED.sub("i", text))


@functools.cache
def _stacked() -> re.Pattern[str]:
    """Return what finds more marks in a row than any language has.

    All beyond U+FFFF is taken for marks here, and told apart by :func:`_in_reach`.
    """
    marks = [code for code in range(0x10000) if unicodedata.combining(chr(code))]
    one = rf"(?:[{_ranges(marks)}]|[\U00010000-\U0001ffff])"
    # The first is alone so that a search passes over letters at once.
    return re.compile(rf"[{_ranges(marks)}\U00010000-\U0001ffff]{one}{{{_MOST_MARKS},}}")


def _in_reach(found: re.Match[str]) -> str:
    """Return marks in a row in pieces, as Unicode's stream-safe format has them.

    Python brings marks into their order in a time that grows with the square of their number.
    """
    pieces, marks = [], 0
    for character in found[0]:
        marks = marks + 1 if unicodedata.combining(character) else 0
        pieces.append(character)
        if marks == _MOST_MARKS:
            pieces.append("\u034f")
            marks = 0
    return "".join(pieces)


def kind(character: str) -> str:
    """Return what a character is: ``word``, ``sign``, ``space`` or ``point``, or ``unseen``."""
    category = unicodedata.category(character)
    if _UNSEEN.match(character):
        return "unseen"
    if character.isspace() or category in ("Cc", "Zs", "Zl", "Zp"):
        return "space"
    if character in _SIGNS or (category[0] == "S" and character not in _QUOTES):
        return "sign"
    return "point" if category[0] in "PS" and category != "Pc" else "word"


@functools.cache
def members(*kinds: str, beyond: bool = False, less: str = "") -> str:
    """Return the characters of some kinds as the inside of a class of ``re``.

    Args:
        kinds: what :func:`kind` may say.
        beyond: of those beyond U+FFFF, instead of those up to it. Python searches a class of the
            latter in constant time, and a class that holds both in linear.
        less: characters to leave out.
    """
    # No planes but the first two have signs or punctuation.
    codes = range(0x10000, 0x20000) if beyond else range(0x10000)
    taken = [code for code in codes if kind(chr(code)) in kinds and chr(code) not in less]
    return _ranges(taken)


def _ranges(codes: list[int]) -> str:
    """Return rising codes as the inside of a class of ``re``."""
    begins = [code for place, code in enumerate(codes) if not place or codes[place - 1] != code - 1]
    ends = [code for code, after in zip(codes, [*codes[1:], -1], strict=True) if after != code + 1]
    return "".join(f"\\U{begin:08x}-\\U{end:08x}" for begin, end in zip(begins, ends, strict=True))


def is_word(text: str) -> bool:
    """Return whether a text is one word: letters, marks and numbers alone."""
    return {kind(character) for character in text} == {"word"} and "_" not in text


@functools.cache
def word_pattern() -> str:
    """Return a pattern of one word: all letters, marks and numbers that stand together."""
    apart = members("space", "point", "sign")
    signs = members("sign", "point", beyond=True)
    return rf"(?:[^{apart}\U00010000-\U0010ffff]++|(?![{signs}])[\U00010000-\U0010ffff])++"


def half_a_character(text: str) -> bool:
    """Return whether a text holds half of a surrogate pair, so that it is no valid Unicode."""
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:  # such a half is all that UTF-8 cannot write
        return True
    return False
