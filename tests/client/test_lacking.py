"""What a service lacks is seen at its first answer: the run stops, and says what to set."""

import json
from itertools import count
from types import SimpleNamespace

import pytest
from tests_service import OpenAIBatches, Service, chat
from tests_support import execute, rows_of

from mashbill import InputError, RecipeError, Signer, Store, TeacherError, load_recipe
from mashbill.calls import journal
from mashbill.calls.journal import Journal
from mashbill.core.errors import LosingError
from mashbill.core.teacher import Answer
from mashbill.lineage.evidence.audit import Auditor
from mashbill.plan import build
from mashbill.run.display import Quiet
from mashbill.run.executor import Execution
from mashbill.teachers import weighing
from mashbill.teachers.api import ServerTeacherSpec
from mashbill.teachers.format import Format

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

RECIPE = """
[recipe]
name = "lacking"
version = "{version}"

[teachers.mine]
kind = "server"
model = "m-1"
license = "MIT"
base_url = "{url}/v1"
{teacher}

[stages.texts]
kind = "corpus"
title = "texts"
license = "CC0-1.0"
source = "texts.jsonl"

[stages.out]
input = "texts"
teacher = "mine"
shard_rows = 16
{stage}
"""
LABEL = """
kind = "label"
prompt = "p.txt"
labels = { good = " good", bad = " bad" }
"""
SCHEMA = {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}
FILES = {
    "p.txt": "Text: {{ text }} Mood:",
    "q.jinja": "{% block system %}You are brief.{% endblock %}{% block user %}{{ text }}"
    "{% endblock %}",
    "s.json": json.dumps(SCHEMA),
}
VERIFY = """
kind = "verify"
prompt = "p.txt"
right = " good"
wrong = " bad"
"""
SYSTEM = 'kind = "generate"\nprompt = "q.jinja"\n'
ROLES = "Conversation roles must alternate user/assistant/user/assistant/..."


def made(folder, service, stage, teacher="", rows=40, version="1", prompt=""):
    folder.mkdir(parents=True, exist_ok=True)
    texts = [json.dumps({"text": f"prompt number {n}"}) for n in range(rows)]
    for name, text in {**FILES, "texts.jsonl": "\n".join(texts)}.items():
        (folder / name).write_text(text)
    if prompt:
        (folder / "p.txt").write_text(prompt)
    path = folder / "r.toml"
    path.write_text(RECIPE.format(url=service.url, teacher=teacher, stage=stage, version=version))
    store = Store(folder / "s", Signer.default())
    execute(build(load_recipe(path), store), store, Execution(folder / "c", threads=1))
    return store


def asked(service):
    return [json.loads(data) for _, _, data in service.asked]


def roles(body):
    return [turn["role"] for turn in body["messages"]]


def weighed(*tokens):
    top = [{"token": token, "logprob": -0.5 - place} for place, token in enumerate(tokens)]
    said = chat(tokens[0])
    said["choices"][0]["logprobs"] = {"content": [{**top[0], "top_logprobs": top}]}
    return said


# ---- system turns ----


def without_system(status, error, kind="application/json"):
    """A model whose template takes no system turn."""

    def answer(handler, path, data):
        if "system" in roles(json.loads(data)):
            handler.reply(status, error, kind)
        else:
            handler.reply(200, weighed("good", "bad"))

    return answer


REFUSALS = [
    (400, {"object": "error", "message": "System role not supported", "code": 400}, "System role"),
    (500, {"error": {"code": 500, "message": f"Jinja Exception: {ROLES}"}}, ROLES),
    (422, {"error": f"Template error: {ROLES}", "error_type": "template_error"}, ROLES),
    (404, {"error": "Only user and assistant roles are supported!"}, "Only user and assistant"),
    (200, {"error": {"message": "System role not supported", "code": 400}}, "System role"),
    (400, b"System role not supported", "System role"),
]


