"""What a file is said to be in that is not in its own encoding, and what divides its fields."""

import pytest
from tests_support import rows_of, run_stages

from mashbill import InputError, RecipeError
from mashbill.files.rows.encodings import where_undecodable

CORPUS = '[stages.texts]\nkind = "corpus"\ntitle = "texts"\nsource = "texts.csv"\n'
WESTERN = {
    "fr": "Le garçon était très bien élevé, même à l'école où il a passé l'été près du lac.",
    "de": "Die Grüße aus Köln waren schön, über die Straße ging ein müder Bär.",
    "es": "El niño comió mañana en España; ¿dónde está el corazón? La canción sonó después.",
    "pt": "A informação não está disponível; o coração da nação é a educação, não há solução.",
    "it": "La città è così bella perché c'è la libertà; però non può più andare lì, né qui.",
    "sv": "Vi åkte över bron på våren och såg på små öar; det är så här året går, kära vän.",
    "da": "Vi så på øerne og æblerne, også på åen; det er så smukt når året går på hæld.",
    "nl": "De ideeën van België zijn geïnspireerd; één café, coöperatie, reünie en knieën.",
}
OTHERS = {
    "cp1250": (
        "Příliš žluťoučký kůň úpěl ďábelské ódy, a děti šly ke škole přes řeku.",
        "Zażółć gęślą jaźń; dzieci poszły do szkoły przez rzekę, a źródło było już blisko.",
    ),
    "cp1251": ("Дети пошли в школу через реку, а потом вернулись домой к ужину.",),  # noqa: RUF001
    "shift-jis": ("子供たちは川を渡って学校へ行き、夕食の前に家に帰りました。",),
}


def said_of(text, encoding, times=3, stated="utf-8"):
    data = f"text,id\n{f'{text},1' + chr(10)}".encode(encoding) * times
    return str(where_undecodable(data, "texts.csv", stated))


@pytest.mark.parametrize("language", WESTERN)
def test_western_europe_reads_as_cp1252(language):
    said = said_of(WESTERN[language], "cp1252")
    assert "it reads as cp1252" in said
    assert "encoding = 'cp1252'" in said
    if "cp1250" in said:
        word = said.split("cp1252 (")[1].split(")")[0]
        assert word.strip("'\"") in WESTERN[language]


@pytest.mark.parametrize(("encoding", "text"), [(e, t) for e, ts in OTHERS.items() for t in ts])
def test_other_encodings_are_among_what_is_named(encoding, text):
    said = said_of(text, encoding)
    assert f"reads as {encoding}" in said or f"or {encoding} ('{text.split()[0].strip(',')}" in said


def test_two_readings_are_told_by_a_word():
    said = said_of(WESTERN["fr"], "cp1252")
    assert (
        "it reads as cp1252 ('garçon') or cp1250" in said or "('très') or cp1250 ('trčs')" in said
    )


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_byte_order_mark_decides(encoding):
    assert f"it reads as {encoding}: write" in said_of("hello there", encoding, 1)


def test_a_few_broken_bytes_are_no_other_encoding():
    data = ("text\n" + WESTERN["fr"] * 20).encode() + b" br\xe9ak\n"
    said = str(where_undecodable(data, "texts.csv", "utf-8"))
    assert "reads as" not in said
    assert "a few are broken" in said
    assert "on_bad_bytes" in said
    whole = ("text\n" + "Ádám és Éva Ááá\n" * 9).encode()
    assert "reads as utf-8: write" in str(where_undecodable(whole, "texts.csv", "cp1252"))


def test_a_rejected_line_names_the_encoding_that_the_recipe_says(tmp_path):
    (tmp_path / "texts.jsonl").write_bytes(b'{"text": "ok"}\n{"text": "K\xf6ln"}\n')
    stage = CORPUS.replace("csv", "jsonl") + 'on_bad_bytes = "reject"\n'
    [gone] = rows_of(run_stages(tmp_path, stage, {}), "texts", "rejected")
    assert gone["_reason"] == "is not utf-8"


EXCEL = 'text;id\nhello, you;1\n"a; b";2\n'


def test_another_mark_than_a_comma_divides(tmp_path):
    store = run_stages(tmp_path, CORPUS + 'delimiter = ";"\n', {"texts.csv": EXCEL})
    rows = rows_of(store, "texts")
    assert [(row["text"], row["id"]) for row in rows] == [("hello, you", "1"), ("a; b", "2")]


@pytest.mark.parametrize("rows", [EXCEL, "text;id\nhello;1\n"])
def test_what_divides_is_told_where_commas_do_not(tmp_path, rows):
    with pytest.raises(InputError, match=r"divided by ';': write delimiter = \";\" in the recipe"):
        run_stages(tmp_path, CORPUS, {"texts.csv": rows})


@pytest.mark.parametrize("mark", ["", ";;", '\\"', "\\n"])
def test_a_mark_is_one_character(tmp_path, mark):
    with pytest.raises(RecipeError, match="delimiter"):
        run_stages(tmp_path, CORPUS + f'delimiter = "{mark}"\n', {"texts.csv": EXCEL})
