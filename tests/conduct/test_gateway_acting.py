"""What a gateway does by configuration: whose a request is, limits, actions, and failing."""

from __future__ import annotations

import asyncio
import copy
import gzip
import hashlib
import json
import threading
import zlib

import numpy as np
import pytest
from conduct.gateway_support import ANSWER, CHAT, HASHES, Engine, alone, running, until
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.conduct.gateway.accounts import Networks
from mashbill.conduct.gateway.reading import answered, asked, json_of, unpacked
from mashbill.conduct.gateway.settings import Settings, read_settings
from mashbill.conduct.gateway.stripping import Stripper, stripped
from mashbill.conduct.logs.blobs import brought
from mashbill.conduct.scan.engine import Advice
from mashbill.core.errors import InputError

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
MINE = HASHES.account(hashlib.sha256(b"sk-1").hexdigest())
ACT = Advice("act", ("X", "I"), ("case-7",))
REVIEW = Advice("review", ("J",), ("case-8",))
ALL = {
    "contact": "abuse@example.org",
    "actions": {"review": {"strip_reasoning": True}, "act": {"refuse": True}},
}


def test_a_refusal_names_the_case_and_how_to_object_in_the_form_of_each_api():
    async def work():
        async with running(**ALL) as run:
            run.engine.held[MINE] = ACT
            async with run.ask() as got:
                assert got.status == 403
                error = json.loads(await got.read())["error"]
            assert error["cases"] == ["case-7"]
            assert error["objection"] == "abuse@example.org"
            assert "case-7" in error["message"]
            assert "abuse@example.org" in error["message"]
            async with run.ask("/v1/messages") as got:
                told = json.loads(await got.read())
            assert told["type"] == "error"
            assert told["error"]["type"] == "permission_error"
            async with run.ask(Authorization="Bearer sk-2") as got:  # another is not refused
                assert got.status == 200
            assert len(run.up.asked) == 1
            rows = await run.events(3)
            assert [row["status"] for row in rows] == [403, 403, 200]
            assert all(row["skeleton"] for row in rows)

    alone(work)


@pytest.mark.parametrize("tier", ["none", "note", "review", "act"])
def test_without_a_configured_action_no_tier_changes_anything(tier):
    async def work():
        async with running() as run:
            run.engine.held[MINE] = Advice(tier, ("J", "X", "I", "L"), ("case-1",))
            async with run.ask() as got:
                assert (got.status, await got.read()) == (200, run.up.body)
                assert "X-Mashbill-Removed" not in got.headers

    alone(work)


def test_a_score_of_one_prompt_refuses_nobody():
    class Sure:
        def score(self, texts):
            return np.full(len(texts), 9, np.float32), np.full(len(texts), 9, np.float32)

    async def work():
        async with running(scorer=Sure(), **ALL) as run:
            for _ in range(5):
                async with run.ask() as got:
                    assert got.status == 200
            rows = await run.events(5)
            assert {row["jailbreak"] for row in rows} == {9.0}

    alone(work)


def test_a_slowed_account_waits_and_another_does_not():
    async def work():
        async with running(actions={"review": {"slow": 0.4}}) as run:
            run.engine.held[MINE] = REVIEW
            loop = asyncio.get_running_loop()
            began = loop.time()
            async with run.ask() as got:
                assert (got.status, await got.read()) == (200, run.up.body)
            assert loop.time() - began >= 0.4
            began = loop.time()
            async with run.ask(Authorization="Bearer sk-2"):
                assert loop.time() - began < 0.4
            assert run.gateway.metrics.of("actions_total", tier="review", action="slow") == 1

    alone(work)


def test_reasoning_is_left_out_and_the_answer_says_so():
    async def work():
        async with running(**ALL) as run:
            run.engine.held[MINE] = REVIEW
            async with run.ask() as got:
                assert got.headers["X-Mashbill-Removed"] == "reasoning"
                found = json.loads(await got.read())
            wanted = copy.deepcopy(ANSWER)
            del wanted["choices"][0]["message"]["reasoning"]
            assert found == wanted
            assert run.up.asked[-1][2]["Accept-Encoding"] == "identity"
            async with run.ask(how="packed") as got:  # it cannot be looked into
                assert got.status == 502
            async with run.ask(how="limited") as got:
                assert got.status == 429
            run.up.kind, run.up.body = "application/json", b"not json"
            async with run.ask() as got:
                assert got.status == 502

    alone(work)


