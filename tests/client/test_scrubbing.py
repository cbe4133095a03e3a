"""A key that a server echoes is taken out where it comes in, in whatever form it stands there."""

import base64
import gzip
import html
import json
import subprocess
import sys
import time
from urllib.parse import quote

import pytest
from client.test_http import SERVER, recipe, run
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_service import OpenAIBatches, Service, chat
from typer.testing import CliRunner

from mashbill import TeacherError
from mashbill.calls import upkeep as keeping
from mashbill.cli import app
from mashbill.client.order import Answered, Refused
from mashbill.client.scrubbing import GONE, LONG, Scrubber
from mashbill.core.chat import Opaque, ToolCall
from mashbill.core.teacher import Answer

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "127.0.0.2"])

KEY = 'sk-Proj_0/9+A="&b\\c~%'
PRINTABLE = "".join(chr(code) for code in range(0x21, 0x7F))
KEYS = st.text(PRINTABLE, min_size=LONG, max_size=40)
AROUND = st.text(st.characters(blacklist_categories=["Cs"]), max_size=12)
QUICK = law(120)

FORMS = {
    "as it is": lambda key: key,
    "in a URL": lambda key: quote(key, safe=""),
    "in a URL, in small letters": lambda key: "".join(f"%{ord(c):02x}" for c in key),
    "in a URL twice": lambda key: quote(quote(key, safe=""), safe=""),
    "in JSON": lambda key: json.dumps(key)[1:-1],
    "in JSON within JSON": lambda key: json.dumps(json.dumps(key))[1:-1],
    "in JSON, all escaped": lambda key: "".join(f"\\u{ord(c):04x}" for c in key),
    "in JSON, all escaped, large": lambda key: "".join(f"\\u{ord(c):04X}" for c in key),
    "in JSON, slashes too": lambda key: json.dumps(key)[1:-1].replace("/", "\\/"),
    "in Python": lambda key: "".join(f"\\x{ord(c):02x}" for c in key),
    "in HTML": html.escape,
    "in HTML, all escaped": lambda key: "".join(f"&#{ord(c)};" for c in key),
    "in HTML, in hexadecimal": lambda key: "".join(f"&#x{ord(c):X};" for c in key),
    "in base64": lambda key: base64.b64encode(key.encode()).decode(),
    "of basic authentication": lambda key: base64.b64encode(f"user:{key}".encode()).decode(),
    "bearer in base64": lambda key: base64.urlsafe_b64encode(f"Bearer {key}".encode()).decode(),
    "in hexadecimal": lambda key: key.encode().hex(),
    "as a bearer": lambda key: f"Bearer {key}",
}


@pytest.mark.parametrize("form", FORMS)
@QUICK
@given(KEYS, AROUND, AROUND)
def test_any_key_is_taken_out_of_any_text_in_any_form(form, key, before, after):
    spelt = FORMS[form](key)
    whole = before + spelt + after
    scrubber = Scrubber([key, "another-key-of-the-run"])
    for said in (scrubber.text(whole), scrubber.data(whole.encode()).decode()):
        assert GONE in said
        core = spelt[4:-5] if "64" in form or "auth" in form else spelt
        if core not in before + after + GONE:
            assert core not in said
    assert key in before + after or key not in scrubber.text(before + after)


@QUICK
@given(st.binary(max_size=200), KEYS)
def test_what_holds_no_key_stays_as_it_is(body, key):
    if key.encode() not in body and b"%" not in body and b"\\" not in body and b"&" not in body:
        assert Scrubber([key]).data(body) == body


@QUICK
@given(KEYS, st.text(PRINTABLE, max_size=5))
def test_whole_json_stays_whole_json(key, more):
    body = json.dumps({"error": {"message": f"{more}{key}", key: [key, {"a": more}]}}).encode()
    assert json.loads(Scrubber([key]).data(body))


@pytest.mark.parametrize("key", ["", "k", "one", "EMPTY", "sk-1"])
def test_a_short_key_is_taken_out_of_errors_and_not_of_answers(key):
    scrubber, words = Scrubber([key]), "EMPTY is a one-word answer, k?"
    assert scrubber.text(words) == words
    if key:
        assert scrubber.text(f"Authorization: Bearer {key}") == f"Authorization: Bearer {GONE}"
    if len(key) >= 4:
        assert key not in scrubber.text(f"bad key '{key}'", is_error=True)
        assert scrubber.text(f"x{key}x", is_error=True) == f"x{key}x"


