"""Cached logits are learned by the row that they were made of, its teacher and its tokenizer."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests_support import TEACHER as WRITER
from tests_support import run_stages
from tests_tiny_base import make_base
from tests_training import ROWS, digest_of
from train.test_logit_kd import CACHE, LIVE, OF_NEW, SMALL, STUDENT, TEACHER, run

from mashbill.core.errors import MashbillError

GIVEN = [
    {"prompt": f"what is {word}?", "text": f"the {word} fox, ask me@there.example", "by": "a/b"}
    for word in ("red", "blue", "good", "bad")
]
CHANGED = {
    "pii": 'kind = "pii"\ninput = "cached"\n',
    "rewrite": 'kind = "rewrite"\ninput = "cached"\nteacher = "t"\nprompt = "again.txt"\n',
    "rewrite that keeps the text as prompt": (
        'kind = "rewrite"\ninput = "cached"\nteacher = "t"\nprompt = "again.txt"\n'
        'original = "prompt"\n'
    ),
    "chunk": 'kind = "chunk"\ninput = "cached"\nwords = 2\n',
}
AFTER = STUDENT.replace('"cached"', '"after"').replace("steps = 6", "steps = 2")


def ran(folder, stages, given=GIVEN, teachers=TEACHER, **files):
    (folder / "again.txt").parent.mkdir(parents=True, exist_ok=True)
    (folder / "again.txt").write_text("Say it again: {{ text }}")
    for name, text in files.items():
        (folder / f"{name}.txt").write_text(text)
    return run(folder, stages, given, teachers + WRITER)


@pytest.mark.parametrize("stage", CHANGED.values(), ids=CHANGED)
def test_a_text_that_was_changed_behind_its_logits_is_not_learned(tmp_path, stage):
    says = (
        r"after@1, row 0: its logits are of other values than it has: the teacher read "
        r"messages_json, prompt, reasoning_content, text, tools_json, and what stands there was "
        r"changed behind it.*put the stage of kind 'logits' behind whatever changes rows"
    )
    with pytest.raises(MashbillError, match=says):
        ran(tmp_path / "r", CACHE + f"[stages.after]\n{stage}" + AFTER)


def test_logits_behind_the_change_are_learned(tmp_path):
    before = f"[stages.after]\n{CHANGED['pii']}".replace('"cached"', '"said"')
    store = ran(tmp_path / "r", before + CACHE.replace('"said"', '"after"') + STUDENT)
    cached = store.dataset(store.find("cached").ref)
    assert "me@there" not in cached.row(0)["text"]
    assert store.find("student").measures["rows"] == 4


def test_rows_may_be_filtered_and_mixed_and_marked_behind_their_logits(tmp_path):
    stages = """