def sse(*values):
    return b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in values)


def of_stream(data):
    return [json.loads(line[5:]) for line in data.split(b"\n") if line.startswith(b"data: {")]


MESSAGES = [
    {"type": "message_start", "message": {"content": [], "role": "assistant"}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hello"}},
    {"type": "content_block_stop", "index": 1},
    {"type": "content_block_start", "index": 2, "content_block": {"type": "redacted_thinking"}},
    {"type": "content_block_stop", "index": 2},
    {"type": "content_block_start", "index": 3, "content_block": {"type": "tool_use"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
    {"type": "message_stop"},
]  # fmt: skip
RESPONSES = [
    {"type": "response.output_item.added", "output_index": 0,
     "item": {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "x"}},
    {"type": "response.reasoning_summary_text.delta", "delta": "hm"},
    {"type": "response.reasoning_text.delta", "delta": "hm"},
    {"type": "response.output_text.delta", "output_index": 1, "delta": "Hello"},
    {"type": "response.completed", "response": {"output": [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}],
         "content": [{"text": "hm"}]}, {"type": "message", "content": []}]}},
]  # fmt: skip


def test_streams_of_each_api_go_on_without_their_reasoning():
    def through(endpoint, data):
        stripper = Stripper(endpoint)
        return (
            b"".join(stripper.feed(data[at : at + 7]) for at in range(0, len(data), 7))
            + stripper.end()
        )

    found = of_stream(through("messages", sse(*MESSAGES)))
    assert [each["type"] for each in found] == [
        "message_start", "content_block_start", "content_block_delta", "content_block_stop",
        "content_block_start", "message_delta", "message_stop",
    ]  # fmt: skip
    assert [each["index"] for each in found if "index" in each] == [0, 0, 0, 1]
    found = of_stream(through("responses", sse(*RESPONSES)))
    assert [each["type"] for each in found] == [
        "response.output_item.added", "response.output_text.delta", "response.completed",
    ]  # fmt: skip
    assert found[0]["item"] == {"type": "reasoning", "id": "r", "summary": []}
    assert "hm" not in json.dumps(found)
    chat = [{"choices": [{"delta": {"reasoning_content": "hm"}}]},
            {"choices": [{"delta": {"content": "<think>mine</think>Hello"}}]}]  # fmt: skip
    data = sse(*chat) + b': a comment\n\nevent: x\ndata: [DONE]\n\ndata: {"half'
    found = through("chat", data)
    assert found.endswith(sse(chat[1]) + b': a comment\n\nevent: x\ndata: [DONE]\n\ndata: {"half')
    assert found.startswith(b'data: {"choices":[{"delta":{}}]}')


WORDS = st.text(max_size=20)
CHOICES = st.lists(
    st.fixed_dictionaries(
        {"delta": st.fixed_dictionaries({"content": WORDS}, optional={"reasoning": WORDS})}
    ),
    max_size=3,
)


@law(60)
@given(st.lists(CHOICES, max_size=6), st.integers(1, 90), st.booleans())
def test_the_words_of_an_answer_are_never_altered(all_choices, size, crlf):
    data = sse(*({"choices": each} for each in all_choices))
    if crlf:
        data = data.replace(b"\n", b"\r\n")
    stripper = Stripper("chat")
    out = b"".join(stripper.feed(data[at : at + size]) for at in range(0, len(data), size))
    out += stripper.end()

    def contents(raw):
        return [c["delta"].get("content") for each in of_stream(raw.replace(b"\r", b""))
                for c in each["choices"]]  # fmt: skip

    assert contents(out) == contents(data)
    assert all("reasoning" not in c["delta"] for each in of_stream(out.replace(b"\r", b""))
               for c in each["choices"])  # fmt: skip
    if not any("reasoning" in c["delta"] for each in all_choices for c in each):
        assert out == data