@pytest.mark.slow
@pytest.mark.parametrize("stage", [LABEL, SYSTEM, 'kind = "generate"\nschema = "s.json"\n'])
@pytest.mark.parametrize(("status", "error", "said"), REFUSALS)
def test_a_system_turn_that_is_refused_stops_at_the_first_and_names_the_key(
    tmp_path, status, error, said, stage
):
    teacher = 'structured = "prompt"\n' if "schema" in stage else ""
    with Service(without_system(status, error)) as service:
        for runs in (1, 2):
            with pytest.raises(TeacherError) as stopped:
                made(tmp_path, service, stage, teacher)
            assert len(service.asked) == runs
        assert said in str(stopped.value)
        assert 'set system = "user" in [teachers.mine]' in str(stopped.value)
        assert "base_url" not in str(stopped.value)
        assert not list(Journal(tmp_path / "s" / "calls.sqlite").all_bought())
        del service.asked[:]
        if "schema" in stage:
            with pytest.raises(TeacherError, match=r"does not fit the schema"):
                made(tmp_path, service, stage, teacher + 'system = "user"\n')
        else:
            store = made(tmp_path, service, stage, teacher + 'system = "user"\n')
            assert len(rows_of(store, "out")) == 40
            assert Auditor(store.root).run().holds
        for body in asked(service)[:40]:
            assert roles(body)[0] == "user"
            assert "prompt number" in body["messages"][0]["content"]
            assert "\n\n" in body["messages"][0]["content"]


def test_an_error_within_a_stream_is_read_as_well(tmp_path):
    error = b'data: {"error": {"message": "System role not supported", "code": 400}}\n\n'
    with (
        Service(without_system(200, error, "text/event-stream")) as service,
        pytest.raises(TeacherError, match=r'set system = "user" in \[teachers.mine\]'),
    ):
        made(tmp_path, service, SYSTEM, "stream = true\n")
    assert len(service.asked) == 1


def test_a_batch_tells_it_too(tmp_path):
    batches = OpenAIBatches(polls=0, fail=lambda *_: 400)
    whole = batches.content

    def content(handler, file):
        reply = handler.reply
        handler.reply = lambda status, body, kind: reply(
            status, body.replace(b"failed with 400", ROLES.encode()), kind
        )
        whole(handler, file)

    batches.content = content
    with (
        Service(batches) as service,
        pytest.raises(TeacherError, match=r'set system = "user" in \[teachers.mine\]'),
    ):
        made(tmp_path, service, SYSTEM, "batch = true\npoll = 0.05\n")


@pytest.mark.parametrize("stage", [
    f'{SYSTEM}schema = "s.json"\nretries = 1\n', f'{SYSTEM}judge = "mine"\n', LABEL,
])  # fmt: skip
def test_there_is_one_system_turn_at_most_and_it_says_all(tmp_path, stage):
    def answer(handler, path, data):
        body = json.loads(data)
        if roles(body).count("system") > 1:
            handler.reply(400, {"error": {"message": ROLES}})
        elif "logprobs" in body:
            handler.reply(200, weighed("yes", "no") if "judge" in stage else weighed("good", "bad"))
        else:
            handler.reply(200, chat("{}" if len(roles(body)) == 2 else '{"a": "b"}'))

    with Service(answer) as service:
        store = made(tmp_path, service, stage, 'structured = "prompt"\n', rows=4)
    assert len(rows_of(store, "out")) == 4
    bodies = asked(service)
    assert len(bodies) == (4 if stage == LABEL else 8)
    for body in bodies:
        (system,) = [turn["content"] for turn in body["messages"] if turn["role"] == "system"]
        assert ("satisfies this JSON Schema" in system) == ("schema" in stage)
        assert ("exactly as it stands here" in system) == ("logprobs" in body)
        assert "You are brief." in system or "logprobs" in body


def test_a_row_that_is_refused_after_others_were_answered_is_that_row_s_fault(tmp_path):
    def answer(handler, path, data):
        if "number 7" in json.loads(data)["messages"][-1]["content"]:
            handler.reply(400, {"error": {"message": ROLES}})
        else:
            handler.reply(200, chat("well"))

    with Service(answer) as service:
        store = made(tmp_path, service, SYSTEM)
    (gone,) = rows_of(store, "out", "rejected")
    assert ROLES in gone["_reason"]
    assert len(rows_of(store, "out")) == 39


# ---- other things that a service lacks ----


