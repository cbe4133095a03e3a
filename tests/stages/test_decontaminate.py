"""``decontaminate``: what leaked is found however it is written, and what did not leak is not."""

# ruff: noqa: E501, RUF001
from __future__ import annotations

import json
import random
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_support import rows_of, run_stages

from mashbill import Channel, InputError, RecipeError
from mashbill.core.stage import StageContext
from mashbill.files.rows import tokens
from mashbill.files.rows.items import _NUMBER, Lengths, names_in, read_items
from mashbill.files.rows.redacted import are_hidden
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.evidence.audit import Auditor
from mashbill.run.rederiving import Rederiver
from mashbill.stages.decontaminate import DecontaminateSpec

CLIPS = (
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in "
    "May. How many clips did Natalia sell altogether in April and May?"
)
SKY = "Sunlight is scattered by molecules of the air, and blue light is scattered far more than red"
ITEMS = [
    {"question": CLIPS, "answer": "72"},
    {"question": "What is the capital of Burkina Faso?", "answer": "Ouagadougou"},
    {"question": "Who wrote Hamlet?", "answer": "William Shakespeare"},
    {"question": "2+2=?", "answer": "4"},
    {"question": "中华人民共和国的首都是哪一座城市？", "answer": "北京"},
    {"question": "ما هي عاصمة جمهورية مصر العربية اليوم؟", "answer": "القاهرة"},
    {"question": "Explain in detail why the sky is blue at noon and red at sunset", "answer": SKY},
]
WORDS = [f"w{at}" for at in range(400)]


class Rows:
    """A dataset in memory, as far as the stage asks for one."""

    def __init__(self, table: pa.Table) -> None:
        self.table, self.num_rows = table, table.num_rows

    def read(self, start, stop, columns=None):
        return self.table.select(columns or self.table.column_names).slice(start, stop - start)


def context(folder=Path(), items=ITEMS) -> StageContext:
    return StageContext(
        name="out", seed=1, recipe_folder=folder, cache=folder, work=folder, threads=1,
        input=lambda _: Rows(pa.Table.from_pylist(items)), teacher=None, predictor=None,
        progress=lambda *_: None,
    )  # fmt: skip


def spec_of(**keys) -> DecontaminateSpec:
    against = {"ev": {"question": "question", "answer": "answer"}}
    return DecontaminateSpec.model_validate({"input": "in", "against": against, **keys})