def test_a_whole_answer_without_reasoning_stays_byte_for_byte():
    plain = b'{ "choices": [ {"message": {"content": "x" }} ] }'
    assert stripped("chat", plain) is plain
    message = {"content": [{"type": "thinking", "thinking": "h", "signature": "s"},
                           {"type": "text", "text": "Hello"}]}  # fmt: skip
    found = json.loads(stripped("messages", json.dumps(message).encode()))
    assert found == {"content": [{"type": "text", "text": "Hello"}]}


# Who asks

KEYS = """
[[keys]]
sha256 = "{}"
account = "acme"
organisation = "Acme Ltd"
payment = "card_1"
signed_up = 2026-02-01T00:00:00Z
upstream = "TEST_UPSTREAM_KEY"
"""


def test_keys_are_known_by_their_digest_and_the_service_gets_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("TEST_UPSTREAM_KEY", "sk-theirs")
    path = tmp_path / "keys.toml"
    path.write_text(KEYS.format(hashlib.sha256(b"sk-1").hexdigest()))

    async def work():
        async with running(who={"keys": path}, log=tmp_path / "log.jsonl") as run:
            async with run.ask() as got:
                assert got.status == 200
            assert run.up.asked[-1][2]["Authorization"] == "Bearer sk-theirs"
            async with run.ask("/v1/messages", Authorization="", x_api_key="sk-1") as got:
                assert got.status == 200
            assert run.up.asked[-1][2]["x-api-key"] == "sk-theirs"
            assert "Authorization" not in run.up.asked[-1][2]
            for wrong in ("Bearer sk-2", "Bearer", "sk-1 ", ""):
                async with run.ask(Authorization=wrong) as got:
                    assert got.status == 401 or wrong == "sk-1 "
            rows = await run.events(2)
            assert rows[0]["account"] == HASHES.account("acme")
            assert rows[0]["organisation"] == HASHES.of("organisation", "Acme Ltd", 16)
            assert rows[0]["payment"] == HASHES.of("payment", "card_1", 8)
            assert rows[0]["signed_up"].year == 2026

    alone(work)
    log = (tmp_path / "log.jsonl").read_text()
    assert '"endpoint":"chat"' in log
    assert not any(secret in log for secret in ("sk-1", "sk-theirs", "rivers", "127.0.0.1"))
    assert all(json.loads(line)["time"] for line in log.splitlines())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[keys]]\nsha256 = 'no'\naccount = 'a'\nupstream = 'X'", "64 hexadecimal digits"),
        (KEYS.format("0" * 64), "TEST_UPSTREAM_KEY"),
        (KEYS.format("0" * 64).replace("TEST_UPSTREAM_KEY", "sk-abc def"), "environment variable"),
    ],
)
def test_a_wrong_file_of_keys_is_told_by_its_key(text, told, tmp_path):
    path = tmp_path / "keys.toml"
    path.write_text(text)

    async def work():
        async with running(who={"keys": path}):
            pass

    with pytest.raises(InputError, match=told) as caught:
        alone(work)
    assert "keys.0" in str(caught.value)


def test_a_header_names_the_account_only_from_a_trusted_front():
    async def work():
        who = {"header": "X-Account", "organisation_header": "X-Org", "trusted": ["127.0.0.0/8"]}
        async with running(who=who) as run:
            async with run.ask(X_Account="acme", X_Org="Acme", X_Forwarded_For="10.0.0.1, 9.9.9.9"):
                pass
            async with run.ask() as got:
                assert got.status == 401
            row = (await run.events())[0]
            assert row["account"] == HASHES.account("acme")
            assert row["address"] == HASHES.of("address", "9.9.9.9", 8)
        async with running(who={**who, "trusted": ["10.0.0.0/8"]}) as run:
            async with run.ask(X_Account="acme") as got:
                assert got.status == 401
            assert run.up.asked == []

    alone(work)


