"""What a run is to cost, does cost, and may cost: projections, totals and caps, by the runner."""

import io
import json
import re
import sqlite3
import sys
import threading
from pathlib import Path

import pytest
from rich.console import Console
from tests_service import Service, chat
from tests_support import execute, killed, rows_of
from typer.testing import CliRunner

from mashbill import RecipeError, Signer, Store, load_recipe
from mashbill.calls.journal import Journal
from mashbill.cli.options import app
from mashbill.client.budget import Caps
from mashbill.core.errors import BudgetError
from mashbill.plan import build
from mashbill.run.display import Bars, Lines, Quiet
from mashbill.run.executor import Execution
from mashbill.teachers.api import ApiTeacherSpec, ServerTeacherSpec
from mashbill.teachers.projection import price_for, project

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

HEAD = """
[recipe]
name = "budget"
version = "1"
"""
FAKE = """
[teachers.{name}]
kind = "fake-service"
model = "{name}"
words = {{ good = ["sun"], bad = ["rain"], yes = ["sun", "number"], no = ["never"] }}
max_tokens = 100
{more}
"""
PRICED = "usd_per_million_read = 1.0\nusd_per_million_written = 10.0"
ROWS = """
[stages.prompts]
kind = "corpus"
title = "prompts"
origin = "own-dataset"
source = "prompts.jsonl"
expect_rows = {rows}
"""
OPENAI = 'kind = "api"\nprovider = "openai"\nmodel = "gpt-4o-mini"\nbase_url = "{url}/v1"\n'
A_CALL = (50 * 0.15 + 1024 * 0.60) / 1e6  # gpt-4o-mini, as its price list had it in 2024


def recipe(folder, teachers, stages, rows=20, **files):
    folder.mkdir(exist_ok=True)
    lines = [
        json.dumps({"text": f"Say of the sun and number {i} what is said"}) for i in range(rows)
    ]
    (folder / "prompts.jsonl").write_text("\n".join(lines) + "\n")
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    path = folder / "recipe.toml"
    path.write_text(HEAD + teachers + ROWS.format(rows=rows) + stages)
    return path


def fake(name="t", more=PRICED):
    return FAKE.format(name=name, more=more)


def stage(kind="generate", keys="", name="out", of="prompts"):
    return f'\n[stages.{name}]\nkind = "{kind}"\ninput = "{of}"\nteacher = "t"\n{keys}\n'


def run(path, root, caps=None, display=None):
    display = display or Quiet()
    store = Store(root, Signer.default())
    execution = Execution(root.parent / "cache", 1, display, caps or Caps())
    return store, execute(build(load_recipe(path), store), store, execution), display.spend


def totals(root):
    return Journal(root / "calls.sqlite").totals()


def falls_out(store):
    """Whether rows were rejected, or judged together: then less is asked than for all of them."""
    rows = [(row["prompt"], row["text"]) for row in rows_of(store, "out")]
    folder = store.folder("dataset", store.find("out").ref)
    return len(set(rows)) < len(rows) or any(folder.glob("rejected-*"))


SCHEMA = '{"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}'
TOOLS = '[{"name": "look", "description": "looks", "parameters": {"type": "object"}}]'
KNOWN = '{"name": "look", "arguments": {}, "result": 3}\n'
JUDGE = 'judge = "j"'


