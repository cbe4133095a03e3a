"""Whether labels go on from the prompt's end: what is said, and that the cure is right."""

import contextlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_support import TEACHER

from mashbill import load_recipe
from mashbill.core.errors import RecipeError
from mashbill.run.foreseen import foresee
from mashbill.teachers.continuing import Weighing, check

PLAIN = Weighing()
SERVICE = Weighing(strips=True)
SHOTS = "Text: so so Mood: positive\nText: oh no Mood: negative\nText: word Mood:"
GOOD = [  # nothing to say
    ("Mood:", (" positive", " negative")),
    (SHOTS, (" positive", " negative")),
    ("Is it good? Answer", (" yes", " no")),
    ('Label: "', ("positive", "negative")),
    ('He said "yes". Label: "', ("positive", "negative")),
    ("Label (", ("positive", "negative")),
    ("[", ("A", "B")),
    ("心情：", ("好", "坏")),  # noqa: RUF001
    ("Mood:\npositive\n\nword\nMood:", ("\npositive", "\nnegative")),
    ("label=", ("0", "1")),
    ("#", ("good", "bad")),
    ("Stars:", (" ★", " ☆")),
]
BAD = [  # before, choices, what it says, what it says to write
    ("Mood:", ("positive", "negative"), "no space", (" positive", " negative")),
    ("Mood: ", (" positive", " negative"), "two spaces", (" positive", " negative")),
    ("Mood: ", ("positive", "negative"), "ends with a space", (" positive", " negative")),
    ("Mood:\t", ("positive", "negative"), "ends with a space", (" positive", " negative")),
    (SHOTS, ("positive", "negative"), "examples have ' '", (" positive", " negative")),
    (SHOTS, (" Positive", " Negative"), "examples write", (" positive", " negative")),
    (SHOTS, ("  positive", " negative"), "examples have", (" positive",)),
    ("Mood:\npositive\n\nword\nMood:", (" positive", "\nnegative"), "examples", ("\npositive",)),
    ("The mood of the word", ("good", "bad"), "no space", (" good", " bad")),
    ("Answer, yes or no?", ("yes", "no"), "no space", (" yes", " no")),
    ("Label (", (" positive", " negative"), "opening mark", ("positive", "negative")),
    ("Mood:", ("   good", " bad"), "more than one space", (" good",)),
]


def named(words):
    return {f"labels.{place}": word for place, word in enumerate(words)}


@pytest.mark.parametrize("how", [PLAIN, SERVICE])
@pytest.mark.parametrize(("before", "words"), GOOD)
def test_what_reads_as_text_is_left_alone(before, words, how):
    assert not check(before, named(words), how)


@pytest.mark.parametrize("how", [PLAIN, SERVICE])
@pytest.mark.parametrize(("before", "words", "says", "cure"), BAD)
def test_what_does_not_is_told_with_what_to_write(before, words, says, cure, how):
    (found,) = check(before, named(words), how)
    assert not found.is_error
    assert says in found.says
    written = found.says.split("write ", 1)[1] if "write labels" in found.says else found.says
    for text in cure:
        assert '"' + text.replace("\n", "\\n") + '"' in written


@pytest.mark.parametrize(
    ("words", "how"),
    [
        ((" good", " good"), PLAIN),
        ((" good", "good"), SERVICE),
        (("good ", "good"), SERVICE),
        (("", " bad"), PLAIN),
        (("  ", " bad"), SERVICE),
    ],
)
def test_labels_that_are_the_same_to_the_teacher_are_an_error(words, how):
    assert any(found.is_error for found in check("Mood:", named(words), how))


@pytest.mark.parametrize("words", [(" good", " goodness"), (" not good", " not bad")])
def test_labels_that_begin_alike_are_told(words):
    (found,) = check("Mood:", named(words), SERVICE)
    assert "begin alike" in found.says
    assert not check("Mood:", named(words), Weighing(strips=True, by_first_token=False))


def pieces(text):
    """A toy of a byte-pair tokenizer: a space belongs to its word; long words are two pieces."""
    found = []
    for word in re.findall(r" ?\w+|\s|[^\w\s]+", text):
        found += [word[:6], word[6:]] if len(word) > 9 else [word]
    return found


NUMBERS = {}
TOY = Weighing(
    lambda text: [NUMBERS.setdefault(piece, len(NUMBERS)) for piece in pieces(text)],
    lambda ids: "".join(piece for piece, own in NUMBERS.items() if own in ids),
)


def test_a_tokenizer_shows_labels_of_several_tokens_and_shared_first_ones():
    (found,) = check("Mood:", named([" ambivalent", " good"]), TOY)
    assert "is 2 tokens, of which ' ambiv' is weighed" in found.says
    (same,) = check("Mood:", named([" not good", " not bad"]), TOY)
    assert same.is_error
    assert "one first token" in same.says
    merged, *_ = check("Mood=pre", named(["fix", "cook"]), TOY)
    assert "no space" in merged.says or "merges" in merged.says
    fused, *_ = check("Mood:", named([")x", " b"]), TOY)
    assert "merges with the prompt's last" in fused.says


WORD = st.text("abcdefgh", min_size=1, max_size=5)