def test_who_comes_without_a_key_is_its_address_or_refused():
    async def work():
        async with running() as run:
            async with run.ask(Authorization="") as got:
                assert got.status == 200
            assert (await run.events())[0]["account"] == HASHES.account("address 127.0.0.1")
        async with running(who={"nameless": "refuse"}) as run, run.ask(Authorization="") as got:
            assert got.status == 401
            assert got.headers["WWW-Authenticate"] == "Bearer"

    alone(work)


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("8.8.8.8", "1.2.3.4", "8.8.8.8"), ("10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4"), ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "1.2.3.4, nonsense", "10.0.0.1"), ("::ffff:10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", ",".join(["10.0.0.3"] * 90), "10.0.0.3"),
    ],
)  # fmt: skip
def test_an_address_is_the_last_that_no_trusted_front_has(peer, forwarded, found):
    assert Networks(("10.0.0.0/8",)).client(peer, forwarded) == found


# Limits, and failing


def test_an_account_s_rate_and_number_are_bounded_and_say_when_to_ask_again():
    async def work():
        limits = {"account_per_minute": 60, "account_burst": 2, "account_requests": 3}
        async with running(limits=limits) as run:
            found = []
            for _ in range(4):
                async with run.ask() as got:
                    found.append((got.status, got.headers.get("Retry-After")))
            assert found == [(200, None), (200, None), (429, "1"), (429, "1")]
            async with run.ask(Authorization="Bearer sk-2") as got:
                assert got.status == 200
            row = (await run.events(3))[2]
            assert row["status"] == 429
            assert row["skeleton"]  # a hand-over is seen by what was asked
            assert 0.5 < row["retry_after"] <= 1
        async with running(limits={"account_requests": 1}) as run:
            first = asyncio.ensure_future(run.ask(how="slow").__aenter__())
            await until(lambda: run.up.asked)
            async with run.ask() as got:
                assert got.status == 429
            run.up.gate.set()
            await first
            async with run.ask() as got:
                assert got.status == 200

    alone(work)


@pytest.mark.parametrize(("how", "status"), [("open", 200), ("closed", 503)])
def test_an_engine_that_fails_opens_or_closes_as_configured_and_gets_its_events_later(how, status):
    async def work():
        async with running(observe={"on_engine_failure": how}) as run:
            run.engine.fails = True
            async with run.ask() as got:
                assert got.status == status
            await until(lambda: run.gateway.observer.failing)
            async with run.ask() as got:
                assert got.status == status
            run.engine.fails = False
            assert len(await run.events(2)) == 2
            async with run.ask() as got:
                assert got.status == 200

    alone(work)


@pytest.mark.parametrize(("how", "status"), [("open", 200), ("closed", 503)])
def test_what_the_queue_cannot_take_is_counted_and_blocks_no_request(how, status):
    async def work():
        engine = Engine(waits=threading.Event())
        async with running(engine=engine, observe={"queue": 3, "on_overload": how}) as run:
            async with run.ask():
                pass
            await until(lambda: not run.gateway.observer._queue)  # the thread is in the engine
            for _ in range(3):
                async with run.ask() as got:
                    assert got.status == 200
            async with run.ask() as got:
                assert got.status == status
            assert run.gateway.metrics.of("unobserved_total", reason="queue_full") == 1
            engine.waits.set()
            assert len(await run.events(4)) == 4

    alone(work)


ODD = {
    "no json": b"{", "no text": b'{"messages": [{"role": "user", "content": "\xff"}]}',
    "half": b'{"messages": [{"role": "user", "content": "\\ud800"}]}', "deep": b"[" * 50_000,
    "list": b"[1]", "twice": b'{"messages": 1, "messages": [{"role": "user", "content": "x"}]}',
    "utf-16": json.dumps(CHAT).encode("utf-16"), "shapes": b'{"messages": {"a": [[]]}, "model": 3}',
}  # fmt: skip


def test_whatever_a_body_is_it_is_passed_on_and_told_of():
    async def work():
        async with running() as run:
            for body in ODD.values():
                async with run.ask(body=body) as got:
                    assert got.status == 200
                assert run.up.asked[-1][3] == body
            rows = await run.events(len(ODD))
            seen = dict(zip(ODD, rows, strict=True))
            assert seen["utf-16"]["item"] == HASHES.of("item", "say something about rivers.", 8)
            assert seen["twice"]["item"] == HASHES.of("item", "x", 8)
            assert seen["no text"]["item"] is not None
            assert seen["no json"]["skeleton"] is None
            assert run.gateway.metrics.of("unobserved_total", reason="request_unread") == 3

    alone(work)