def look(rows, items=ITEMS, batches=1, folder=Path(), **keys):
    """Return why each row is contaminated, and what was measured."""
    ctx = context(folder, items)
    table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows)
    size = -(-max(table.num_rows, 1) // batches)
    given_ = table.to_batches(max_chunksize=size) or [pa.RecordBatch.from_pylist([], table.schema)]
    out = [row for b in spec_of(**keys).run(iter(given_), ctx) for row in b.to_pylist()]
    assert [row["_from"] for row in out] == list(range(table.num_rows))
    return [row.get("_reason") for row in out], ctx.measures | ctx.overall


def filler(draw: random.Random, words: int) -> str:
    return " ".join(draw.choices(WORDS, k=words))


def edited(text: str, draw: random.Random) -> str:
    """Return a text with other case, spacing and punctuation between its words."""
    between = [" ", "  ", "\n", "\r\n\t", ", ", " — ", "... ", "!? ", '" "', " (", ") ", "\u00a0"]
    found = []
    for word in text.split(" "):
        own = draw.choice([str.upper, str.lower, str.title, str])(word.strip(".,?"))
        found += [own, draw.choice(between)]
    return "“" + "".join(found)


@law(120)
@given(st.integers(0, 10**6), st.sampled_from(range(len(ITEMS))), st.sampled_from("qaebr"))
def test_a_leak_is_found_however_it_is_written_and_wherever_it_stands(seed, at, how):
    draw = random.Random(seed)
    item = ITEMS[at]
    question, answer = edited(item["question"], draw), edited(item["answer"], draw)
    before, behind = filler(draw, draw.randrange(400)), filler(draw, draw.randrange(400))
    row = {
        "q": {"prompt": f"{before}\n{question}{behind}", "output": "I cannot say."},
        "a": {"prompt": question, "output": answer},
        "e": {"prompt": "go on", "output": f"{before} {question} {filler(draw, 50)} {answer}."},
        "b": {"prompt": f"{question} {answer}", "output": behind},
        "r": {"prompt": answer, "output": f"{before}\n\n{question}"},
    }[how]
    (reason,), _ = look([row])
    needs_answer = {"Who wrote Hamlet?"}
    if item["question"] == "2+2=?" or (how == "q" and item["question"] in needs_answer):
        assert reason is None, "too short to tell anything"
    else:
        assert f"question of row {at} of ev" in reason


def test_a_question_whose_answer_does_not_follow_at_once():
    """Item 40 of training.md: datatrove's default runs go over question and answer, and miss it."""
    rows = [
        {"prompt": "p", "output": f"{CLIPS} Let us think. {'so ' * 40} it is 72."},
        {"prompt": CLIPS, "output": "It is hard to say."},
        {"prompt": "p", "output": f"72 was said at first. Later: {CLIPS}"},
    ]
    reasons, measures = look(rows)
    assert reasons == [
        "its column output has the question of row 0 of ev, all of it, and its answer is there",
        "its column prompt has the question of row 0 of ev, all of it",
        "its column output has the question of row 0 of ev, all of it, and its answer is there",
    ]
    assert measures["hits"] == {"ev": {"output": 2, "prompt": 1}}
    assert measures["rules"] == {"question": 3}


def test_what_is_written_without_its_points_is_found():
    asked = "What's she paid a year if she's given twelve cheques and never a bonus in the U.S.?"
    items = [
        {"question": asked, "answer": ""},
        {"question": "Isn't Janet's dog older?", "answer": ""},
    ]
    written = "Whats she paid a year if shes given twelve cheques and never a bonus in the US"
    items += [{"question": "A mill makes 1,200 toys a day; how many in 12,000 days?", "answer": ""}]
    rows = [written, "isnt janets dog older", "A mill makes 1200 toys a day how many in 12000 days"]
    reasons, measures = look([{"text": text} for text in rows], items)
    assert [bool(reason) for reason in reasons] == [True, False, True]
    assert measures["rules"] == {"question": 2}


def test_numbers_are_words_with_digits_and_no_points():
    told = _NUMBER.findall("559x + 558 = 3.5, 1,000 or 12% of H2O in 2024. 7'5 x_1 ٣ no")
    assert told == ["559x", "558", "12", "H2O", "2024", "x_1", "٣"]


NO_LEAKS = [
    ("a short answer alone", "It is 72."),
    ("a name alone", "Ouagadougou is a large city, and Paris another."),
    ("two and two", "2+2=4, as everybody knows"),
    ("the same story with other numbers", CLIPS.replace("48", "52")),
    ("the same story of somebody else", CLIPS.replace("April", "June")),
    ("a few words of a question", "How many clips did Natalia take home in that strange May?"),
    ("a short question without its answer", "Who wrote Hamlet?"),
    ("another country", "What is the capital of Peru?"),
    ("half a Chinese question", "中华人民共和国"),
    ("nothing", ""),
    ("signs", "?! ..."),
]


def test_what_did_not_leak_is_kept():
    rows = [{"prompt": "tell me", "output": text} for _, text in NO_LEAKS]
    reasons, _ = look(rows)
    wrong = [name for (name, _), reason in zip(NO_LEAKS, reasons, strict=True) if reason]
    assert wrong == []
    reasons, _ = look(rows, details="any")
    assert [bool(reason) for reason in reasons].count(True) == 2, "the stories, if it is wished"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("What is the capital of Burkina Faso?", ["Burkina", "Faso"]),
        ("It rained. Why did Ada go, and I stay? Because: Bela said so.", ["Ada"]),
        ("How large is the U.S. and (Peru), and Janet's house?", ["Peru"]),
        ("WHY DOES THIS SHOUT AT US", []),
        ("Wer hat das Buch im Haus?", ["Buch", "Haus"]),
        ("中华人民共和国的首都", []), ("", []), ("x", []),
    ],
)  # fmt: skip
def test_names_are_what_is_written_large_within_a_sentence(text, names):
    assert names_in(text) == names


def test_part_of_a_question_with_its_answer_is_found_and_without_it_is_not():
    begun = " ".join(CLIPS.split()[:16])  # a good third, with its number
    reasons, _ = look([{"a": begun, "b": "so 72"}, {"a": begun, "b": "so 73"}])
    assert reasons[0].endswith("and its answer is there")
    assert reasons[1] is None
    changed = CLIPS.replace("friends", "classmates").replace("altogether", "in all")
    (reason,), measures = look([{"a": changed, "b": ""}], near=0.6, overlap=0.9)
    assert reason.startswith("its column a is nearly the question of row 0 of ev: Jaccard 0.")
    assert measures["rules"] == {"near question": 1}
    assert look([{"a": changed, "b": ""}], near=None, overlap=0.9)[0] == [None]