@pytest.mark.few(4)
@pytest.mark.parametrize(
    ("kind", "keys", "more", "least", "most"),
    [
        ("generate", "", "", 20, 20),
        ("generate", "samples = 3", "", 60, 60),
        ("generate", 'schema = "s.json"', "invalid = 1.0", 20, 60),
        ("generate", 'schema = "s.json"\nretries = 5', "invalid = 0.3", 20, 120),
        ("generate", JUDGE, "", 40, 40),
        ("generate", 'accept = 4\nmatch = "sun"', "", 4, 20),
        ("generate", f"accept = 4\n{JUDGE}", "", 8, 40),
        ("qa", f"pairs = 3\n{JUDGE}", "invalid = 0.5", 40, 20 * (3 + 3)),
        ("instruct", f"accept = 5\ncount = 4\nnear = 1.0\n{JUDGE}", "", 4, 20 * (3 + 4)),
        ("converse", "turns = 3", "", 100, 100),
        ("converse", f'turns = 3\nuser_teacher = "j"\n{JUDGE}', "", 120, 120),
        ("tools", 'tools = "t.json"\nresults = "k.jsonl"\nmax_steps = 3', "", 20, 80),
    ],
)
def test_a_projection_holds_whatever_is_asked_again(tmp_path, kind, keys, more, least, most):
    teachers = fake(more=f"{more}\n{PRICED}") + fake("j")
    files = {"s_json": SCHEMA, "t_json": TOOLS, "k_jsonl": KNOWN}
    path = recipe(tmp_path / "r", teachers, stage(kind, keys), **files)
    store, done, spend = run(path, tmp_path / "s")
    projected = spend.projected["out"]
    assert (projected.least.calls, projected.most.calls) == (least, most)
    spent = spend.total
    assert (done[-1].calls, totals(store.root)[0]) == (spent.calls, spent.calls)
    assert spent.calls <= most
    assert spent.calls >= least or falls_out(store)
    assert 0 < spent.usd <= projected.most.usd
    facts = Journal.of(store).runs()[0].facts["projected"]["out"]
    assert (facts["least"]["calls"], facts["most"]["calls"]) == (least, most)
    assert spent.tokens <= projected.most.tokens_in + projected.most.tokens_out


def test_answers_that_break_their_schema_are_in_the_projection(tmp_path):
    tries = {}

    def answer(handler, _, data):
        first = json.loads(data)["messages"][0]["content"]
        tries[first] = tries.get(first, 0) + 1
        fits = tries[first] == 3 or "number 1" not in first
        handler.reply(200, chat('{"a": "x"}' if fits else "no JSON"))

    with Service(answer) as service:
        server = f'[teachers.t]\nkind = "server"\nmodel = "m"\nbase_url = "{service.url}/v1"\n'
        path = recipe(tmp_path / "r", server, stage(keys='schema = "s.json"'), s_json=SCHEMA)
        _, _, spend = run(path, tmp_path / "s")
    assert spend.total.calls == 20 + 2 * 11
    projected = spend.projected["out"]
    assert projected.least.calls < spend.total.calls < projected.most.calls == 60


def test_what_nothing_limits_is_said_to_have_no_limit(tmp_path):
    keys = 'tools = "t.json"\nsimulator = "j"'
    path = recipe(tmp_path / "r", fake() + fake("j"), stage("tools", keys), t_json=TOOLS)
    _, _, spend = run(path, tmp_path / "s")
    assert spend.projected["out"].most is None
    assert "no limit to how many" in str(spend.projected["out"])
    assert spend.all_projected.as_json()["most"] is None
    assert any("at least 20 calls, and no limit" in line for line in spend.lines())


def test_pairs_to_be_judged_are_counted_and_not_guessed(tmp_path):
    judge = 'kind = "prefer"\none = "a"\nother = "b"\nteacher = "t"\nprompt = "p.txt"\n'
    stages = (
        stage(keys="samples = 2", name="a")
        + stage(keys='samples = 3\nprompt = "q.jinja"', name="b")
        + f'[stages.pairs]\n{judge}on = ["prompt"]\nanswers = [" good", " bad"]\n'
    )
    text = "{{ prompt }} {{ first }} {{ second }}"
    files = {"p_txt": text, "q_jinja": "In other words of rain: {{ prompt }}"}
    path = recipe(tmp_path / "r", fake(), stages, rows=5, **files)
    assert build(load_recipe(path)).stages[-1].projected.most is None
    _, _, spend = run(path, tmp_path / "s")
    assert spend.projected["pairs"].most.calls == 5 * 2 * 3
    spent = {name: item.calls for name, item in spend.spent.items()}
    # The fake service says the same to each sample of a prompt, so most pairs are asked as one.
    assert spent == {"a": 10, "b": 15, "pairs": 5}


def planned(path, store=None):
    return {item.name: item for item in build(load_recipe(path), store).stages}


