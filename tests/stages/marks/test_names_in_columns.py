"""Columns that name models, by their names and by what stands in them; and honest ones."""

from __future__ import annotations

import pytest
from tests_tables import table

from mashbill.files.rows.cells import Cells
from mashbill.stages.marks.columns import Columns

ROWS = 20


def marks_of(column, values, told=()):
    """Return the marks of a column of some values, in turn, over 20 rows."""
    columns = Columns()
    cells = [values[i % len(values)] for i in range(ROWS)]
    columns.see(
        {column: Cells.of(cells), "text": Cells.of([f"row {i}" for i in range(ROWS)])}, ROWS
    )
    found = [mark for mark, _ in columns.named(lambda name: name in told, lambda _: False)]
    return [*found, *columns.alone(), *columns.calls()]


# column, what stands in it, names that are told
NAMING = [
    ("model", ["ChatGPT"], ["ChatGPT"]), ("model", ["grok"], ["grok"]),
    ("llm", ["Gemini"], ["Gemini"]), ("model", ["deepseek-chat"], ["deepseek-chat"]),
    ("model", ["Claude", "ChatGPT"], ["ChatGPT", "Claude"]), ("model_name", ["Kimi"], ["Kimi"]),
    ("model", ["ChatGPT", "reddit", "reddit"], ["ChatGPT"]), ("llm", ["Claude", "me"], ["Claude"]),
    ("model", ["Chat GPT"], ["Chat GPT"]), ("models", ["Google Gemini"], ["Google Gemini"]),
    ("model", ["Copilot", None], ["Copilot"]), ("llm_used", ["Mistral"], ["Mistral"]),
    ("llm_name", ["Bard", "Llama"], ["Bard", "Llama"]), ("model", ["Qwen"], ["Qwen"]),
    ("ai_model", ["Gemini Pro", "none"], ["Gemini Pro"]), ("model", ["GPT"], ["GPT"]),
    ("model_id", ["azure/gpt-4o", "x", "x"], ["azure/gpt-4o"]),
    ("generator_name", ["Claude Opus"], ["Claude Opus"]), ("model", ["o3"], ["o3"]),
    ("teacher", ["ChatGPT", "Ms Lee"], ["ChatGPT"]), ("engine", ["DeepSeek"], ["DeepSeek"]),
    ("meta", [{"llm_model": "Claude"}], ["Claude"]),
    ("meta", [{"used": {"Model": "ChatGPT"}}], ["ChatGPT"]),
    ("metadata", ['{"model": "grok"}'], ["grok"]),
]  # fmt: skip
HONEST = [
    ("model", ["Gemini", "Corolla", "Golf"]), ("model", ["Claude", "Thinker", "Paul"]),
    ("car_model", ["Gemini", "Bellett"]), ("author", ["Claude"]), ("author", ["Claude", "Marie"]),
    ("name", ["Claude", "Kimi", "Bard"]), ("first_name", ["Kimi"]), ("speaker", ["Bard"]),
    ("sign", ["Gemini", "Libra", "Virgo"]), ("wind", ["Mistral", "Bora"]), ("animal", ["llama"]),
    ("colour", ["claret", "gemini blue", "grey"]), ("teacher", ["Claude", "Ms Lee"]),
    ("teacher", ["Claude"]), ("engine", ["Mistral"]), ("source", ["reddit", "Gemini"]),
    ("role", ["copilot", "pilot"]), ("model", ["linear", "logistic"]), ("model", ["A-4", "B-7"]),
    ("model", ["iPhone 12", "Pixel"]), ("model_year", ["2019", "2020"]), ("mission", ["Gemini"]),
    ("partition", ["GPT", "MBR"]), ("meta", [{"model": "Corolla", "make": "Toyota"}]),
    ("source", ["reddit", "arxiv", "web"]), ("source", ["Claude 3D prints", "blog 4", "web"]),
    ("topic", ["gpt-4o", "pumps", "valves"]), ("tags", ["gpt-4", "news", "cars"]),
    ("from", ["gpt", "human"]), ("by", ["Lee", "Kim"]), ("created_by", ["u-12", "u-13"]),
    ("meta", [{"source": "web"}]),
    ("meta", [{"topic": "gpt-4o"}]), ("turns", [[{"from": "gpt", "value": "a"}]]),
    ("verb", ["grok", "see"]), ("id", ["ab/cd", "ef/gh"]), ("word", ["bard", "poet"]),
]  # fmt: skip