@pytest.mark.parametrize(
    ("stage", "teacher", "status", "says", "cure"),
    [
        (SYSTEM + 'schema = "s.json"\n', "", 400,
         "This model does not support response format `json_schema`.", 'structured = "prompt"'),
        (LABEL, "", 400, "logprobs is not supported with this model", "set logprobs = false"),
        (LABEL, "", 422, "Input validation error: `top_n_tokens` must be >= 0 and <= 5. Given: 20",
         "set top_logprobs = 5"),
        (SYSTEM, "seed = 3", 400, "Unknown parameter: 'seed'.", "remove seed"),
        (SYSTEM, "temperature = 0.0", 400, ("Unsupported value: 'temperature' does not support 0 "
         "with this model. Only the default (1) value is supported."), "remove temperature"),
        (SYSTEM, "max_tokens = 99", 400, ("Unsupported parameter: 'max_tokens' is not supported "
         "with this model. Use 'max_completion_tokens' instead."),
         "set extra = { max_completion_tokens = 99 }"),
        (SYSTEM, "extra = { min_p = 0.1 }", 400, "Unrecognized request argument supplied: min_p",
         "remove min_p from extra"),
    ],
)  # fmt: skip
def test_what_is_not_supported_stops_at_the_first_with_its_cure(
    tmp_path, stage, teacher, status, says, cure
):
    with Service(lambda h, *_: h.reply(status, {"error": {"message": says}})) as service:
        with pytest.raises(TeacherError) as stopped:
            made(tmp_path, service, stage, teacher)
        assert len(service.asked) == 1
    assert cure in str(stopped.value)
    assert "[teachers.mine]" in str(stopped.value)


@pytest.mark.parametrize("status", [401, 403, 429])
def test_a_key_or_a_moderated_row_is_not_taken_for_it(tmp_path, status):
    said = {
        401: "wrong key; tools are not supported",
        403: "flagged: System role not supported",
        429: "quota: System role not supported",
    }[status]
    body = {"error": {"message": said, "code": "insufficient_quota"}}
    with (
        Service(lambda h, *_: h.reply(status, body)) as service,
        pytest.raises((TeacherError, InputError)) as stopped,
    ):
        made(tmp_path, service, SYSTEM, rows=3)
    assert "set system" not in str(stopped.value)


def test_max_completion_tokens_goes_in_place_of_max_tokens(tmp_path):
    with Service(lambda h, *_: h.reply(200, chat("well"))) as service:
        made(tmp_path, service, SYSTEM, "extra = { max_completion_tokens = 77 }\n", rows=2)
    for body in asked(service):
        assert body["max_completion_tokens"] == 77
        assert "max_tokens" not in body


# ---- log-probabilities ----


@pytest.mark.few(6)
@pytest.mark.parametrize("text", ["pos", "good", '{"answer": "good"}', "</think>"])
@pytest.mark.parametrize("logprobs", [None, {"content": []}, {"content": None}, {}])
def test_without_log_probabilities_the_first_answer_is_the_last(tmp_path, text, logprobs):
    body = chat(text)
    body["choices"][0] |= {"logprobs": logprobs, "finish_reason": "length"}
    with Service(lambda h, *_: h.reply(200, body)) as service:
        for _ in range(2):  # what was bought is not bought again, and no row is rejected by it
            with pytest.raises(TeacherError) as stopped:
                made(tmp_path, service, LABEL)
            assert len(service.asked) == 1
        said = str(stopped.value)
        assert "127.0.0.1" in said
        assert "gives no log-probabilities" in said
        assert "set logprobs = false in [teachers.mine]" in said
        assert len(list(Journal(tmp_path / "s" / "calls.sqlite").all_bought())) == 1


def test_a_single_row_is_no_certain_answer_either(tmp_path):
    with (
        Service(lambda h, *_: h.reply(200, chat("good"))) as service,
        pytest.raises(TeacherError, match="gives no log-probabilities"),
    ):
        made(tmp_path, service, LABEL, rows=1)


def test_with_the_key_set_the_rows_are_asked_anew_by_structured_output(tmp_path):
    def answer(handler, path, data):
        body = json.loads(data)
        handler.reply(200, chat('{"answer": "bad"}' if "response_format" in body else "b"))

    with Service(answer) as service:
        with pytest.raises(TeacherError, match="gives no log-probabilities"):
            made(tmp_path, service, LABEL)
        store = made(tmp_path, service, LABEL, "logprobs = false\n")
        assert len(service.asked) == 41
    assert len(rows_of(store, "out")) == 40


def test_a_judge_without_them_stops_the_run_too(tmp_path):
    with Service(lambda h, *_: h.reply(200, chat("yes"))) as service:
        with pytest.raises(TeacherError, match="gives no log-probabilities"):
            made(tmp_path, service, SYSTEM + 'judge = "mine"\n')
        judged = [body for body in asked(service) if "logprobs" in body]
    assert len(judged) == 1


