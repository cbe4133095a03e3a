"""Rows in the forms that trainers read: exact, read back alike, and nothing left out unsaid."""

import json
import re
import tempfile
from pathlib import Path

import pytest
from form_cases import chats, factories
from form_cases.case import assistant, said, system, user
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from tests_laws import law
from tests_support import rows_of, run_stages
from typer.testing import CliRunner

from mashbill import InputError
from mashbill.cli import app
from mashbill.publish.forms import EARLIER, ROW_FORMS
from mashbill.publish.publish import Wish, publish

STAGE = """
[stages.{0}]
kind = "import"
title = "Set"
source = "{1}"
generator = "none"
{2}
"""
CHAT_FORMS = ["chat", "sharegpt", "trl-sft"]


def made(folder, rows, keys=""):
    return run_stages(folder, STAGE.format("got", "got.jsonl", keys), {"got.jsonl": rows})


def written(store, folder, form, **wish):
    """Return the rows that were written, and what was counted."""
    to = folder / form
    wish = {"receipts": False, **wish}
    done = publish(store, store.find("got"), str(to), Wish(format="jsonl", form=form, **wish))
    rows = [json.loads(line) for line in (to / "data" / "part-00000.jsonl").open()]
    assert done.rows == len(rows)
    assert json.loads((to / "form.json").read_text()) == done.shaped.as_json()
    return rows, done.shaped.as_json()["left_out"]


def back(folder, *forms):
    """Import what was published, and return text and prompt of each row, by form."""
    stages = "".join(STAGE.format(f"again-{form}", form, "") for form in forms)
    store = run_stages(folder, stages, {})
    assert not any(rows_of(store, f"again-{form}", "rejected") for form in forms)
    return [
        [(row["text"], row["prompt"]) for row in rows_of(store, f"again-{form}")] for form in forms
    ]


CALL = {"name": "tide", "arguments": {"port": "Brest"}}
TOOL = {"name": "tide", "parameters": {"type": "object"}}
TRACE = [system("Be brief."), *chats.FUNCTION[:1], chats.CALL, chats.RESULT, assistant(" 4.2 m.")]
WRITTEN = {
    "chat": {
        "messages": [
            system("Be brief."), user("Tide at Brest?"),
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "c1", "type": "function",
                 "function": {"name": "tide", "arguments": '{"port": "Brest"}'}}]},
            {"role": "tool", "content": "4.2", "tool_call_id": "c1"},
            assistant(" 4.2 m."),
        ],
        "tools": [{"type": "function", "function": TOOL}],
        "parallel_tool_calls": False,
    },
    "sharegpt": {
        "conversations": [
            said("system", "Be brief."), said("human", "Tide at Brest?"),
            said("function_call", json.dumps(CALL)), said("observation", "4.2"),
            said("gpt", " 4.2 m."),
        ],
        "tools": json.dumps([TOOL]),
    },
    "trl-sft": {
        "prompt": [
            system("Be brief."), user("Tide at Brest?"),
            assistant("", tool_calls=[{"type": "function", "function": CALL}]),
            {"role": "tool", "name": "tide", "content": "4.2"},
        ],
        "completion": [assistant(" 4.2 m.")],
        "tools": [{"type": "function", "function": TOOL}],
    },
}  # fmt: skip


@pytest.mark.parametrize("form", CHAT_FORMS)
def test_calls_of_tools_stand_as_the_form_has_them(tmp_path, form):
    row = {"messages": TRACE, "tools": [TOOL], "parallel_tool_calls": False, "n": 1}
    store = made(tmp_path, [row])
    rows, left = written(store, tmp_path, form)
    assert rows == [WRITTEN[form]]
    at_once = [] if form == "chat" else ["parallel_tool_calls"]
    assert left == {"columns": [*at_once, "n"], "receipts": [], "turns": {}, "rows": []}
    assert back(tmp_path, form) == [[(" 4.2 m.", "Be brief.\n\nTide at Brest?")]]


def test_alpaca_keeps_system_and_history_and_a_sets_own_input(tmp_path):
    chat = [system("S."), user("a?"), assistant("A."), user("b?"), assistant("B.")]
    rows, _ = written(made(tmp_path / "c", [{"messages": chat}]), tmp_path / "c", "alpaca")
    assert rows == [{"instruction": "b?", "input": "", "output": "B.", "system": "S.",
                     "history": [["a?", "A."]]}]  # fmt: skip
    assert back(tmp_path / "c", "alpaca") == [[("B.", "S.\n\na?\n\nb?")]]
    own = [chats.HISTORY, {"instruction": "x", "input": None, "output": "y"}]
    rows, left = written(made(tmp_path / "a", own), tmp_path / "a", "alpaca")
    assert rows == [own[0], {**own[1], "input": "", "system": "", "history": []}]
    assert left["columns"] == []


TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(str.strip)


@st.composite
def talks(draw):
    """Chats of a question and an answer in turn, with what both are told, and calls in places."""
    turns = [system(draw(TEXT))] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 3))):
        turns.append(user(draw(TEXT)))
        if draw(st.integers(0, 3)) == 0:
            arguments = draw(st.dictionaries(TEXT, st.integers(-9, 9) | TEXT, max_size=2))
            turns.append(
                {
                    "role": "assistant",
                    "tool_calls": [
                        {
                            "id": "c",
                            "type": "function",
                            "function": {"name": "f", "arguments": json.dumps(arguments)},
                        }
                    ],
                }
            )
            turns.append({"role": "tool", "tool_call_id": "c", "content": draw(TEXT)})
        turns.append(assistant(draw(TEXT)))
    return turns


@law(12, suppress_health_check=list(HealthCheck))
@given(st.lists(talks(), min_size=1, max_size=4))
def test_what_is_written_is_read_back_alike(talks):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = made(folder, [{"messages": talk} for talk in talks])
        own = [(row["text"], row["prompt"]) for row in rows_of(store, "got")]
        for form in CHAT_FORMS:
            rows, left = written(store, folder, form)
            assert left == {"columns": [], "receipts": [], "turns": {}, "rows": []}
            for row in rows:
                RULES[form](row)
        assert back(folder, *CHAT_FORMS) == [own] * 3
        plain = [not any(turn["role"] == "tool" for turn in talk) for talk in talks]
        if any(plain):
            _, left = written(store, folder, "alpaca")
            assert sum(each["rows"] for each in left["rows"]) == plain.count(False)
            alike = [each for each, is_plain in zip(own, plain, strict=True) if is_plain]
            assert back(folder, "alpaca") == [alike]


def openai_takes(row):
    """Hold a row to what OpenAI's fine-tuning takes: roles, turn and turn about, an answer last."""
    turns = row["messages"]
    assert {turn["role"] for turn in turns} <= {"system", "user", "assistant", "tool"}
    assert [turn["role"] for turn in turns].count("system") <= 1
    assert turns[-1]["role"] == "assistant"
    assert turns[-1]["content"]
    before = "system"
    open_calls = set()
    for turn in turns[turns[0]["role"] == "system" :]:
        assert turn["role"] in {
            "system": {"user"}, "user": {"assistant"}, "assistant": {"user", "tool"},
            "tool": {"tool", "assistant"},
        }[before]  # fmt: skip
        assert turn.keys() <= {"role", "content", "name", "weight", "tool_calls", "tool_call_id"}
        if turn["role"] == "tool":
            open_calls.remove(turn["tool_call_id"])
        else:
            assert not open_calls
        for call in turn.get("tool_calls", ()):
            assert isinstance(json.loads(call["function"]["arguments"]), dict)
            open_calls.add(call["id"])
        before = turn["role"]


def llama_factory_takes(row):
    """Hold a row to SharegptDatasetConverter (src/llamafactory/data/converter.py)."""
    turns = row["conversations"]
    turns = turns[turns[0]["from"] == "system" :]
    assert len(turns) % 2 == 0
    for i, turn in enumerate(turns):
        accepted = (("human", "observation"), ("gpt", "function_call"))[i % 2]
        assert turn["from"] in accepted
        assert isinstance(turn["value"], str)


def trl_takes(row):
    """Hold a row to ``is_conversational`` (trl/data_utils.py), and to a prompt and its answer."""
    for side in ("prompt", "completion"):
        assert all({"role", "content"} <= turn.keys() for turn in row[side])
    assert row["prompt"][-1]["role"] in ("user", "tool")
    assert [turn["role"] for turn in row["completion"]] == ["assistant"]


RULES = {"chat": openai_takes, "sharegpt": llama_factory_takes, "trl-sft": trl_takes}

