"""An expression of a stranger's neither hangs nor outlives us."""

import os
import signal
import subprocess
import sys
import time

import pytest

from mashbill import InputError
from mashbill.policy import apart
from mashbill.policy.expressions import Expression, LackingError

LONG = f"[{','.join('1' * 200)}]".replace("1", "1,1").replace(",,", ",")
BOMB = f"{LONG}.all(x, {LONG}.all(y, {LONG}.all(z, {LONG}.all(w, true))))"


def gives(text, facts=None, known=("share", "channels")):
    return Expression(text, "here", known).holds(facts or {})


def test_a_macro_means_what_it_means_in_this_process():
    facts = {"channels": ["content", "logits"], "share": 0.5}
    assert gives('channels.exists(c, c == "logits") && share > 0.1', facts) is True
    assert gives("channels.all(c, c == 'logits')", facts) is False
    with pytest.raises(LackingError):
        gives("channels.exists(c, c.nothing == 1)", {"channels": [{"a": 1}]})
    with pytest.raises(InputError, match="not true or false"):
        gives("channels.map(c, c)", facts)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 2000 + "true" + ")" * 2000, "!" * 4090 + "true", "a" * 5000, "[" * 3000, "",
        "\ud800", "\x00", " && ".join(f"share > {n}.5" for n in range(300)), "9" * 400 + " > share",
        "1e400 > share", '"x".matches("(a+)+$")', '"x".matches("a{99999999999999}")',
        '"x".matches("(a{900}){900}")', "1 / 0 == 1", "share.a.b.c" + ".d" * 1500 + " == 1",
        'timestamp("x") > timestamp("y")', 'duration("9999999999999999h") > duration("1s")',
    ],
)  # fmt: skip
def test_a_bomb_is_an_answer_or_an_error(text):
    begun = time.process_time()
    told = "here"
    try:
        gives(text, {"share": 0.5})
    except LackingError:
        pass
    except InputError as error:
        told = str(error)
    assert "here" in told
    assert time.process_time() - begun < 5


def test_lists_within_lists_are_ended(monkeypatch):
    monkeypatch.setattr(apart, "SECONDS", 1)
    with pytest.raises(InputError, match=r"here: .* takes more .* lists within lists"):
        gives(BOMB)


def test_numbers_that_would_be_tried_in_too_many_ways_are_told():
    from datetime import date

    from mashbill.policy.house import OF_SOURCE, HouseRule, apply_rule

    when = " && ".join(f"share != 0.{n} && owed != 0.{n}" for n in range(100, 190))
    rule = HouseRule("r", "x", "source", Expression(when, "here", OF_SOURCE), "deny", "f", 1)
    with pytest.raises(InputError, match=r"here: .* in .* ways"):
        apply_rule(rule, "x", {}, {"share": (0.0, 1.0), "owed": (0.0, 1.0)}, date(2026, 1, 1))


def test_ctrl_c_ends_it_and_nothing_is_left_behind(tmp_path):
    rules = tmp_path / "rules.toml"
    rules.write_text(f"[[rule]]\nid = 'a'\nsays = 'x'\nwhen = '{BOMB}'\n")
    code = (
        "import sys\nfrom datetime import date\nfrom pathlib import Path\n"
        "from mashbill.policy import apart\nfrom mashbill.policy.house import *\n"
        "apart.SECONDS = 300; apart._WAIT = 300.0\n"
        "[rule] = load_rules([Path(sys.argv[1])])\n"
        "try:\n"
        "    rule.when._apart._left = 300.0\n"
        "    process = rule.when._apart._started()\n"
        "    print(process.pid, flush=True)\n"
        "    apply_rule(rule, 'x', {}, {}, date(2026, 1, 1))\n"
        "except KeyboardInterrupt:\n"
        "    print('stopped', flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(rules)], stdout=subprocess.PIPE, text=True
    ) as process:
        worker = int(process.stdout.readline())
        time.sleep(0.5)  # into the middle of it; at its beginning it would do, too
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "stopped\n"
        assert process.wait(30) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_what_lies_in_the_current_folder_is_no_module_of_the_process_apart(tmp_path, monkeypatch):
    for name in ("cel", "json", "resource", "signal"):
        (tmp_path / f"{name}.py").write_text("open('was-run', 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    expression = Expression("[1, 2].exists(x, x > 1)", "here", ())
    assert expression.holds({})
    assert not (tmp_path / "was-run").exists()
