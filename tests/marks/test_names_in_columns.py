"""Columns that name models, by their names and by what stands in them; and honest ones."""

from __future__ import annotations

import pytest

from mashbill.marks.columns import Columns
from mashbill.stages.cells import Cells

ROWS = 20


def marks_of(column, values, told=()):
    """Return the marks of a column of some values, in turn, over 20 rows."""
    columns = Columns()
    cells = [values[i % len(values)] for i in range(ROWS)]
    columns.see(
        {column: Cells.of(cells), "text": Cells.of([f"row {i}" for i in range(ROWS)])}, ROWS
    )
    return [mark for mark, _ in columns.named(lambda name: name in told)]


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
    ("verb", ["grok", "see"]), ("id", ["ab/cd", "ef/gh"]), ("word", ["bard", "poet"]),
]  # fmt: skip


@pytest.mark.parametrize(("column", "values", "names"), NAMING)
def test_a_column_that_names_models_is_a_mark(column, values, names):
    (mark,) = marks_of(column, values)
    assert sorted(mark.names) == names
    assert mark.kind == "generator"
    assert mark.rows == sum(values[i % len(values)] is not None and (
        values[i % len(values)] in names or isinstance(values[i % len(values)], dict)
        or values[i % len(values)][0] == "{") for i in range(ROWS))  # fmt: skip


@pytest.mark.parametrize(("column", "values"), HONEST)
def test_an_honest_column_is_none(column, values):
    assert marks_of(column, values) == []


def test_there_are_enough_of_them():
    assert len(HONEST) >= 12


def test_what_a_recipe_tells_of_is_no_mark():
    assert marks_of("model", ["ChatGPT"], told=["ChatGPT"]) == []