def test_whatever_stands_behind_bearer_in_an_error_goes():
    said = "you sent bearer  eyJhbGciOi.J9-_= to us"
    assert Scrubber().text(said, is_error=True) == f"you sent bearer  {GONE} to us"
    assert Scrubber().text(said) == said


@pytest.mark.few(8)
@pytest.mark.parametrize(
    "run", ["\\", "%25", "&#0", "%", "&#x0", "\\u00", "\\x0", "\\\\n", "&amp;", "\0"]
)
@pytest.mark.parametrize("key", ["sk-0123456789abcdef", "/key/of/slashes", "&key&of&ands&"])
def test_time_grows_by_the_length_of_a_body_and_not_by_its_square(run, key):
    scrubber = Scrubber([key])

    def seconds(characters: int) -> float:
        body = "\\u0041 " + run * (characters // len(run))
        spent = []
        for _ in range(3):
            begun = time.process_time()
            scrubber.text(body, is_error=True)
            spent.append(time.process_time() - begun)
        return min(spent)

    assert seconds(160_000) < 8 * max(seconds(40_000), 0.02)


def test_of_two_keys_the_longer_goes_whole():
    scrubber = Scrubber(["abcdefgh", "abcdefgh-and-more"])
    assert scrubber.text("<abcdefgh-and-more> <abcdefgh>") == f"<{GONE}> <{GONE}>"


def test_a_key_that_a_stream_cut_in_pieces_is_taken_out_of_the_answer():
    scrubber = Scrubber([KEY])
    calls, opaque = (ToolCall(KEY, KEY, json.dumps({"of": KEY})),), Opaque("m", "a", [KEY])
    answer = Answer((), 1, f"it is {KEY}", KEY, "stop", calls, KEY, opaque)
    outcome = scrubber.outcome(Answered(answer, served=f"m {KEY}"))
    assert KEY not in repr(outcome)
    assert json.dumps(KEY)[1:-1] not in repr(outcome)
    assert outcome.flags == "key-removed"
    assert KEY not in scrubber.outcome(Refused(f"no {KEY}", retry=False)).reason


# -- a hostile server ------------------------------------------------------------------------------

SECRET = "sk-HoStIlE/0123+456=789"  # noqa: S105 - a stand-in


def echo(handler, path, data):
    """Say the key in every place of an answer, an error, a header and a stream."""
    asked = json.loads(data)
    number = int(asked["messages"][-1]["content"].rsplit(" ", 1)[1])
    first = sum(data == other for _, _, other in handler.server.asked) == 1
    key = handler.headers["Authorization"]
    bare = key.removeprefix("Bearer ")
    echoes = {"X-Key": key, "x-request-id": bare, "Set-Cookie": f"k={bare}",
              "x-ratelimit-reset-requests": bare, "x-ratelimit-remaining-requests": "0",
              "x-ratelimit-limit-requests": bare, "Retry-After": bare}  # fmt: skip
    forms = [FORMS[form](bare) for form in FORMS]
    said = " ".join([key, *forms])
    if number == 0:
        message = {"role": "assistant", "content": said, "reasoning_content": said, "tool_calls": [
            {"id": bare, "type": "function", "function": {"name": bare, "arguments": f'"{bare}"'}}
        ]}  # fmt: skip
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        body = chat("", id=bare, model=said) | {"choices": [choice]}
        handler.reply(
            200, gzip.compress(json.dumps(body).encode()), Content_Encoding="gzip", **echoes
        )
    elif number == 1:
        handler.reply(400, {"error": {"message": said, "type": bare, "code": bare}}, **echoes)
    elif number == 2:
        handler.reply(422, said.encode(), "text/html", **echoes)
    elif number == 3:
        handler.reply(200, {"choices": [{"message": {"content": [{"type": bare}]}}]}, **echoes)
    elif number == 4 and first:
        handler.reply(503, {"error": bare}, **echoes)
    elif number == 5 and first:
        handler.send_response(200, bare)
        handler.send_header("Content-Length", bare)
        handler.end_headers()
        handler.close_connection = True
    else:
        handler.reply(200, chat(f"well, {bare}", id=bare))


def streamed(handler, path, data):
    bare = handler.headers["Authorization"].removeprefix("Bearer ")
    pieces = [bare[:5], bare[5:9], bare[9:]]
    lines = [
        {"model": "m", "choices": [{"index": 0, "delta": {"content": p, "reasoning": p}}]}
        for p in pieces
    ]
    end = {
        "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    }
    text = "".join(f"data: {json.dumps(line)}\n\n" for line in [*lines, end]) + "data: [DONE]\n\n"
    handler.reply(200, text.encode(), "text/event-stream")


def leaks(folder, output=""):
    """Return where a key stands, in any form."""
    forms = [FORMS[form](SECRET) for form in FORMS]
    forms = [
        f[4:-5] if "64" in name or "auth" in name else f
        for name, f in zip(FORMS, forms, strict=True)
    ]
    found = [f"output: {form}" for form in forms if form in output]
    for path in folder.rglob("*"):
        if path.is_file():
            text = path.read_bytes()
            found += [f"{path.name}: {form}" for form in forms if form.encode() in text]
    return found


def ends(handler, *_):
    key = handler.headers["Authorization"]
    handler.reply(401, {"error": {"message": f"no such key: {key}"}}, WWW_Authenticate=key)


class EchoingBatches(OpenAIBatches):
    """Results, answered and failed, that hold the key."""

    def __call__(self, handler, path, data):
        reply = handler.reply

        def with_key(status, body, kind="application/json", **headers):
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            data = data.replace(b"said of", f"{SECRET} of".encode())
            reply(status, data.replace(b"failed with", SECRET.encode()), kind, **headers)

        handler.reply = with_key
        super().__call__(handler, path, data)


def served(tmp_path, answer, more=""):
    """Return a recipe whose server echoes the key, and the service, which must be entered."""
    service = Service(answer)
    teacher = SERVER.format(url=service.url) + 'license = "MIT"\nkey_env = "KEY_ONE"\n' + more
    return recipe(tmp_path / "r", teacher, "keep_cut = true", rows=8), service


def test_a_key_that_a_hostile_server_echoes_stands_neither_on_the_terminal_nor_in_the_store(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("KEY_ONE", SECRET)
    path, service = served(tmp_path, echo)
    root = tmp_path / "s"
    with service:
        done = subprocess.run(
            [sys.executable, "-c", "from mashbill.cli import main; main()", "run", str(path),
             "--store", str(root)], capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert all(SECRET in headers["Authorization"] for _, headers, _ in service.asked)
        assert len(service.asked) == 10
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    exported(root)
    assert leaks(root, output) == []
    assert GONE in (root / "export.jsonl").read_text()


def exported(root):
    keeping.export(root / "calls.sqlite", root / "export.jsonl")
    runner = CliRunner()
    to = str(root / "statement.json")
    for command in (["statement", "latest", "--to", to], ["runs", "--json"]):
        done = runner.invoke(app, ["conduct", *command, "--store", str(root)])
        assert done.exit_code == 0, done.output
        (root / f"{command[0]}.txt").write_text(done.output)


@pytest.mark.parametrize("way", ["stream", "batch"])
def test_a_key_in_pieces_of_a_stream_or_in_a_batch_stands_nowhere(tmp_path, monkeypatch, way):
    monkeypatch.setenv("KEY_ONE", SECRET)
    fails = EchoingBatches(polls=0, fail=lambda prompt, _: 400 if prompt.endswith("2") else None)
    answer, more = {
        "stream": (streamed, "stream = true\n"),
        "batch": (fails, "batch = true\npoll = 0.1\n"),
    }[way]
    path, service = served(tmp_path, answer, more)
    with service:
        run(path, tmp_path / "s")
    exported(tmp_path / "s")
    assert leaks(tmp_path / "s") == []
    assert GONE in (tmp_path / "s" / "export.jsonl").read_text()


def test_an_error_that_ends_the_run_holds_no_key(tmp_path, monkeypatch):
    monkeypatch.setenv("KEY_ONE", SECRET)
    path, service = served(tmp_path, ends)
    with service, pytest.raises(TeacherError) as caught:
        run(path, tmp_path / "s")
    assert GONE in str(caught.value)
    assert SECRET not in repr((caught.value, caught.value.__context__))
    assert leaks(tmp_path / "s") == []