PAIRS = {
    "texts": {"prompt": "q", "chosen": " a", "rejected": "b"},
    "turns": {"prompt": [system("S"), user("q")], "chosen": [assistant(" a")],
              "rejected": [assistant("b")]},
    "chats": {"chosen": [user("q"), assistant(" a")], "rejected": [user("q"), assistant("b")]},
    "one turn": factories.PAIR,
    "binarized": {"prompt": "q", "messages": [user("q"), assistant(" a")],
                  "chosen": [user("q"), assistant(" a")], "rejected": [user("q"), assistant("b")]},
    "openai": chats.PREFERENCE,
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_are_written_as_trl_has_them_and_read_back(tmp_path, name):
    store = made(tmp_path, [PAIRS[name]])
    (row,), left = written(store, tmp_path, "trl-preference")
    assert row.keys() == {"prompt", "chosen", "rejected"}
    assert [turn["role"] for turn in row["prompt"]][-1] == "user"
    for side in ("chosen", "rejected"):
        assert [turn["role"] for turn in row[side]] == ["assistant"]
    assert row["chosen"] != row["rejected"]
    (own,) = rows_of(store, "got")
    assert back(tmp_path, "trl-preference") == [[(own["text"], own["prompt"])]]
    assert left["rows"] == []


PREFER = """
[stages.pairs]
kind = "prefer"
one = "one"
other = "other"
teacher = "t"
prompt = "better.txt"
on = ["prompt"]
"""


def test_pairs_that_a_judge_made_are_written(tmp_path):
    sides = [[("q1", "lovely kind"), ("q2", "dull")], [("q1", "awful"), ("q2", "superb")]]
    files = {
        f"{name}.jsonl": [{"prompt": asked, "completion": text} for asked, text in side]
        for name, side in zip(("one", "other"), sides, strict=True)
    }
    stages = "".join(STAGE.format(name, f"{name}.jsonl", "") for name in ("one", "other"))
    question = "{{ prompt }}: A {{ first }} or B {{ second }}? ->"
    store = run_stages(tmp_path, stages + PREFER, {**files, "better.txt": question})
    done = publish(
        store, store.find("pairs"), str(tmp_path / "p"), Wish(format="jsonl", form="trl-dpo")
    )
    rows = [json.loads(line) for line in (tmp_path / "p" / "data" / "part-00000.jsonl").open()]
    own = rows_of(store, "pairs")
    assert len(own) == 2
    assert [row["chosen"][0]["content"] for row in rows] == [row["chosen"] for row in own]
    assert [row["rejected"][0]["content"] for row in rows] == [row["rejected"] for row in own]
    assert [row["prompt"][0]["content"] for row in rows] == [row["prompt"] for row in own]
    assert [row["_id"] for row in rows] == [row["_id"].hex() for row in own]
    left = done.shaped.as_json()["left_out"]
    assert (left["columns"], left["receipts"]) == (["margin"], ["_from"])


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


ODD = [
    {"messages": [user("a?"), assistant("A.", thinking="Hm.")], "n": 1},
    {"messages": [user("a?"), user("b?"), assistant("B.")], "n": 2},
    {"messages": [assistant("A.")], "n": 3},
    {"messages": [user("a?"), assistant("A."), user("b?")], "n": 4},
    {"messages": [user("a?"), system("S"), assistant("A.")], "n": 5},
    {"messages": [user("a?"), chats.CALL, assistant("A.")], "n": 6},
    {"messages": [user("a?"), user("b?"), assistant("B.")], "n": 7},
]


@pytest.mark.parametrize("form", ["chat", "alpaca", "sharegpt", "trl-sft"])
def test_what_has_no_place_is_told_and_counted(tmp_path, form):
    store = made(tmp_path, ODD)
    told = invoke("publish", "got", "--to", tmp_path / "a", "--format", form, "--store", store.root)
    assert told.exit_code == 0, told.output
    text = " ".join(told.output.split())
    receipts = "'n', _id, _bill, _from" if form == "chat" else "'n', _from"
    assert f"Format {form}: it has no place for columns {receipts}, left out." in text
    assert (
        "left out of rows that were written: key 'thinking' of turns (1), turns behind the" in text
    )
    why = "two turns of the user stand one behind the other"
    assert f"Format {form}: 2 rows left out, row 1 the first: {why}." in text
    assert "2 rows, " in text
    done = invoke(
        "publish", "got", "--to", tmp_path / "a", "--format", form, "--json", "--store", store.root
    )
    facts = json.loads(done.stdout)["form"]
    assert (facts["form"], facts["rows"]) == (form, 2)
    assert {
        each["reason"]: (each["rows"], each["first"]) for each in facts["left_out"]["rows"]
    } == {
        why: (2, 1),
        "its chat does not begin with a question": (1, 2),
        "a system turn stands behind others": (1, 4),
        "a call has no result": (1, 5),
    }
    rows = [json.loads(line) for line in (tmp_path / "a" / "data" / "part-00000.jsonl").open()]
    ours = {name for row in rows for name in row if name[0] == "_"}
    assert ours == (set() if form == "chat" else {"_id", "_bill"})
    assert "data/part-*.jsonl" in (tmp_path / "a" / "README.md").read_text()


def test_a_text_that_was_written_anew_comes_before_the_old_chat(tmp_path):
    keys = '\n[stages.half]\nkind = "chunk"\ninput = "got"\nwords = 1\n'
    store = made(tmp_path, [{"messages": [user("a?"), assistant("one two")]}], keys)
    done = publish(
        store, store.find("half"), str(tmp_path / "x"), Wish(format="jsonl", form="chat")
    )
    rows = [json.loads(line) for line in (tmp_path / "x" / "data" / "part-00000.jsonl").open()]
    assert [row["messages"][-1]["content"] for row in rows] == ["one", "two"]
    assert list(done.shaped.turns.values()) == [2]


def test_a_role_that_the_import_told_is_known_when_it_is_published(tmp_path):
    rows = [{"conversations": [said("human", "a?"), said("bing", "A.")]}]
    store = made(tmp_path, rows, 'roles.bing = "assistant"')
    assert written(store, tmp_path, "chat")[0] == [{"messages": [user("a?"), assistant("A.")]}]


@pytest.mark.parametrize(
    ("row", "options", "message"),
    [
        ({"text": "a"}, ["--format", "chat"], "needs a column 'prompt' or 'messages_json'"),
        ({"prompt": "q", "completion": "a"}, ["--format", "trl-dpo"],
         "needs a column 'rejected', .* a stage `prefer` makes such pairs"),
        ({"text": "a"}, ["--format", "xml"], "choose of parquet, .*, arrow, chat, .*, trl-dpo, "),
        ({"text": "a"}, ["--form", "jsonl"], "choose of chat, .*; they go by --format, too"),
        ({"text": "a"}, ["--form", "trl", "--format", "parquet"], "leave out --rejected and"),
        ({"text": "a"}, ["--format", "trl-sft", "--rejected"], "leave out --rejected and"),
        ({"prompt": "", "completion": "a"}, ["--form", "trl"],
         "not even the one row of got@1 has the form trl-sft: 1 since column 'prompt' is empty"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_with_a_remedy(tmp_path, row, options, message):
    store = made(tmp_path, [row])
    told = invoke("publish", "got", "--to", tmp_path / "x", *options, "--store", store.root)
    assert isinstance(told.exception, InputError)
    assert re.search(message, str(told.exception))
    assert not (tmp_path / "x").exists()


def test_the_field_s_reader_of_json_lines_takes_every_form(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    row = {"prompt": [user("q")], "chosen": [assistant(" a")], "rejected": [assistant("b")]}
    row["score"] = 0.5
    store = made(tmp_path, [row, row])
    for form in ROW_FORMS:
        rows, _ = written(store, tmp_path, form, receipts=True)
        file = str(tmp_path / form / "data" / "part-00000.jsonl")
        found = datasets.Dataset.from_json(file, cache_dir=str(tmp_path / "cache" / form))
        assert list(found) == rows


@pytest.mark.parametrize("earlier", sorted(EARLIER))
def test_a_form_is_known_by_its_earlier_name(tmp_path, earlier):
    row = {"prompt": [user("q")], "chosen": [assistant("a")], "rejected": [assistant("b")]}
    store = made(tmp_path, [row])
    for options, folder in ((["--form", earlier], "old"), (["--format", EARLIER[earlier]], "new")):
        done = invoke("publish", "got", "--to", tmp_path / folder, *options, "--store", store.root)
        assert done.exit_code == 0, done.output
    old, new = ((tmp_path / one / "SHA256SUMS").read_bytes() for one in ("old", "new"))
    assert old == new


def test_the_page_has_a_row_for_each_form():
    page = Path(__file__).parents[2] / "docs" / "formats.md"
    table = page.read_text("utf-8").partition("\n## Writing\n")[2]
    assert re.findall(r"^\| `(\w[\w-]*)` \|", table, re.MULTILINE) == list(ROW_FORMS)


@pytest.mark.parametrize("form", ["chat", "sharegpt", "alpaca", "trl-sft"])
def test_of_labelled_rows_the_label_is_the_answer(tmp_path, form):
    store = made(tmp_path, [{"text": "it broke", "label": "angry"}, {"text": "a", "label": ""}])
    rows, left = written(store, tmp_path, form)
    asked = {
        "chat": lambda: [turn["content"] for turn in rows[0]["messages"]],
        "sharegpt": lambda: [turn["value"] for turn in rows[0]["conversations"]],
        "alpaca": lambda: [rows[0]["instruction"], rows[0]["output"]],
        "trl-sft": lambda: [rows[0][key][0]["content"] for key in ("prompt", "completion")],
    }
    assert asked[form]() == ["it broke", "angry"]
    assert len(rows) == 1
    assert "label" not in left["columns"]
    assert [one["rows"] for one in left["rows"]] == [1]


def test_labelled_rows_are_no_pairs(tmp_path):
    store = made(tmp_path, [{"text": "it broke", "label": "angry", "rejected": "calm"}])
    told = invoke("publish", "got", "--to", tmp_path / "x", "--format", "trl-dpo", "--store",
                  store.root)  # fmt: skip
    assert "needs a column 'prompt' or 'messages_json'" in str(told.exception)
