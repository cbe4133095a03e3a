"""Ways in which a file may be other than it should be, from a seed."""

from __future__ import annotations

import json
import re

_SLOT = "\ue123"
HOSTILE = (
    "9" * 5000, "-1", "18446744073709551616", "1e999", "NaN", "nan", "inf", "Infinity", "null",
    "true", '""', "[]", "{}", "[" * 400 + "]" * 400, '"\\ud800"', '"\\u0000"', '"../../etc/hostname"',
    '"' + "x" * 100_000 + '"', "2025-13-45", "0x" + "f" * 6000, '"^(a+)+$"', '"\\u001b[31m"',
    "*alias", "&a [*a]", "!!python/object:os.system x", "1" + ":59" * 2000, '"rot13"', '[1, "a"]',
    '"{{ 9**9**9 }}"', '"a{99999999999999}"', "0", "1.5", '{"a": {"a": {"a": 1}}}',
)  # fmt: skip
"""what may stand where a value should"""
BOMBS = (
    b"", b"\xef\xbb\xbf", b"\xff\xfe\x00", b"\x00" * 4096, b"[" * 100_000, b'{"a":' * 50_000,
    b"[[a]]\n" * 50_000, b"a" * 300_000, b"a." * 200_000 + b"b = 1", b"x = " + b"9" * 5000,
    b"a = [" * 20_000, b"a = {a = " * 20_000, b"\n" * 300_000, b'"' * 100_000, b"," * 100_000,
    b"---\na: " + b"[" * 20_000 + b"\n---\n", b"---\na: &a [1]\nb: [*a, *a]\n---\n",
    b"---\na: 1" + b":59" * 100_000 + b"\n---\n", b"9" * 100_000, b'{"a": 1, "a": 2}', b'"\\ud800"',
    b"{{ " + b"(" * 2000, b"{% if x %}" * 2000, b"GGUF" + b"\xff" * 200,
    b"GGUF\x03\x00\x00\x00" + b"\xff" * 7 + b"\x0f" + b"\xff" * 7 + b"\x0f", b"PAR1" + b"\xff" * 100,
    b"SQLite format 3\x00" + b"\xff" * 2000,
)  # fmt: skip
"""whole files"""


def random_bytes(rng, valid):
    del valid
    return rng.randbytes(rng.choice([0, 1, 7, 64, 1024]))


def truncated(rng, valid):
    return valid[: rng.randrange(len(valid) + 1)]


def flipped(rng, valid):
    if not valid:
        return valid
    at = rng.randrange(len(valid))
    return valid[:at] + bytes([valid[at] ^ (1 << rng.randrange(8))]) + valid[at + 1 :]


def spliced(rng, valid):
    first, second, third = sorted(rng.randrange(len(valid) + 1) for _ in range(3))
    return valid[:second] + valid[first:third] + valid[second:]


def another_word(rng, valid):
    """Another byte sequence where a number or a word stands."""
    words = [*re.finditer(rb"[0-9]+|[a-z_]{3,}", valid[:200_000])]
    if not words:
        return valid
    word = rng.choice(words)
    new = rng.choice([b"-1", b"99999999999999999999", b"", b"null", b"\xff", b"a.b.c", b"1e400"])
    return valid[: word.start()] + new + valid[word.end() :]


def _json_places(value, place=()):
    yield place
    if not isinstance(value, dict | list):
        return
    for key, each in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _json_places(each, (*place, key))


def swapped_json(rng, valid):
    """A hostile value at any place of a JSON text, or of a line of some."""
    lines = valid.decode("utf-8", "replace").split("\n")
    whole = _parsed("\n".join(lines))
    at = None if whole is not None else rng.randrange(len(lines))
    value = whole if at is None else _parsed(lines[at])
    if value is None:
        return another_word(rng, valid)
    place = rng.choice(list(_json_places(value)))
    holder = [value]
    inside, key = holder, 0
    for step in place:
        inside, key = inside[key], step
    inside[key] = _SLOT
    # In most of the files a hostile value is written out; now and then a place goes.
    if rng.random() < 0.15 and place:
        del inside[key]
    text = json.dumps(holder[0]).replace(json.dumps(_SLOT), rng.choice(HOSTILE))
    if at is not None:
        lines[at] = text
        text = "\n".join(lines)
    return text.encode("utf-8", "surrogatepass")


def _parsed(text):
    try:
        return json.loads(text)
    except ValueError:
        return None


_VALUE = re.compile(r"(?m)(?<==)[ \t]*\S[^\n]*$|(?<=: )\S[^\n]*$|(?<=- )\S[^\n]*$")


def swapped_text(rng, valid):
    """A hostile value behind a key of TOML or YAML, or in a cell of CSV."""
    text = valid.decode("utf-8", "replace")
    values = [*_VALUE.finditer(text)]
    if not values:
        cells = [*re.finditer(r"[^,\n]+", text)]
        values = cells[len(cells) // 4 :] or cells
    if not values:
        return valid
    found = rng.choice(values)
    new = f"{text[: found.start()]} {rng.choice(HOSTILE)}{text[found.end() :]}"
    return new.encode("utf-8", "surrogatepass")


OF_BYTES = (random_bytes, truncated, flipped, flipped, spliced)
OF_TEXT = (*OF_BYTES, another_word, swapped_text, swapped_text)
OF_JSON = (*OF_BYTES, another_word, swapped_json, swapped_json, swapped_json)