def test_a_plan_prices_every_teacher_of_a_stage(tmp_path):
    free = "usd_per_million_read = 0\nusd_per_million_written = 0"
    sums = []
    for own, judges in ((PRICED, PRICED), (PRICED, free), (free, PRICED)):
        path = recipe(tmp_path / "r", fake(more=own) + fake("j", judges), stage(keys=JUDGE))
        made = planned(path)["out"]
        assert (made.projected.least.calls, made.calls) == (40, 40)
        sums.append(made.price)
    assert sums[0] == pytest.approx(sums[1] + sums[2])
    assert min(sums) > 0
    run(path, tmp_path / "s")
    assert planned(path, Store(tmp_path / "s"))["out"].calls == 0


def test_a_plan_takes_as_long_as_its_teacher_for_each_call():
    grey = Path(__file__).parents[2] / "recipes" / "grey_area.toml"
    made = planned(grey)["labelled"]
    pace = load_recipe(grey).teachers[made.spec.teacher].pace
    assert made.seconds == pytest.approx(made.calls / pace)
    assert (made.price, made.projected.price) == (0.0, "$0.0000")


def test_a_plan_and_a_run_project_the_same(tmp_path):
    path = recipe(tmp_path / "r", fake(), stage(name="first") + stage())
    with pytest.raises(BudgetError):
        run(path, tmp_path / "s", Caps(calls=5))
    plan = planned(path, Store(tmp_path / "s"))
    store, _, spend = run(path, tmp_path / "s")
    del store
    for name in ("first", "out"):
        assert plan[name].projected.as_json() == spend.projected[name].as_json()


def test_a_plan_knows_the_price_of_an_api_only_with_its_extra(tmp_path, monkeypatch):
    path = recipe(tmp_path / "r", f"[teachers.t]\n{OPENAI.format(url='')}", stage())
    made = planned(path)["out"]
    assert 20 * 1024 * 0.6e-6 < made.price < 20 * (1024 * 0.6e-6 + 16_000 * 0.15e-6)
    assert made.projected.least.usd < made.price
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    made = planned(path)["out"]
    assert (made.calls, made.price, made.projected.least.usd) == (20, None, None)
    said = CliRunner().invoke(app, ["plan", str(path), "--store", str(tmp_path / "s")]).output
    said = " ".join(said.split())
    assert "no price known of t" in said
    assert "the price of calls needs mashbill's extra 'api'" in said


def test_long_rows_cost_more_to_read_in_any_script(tmp_path):
    path = recipe(tmp_path / "r", fake(), stage(), rows=4)
    _, _, short = run(path, tmp_path / "s")
    lines = [json.dumps({"text": f"{i}" + "明" * 3000}) for i in range(4)]
    (tmp_path / "r" / "prompts.jsonl").write_text("\n".join(lines))
    _, _, long = run(path, tmp_path / "s2")
    assert long.projected["out"].most.tokens_in > short.projected["out"].most.tokens_in + 4 * 2900