def test_a_long_answer_is_found_by_itself():
    reasons, measures = look([{"text": f"I know: {SKY.upper()}! Indeed."}, {"text": SKY[:40]}])
    assert reasons == ["its column text has the answer of row 6 of ev, all of it", None]
    assert measures["rules"] == {"answer": 1}


def test_common_text_is_no_leak():
    stem = "Choose the right answer to the following question and give its letter at the end:"
    draw = random.Random(4)
    items = [{"question": f"{stem} {filler(draw, 15)}", "answer": "B"} for _ in range(40)]
    items += [{"question": stem, "answer": "A"}]
    rows = [{"text": f"{stem} {filler(draw, 30)} B"} for _ in range(50)]
    rows += [{"text": item["question"]} for item in items[:3]]
    reasons, measures = look(rows, items)
    assert [bool(reason) for reason in reasons] == [False] * 50 + [True] * 3
    assert measures["sets"]["ev"] == {
        "questions": 41, "looked_for": 40, "looked_for_with_their_answer": 0, "of_common_text": 1,
    }  # fmt: skip
    few = look(rows, items[:5])[0]
    assert [bool(reason) for reason in few] == [False] * 50 + [True] * 3, "nor in a small set"


def test_items_that_are_there_twice_are_one():
    items = [{"question": CLIPS, "answer": str(at)} for at in range(30)]
    reasons, measures = look(
        [{"text": CLIPS}, {"text": " ".join(CLIPS.split()[:16]) + " 29"}], items
    )
    assert all(reasons), "thirty of one question are not common text"
    assert measures["sets"]["ev"]["looked_for"] == 1


def test_each_set_that_has_an_item_is_counted(tmp_path):
    for name, items in (("a", ITEMS[:2]), ("b", ITEMS[:1]), ("c", ITEMS[1:2])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(i) + "\n" for i in items))
    against = {n: {"file": f"{n}.jsonl", "question": "question"} for n in ("a", "b", "c")}
    reasons, measures = look([{"t": CLIPS}, {"t": "hello"}], folder=tmp_path, against=against)
    assert reasons[0] == "its column t has the question of row 0 of a, all of it"
    assert measures["hits"] == {"a": {"t": 1}, "b": {"t": 1}}
    assert [one["looked_for"] for one in measures["sets"].values()] == [2, 1, 1]


def test_who_said_it_is_told_apart():
    def chat(asked, said):
        return [{"role": "user", "content": asked}, {"from": "gpt", "value": said}]

    rows = [
        {"messages": json.dumps(chat(CLIPS, "no idea"))},
        {"messages": json.dumps(chat("tell me a problem", CLIPS))},
        {"messages": json.dumps(chat("hello", "there"))},
        {"messages": None},
        {"messages": "not JSON"},
    ]
    reasons, measures = look(rows)
    assert [reason and reason[:34] for reason in reasons] == [
        "its column messages (user) has the", "its column messages (assistant) ha", *[None] * 3,
    ]  # fmt: skip
    assert measures["hits"]["ev"] == {"messages (user)": 1, "messages (assistant)": 1}
    nested = pa.Table.from_pylist([{"m": chat(CLIPS, "x")}, {"m": None}])
    assert [bool(reason) for reason in look(nested)[0]] == [True, False]
    calls = [{"role": "assistant", "content": None, "tool_calls": [
        {"function": {"name": "ask", "arguments": json.dumps({"q": f"first\n{CLIPS}"})}}]}]  # fmt: skip
    assert look([{"m": json.dumps(calls)}])[0][0] is not None


rows_drawn = st.lists(
    st.fixed_dictionaries(
        {
            "a": st.none() | st.sampled_from([CLIPS, "", "Who wrote Hamlet?", "72", "the sky is"]),
            "b": st.none()
            | st.sampled_from([SKY, "William Shakespeare", CLIPS[:90], "🎉", "中文"]),
        }
    ),
    max_size=9,
)
SCHEMA = pa.schema([("a", pa.string()), ("b", pa.string())])


@law(60)
@given(rows_drawn, st.integers(1, 4), st.integers(1, 50))
def test_what_is_found_depends_on_no_slicing_and_a_second_run_finds_nothing(
    drawn, batches, at_once
):
    table = pa.Table.from_pylist(drawn, SCHEMA)
    reasons, measures = look(table)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens, "_AT_ONCE", at_once)
        assert look(table, batches=batches) == (reasons, measures)
    alone = [look(table.slice(at, 1))[0][0] for at in range(table.num_rows)]
    assert alone == reasons
    kept = table.filter(pa.array([reason is None for reason in reasons], pa.bool_()))
    assert look(kept)[0] == [None] * kept.num_rows
    assert measures["contaminated"] == table.num_rows - kept.num_rows