[stages.checked]
kind = "verify"
input = "cached"
teacher = "t"
prompt = "check.txt"
right = " good"
wrong = " bad"
threshold = 0.0
[stages.once]
kind = "dedup"
input = "checked"
[stages.part]
kind = "split"
input = "once"
range = [0.0, 1.0]
[stages.after]
kind = "mix"
inputs = { part = 1.0 }
"""
    check = "Is it good?\n{{ text }}\nAnswer:"
    store = ran(tmp_path / "r", CACHE + stages + AFTER, check=check)
    assert store.find("student").measures["rows"] == 4


def test_columns_of_a_prompt_file_are_what_logits_are_of(tmp_path):
    """What a prompt does not read may change, and what it reads may not."""
    keys = 'prompt = "ask.txt"\n'
    given = [{**row, "topic": f"write to {row['text'][-16:]}"} for row in GIVEN]
    for column, is_refused in (("topic", True), ("prompt", False)):
        folder = tmp_path / column
        own = [{**row, "prompt": row["text"]} for row in given] if not is_refused else given
        stage = f'[stages.after]\nkind = "pii"\ninput = "cached"\ncolumns = ["{column}"]\n'
        stages = CACHE + keys + stage + AFTER
        asked = {"ask": "Say something. {{ topic }}"}
        if is_refused:
            with pytest.raises(MashbillError, match="the teacher read reasoning_content, text, to"):
                ran(folder, stages, own, **asked)
        else:
            assert ran(folder, stages, own, **asked).find("student").measures["rows"] == 4


def test_published_rows_come_back_with_their_logits(tmp_path):
    store = ran(tmp_path / "first", CACHE + 'form = "top"\n')
    cached = store.dataset(store.find("cached").ref)
    names = [name for name in cached.columns if not name.startswith("_")]
    ((_, table),) = cached.chunks(10, names)
    folder = tmp_path / "second"
    shutil.copytree(tmp_path / "first" / "big", folder / "big")
    pq.write_table(table, folder / "rows.parquet")
    stages = ROWS.replace("rows.jsonl", "rows.parquet") + STUDENT.replace('"cached"', '"said"')
    teachers = TEACHER.replace("DIGEST", digest_of(folder / "big"))
    store = run_stages(folder, stages, {}, teachers)
    assert store.find("student").measures["rows"] == 4


OTHER = TEACHER.replace("[teachers.big]", "[teachers.other]").replace('"big"', '"other"')
SECOND = CACHE.replace("stages.cached", "stages.more").replace('"big"', '"other"')


def of_two(folder, order, student):
    """Rows of two teachers; ``order`` are the inputs."""
    other = make_base(folder / "other", seed=9)
    stages = CACHE + SECOND + student.replace('["cached"]', json.dumps(order))
    return ran(folder, stages, teachers=TEACHER + OTHER.replace("DIGEST", digest_of(other)))


@pytest.mark.parametrize("order", [["cached", "more"], ["more", "cached"]])
def test_a_teacher_that_is_named_is_that_of_every_row(tmp_path, order):
    says = r"more@1, row 0: its logits are of weights with digest \w+, and teacher = 'big' has"
    with pytest.raises(MashbillError, match=says):
        of_two(tmp_path / "r", order, STUDENT)


def test_a_row_between_others_is_found_too(tmp_path):
    stages = '[stages.after]\nkind = "mix"\ninputs = { cached = 1.0, more = 1.0 }\n'
    says = r"after@1, row \d: its logits are of weights with digest"
    with pytest.raises(MashbillError, match=says):
        of_two(tmp_path / "r", ["after"], stages + STUDENT)


def test_each_row_may_have_a_teacher_of_its_own_where_none_is_named(tmp_path):
    small = make_base(tmp_path / "r" / "small", width=16, layers=1)
    keys = STUDENT.replace(OF_NEW, 'base = "small"\n').replace('teacher = "big"\n', "")
    base = SMALL.replace("DIGEST", digest_of(small))
    store = of_two(tmp_path / "r", ["cached", "more"], base + keys)
    assert store.find("student").measures["rows"] == 8


def begins(data):
    """Let every text begin with a token; TRL #4392: one-sided."""
    mark = data["added_tokens"][1]
    data["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": mark["content"], "type_id": 0}},
                   {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {
            mark["content"]: {
                "id": mark["content"], "ids": [mark["id"]], "tokens": [mark["content"]],
            }
        },
    }  # fmt: skip


def merges_otherwise(data):
    merges = data["model"]["merges"]
    merges[0], merges[1] = merges[1], merges[0]


READINGS = {
    "begin": begins,
    "normaliser": lambda data: data.update(normalizer={"type": "Lowercase"}),
    "merges": merges_otherwise,
}


@pytest.mark.parametrize("change", READINGS.values(), ids=READINGS)
def test_one_map_of_ids_is_not_enough(tmp_path, change):
    folder = tmp_path / "r"
    small = make_base(folder / "small", width=16, layers=1)
    file = small / "tokenizer.json"
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))
    base = SMALL.replace("DIGEST", digest_of(small))
    for stages, says in (
        (CACHE + STUDENT, "cached@1, row 0: its tokens are those of a tokenizer that reads texts"),
        (LIVE, "the teacher reads texts otherwise than"),
    ):
        with pytest.raises(MashbillError, match=re.escape(says)):
            ran(folder, base + stages.replace(OF_NEW, 'base = "small"\n'))


def test_a_new_student_reads_as_its_teacher_does(tmp_path):
    store = ran(tmp_path / "r", CACHE + STUDENT)
    tokens = np.frombuffer(store.dataset(store.find("cached").ref).row(0)["logit_tokens"], "<u4")
    assert len(tokens)
    assert store.find("student").measures["rows"] == 4
