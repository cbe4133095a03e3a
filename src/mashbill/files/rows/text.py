r"""When two texts count as the same: when they differ in case, punctuation and spacing only.

The rule, whole. Texts are the same whose keys are equal, and a key has

* words, without case and in one spelling of those that Unicode calls canonically equivalent
  (:func:`mashbill.core.letters.folded`; x² is not x2, Maße not Masse, nor is i a dotless i);
* signs: of mathematics, currencies, emoji with skin, gender and flag, ``# % & * / @ \`` and
  others that stand for something (:mod:`mashbill.core.letters`): C, C++ and C# differ;
* of punctuation only what bears meaning where it stands (:mod:`mashbill.files.rows.points`):

  - ``. , : ' ·`` between two digits: 3.5, 1,000, 12:30; ``·`` between letters: col·lecció;
  - a hyphen, minus or en dash that is a sign: before a number or a variable (7 - 5, x-1, -5, -l),
    and in ->, <-, -=, x--; not in COVID-19 and well-known, not between words, and never an em dash;
  - ``.`` and ``!`` at the beginning of a word: .NET, .5, !x; ``!`` and ``:`` in != and :=;
  - a bracket beside an operator outside of it: (2 + 3) * 4; a prime: f'(x), y'' + y;
  - :-) and its like, where they stand alone;

* one space between words and signs, however they are spaced and whatever other punctuation is
  between them; none beside letters of scripts that set no space between words (Thai, Lao, Khmer,
  Burmese, Chinese, Japanese), but between two numbers.

What is not seen and bears no meaning, such as a soft hyphen, is passed over; the zero-width joiner
and non-joiner stay. A text of nothing but punctuation has itself for a key, without spaces.
"""

from __future__ import annotations

import functools
import hashlib
import re

import pyarrow as pa
import pyarrow.compute as pc

from mashbill.core.letters import UNSPACED, folded, kind, members, word_pattern
from mashbill.files.rows.points import MAY_MEAN_ASCII, may_mean, spelt

_SIGNS_ASCII = r"#$%&*+/<=>@\\^|~"
_POINTS = ".,:'"
_MARKS = "\ue000\ue001\ue002\ue003"
_BEYOND = re.compile("[\U00010000-\U0010ffff]")
_SPACES = re.compile(" {2,}")
_NUMBERS = "0-9〇一二三四五六七八九十百千万萬亿億两兩"  # noqa: RUF001
_LOOSE = re.compile(rf" (?:(?=[{UNSPACED}])|(?<=[{UNSPACED}] ))(?!(?<=[{_NUMBERS}] )[{_NUMBERS}])")
_UNSPACED = re.compile(f"[{UNSPACED}]")
_APART = "\uffff"
"""a character that is none, between texts that are read at once"""


def matching_key(text: str) -> str:
    """Return what a text is compared by (see above): equal keys are duplicates."""
    return _keys([text])[0]


def matching_keys(texts: pa.Array) -> pa.Array:
    """Return :func:`matching_key` of each text, shape (rows,); of a missing one a missing one.

    Arrow does it for texts of ASCII that have no punctuation with a meaning.
    """
    plain = pc.fill_null(pc.string_is_ascii(texts), fill_value=True)
    small = pc.ascii_lower(texts if pc.all(plain).as_py() else pc.if_else(plain, texts, ""))
    small = _numbers_marked(small)
    plain = pc.and_(plain, pc.invert(pc.match_substring_regex(small, MAY_MEAN_ASCII)))
    keys = pc.replace_substring_regex(small, f"[^0-9a-z_{_SIGNS_ASCII}{_MARKS}]+", " ")
    for mark, point in zip(_MARKS, _POINTS, strict=True):
        keys = pc.replace_substring(keys, mark, point)
    if pc.any(pc.match_substring_regex(keys, f"[{_SIGNS_ASCII}]")).as_py():
        keys = pc.replace_substring_regex(keys, f"([{_SIGNS_ASCII}])", r" \1 ")
        keys = pc.replace_substring_regex(keys, " +", " ")
    keys = pc.ascii_trim(keys, " ")
    others = pc.fill_null(pc.or_(pc.invert(plain), pc.equal(keys, "")), fill_value=False)
    if not pc.any(others).as_py():
        return keys
    found = _keys(texts.filter(others).to_pylist())
    return pc.replace_with_mask(keys, others, pa.array(found, keys.type))


def _numbers_marked(texts: pa.Array) -> pa.Array:
    """Return texts of ASCII with marks, of which they have none, for points between digits."""
    for mark, point in zip(_MARKS, _POINTS, strict=True):
        between = f"([0-9])[{point}]([0-9])"
        if pc.any(pc.match_substring_regex(texts, between)).as_py():
            # Twice, since a digit may have such a point on either side.
            for _ in range(2):
                texts = pc.replace_substring_regex(texts, between, rf"\1{mark}\2")
    return texts


def place(text: str, seed: int) -> float:
    """Return where a text falls in [0, 1), by a hash of the words of its matching key.

    Duplicates fall together, and a text keeps its place however the corpus grows. Signs have no
    part in it unless there is nothing else, so that texts of the Latin script are where the rule
    of release 0.1 put them: parts that were split then and now do not overlap.
    """
    return place_of_key(placed_by(text), seed)


def placed_by(text: str) -> str:
    """Return what of a text decides its place."""
    key = matching_key(text)
    return " ".join(_words().findall(key)) or key


def place_of_key(key: str, seed: int) -> float:
    """Return where what :func:`placed_by` returned falls in [0, 1)."""
    data = f"{seed}\n{key}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(data).digest()[:6], "big") / 2**48


@functools.cache
def _words() -> re.Pattern[str]:
    return re.compile(f"{word_pattern()}")


@functools.cache
def _class(kind: str, *, beyond: bool) -> re.Pattern[str]:
    if kind == "sign":
        return re.compile(f"[{members('sign', beyond=beyond)}]")
    # Most is single spaces, which stay what they are.
    return re.compile(f"[{members('space', 'point', beyond=beyond, less=' ')}]+")


def _plain(text: str) -> str:
    """Return a folded text whose punctuation means nothing as words and signs."""
    for beyond in (False, True):
        if not beyond or _BEYOND.search(text):
            text = _class("between", beyond=beyond).sub(" ", text)
            text = _class("sign", beyond=beyond).sub(r" \g<0> ", text)
    return text


def _spaced(text: str) -> str:
    """Return words and signs with the spaces that count."""
    text = _SPACES.sub(" ", text)
    return _LOOSE.sub("", text) if _UNSPACED.search(text) else text


def _keys(texts: list[str]) -> list[str]:
    """Return the keys of texts; they are read as one, since most time would be for calls."""
    joined = _APART.join(texts)
    if joined.count(_APART) < len(texts):
        small = folded(joined).split(_APART)
        keys = _spaced(_plain(_APART.join(small))).split(_APART)
    else:  # one has the character itself
        small = [folded(text) for text in texts]
        keys = [_spaced(_plain(text)) for text in small]
    for place, text in enumerate(small):
        if may_mean(text):
            keys[place] = _spaced(spelt(text))
    return [key.strip(" ") or _itself(text) for key, text in zip(keys, small, strict=True)]


def _itself(text: str) -> str:
    return "".join(character for character in text if kind(character) != "space")