OPENAI, ANTHROPIC = "an API of OpenAI's form", "Anthropic's API"
IDS = [
    ("id", "chatcmpl-0000001f", OPENAI),
    ("id", "chatcmpl-AyPNinnUqUDYo9SAdA52NobMflmj2", OPENAI),
    ("key", "chatcmpl-dce42116-9224-97d1-b606-ab49067948a6", OPENAI),
    ("id", "cmpl-7iA7iJjj8V2zOkCGvWF2hAkDWBQZe", OPENAI),
    ("id", "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b", OPENAI),
    ("request_id", "req_ded8ab984ec4bf840f37566c1011c417", OPENAI),
    ("id", "msg_013Zva2CMHLNnXjNJJKqJ2EF", ANTHROPIC),
    ("request_id", "req_011CYK5mje9HkutJtmfPzzNC", ANTHROPIC),
    ("raw", '{"id": "chatcmpl-0000001f", "choices": []}', OPENAI),
    ("raw", {"answer": {"id": "msg_013Zva2CMHLNnXjNJJKqJ2EF"}}, ANTHROPIC),
]
NO_IDS = [
    "msg_001",
    "msg_01J0000000000000000000000",
    "req_011",
    "chatcmpl",
    "cmpl-1",
    "resp_1",
    "msg_67ccd2bed1ec8190b14f964abc054267",
    "req_1b4e28ba2fa14d2f8b0fa2a0d6a1c5f3",
    "we saw chatcmpl-0000001f in a log",
    "msg_2NfJqZ8t3vX1yW0aB4cD5eF6gH7",
    "chatcmpl-x",
]

WHENCE = [
    ("source", "gpt-4o"), ("source", "openai/gpt-4o-mini"), ("src", "claude-sonnet-4-20250514"),
    ("origin", "azure/gpt-4o"), ("author", "Claude 3.5 Sonnet"), ("written_by", "gpt-4-0613"),
    ("data_source", "us.anthropic.claude-sonnet-4-20250514-v1:0"), ("created_by", "GPT-4"),
    ("original_source", "deepseek-chat"), ("meta", {"source": "gpt-4o"}),
]  # fmt: skip


@pytest.mark.parametrize(("column", "name"), WHENCE)
def test_a_few_rows_that_name_a_model_as_their_source_are_a_mark(column, name):
    (mark,) = marks_of(column, [name, "reddit", "web", "a colleague"])
    assert (mark.kind, mark.rows) == ("named", ROWS // 4)


@pytest.mark.parametrize(
    "name", ["ChatGPT", "chat gpt", "DeepSeek", "Gemini Flash", "GPT (OpenAI)"]
)
def test_a_makers_word_as_the_source_of_most_rows_is_a_mark(name):
    (mark,) = marks_of("author", [name, name, "Lee"])
    assert (mark.kind, mark.names) == ("named", (name,))
    assert marks_of("author", [name, "Lee", "Kim", "Ada"]) == []


def test_a_model_among_thousands_of_sources_is_found():
    columns = Columns()
    for chunk in range(3):
        cells = [f"https://site/{chunk}/{i}" if i % 10 else "gpt-4o" for i in range(2_000)]
        both = {"source": Cells.of(cells), "title": Cells.of(cells)}
        columns.see(both, 2_000)
    (mark,) = [mark for mark, _ in columns.named(lambda _: False, lambda _: False)]
    assert (mark.where, mark.names, mark.rows) == ("source", ("gpt-4o",), 600)


@pytest.mark.parametrize(("column", "value", "who"), IDS)
def test_ids_of_answers_are_a_mark(column, value, who):
    (mark,) = marks_of(column, [value, "a"])
    assert (mark.kind, mark.names, mark.rows) == ("call", (who,), ROWS // 2)
    assert f"10 of 20 rows carry ids of answers of {who} in column '{column}'" == mark.says


@pytest.mark.parametrize("value", NO_IDS)
def test_ids_of_other_things_are_none(value):
    assert marks_of("id", [value]) == []


@table(("column", "values", "names"), NAMING)
def test_a_column_that_names_models_is_a_mark(column, values, names):
    (mark,) = marks_of(column, values)
    assert sorted(mark.names) == names
    assert mark.kind == "generator"
    assert mark.rows == sum(values[i % len(values)] is not None and (
        values[i % len(values)] in names or isinstance(values[i % len(values)], dict)
        or values[i % len(values)][0] == "{") for i in range(ROWS))  # fmt: skip


@table(("column", "values"), HONEST)
def test_an_honest_column_is_none(column, values):
    assert marks_of(column, values) == []


def test_there_are_enough_of_them():
    assert len(HONEST) >= 12


def test_what_a_recipe_tells_of_is_no_mark():
    assert marks_of("model", ["ChatGPT"], told=["ChatGPT"]) == []