def openai(service_url, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("MASHBILL_CONTACT", "data@example.org")
    return f"[teachers.t]\n{OPENAI.format(url=service_url)}"


def prompt_of(data):
    return json.loads(data)["messages"][-1]["content"]


def answering(text=lambda prompt: f"said of {prompt}"):
    usage = {"prompt_tokens": 50, "completion_tokens": 1024, "total_tokens": 1074}
    return lambda handler, _, data: handler.reply(200, chat(text(prompt_of(data)), usage=usage))


def test_a_cap_in_money_is_kept_and_counts_what_was_spent_before_once(tmp_path, monkeypatch):
    with Service(answering()) as service:
        path = recipe(tmp_path / "r", openai(service.url, monkeypatch), stage(), rows=40)
        root = tmp_path / "s"
        for cap in (0.010, 0.015):
            display = Quiet()
            with pytest.raises(BudgetError, match=rf"of \${cap:.4f} \(--max-usd\)"):
                run(path, root, Caps(usd=cap), display)
            calls, _, usd = totals(root)
            assert usd == pytest.approx(calls * A_CALL)
            # Close to it, and never over: nothing more could be sure to fit.
            assert cap - 2 * A_CALL < usd <= cap
            assert len(service.asked) == calls
        books = display.spend
        assert (books.before.calls, books.total.calls) == (16, calls - 16)
        assert (books.before + books.total).usd == pytest.approx(usd)
        assert f"${0.015 - usd:.4f} of $0.0150 left" in books.left()
        _, _, books = run(path, root, Caps(usd=1.0))
    assert len(service.asked) == 40
    assert (books.before.calls, books.total.calls) == (calls, 40 - calls)
    assert totals(root)[2] == pytest.approx(40 * A_CALL)
    # What was to be bought of all 40 holds what all runs together did buy.
    projected = books.projected["out"]
    assert projected.least.usd < 40 * A_CALL <= projected.most.usd
    told = "\n".join(books.lines())
    assert f"earlier runs of this recipe in this store: spent {calls} calls" in told
    assert f"spent {40 - calls} calls" in told


def test_a_cap_in_money_is_refused_where_no_price_is_known(tmp_path, monkeypatch):
    teacher = openai("http://127.0.0.1:9", monkeypatch).replace("gpt-4o-mini", "gpt-nobody-knows")
    path = recipe(tmp_path / "r", teacher, stage())
    with pytest.raises(BudgetError, match=r"cannot be kept: genai-prices .* has no price of"):
        run(path, tmp_path / "s", Caps(usd=1.0))
    router = 'kind = "server"\nmodel = "m"\nbase_url = "https://router.example.com/v1"\n'
    router += "patience = 1\n"
    path = recipe(tmp_path / "r", f"[teachers.t]\n{router}", stage())
    with pytest.raises(BudgetError, match=r"the recipe has no price .*usd_per_million_read"):
        run(path, tmp_path / "s", Caps(usd=1.0))
    assert Store(tmp_path / "s").manifests() == []


def test_a_price_that_a_recipe_says_holds_and_is_no_identity(tmp_path):
    with Service(answering()) as service:
        server = f'[teachers.t]\nkind = "server"\nmodel = "m"\nbase_url = "{service.url}/v1"\n'
        path = recipe(tmp_path / "r", server, stage())
        free, literals = run(path, tmp_path / "free")[2], load_recipe(path).literals("out")
        path = recipe(tmp_path / "r", server + PRICED, stage())
        _, done, books = run(path, tmp_path / "s", Caps(usd=0.25))
    assert free.total.usd == 0
    assert load_recipe(path).literals("out") == literals
    assert books.total.usd == pytest.approx(20 * (50 * 1.0 + 1024 * 10.0) / 1e6)
    assert done[-1].usd == pytest.approx(books.total.usd)
    path.write_text(path.read_text().replace("usd_per_million_read = 1.0\n", ""))
    with pytest.raises(RecipeError, match="belong together; set both"):
        load_recipe(path)


@pytest.mark.parametrize(
    ("url", "known"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://[::1]:8000/v1", True),
        ("http://localhost/v1", True),
        ("http://10.1.2.3:8000/v1", True),
        ("http://192.168.0.7/v1", True),
        ("http://100.64.0.9/v1", True),
        ("http://gpu-box:8000/v1", True),
        ("http://gpu.lan/v1", True),
        ("http://vllm.ml.svc.cluster.local/v1", True),
        ("https://api.example.com/v1", False),
        ("https://8.8.8.8/v1", False),
        ("https://[2001:4860:4860::8888]/v1", False),
        ("https://10.example.com/v1", False),
        ("https://user@router.example.com:443/v1", False),
    ],
)
def test_only_a_server_on_a_network_of_ones_own_is_free(url, known):
    server = ServerTeacherSpec(model="m", base_url=url)
    assert price_for(server).known == known
    assert price_for(server).of(10**6, 10**6) == 0
    priced = ServerTeacherSpec(
        model="m", base_url=url, usd_per_million_read=2, usd_per_million_written=3
    )
    assert price_for(priced).known
    assert price_for(priced).of(10**6, 10**6) == 5


def test_a_batch_is_projected_at_its_discount():
    api = ApiTeacherSpec(provider="openai", model="gpt-4o-mini")
    batch = api.model_copy(update={"batch": True})
    assert price_for(batch).of(10**6, 10**6) == pytest.approx(price_for(api).of(10**6, 10**6) / 2)
    own = {"usd_per_million_read": 1.0, "usd_per_million_written": 2.0}
    assert price_for(batch.model_copy(update=own)).of(10**6, 10**6) == 3.0


def some(prompt):
    """Answer so that two thirds are accepted by ``match = "good"``."""
    number = int(re.search(r"number (\d+)", prompt)[1])
    return f"{'good' if number % 3 else 'bad'} {prompt}"


ACCEPT = 'accept = 12\nmatch = "good"'


def test_accepting_within_a_cap_goes_on_to_exactly_so_many(tmp_path, monkeypatch):
    with Service(answering(some)) as service:
        path = recipe(tmp_path / "r", openai(service.url, monkeypatch), stage(keys=ACCEPT), rows=60)
        whole, _, _ = run(path, tmp_path / "whole")
        bought = len(service.asked)
        assert 18 <= bought < 30
        cap = 10 * A_CALL
        with pytest.raises(BudgetError):
            run(path, tmp_path / "s", Caps(usd=cap))
        assert 0 < totals(tmp_path / "s")[2] <= cap
        store, _, books = run(path, tmp_path / "s", Caps(usd=1.0))
    assert len(rows_of(store, "out")) == 12
    assert [r["_id"] for r in rows_of(store, "out")] == [r["_id"] for r in rows_of(whole, "out")]
    assert len(service.asked) == 2 * bought, "none was bought twice"
    assert totals(tmp_path / "s")[2] == pytest.approx(bought * A_CALL)
    assert books.before.calls + books.total.calls == bought
    assert (books.projected["out"].least.calls, books.projected["out"].most.calls) == (12, 60)


def journalled(root):
    try:
        with sqlite3.connect(f"file:{root / 'calls.sqlite'}?mode=ro", uri=True) as db:
            return db.execute("SELECT count(*) FROM bought").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


@pytest.mark.slow
def test_accepting_resumed_after_a_kill_buys_nothing_twice_and_ends_at_the_same_rows(tmp_path):
    answered, lock, go_on = [], threading.Lock(), threading.Event()
    say = answering(some)

    def answer(handler, path, data):
        with lock:
            holds = len(answered) == 7
            if not holds:
                answered.append(prompt_of(data))
        if holds and not go_on.is_set():
            go_on.wait(60)  # in flight when the run is killed
            handler.hang_up()
        else:
            say(handler, path, data)

    with Service(answer) as service:
        server = f'kind = "server"\nmodel = "m"\nlicense = "MIT"\nbase_url = "{service.url}/v1"\n'
        path = recipe(tmp_path / "r", f"[teachers.t]\n{server}", stage(keys=ACCEPT), rows=60)
        killed(path, tmp_path / "s", lambda: journalled(tmp_path / "s") == 7)
        before = list(answered)
        go_on.set()
        store, done, books = run(path, tmp_path / "s")
        asked = [prompt_of(data) for _, _, data in service.asked]
        whole, _, _ = run(path, tmp_path / "whole")
    assert len(before) == 7
    assert all(asked.count(prompt) == 1 for prompt in before), "what was bought is not bought again"
    assert totals(tmp_path / "s")[0] == len(set(asked)) == totals(tmp_path / "whole")[0]
    assert (books.before.calls, books.total.calls) == (7, len(set(asked)) - 7)
    assert done[-1].calls == books.total.calls
    assert len(rows_of(store, "out")) == 12
    assert [r["_id"] for r in rows_of(store, "out")] == [r["_id"] for r in rows_of(whole, "out")]


TWO = stage(name="first") + stage("rewrite", name="second", of="first")


@pytest.mark.parametrize("kind", [Lines, Bars])
def test_both_displays_show_the_total_of_all_stages_and_what_a_cap_leaves(tmp_path, kind):
    path = recipe(tmp_path / "r", fake(), TWO)
    out = io.StringIO()
    is_bars = kind is Bars
    console = Console(file=out, width=220, force_terminal=is_bars, no_color=True)
    _, _, books = run(path, tmp_path / "s", Caps(usd=1.0, calls=50), kind(console))
    told = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    assert "first: 20 calls, less what the journal holds; about" in told
    total = (
        f"run so far: 40 calls, {books.total.tokens:,} tokens, ${books.total.usd:.4f}; "
        f"${1 - books.total.usd:.4f} of $1.0000 and 10 of 50 calls left"
    )
    assert total in told
    assert books.spent["first"].calls == books.spent["second"].calls == 20


def test_a_display_counts_no_teacher_that_runs_here_and_says_what_has_no_price(tmp_path):
    local = fake("j").replace("fake-service", "fake").replace('model = "j"\nwords', "words")
    local = local.replace("max_tokens = 100\n", "").replace(PRICED, "")
    public = 'kind = "server"\nmodel = "m"\nbase_url = "https://router.example.com/v1"\n'
    path = recipe(tmp_path / "r", fake() + local, stage(keys=JUDGE))
    _, done, books = run(path, tmp_path / "s")
    assert done[-1].calls == 40
    assert books.total.calls == books.projected["out"].most.calls == 20
    rows = {"prompts": 20}
    recipe(tmp_path / "r", f"[teachers.t]\n{public}", stage())
    books.projected = {"out": project(load_recipe(path), "out", rows, {}, services_only=True)}
    books.spent["out"].usd = 0.0
    assert "no price known of t" in str(books.projected["out"])
    assert "no price known" in books.running()
    assert "$" not in "\n".join(books.lines())


def invoke(*arguments):
    done = CliRunner().invoke(app, [str(item) for item in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_command_holds_what_was_projected_against_what_was_spent(tmp_path):
    path = recipe(tmp_path / "r", fake(), TWO + "[budget]\nusd = 1.0\n")
    at = ("--store", tmp_path / "s")
    plan = json.loads(invoke("plan", path, *at, "--json"))
    assert [item["calls"] for item in plan["stages"]] == [0, 20, 20]
    assert "teachers: 40 calls, about " in " ".join(invoke("plan", path, *at).split())
    with pytest.raises(BudgetError):
        CliRunner().invoke(
            app, ["run", str(path), *map(str, at), "--max-calls", "30"], catch_exceptions=False
        )
    ran = json.loads(invoke("run", path, *at, "--json"))
    first, second = (item["services"] for item in ran["stages"][1:])
    assert (first["projected"], first["spent"]["calls"]) == (None, 0)
    assert second["projected"]["least"]["calls"] == second["projected"]["most"]["calls"] == 20
    assert second["spent"]["calls"] == 10
    whole = ran["services"]
    assert whole["projected"] == second["projected"]
    assert whole["spent"] == second["spent"]
    assert whole["spent_before"]["calls"] == 30
    assert whole["caps"] == {"usd": 1.0, "tokens": None, "calls": None}
    assert json.loads(invoke("run", path, *at, "--json"))["services"] is None
    said = invoke("run", path, "--store", tmp_path / "s2")
    assert re.search(r"cost .*services: 40 calls, [\d,]+ tokens, \$0.00\d\d", said)
    assert re.search(r"\$0.99\d\d\s+of \$1.0000 left", said)
    said = invoke("run", path, "--store", tmp_path / "s3", "--full")
    assert re.search(r"in all: 40 calls, about \$[\d.]+ to \$[\d.]+; spent 40 calls, ", said)
    assert re.search(r"caps, over all of these runs: \$0.99\d\d of \$1.0000 left", said)


def test_a_run_that_stops_at_a_cap_still_says_what_it_spent(tmp_path):
    path = recipe(tmp_path / "r", fake(), TWO)
    done = CliRunner().invoke(
        app, ["run", str(path), "--store", str(tmp_path / "s"), "--max-calls", "30"]
    )
    assert isinstance(done.exception, BudgetError)
    assert "in all: 40 calls" in done.output
    assert "spent 30 calls" in done.output
    assert "0 of 30 calls left" in done.output
