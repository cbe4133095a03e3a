"""Bounds of what is read from strangers: each refusal names the file, and the line or the key."""

import math
import re
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_tables import table

from mashbill import InputError, RecipeError
from mashbill.core.cells import at_least, at_most, text_encoding
from mashbill.core.parsing import foreign, json_value, yaml_value
from mashbill.core.plain_toml import read_toml, toml_value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1\na = " + "9" * 5000, "f.toml: line 2: not valid TOML: a number of too many digits"),
        ("[t]\na = 0x" + "f" * 99_999, "f.toml: t.a: a whole number beyond 2^53"),
        ("[t]\na = [0, -9007199254740992]", "f.toml: t.a[1]: a whole number beyond 2^53"),
        ("[t]\na = [1, nan]", "f.toml: t.a[1]: a number that is not finite"),
        ("a = -1e999", "f.toml: a: a number that is not finite"),
        ("\na = " + "[" * 5000 + "]" * 5000, "f.toml: line 2: not valid TOML: lists and tables"),
        ("a = " + "{a = " * 5000 + "1" + "}" * 5000, "nested too deeply"),
        ("a = " + "[" * 200 + "]" * 200, "more than 128 lists"),
        ("x = 1\n" + "a." * 500_000 + "b = 1", "f.toml: line 2: a key of more than 16 parts"),
        ('"a" . ' * 300_000 + "b = 1", "f.toml: line 1: a key of more than 16 parts"),
        ("[" + "a." * 500_000 + "b]", "f.toml: line 1: a key of more than 16 parts"),
        ("x = 1\nx = {" + "a." * 50_000 + "b = 1}", "f.toml: line 2: a key of more than 16 parts"),
        ("a = 2025-13-45", "f.toml: not valid TOML"),
        ('a = "\\ud800"', "f.toml: not valid TOML"),
    ],
)
def test_toml(text, says):
    with pytest.raises(InputError, match=re.escape(says)):
        toml_value(text, "f.toml")


def test_toml_that_only_looks_like_a_bomb_is_read():
    many = ".".join("abcdefghijklmnopqrstuvwxyz")
    text = f'a = "{many}" # {many}\nb = """\nx {many}\n"""\nc = 9007199254740991\n'
    assert toml_value(text, "f")["c"] == 2**53 - 1


def test_a_file_that_is_too_large_or_no_text_or_not_there(tmp_path):
    path = tmp_path / "f.toml"
    path.write_bytes(b"#" * (3 << 20))
    with pytest.raises(InputError, match=r"f\.toml has more than 2,097,152 bytes"):
        read_toml(path)
    path.write_bytes(b"a = 1\nb = '\xff'")
    with pytest.raises(InputError, match=r"f\.toml: cannot be read as UTF-8 text: line 2"):
        read_toml(path)
    for wrong in (tmp_path, tmp_path / "none", tmp_path / "a\0b", tmp_path / ("x" * 300)):
        with pytest.raises(RecipeError, match="cannot be read"):
            read_toml(wrong, error=RecipeError)
    path.write_bytes(b"\xef\xbb\xbfa = 1")
    assert read_toml(path)[1] == {"a": 1}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("[" * 100_000, "nested too deeply"), ("[" * 400 + "]" * 400, "more than 128 lists"),
        ("9" * 5000, "5,000 digits"), ("[1e999]", "beyond what a float"), ("[NaN]", "NaN"),
        ("-Infinity", "-Infinity"), ('{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' is there twice"),
        ('["\\ud83d"]', "half of a surrogate"), ('{"\\ude00": 1}', "half of a surrogate"),
        (b'{"a":\n "\xff"}', "line 2"), ("{}".encode("utf-16"), "is UTF-16"),
        ("", "Expecting value"), ('{\n"a" 1}', "line 2: not valid JSON"), (b"\xed\xa0\x80", "UTF-8"),
    ],
)  # fmt: skip
def test_json(data, says):
    with pytest.raises(InputError, match=re.escape(says)) as error:
        json_value(data, "f.json")
    assert str(error.value).startswith("f.json: ")


def test_json_of_too_many_parts_is_told_before_they_are_made(monkeypatch):
    monkeypatch.setattr("mashbill.core.parsing.JSON_MARKS", 1000)
    for text in (
        "[" + "[]," * 600 + "1]",
        '{"a":' * 2 + "[" + "{}," * 600 + "1]}}",
        "[" + "1," * 1001,
    ):
        with pytest.raises(InputError, match=r"^f\.json: .* brackets and commas, and 1,000 are"):
            json_value(text, "f.json")
    assert json_value("[" + "1," * 900 + "1]", "f")