@law(300)
@given(
    WORD,
    st.sampled_from([":", " is", "?", ' "', " (", " =", "", ": ", ":  ", ".", ",", ":\t", ")"]),
    st.lists(WORD, min_size=2, max_size=4, unique=True),
    st.sampled_from(["", " ", "  "]),
)
def test_what_it_says_to_write_is_right(cue, end, words, lead):
    before = f"Text: word {cue}{end}"
    said = [
        found
        for found in check(before, named([lead + word for word in words]), PLAIN)
        if "do not go on" in found.says
    ]
    right = [lead + word for word in words]
    for found in said:
        for key, text in re.findall(r'labels\.(\d) = "([^"]*)"', found.says.split("; write ")[1]):
            right[int(key)] = text
    assert not [
        found
        for found in check(before.rstrip(" \t"), named(right), PLAIN)
        if "do not go on" in found.says
    ]


RECIPE = """
[recipe]
name = "some"
version = "1"
{teacher}
[stages.texts]
kind = "corpus"
title = "texts"
license = "CC0-1.0"
source = "texts.jsonl"

[stages.out]
kind = "label"
input = "texts"
teacher = "t"
prompt = "p.txt"
labels = {labels}
"""


def recipe(folder, labels, teacher=TEACHER, prompt="Text: {{ text }}\nMood:\n"):
    (folder / "texts.jsonl").write_text('{"text": "a lovely day"}\n{"text": "a dull one"}\n')
    (folder / "p.txt").write_text(prompt)
    (folder / "r.toml").write_text(RECIPE.format(teacher=teacher, labels=labels))
    return folder / "r.toml"


def foreseen(folder, *args, **how):
    loaded = load_recipe(recipe(folder, *args, **how))
    return foresee(loaded, loaded.stages, folder / "cache")


def test_plans_and_runs_say_it(tmp_path, capsys, monkeypatch):
    from mashbill.cli import main

    path = recipe(tmp_path, '{ good = "good", bad = "bad" }')
    for command in ("plan", "run"):
        for more in ([], ["--json"]):
            store = str(tmp_path / f"s{command}{len(more)}")
            line = ["mashbill", command, str(path), "--store", store, *more]
            monkeypatch.setattr("sys.argv", line)
            with contextlib.suppress(SystemExit):
                main()
            told = capsys.readouterr()
            if more:
                (warning,) = json.loads(told.out)["warnings"]
                assert (warning["stage"], warning["file"]) == ("out", "p.txt")
                assert 'labels.good = " good"' in warning["says"]
            else:
                assert "stages.out (p.txt): behind the prompt's end 'Mood:'" in told.err
                assert 'labels.good = " good"' in told.err


def test_same_labels_stop_a_plan(tmp_path):
    with pytest.raises(RecipeError, match="cannot tell them from each other"):
        foreseen(tmp_path, '{ good = " good", fine = "good " }')


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\r\n"])
def test_a_last_line_that_is_ended_changes_nothing(tmp_path, end):
    prompt = f"Text: {{{{ text }}}}\nMood:{end}"
    assert not foreseen(tmp_path, '{ good = " good", bad = " bad" }', prompt=prompt)
    assert foreseen(tmp_path, '{ good = "good", bad = "bad" }', prompt=prompt)


@pytest.mark.engines
@pytest.mark.filterwarnings("ignore")
def test_the_real_tokenizer_is_asked_where_its_file_is_at_hand():
    from mashbill.core.cache import default_cache
    from mashbill.workspace.recipes import recipe_path

    loaded = load_recipe(recipe_path("grey_area"))
    if loaded.teachers["smollm2"].tokenizer_at_hand(loaded.folder, default_cache()) is None:
        pytest.skip("the teacher's file is fetched by `make test`, which was not used")
    assert not foresee(loaded, loaded.stages, default_cache())
    bare = loaded.stages["labelled"].model_copy(
        update={"labels": {"positive": "positive", "negative": "negative", "mixed": " ambivalent"}}
    )
    other = loaded.model_copy(update={"stages": {**loaded.stages, "labelled": bare}})
    says = [item.finding.says for item in foresee(other, ["labelled"], default_cache())]
    assert 'labels.positive = " positive", labels.negative = " negative"' in says[0]
    assert "' amb' is weighed" in says[1]


def test_a_chat_is_answered_and_so_spaces_are_nothing(tmp_path):
    chats = Weighing(strips=True, chats=True)
    assert not check("Mood: ", named(("positive", " negative")), chats)
    assert not check("Mood:", named(("positive", "negative")), chats)
    (found,) = check(SHOTS, named(("Positive", "Negative")), chats)
    assert 'labels.0 = "positive"' in found.says
    server = '[teachers.t]\nkind = "server"\nmodel = "m"\nlicense = "MIT"\n{}'
    raw = 'wire = "openai-completions"\n'
    assert not foreseen(tmp_path, '{ good = "good", bad = "bad" }', server.format(""))
    assert foreseen(tmp_path, '{ good = "good", bad = "bad" }', server.format(raw))


def digits(text):
    """Cut as tokenizers do that keep a space apart from the digit behind it."""
    return [ord(character) for character in text]


def test_digits_that_begin_with_one_space_are_told_from_each_other():
    how = Weighing(encode=digits, decode=lambda ids: "".join(map(chr, ids)))
    (found,) = check("Stars:", named(("1", "2")), how)
    assert "end the prompt with a space instead" in found.says
    assert '" 1"' not in found.says
    assert not check("Stars: ", named(("1", "2")), how)
    (found,) = check("Stars:", named((" 1", " 2")), how)
    assert found.is_error
    assert 'end the prompt with a space, and write labels.0 = "1", labels.1 = "2"' in found.says
