"""A corpus, and stages of every way to generate over it."""

import json

from tests_support import TEACHER, rows_of, run_stages

from mashbill.teachers.fake import FakeTeacher

TEXTS = [
    {"text": f"The {animal} sleeps by day and hunts at night, row {i}.", "mood": animal[0]}
    for i, animal in enumerate(["owl", "fox", "cat", "bat", "lynx", "moth", "eel", "wolf"])
]
CORPUS = """
[stages.texts]
kind = "corpus"
title = "texts"
source = "texts.jsonl"
"""
WEATHER = {
    "name": "weather",
    "description": "Tells the weather.",
    "parameters": {
        "type": "object",
        "required": ["town"],
        "additionalProperties": False,
        "properties": {"town": {"enum": ["Ulm", "Bonn"]}},
    },
    "returns": {
        "type": "object",
        "required": ["degrees"],
        "properties": {"degrees": {"type": "integer", "minimum": -9, "maximum": 40}},
    },
}
WAYS = {
    "generate": "samples = 2",
    "rewrite": 'purpose = "cleaning"',
    "qa": "pairs = 3",
    "instruct": "samples = 2",
    "evolve": "samples = 2",
    "personas": 'task = "a question"',
    "converse": "turns = 2",
    "tools": 'tools = "tools.json"\nsimulator = "t"',
}
FILES = {"texts.jsonl": TEXTS, "tools.json": json.dumps([WEATHER])}


def stage(kind, keys="", rows=3):
    head = f'{CORPUS}\n[stages.out]\nkind = "{kind}"\ninput = "texts"\nteacher = "t"\n'
    return f"{head}{keys}\nshard_rows = {rows}\n"


def made(folder, kind, keys="", files=None, teachers=TEACHER, rows=3):
    return run_stages(folder, stage(kind, keys, rows), {**FILES, **(files or {})}, teachers)


def both(store, name="out"):
    return rows_of(store, name) + rows_of(store, name, "rejected")


def says(monkeypatch, answer):
    """Let the fake teacher answer by a function of the question."""
    monkeypatch.setattr(FakeTeacher, "_one", lambda _, question: answer(question))