def test_random_texts_are_no_hits_and_shares_are_those_of_a_loop():
    draw = random.Random(9)
    vocabulary = [f"v{at}" for at in range(40)]
    items = [
        {"question": " ".join(draw.choices(vocabulary, k=20)), "answer": "x y"} for _ in range(50)
    ]
    texts = [" ".join(draw.choices(vocabulary, k=300)) for _ in range(200)]
    assert not any(look([{"text": text} for text in texts], items)[0])
    read = read_items(spec_of().against, context(items=items), Lengths(2, 12, 20, 0.7))
    held = read.index.held_by(tokens.tokens_of(pa.array(texts)))
    number = {}
    for item in items:
        own = item["question"].split()
        for run in {tuple(own[at : at + 2]) for at in range(19)}:
            number[run] = number.get(run, 0) + 1
    found = {
        (t, p): s
        for t, p, s in zip(
            held.texts.tolist(), held.parts.tolist(), held.shares.tolist(), strict=True
        )
    }
    questions = [place for place, part in enumerate(read.parts) if not part.is_answer]
    for at, text in enumerate(texts[:20]):
        own = text.split()
        runs = {tuple(own[place : place + 2]) for place in range(len(own) - 1)}
        for place, item in zip(questions, items, strict=True):
            words = item["question"].split()
            its = {tuple(words[i : i + 2]) for i in range(19)}
            weights = {run: 1 / number[run] for run in its if number[run] <= 20}
            share = sum(weight for run, weight in weights.items() if run in runs) / sum(
                weights.values()
            )
            assert abs(found.get((at, place), 0) - share) < 1e-9


def imported(name: str, text: str) -> str:
    return (
        f'[stages.{name}]\nkind = "import"\ntitle = "{name}"\nsource = "{name}.jsonl"\n'
        f'generator = "by"\ntext = "{text}"\n'
    )


STAGES = imported("one", "output") + imported("ev", "question")
CLEAN = (
    '[stages.clean]\nkind = "decontaminate"\ninput = "one"\n'
    'against.ev = { question = "text", answer = "answer" }\n'
)
ROWS = [
    {"prompt": CLIPS, "output": "It is 72.", "by": "m1"},
    {"prompt": "hello", "output": "there", "by": "m1"},
    {"prompt": "x", "output": f"As they say: {CLIPS}", "by": "m2"},
]
EVALS = [{**item, "by": "evaluator"} for item in ITEMS]


def test_an_evaluation_set_is_no_source_of_content(tmp_path):
    store = run_stages(tmp_path, STAGES + CLEAN, {"one.jsonl": ROWS, "ev.jsonl": EVALS})
    assert [row["text"] for row in rows_of(store, "clean")] == ["there"]
    gone = rows_of(store, "clean", "rejected")
    assert [row["_rejected_by"] for row in gone] == ["decontaminate"] * 2
    lines = bill(Circuit.of_artifact(store, store.find("clean")))
    channels = {line.source.name: line.channels for line in lines}
    assert channels == {"m1": (Channel.CONTENT,), "evaluator": (Channel.SELECTION,)}
    assert Auditor(store.root, rederive=Rederiver(store)).run().holds
    marked = CLEAN + 'action = "mark"\n'
    store = run_stages(tmp_path / "marked", STAGES + marked, {"one.jsonl": ROWS, "ev.jsonl": EVALS})
    found = [row["contamination"] for row in rows_of(store, "clean")]
    assert [bool(reason) for reason in found] == [True, False, True]


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv"])
def test_a_set_in_a_file_beside_the_recipe(tmp_path, ending):
    lines = {
        "jsonl": "".join(json.dumps(item) + "\n" for item in [*ITEMS, {"question": None}]),
        "json": json.dumps([*ITEMS, {"question": ["a", "list"], "answer": 4.0}]),
        "csv": f'question,answer\n"{CLIPS}",72\n',
    }
    (tmp_path / f"ev.{ending}").write_text(lines[ending])
    against = {"gsm": {"file": f"ev.{ending}", "question": "question", "answer": "answer"}}
    reasons, measures = look(ROWS, folder=tmp_path, against=against)
    assert [bool(reason) for reason in reasons] == [True, False, True]
    assert "row 0 of gsm, all of it, and its answer is there" in reasons[0]
    assert "gsm" in measures["sets"]
    assert spec_of(against=against).files() == (f"ev.{ending}",)


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_few_rows_null_cells_and_columns_of_other_types(rows):
    table = pa.table(
        {
            "n": pa.array(range(rows), pa.int64()), "t": pa.array([None] * rows, pa.string()),
            "null": pa.nulls(rows), "list": pa.array([[CLIPS]] * rows, pa.list_(pa.string())),
        }
    )  # fmt: skip
    assert [bool(reason) for reason in look(table)[0]] == [True] * rows
    assert look(table, columns=["t", "null"])[0] == [None] * rows
    assert (
        look(table, items=[{"question": None, "answer": None}, {"question": "", "answer": ""}])[0]
        == [None] * rows
    )