def test_a_batch_without_them_is_paid_once(tmp_path):
    batches = OpenAIBatches(polls=0)
    with Service(batches) as service:
        for _ in range(2):
            with pytest.raises(TeacherError, match="gives no log-probabilities"):
                made(tmp_path, service, LABEL, "batch = true\npoll = 0.05\n")
    assert len(batches.submitted) == 1


def left_out(rows):
    """A service that leaves log-probabilities out for some rows."""

    def answer(handler, path, data):
        text = json.loads(data)["messages"][-1]["content"]
        lacks = any(f"number {row} " in text for row in rows)
        handler.reply(200, chat("good") if lacks else weighed("good", "bad"))

    return answer


def test_where_some_answers_lack_them_their_rows_are_rejected_and_it_is_told(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(Quiet, "tell", lambda _, line: told.append(line))
    with Service(left_out([5, 33])) as service:
        store = made(tmp_path, service, LABEL)
    assert len(rows_of(store, "out")) == 38
    reasons = {row["_reason"] for row in rows_of(store, "out", "rejected")}
    assert reasons == {"no log-probabilities came with 'good'"}
    assert sum("come without log-probabilities" in line for line in told) == 1


@pytest.mark.parametrize("is_seen", [True, False])
def test_a_first_row_without_them_stops_no_run_for_ever(tmp_path, monkeypatch, is_seen):
    """Where the journal says that others of the teacher's came with them."""
    other = {"version": "2", "prompt": "Its mood? {{ text }} ."}
    first = [0, 16, 32]  # of each slice: they are asked side by side
    with Service(left_out([])) as service:
        made(tmp_path, service, LABEL, rows=1)
        service.answer = left_out(first)
        if not is_seen:
            monkeypatch.setattr(journal, "_LATEST", 0)
        store = made(tmp_path, service, LABEL, **other)
        assert len(service.asked) == 41
    assert len(rows_of(store, "out")) == 37
    reasons = {row["_reason"] for row in rows_of(store, "out", "rejected")}
    assert reasons == {"no log-probabilities came with 'good'"}


def test_a_server_that_gives_them_no_more_is_told_by_its_first_answers(tmp_path):
    other = {"version": "2", "prompt": "Its mood? {{ text }} ."}
    with Service(left_out([])) as service:
        made(tmp_path, service, LABEL, rows=1)
        service.answer = left_out(range(40))
        with pytest.raises(TeacherError, match=r"20 of the latest 20 .*set logprobs = false"):
            made(tmp_path, service, LABEL, **other)
        assert len(service.asked) == 21


@pytest.mark.parametrize("stage", [LABEL, VERIFY])
def test_a_service_that_gives_them_with_few_answers_stops_the_run(tmp_path, stage):
    """As a gateway does that goes to several providers."""
    asked_before = count()

    def answer(handler, path, data):
        handler.reply(200, chat("good") if next(asked_before) else weighed("good", "bad"))

    with Service(answer) as service:
        with pytest.raises(TeacherError) as stopped:
            made(tmp_path, service, stage)
        assert len(service.asked) == 20
    assert "no log-probabilities with 19 of the latest 20 answers" in str(stopped.value)
    assert "set logprobs = false in [teachers.mine]" in str(stopped.value)


def test_a_share_that_is_below_half_is_told_as_rejected_rows(tmp_path):
    lacks = [row for row in range(1, 40, 3) if row % 16]  # not the first of a slice: see above
    with Service(left_out(lacks)) as service:
        store = made(tmp_path, service, LABEL)
        assert len(service.asked) == 40
    assert len(rows_of(store, "out")) == 40 - len(lacks)


@pytest.mark.parametrize("stage", [LABEL, VERIFY, SYSTEM + 'judge = "mine"\n'])
@pytest.mark.parametrize(("content", "reasoning"), [(None, ""), ("", ""), ("", "The"), (" ", "A")])
def test_a_model_that_thinks_first_stops_at_its_first_choice(tmp_path, stage, content, reasoning):
    def answer(handler, path, data):
        if "logprobs" not in json.loads(data):
            handler.reply(200, chat("Well."))
            return
        body = chat("")
        body["choices"][0]["message"] |= {"content": content, "reasoning_content": reasoning}
        body["choices"][0]["finish_reason"] = "length"
        handler.reply(200, body)

    with Service(answer) as service:
        for _ in range(2):
            with pytest.raises(TeacherError) as stopped:
                made(tmp_path, service, stage)
            assert sum("logprobs" in body for body in asked(service)) == 1
    assert "set logprobs = false in [teachers.mine]" in str(stopped.value)
    assert "max_tokens" not in str(stopped.value)


@pytest.mark.parametrize(
    ("logprobs", "says"),
    [
        ({"content": [{"token": 450, "logprob": -0.1, "top_logprobs": []}]}, "token is a number"),
        ({"content": [{"token": "good", "logprob": None}]}, "logprob is null"),
        ({"content": [{"token": "good", "logprob": "-0.1"}]}, "logprob is a string"),
        ({"content": ["good"]}, r"logprobs.content\[\] is a string"),
        ({"tokens": ["good"], "token_logprobs": [-0.1, -0.2]}, "more or fewer tokens"),
        ({"content": {"0": 1}}, r"can be read \(logprobs.content is an object, not an array\)"),
    ],
)
def test_log_probabilities_that_came_and_cannot_be_read_are_not_said_to_be_missing(
    tmp_path, logprobs, says
):
    body = chat("good")
    body["choices"][0]["logprobs"] = logprobs
    with Service(lambda h, *_: h.reply(200, body)) as service:
        with pytest.raises((TeacherError, LosingError, InputError), match=says) as stopped:
            made(tmp_path, service, LABEL)
        assert len(service.asked) <= 20
    assert "gives no log-probabilities," not in str(stopped.value)


# ---- choices that are no whole answer ----


def ended(text, word, *, weighs=False, refusal=None):
    body = weighed(text, "other") if weighs else chat(text)
    body["choices"][0]["finish_reason"] = word
    if refusal is not None:
        body["choices"][0]["message"] = {"role": "assistant", "content": None, "refusal": refusal}
    return body


GOOD = '{"answer": "good"}'
NOT_WHOLE = [
    (ended(GOOD, "SAFETY"), "withheld"),
    (ended(GOOD, "content_filter"), "withheld"),
    (ended(None, "stop", refusal="good"), "withheld"),
    (ended("", "stop", refusal=GOOD), "withheld"),
    (ended(GOOD, "abort"), "'abort'"),
    (ended("good", "SOMETHING_NEW"), "'SOMETHING_NEW'"),
    (ended("good", "length"), "cut off"),
    (ended("good", "MAX_TOKENS"), "cut off"),
    (ended('{"answer": "goo', "length"), "cut off"),
    (ended('"good"', "length"), "cut off"),
    (ended('{"answer": true}', "stop"), "none of"),
    (ended('{"answer": ["good"]}', "stop"), "none of"),
]
WEIGHED_AND_NOT_WHOLE = [
    (ended("good", "content_filter", weighs=True), "withheld"),
    (ended("good", "SAFETY", weighs=True), "withheld"),
    (ended("good", "abort", weighs=True), "'abort'"),
    (ended("good", "cancelled", weighs=True), "'cancelled'"),
]


@pytest.mark.few(12)
@pytest.mark.parametrize("stage", ["label", "verify", "judge"])
@pytest.mark.parametrize(
    ("weighs", "body", "says"),
    [(False, *each) for each in NOT_WHOLE] + [(True, *each) for each in WEIGHED_AND_NOT_WHOLE],
)
def test_a_choice_that_is_no_whole_answer_is_a_rejected_row(tmp_path, stage, weighs, body, says):
    well = weighed("good", "bad") if weighs else chat(GOOD)

    def answer(handler, path, data):
        said = json.loads(data)
        if not ("logprobs" in said or "response_format" in said):
            handler.reply(200, chat("Well."))
            return
        given = json.dumps(body if "number 3" in data.decode() else well)
        if stage == "judge":
            given = given.replace("good", "yes").replace('"bad"', '"no"')
        handler.reply(200, json.loads(given))

    stages = {"label": LABEL, "verify": VERIFY, "judge": SYSTEM + 'judge = "mine"\n'}
    teacher = "" if weighs else "logprobs = false\n"
    with Service(answer) as service:
        store = made(tmp_path, service, stages[stage], teacher, rows=6)
    (gone,) = rows_of(store, "out", "rejected")
    assert says in gone["_reason"]
    assert len(rows_of(store, "out")) == 5


@pytest.mark.parametrize("word", ["length", "stop", None, "MAX_TOKENS"])
def test_the_first_token_may_be_cut_there_and_json_that_is_whole_stands(tmp_path, word):
    for teacher, body in (
        ("", ended("good", word, weighs=True)),
        ("logprobs = false\n", ended(GOOD, word)),
    ):
        with Service(lambda h, *_, body=body: h.reply(200, body)) as service:
            store = made(tmp_path / (teacher[:3] or "with"), service, LABEL, teacher, rows=4)
        assert len(rows_of(store, "out")) == 4


@pytest.mark.parametrize("finish", ["content_filter", "other"])
def test_what_an_older_release_took_for_a_choice_in_spite_of_its_end_is_rejected(finish):
    kept = Answer((-0.1, -3.0), 9, "good", "", finish)
    found = weighing.ended(kept)
    assert finish in found.failed
    assert not found.logprobs
    for good in ("stop", "length", ""):
        whole = Answer((-0.1, -3.0), 9, "good", "", good)
        assert weighing.ended(whole) == whole


@pytest.mark.parametrize("text", ["pos", "good"])
def test_what_an_older_release_bought_of_such_a_service_is_not_taken(tmp_path, monkeypatch, text):
    """It took a written choice for certain, and another text for a rejected row."""

    def chosen(_, choices, reply):
        words = [choice.strip() for choice in choices]
        if text in words:
            return weighing.certain(words.index(text), len(words)), ""
        return (), f"the teacher wrote {text!r}, which is none of {words}"

    with Service(lambda h, *_: h.reply(200, chat(text))) as service:
        with monkeypatch.context() as old:
            old.setattr(Format, "_chosen", chosen)
            old.setattr("mashbill.teachers.remote.lacks_weights", lambda _: False)
            old.setattr("mashbill.teachers.remote.Lacking.take", lambda *_: "")
            old.setattr("mashbill.teachers.remote.unweighed", lambda answer: answer)
            try:
                made(tmp_path, service, LABEL, rows=12)
            except InputError as error:
                assert "which is none of" in str(error)  # noqa: PT017
        assert len(service.asked) == 12
        with pytest.raises(TeacherError, match="gives no log-probabilities"):
            made(tmp_path, service, LABEL, rows=40, version="2")
        assert len(service.asked) == 12


def test_a_withheld_first_answer_hides_no_lack(tmp_path):
    def answer(handler, path, data):
        body = chat("good")
        if any(f"number {n} " in data.decode() for n in (0, 1, 16, 17, 32)):
            body["choices"][0]["finish_reason"] = "content_filter"
        handler.reply(200, body)

    with Service(answer) as service:
        with pytest.raises(TeacherError, match="gives no log-probabilities"):
            made(tmp_path, service, LABEL)
        assert len(service.asked) <= 3


def test_a_withheld_first_answer_says_nothing_of_log_probabilities(tmp_path):
    def answer(handler, path, data):
        if "number 0 " not in json.loads(data)["messages"][-1]["content"]:
            handler.reply(200, weighed("good", "bad"))
            return
        body = chat("I cannot.")
        body["choices"][0]["finish_reason"] = "content_filter"
        handler.reply(200, body)

    with Service(answer) as service:
        store = made(tmp_path, service, LABEL)
    (gone,) = rows_of(store, "out", "rejected")
    assert gone["_reason"] == "the provider withheld it: I cannot."


@pytest.mark.parametrize(("keys", "top"), [("", 20), ("top_logprobs = 5\n", 5)])
def test_so_many_log_probabilities_are_asked_for(tmp_path, keys, top):
    with Service(lambda h, *_: h.reply(200, weighed("good", "bad"))) as service:
        made(tmp_path, service, LABEL, keys, rows=2)
    for body in asked(service):
        assert (body["logprobs"], body["top_logprobs"]) == (True, top)


def test_keys_that_contradict_one_another_are_told(tmp_path):
    teacher = "logprobs = false\ntop_logprobs = 5\n"
    with pytest.raises(RecipeError, match="top_logprobs says how many"):
        made(tmp_path, SimpleNamespace(url="http://127.0.0.1:9"), LABEL, teacher)


@pytest.mark.parametrize(
    ("keys", "more"),
    [({}, {}), ({"system": "turn"}, {}), ({"system": "user"}, {"system": "user"}),
     ({"top_logprobs": 5}, {"top_logprobs": 5})],
)  # fmt: skip
def test_new_keys_are_identity_only_where_they_change_answers(keys, more):
    spec = ServerTeacherSpec.model_validate({"model": "m", **keys})
    plain = ServerTeacherSpec.model_validate({"model": "m"})
    assert spec.identity == {**plain.identity, **more}
    assert spec.model_dump() == {**plain.model_dump(), **more}
