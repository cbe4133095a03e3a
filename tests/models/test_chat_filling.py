"""A chat template is a stranger's program: what it may take is bounded."""

from __future__ import annotations

import json
import time

import pytest
from tokenizers import Tokenizer, decoders, models

from mashbill import Question, TeacherError
from mashbill.core.chat import Conversation, Turn
from mashbill.models import chat_filling
from mashbill.models.chat_filling import Filling
from mashbill.models.chat_template import FILE, ChatTemplate
from mashbill.models.folder import _check_asks_for_nothing

TURNS = [{"role": "user", "content": "hello"}]


def test_a_template_is_filled_as_jinja_does_and_again():
    made = Filling(
        "{% for m in messages %}\n  <{{ m.role }}>{{ m['content'].strip() | trim }}\n"
        "{% endfor %}{% if add_generation_prompt %}<a>{% endif %}{{ bos }}{{ none_such }}"
    )
    for content in ("hello", "é \u2028 ü", "{{ 7 * 7 }}"):
        turns = [{"role": "user", "content": content}]
        text = made.fill(messages=turns, add_generation_prompt=True, bos="<s>")
        assert text == f"  <user>{content}\n<a><s>"


@pytest.mark.few(4)
@pytest.mark.parametrize(
    "template",
    [
        "{{ 'a' * 10**10 }}",
        "{% set n=namespace(x='a') %}{% for i in range(60) %}{% set n.x = n.x~n.x %}{% endfor %}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in range(99999) %}{{ 'a' * 9999 }}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ 2 ** (10 ** 12) }}",
        "{{ 'a'.ljust(10**11) }}",
        "{{ 'a' | center(10**11) }}",
        "{{ raise_exception('no system turn') }}",
        "{{ messages.__class__.__mro__[1].__subclasses__() }}",
        "{{ 1 / 0 }}",
        "{% include '/etc/hostname' %}",
    ],
)
def test_what_a_template_makes_is_bounded_in_size_and_time(monkeypatch, template):
    monkeypatch.setattr(chat_filling, "SECONDS", 1.5)
    made = Filling(template)
    began = time.monotonic()
    with pytest.raises(TeacherError, match=r"chat template (refuses|takes|fills|is none)"):
        made.fill(messages=TURNS)
    assert time.monotonic() - began < 20
    with pytest.raises(TeacherError):  # and it does not hang the next
        made.fill(messages=TURNS)


def test_after_a_template_took_too_long_others_are_filled(monkeypatch):
    monkeypatch.setattr(chat_filling, "SECONDS", 1.0)
    made = Filling("{% for i in range(n) %}{% for k in range(n) %}{% endfor %}{% endfor %}ok")
    with pytest.raises(TeacherError, match="takes more than 1 seconds"):
        made.fill(n=99999)
    assert made.fill(n=2) == "ok"


def test_a_template_that_is_none_is_told():
    with pytest.raises(TeacherError, match="chat template is none"):
        Filling("{% for %}").fill(messages=TURNS)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("config.json", {"attn_implementation": "kernels-community/evil"}, "attn_implementation"),
        ("config.json", {"a": {"_attn_implementation": "x/y"}}, "fetched and run"),
        ("config.json", {"experts_implementation": "x/y@main:z"}, "experts_implementation"),
        ("adapter_config.json", {}, "not pinned"),
    ],
)
def test_weights_name_no_code_of_others(tmp_path, name, data, message):
    (tmp_path / name).write_text(json.dumps(data))
    with pytest.raises(TeacherError, match=message):
        _check_asks_for_nothing(name, tmp_path / name, "hf:a/b")
    fine = {"attn_implementation": "sdpa", "auto_map": {"AutoConfig": "a.B"}}
    (tmp_path / "config.json").write_text(json.dumps(fine))
    _check_asks_for_nothing("config.json", tmp_path / "config.json", "hf:a/b")


GEMMA = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}"
    "{% endif %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}"
)
PLAIN = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}"
NEVER = "{{ raise_exception('this model is no chat model') }}"


def chat(folder, template):
    letters = {chr(code): code - 32 for code in range(32, 127)} | {"\n": 95}
    tokenizer = Tokenizer(models.BPE(vocab=letters, merges=[]))
    tokenizer.decoder = decoders.Fuse()
    described = {"template": template, "context": 0, "special": [], "ends": [96], "bos": "",
                 "eos": ""}  # fmt: skip
    (folder / FILE).write_text(json.dumps(described))
    return ChatTemplate(folder, tokenizer)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (PLAIN, "<system>Be brief.<user>Q<assistant>A<user>What?"),
        (GEMMA, "<user>Be brief.\n\nQ<assistant>A<user>What?"),
        (GEMMA.split("{% endif %}", 1)[1], "<user>Be brief.\n\nQ<assistant>A<user>What?"),
    ],
)
def test_a_template_without_system_turns_has_the_system_text_in_the_first_user_s(
    tmp_path, template, said
):
    turns = Conversation((Turn("user", "Q"), Turn("assistant", "A")))
    made = chat(tmp_path, template)
    for _ in range(2):
        question = Question("", "What?", system="Be brief.", turns=turns)
        assert made.text(made.ids(question)) == said
    assert made.text(made.ids(Question("", "What?"))) == "<user>What?"


def test_a_template_that_takes_nothing_says_so(tmp_path):
    with pytest.raises(TeacherError, match="refuses these turns: this model is no chat model"):
        chat(tmp_path, NEVER).ids(Question("", "What?", system="Be brief."))


def test_turns_of_a_row_that_do_not_alternate_are_still_refused(tmp_path):
    turns = Conversation((Turn("user", "Q"),))
    with pytest.raises(TeacherError, match="roles must alternate"):
        chat(tmp_path, GEMMA).ids(Question("", "What?", system="Be brief.", turns=turns))