@pytest.mark.parametrize(
    ("keys", "error", "message"),
    [
        ('against.ev = { answer = "answer" }', RecipeError, "question"),
        ('against.ev = { question = "answer", answer = "answer" }', RecipeError, "a column twice"),
        ('against.ev = { question = "quest" }', (RecipeError, InputError), "quest"),
        ('against.ex = { question = "text" }', RecipeError, "uses 'ex', which is no stage"),
        ('against.f = { file = "no.jsonl", question = "q" }', (RecipeError, InputError), "no.jsonl"),
        ('against.f = { file = "ev.jsonl", question = "q" }', RecipeError, "question = 'q' is no column of ev"),
        ('against.f = { file = "ev.jsonl", question = "question", answer = "a" }', RecipeError, "answer = 'a' is"),
        ('against.ev = { question = "question", answer = "a" }', RecipeError, "answer = 'a' is no column of ev"),
        ('against.ev = { question = "text" }\ncolumns = ["nowhere"]', (RecipeError, InputError), "nowhere"),
        ('against.ev = { question = "text" }\ncolumns = ["n"]', InputError, "holds int64; text is"),
        ('against.ev = { question = "text" }\noverlap = 1.0', RecipeError, "overlap"),
        ("", RecipeError, "against"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_told(tmp_path, keys, error, message):
    stage = f'[stages.clean]\nkind = "decontaminate"\ninput = "one"\n{keys}\n'
    rows = [{**row, "n": 1} for row in ROWS]
    with pytest.raises(error, match=message):
        run_stages(tmp_path, STAGES + stage, {"one.jsonl": rows, "ev.jsonl": EVALS})


CALL = (
    "A customer who lives far away wants to know whether the small red car that he saw is still for "
    "sale, and asks you to call +1 202-555-0143 before the end of the week. What do you answer?"
)


@pytest.mark.parametrize("put", ["<PHONE_1>", "<CARD_12>", "<NATIONAL_ID_2>"])
def test_what_was_redacted_may_have_been_any_number(put):
    items = [{"question": CALL, "answer": "yes"}]
    text = CALL.replace("+1 202-555-0143", put)
    other = CALL.replace("+1 202-555-0143", "3")
    found, told = look([{"text": text}, {"text": other}, {"text": f"{put} is no leak"}], items)
    assert [reason is not None for reason in found] == [True, False, False]
    assert "let decontaminate stand before pii" in told["warnings"][0]


@pytest.mark.parametrize("text", [CALL, "a <PHONE> b", "<PERSON_1>", "PHONE_1"])
def test_no_other_text_is_taken_for_a_redacted_one(text):
    _, told = look([{"text": text}], [{"question": CALL, "answer": "yes"}])
    assert "warnings" not in told


@pytest.mark.parametrize(
    ("question", "text", "hidden"),
    [
        ("Order 17: call 0151 23456789 today", "Order 17: call <PHONE_1> today", True),
        ("Order 17: call 0151 23456789 today", "Order 18: call <PHONE_1> today", False),
        ("call 0151 23456789", "x call <PHONE_1>", True),
        ("0151 23456789 is mine", "<PHONE_1> is mine", True),
        ("to a1@example.com or 0151 2", "to <EMAIL_1> or <PHONE_1>", True),
        ("注文番号10001、電話は03-3210-7000、メールは", "注文番号10001、電話は<PHONE_1>、メールは", True),
        ("注文番号10001、電話は03-3210-7000、メールは", "注文番号10009、電話は<PHONE_1>、メールは", False),
        ("call 0151 23456789", "<PHONE_1>", False),
        ("17 boxes, call 0151 2 today", "18 boxes, call <PHONE_1> today", False),
        ("x" + " 1 2" * 999, "<PHONE_1> x " * 9999, False),
        ("", "<PHONE_1>", True), ("no number", "<PHONE_1> x", True),
    ],
)  # fmt: skip
def test_which_numbers_a_redaction_hides(question, text, hidden):
    assert are_hidden(question, text) == hidden