def test_bodies_too_large_to_be_read_are_passed_on_and_told_of():
    async def work():
        async with running(observe={"request_bytes": 1024, "answer_bytes": 1024}) as run:
            run.up.body = b'{"usage": {"completion_tokens": 5}}' + b" " * 2000
            async with run.ask(body=json.dumps(CHAT).encode() + b" " * 2000) as got:
                assert await got.read() == run.up.body
            row = (await run.events())[0]
            assert (row["skeleton"], row["blobs_out"], row["tokens_out"]) == (None, None, None)
            count = run.gateway.metrics.of
            assert count("unobserved_total", reason="request_too_large") == 1
            assert count("unobserved_total", reason="answer_too_large") == 1

    alone(work)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=5)
    | st.sampled_from(["user", "system", "text", "reasoning", "thinking"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["messages", "input", "prompt", "role", "content", "type", "text", "usage",
                         "choices", "delta", "message", "item", "response", "output", "index",
                         "content_block", "model", "output_tokens", "reasoning"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@law(150)
@given(JSON, st.sampled_from(["chat", "responses", "messages", "completions", "embeddings"]))
def test_json_of_any_shape_is_read_and_stripped_without_a_fault(value, endpoint):
    data = json.dumps(value).encode()
    found = asked(endpoint, data)
    assert (found.system + found.text).encode() is not None
    told = answered(data, streams=False, brought=brought)
    streamed = answered(b"data: " + data + b"\n\n", streams=True, brought=brought)
    assert (told.tokens_in, told.tokens_out) == (streamed.tokens_in, streamed.tokens_out)
    if value is not None:
        assert json_of(stripped(endpoint, data)) is not None
    assert Stripper(endpoint).feed(b"data: " + data + b"\n\n").endswith((b"\n\n", b""))


@law(150)
@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate", "gzip, deflate", "br", ""]))
def test_bytes_of_any_kind_are_unpacked_within_their_bound_or_told(data, encoding):
    found = unpacked(data, encoding, 1000)
    assert found is None or len(found) <= 1000
    packed = gzip.compress(data) + gzip.compress(b"more")
    assert unpacked(packed, "gzip", 1000) == data + b"more"
    assert unpacked(gzip.compress(b"0" * 1001), "gzip", 1000) is None
    assert unpacked(zlib.compress(data)[2:-4], "deflate", 1000) in (data, None)
    assert unpacked(zlib.compress(data), "deflate", 1000) == data
    assert unpacked(gzip.compress(b"x") * 100, "gzip", 1000) is None


# Settings


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"upstream": "ftp://x"}, "no http or https"), ({"upstream": "http://u:p@x"}, "password"),
        ({"actions": {"act": {"refuse": True}}}, "contact"), ({"typo": 1}, "Extra"),
        ({"who": {"header": "X"}}, "trusted"), ({"who": {"trusted": ["x"]}}, "x"),
        ({"listen": {"certificate": "a"}}, "together"), ({"via": "a b"}, "letters"),
        ({"actions": {"act": {"slow": 600}}}, "60"), ({"limits": {"requests": 0}}, "1"),
    ],
)  # fmt: skip
def test_wrong_settings_are_told(more, told):
    with pytest.raises(ValueError, match=told):
        Settings.model_validate({"upstream": "http://x", **more})


def test_settings_are_read_from_toml_beside_which_their_files_are(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text('upstream = "https://api.example.com/v1/"\nlog = "log.jsonl"\n'
                    '[sink]\nfolder = "events"\n')  # fmt: skip
    found = read_settings(path)
    assert found.upstream == "https://api.example.com"
    assert found.log == tmp_path / "log.jsonl"
    assert found.sink.folder == tmp_path / "events"
    assert found.actions.act.is_none
    path.write_text("upstream = 3")
    with pytest.raises(InputError, match=r"gateway\.toml: upstream"):
        read_settings(path)
