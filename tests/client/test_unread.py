"""Answers that are odd, or cannot be read: what was paid for is kept, and told as it is."""

import json

import pytest
from client.test_http import SERVER, recipe, run
from tests_service import Service, chat
from tests_support import rows_of

from mashbill import InputError, TeacherError
from mashbill.calls.journal import Journal
from mashbill.client.order import UNREAD
from mashbill.client.wire import openai_chat
from mashbill.teachers.oddities import Oddities

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

UNKNOWN = [{"type": "hologram", "data": "x"}]
"""parts of an answer of a kind that this release does not know"""


def number(data):
    return int(json.loads(data)["messages"][-1]["content"].rsplit(" ", 1)[1])


def test_what_cannot_be_read_is_kept_as_it_came_and_read_by_a_later_release(tmp_path, monkeypatch):
    def answer(handler, _, data):
        handler.reply(200, chat(UNKNOWN if number(data) == 1 else "well"))

    with Service(answer) as service:
        path = recipe(tmp_path / "r", SERVER.format(url=service.url))
        store, _ = run(path, tmp_path / "s")
        (rejected,) = rows_of(store, "out", "rejected")
        assert rejected["_reason"].startswith("mashbill could not read its answer: content has a")
        assert "hologram" in rejected["text"], "what came is at hand"
        assert "refused" not in rejected["_reason"]
        assert len(service.asked) == 4
        journal = Journal.of(store)
        kept = [row for run_ in journal.runs() for row in journal.rows_of(run_.run)]
        (unread,) = [row for row in kept if row.answer.finish == UNREAD]
        assert json.loads(unread.answer.text)["choices"][0]["message"]["content"] == UNKNOWN
        assert unread.flags == "unread,tokens-guessed"
        assert unread.tokens_in > 0

        # A later release knows the part; the answer is not bought again.
        known = openai_chat._content
        monkeypatch.setattr(
            openai_chat, "_content", lambda c, odd: ("seen", "") if c == UNKNOWN else known(c, odd)
        )
        path.write_text(path.read_text() + 'version = "2"\n')
        again, _ = run(path, tmp_path / "s")
        assert sorted(row["text"] for row in rows_of(again, "out@2")) == ["seen"] + ["well"] * 3
        assert len(service.asked) == 4


def test_a_service_of_which_nothing_can_be_read_ends_the_run_as_our_loss(tmp_path):
    with Service(lambda handler, *_: handler.reply(200, chat(UNKNOWN))) as service:
        path = recipe(tmp_path / "r", SERVER.format(url=service.url), rows=40)
        with pytest.raises(
            (TeacherError, InputError), match=r"could read none|could not read"
        ) as e:
            run(path, tmp_path / "s")
    assert "refused" not in str(e.value).replace("_rejected_by", "")
    assert len(service.asked) <= 24


def test_what_is_odd_is_told_once_and_again_at_ten_times_as_many(tmp_path, capsys):
    def answer(handler, _, data):
        odd = {"usage": [1]} if number(data) % 2 else {"usage": {"prompt_tokens": "4"}}
        handler.reply(200, chat("well", **odd))

    with Service(answer) as service:
        path = recipe(tmp_path / "r", SERVER.format(url=service.url), rows=60)
        store, _ = run(path, tmp_path / "s")
    assert len(rows_of(store, "out")) == 60
    journal = Journal.of(store)
    flags = [row.flags for run_ in journal.runs() for row in journal.rows_of(run_.run)]
    assert sum("odd: usage is an array" in each for each in flags) == 30
    assert sum("odd: prompt_tokens is a string" in each for each in flags) == 30
    assert all("tokens-guessed" in each for each in flags)


def test_oddities_are_told_when_new_and_at_ten_times_as_many():
    oddities, told = Oddities(), []
    for _ in range(120):
        oddities.take(["usage is an array, not an object"])
        told += oddities.told()
    assert [line.split(";")[0].rsplit(" in ", 1)[1] for line in told] == [
        "1 answer",
        "10 answers",
        "100 answers",
    ]