def test_json_that_is_right_is_read():
    assert json_value(b'\xef\xbb\xbf{"a": "\\ud83d\\ude00"}', "f") == {"a": "\U0001f600"}
    assert json_value("[" * 100 + "]" * 100, "f")
    assert math.isinf(json_value("-Infinity", "f", constants=True))


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [1]\nb: [*a, *a]", "a: &a {b: 1}\nc:\n  <<: *a", "[" * 20_000, "{a: " * 5000,
        "- " * 5000 + "a", "a: 1" + ":59" * 100_000, "a: " + "9" * 5000,
        "a: !!python/object:os.system x", "a: 2025-13-45", "a: !!int abc", "? [a]\n: b", "a: \0",
        "!!timestamp abc", "<<: [1]", "!!omap [1]", "a: !!binary é", "[", "a: 1" + ":59" * 40 + ".5",
    ],
)  # fmt: skip
def test_yaml(text):
    with pytest.raises(InputError, match=r"^README\.md:"):
        yaml_value(text, "README.md", line=1)


@table(
    "name",
    [
        "rot13", "rot_13", "base64", "hex", "zlib", "bz2", "uu", "quopri", "idna", "punycode",
        "unicode_escape", "unicode-escape", "raw_unicode_escape", "mbcs", "oem", "undefined",
        "charmap", "", "utf", "utf8mb4", "windows1252", "a\0b", "\ud800", "é", "x" * 100_000, "../x",
    ],
)  # fmt: skip
def test_what_is_no_encoding_of_text_is_told(name):
    if name == "utf":  # an alias that Python has
        assert text_encoding(name) == "utf-8"
        return
    with pytest.raises(RecipeError, match="is no encoding of text files"):
        text_encoding(name)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("utf8", "utf-8"), ("UTF-8", "utf-8"), ("utf-8-sig", "utf-8-sig"), ("latin-1", "iso8859-1"),
        ("cp1252", "cp1252"), ("utf-16", "utf-16"), ("shift_jis", "shift_jis"), ("ascii", "ascii"),
        ("gb18030", "gb18030"), ("koi8-r", "koi8-r"), ("utf-7", "utf-7"), ("big5", "big5"),
    ],
)  # fmt: skip
def test_encodings_of_text_are_found(name, found):
    assert text_encoding(name) == found


def test_near_names_of_an_encoding_are_told():
    with pytest.raises(RecipeError, match="did you mean windows-1252"):
        text_encoding("windows1252")


NUMBERS = st.one_of(
    st.integers(), st.floats(allow_nan=False), st.integers(-(10**400), 10**400),
    st.decimals(allow_nan=False, allow_infinity=False), st.booleans(), st.none(),
    st.lists(st.integers()), st.text(), st.just(math.nan), st.just(Decimal("sNaN")), st.binary(),
    st.dictionaries(st.text(), st.integers()), st.integers().map(str), st.floats().map(str),
)  # fmt: skip


@law(600)
@given(NUMBERS, st.floats(allow_nan=False, allow_infinity=False))
def test_a_row_s_number_is_compared_exactly_or_is_none(value, bound):
    found = at_least(value, bound), at_most(value, bound)
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and not (isinstance(value, float) and math.isnan(value))
    ):
        exact = value if value in {math.inf, -math.inf} else Fraction(value)
        assert found == (exact >= Fraction(bound), exact <= Fraction(bound))
    elif not isinstance(value, str | Decimal):
        assert found == (None, None)
    assert (found[0] is None) == (found[1] is None)
    if found[0] is not None:
        assert found[0] or found[1]


@table(
    ("value", "found"),
    [
        ("9" * 400, True), (" 3.5 ", True), ("1e5", True), ("-inf", False), ("Infinity", True),
        ("nan", None), ("1_000", None), ("", None), ("0x10", None), ("1e999999", True), (True, None),
        (10**400, True), (-(10**400), False), (math.nan, None), ([5], None), ("three", None),
        (Decimal("NaN"), None), (Decimal("sNaN"), None), ("9" * 20_000, None), ("1e9999999", None),
    ],
)  # fmt: skip
def test_at_least_by_example(value, found):
    assert at_least(value, 3.5) is found


@pytest.mark.parametrize(
    "problem",
    [
        RecursionError(), MemoryError(), KeyError("x"), OSError("no parquet"), SystemError("x"),
        type("PanicException", (BaseException,), {})("a panic"), UnicodeDecodeError("a", b"", 0, 1, "b"),
    ],
)  # fmt: skip
def test_whatever_a_library_raises_is_one_error(problem):
    said = r"^f: not a thing, or not a whole one: .*; do it again"
    with (
        pytest.raises(InputError, match=said),
        foreign("f", "a thing", remedy="do it again"),
    ):
        raise problem


def test_an_error_of_ours_and_ctrl_c_go_through():
    for ours in (RecipeError("x"), KeyboardInterrupt(), SystemExit(3)):
        with pytest.raises(type(ours)) as error, foreign("f", "a thing"):
            raise ours
        assert error.value is ours


@law(300)
@given(st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False,
              allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)), max_leaves=20,
))  # fmt: skip
def test_what_json_writes_is_read_as_it_was(value):
    import json

    assert json_value(json.dumps(value), "f") == value
    assert json_value(json.dumps(value, ensure_ascii=False).encode(), "f") == value
