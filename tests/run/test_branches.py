"""What a stage that fails takes with it, and what was permitted at the start of a run."""

import datetime as dt
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests_support import CHANNELS, TEACHER, run_permitted, run_stages, run_toy

from mashbill import DriftError, InputError, Signer, Store, TeacherError, load_recipe
from mashbill.cli import main
from mashbill.cli.options import parse_day
from mashbill.lineage.duties.decisions import DECIDE
from mashbill.lineage.evidence.audit import Auditor
from mashbill.plan import build
from mashbill.run import permission
from mashbill.run.executor import Execution

TEXTS = [
    {"text": f"a {word} day {i}", "by": "human"} for i in range(30) for word in ("lovely", "awful")
]
HEAD = """
[stages.texts]
kind = "import"
title = "texts"
source = "texts.jsonl"
generator = "by"
"""
OTHER = """
[stages.other]
kind = "split"
input = "texts"
range = [0.0, 0.9]
"""


def test_an_empty_stage_takes_with_it_only_what_needs_it(tmp_path):
    stages = HEAD + '[stages.bad]\nkind = "dedup"\ninput = "texts"\ncolumn = "nowhere"\n'
    stages += '[stages.none]\nkind = "split"\ninput = "texts"\nrange = [0.0, 0.000001]\n'
    stages += '[stages.of-none]\nkind = "split"\ninput = "none"\nrange = [0.0, 1.0]\n'
    stages += OTHER + '[stages.after]\nkind = "split"\ninput = "bad"\nrange = [0.0, 0.5]\n'
    stages += '[stages.last]\nkind = "dedup"\ninput = "other"\n'
    with pytest.raises(InputError) as caught:
        run_stages(tmp_path, stages, {"texts.jsonl": TEXTS})
    told = str(caught.value)
    assert "nowhere" in told
    assert "and stages.none: none of its rows is left" in told
    assert "Not made for that: after (needs bad), of-none (needs none)." in told
    assert "All else of the recipe is made" in told
    store = Store(tmp_path / "store")
    assert {m.name for m in store.manifests()} == {"texts", "other", "last"}


def test_what_failed_is_told_to_a_program_too(tmp_path):
    stages = HEAD + '[stages.bad]\nkind = "dedup"\ninput = "texts"\ncolumn = "nowhere"\n' + OTHER
    stages += '[stages.after]\nkind = "split"\ninput = "bad"\nrange = [0.0, 0.5]\n'
    with pytest.raises(InputError):
        run_stages(tmp_path, stages, {"texts.jsonl": TEXTS})
    done = run_main(tmp_path / "some.toml", tmp_path / "store", tmp_path, "--json",
                    "--accept-review", "a", "--reason", "b")  # fmt: skip
    told = json.loads(done.stdout)
    assert done.returncode == 2
    assert list(told["failed"]) == ["bad"]
    assert told["not_made"] == {"after": "bad"}
    assert told["made"] == ["texts@1", "other@1"]


def test_a_failure_is_told_as_an_error_when_it_comes_and_at_the_end(tmp_path):
    stages = HEAD + '[stages.bad]\nkind = "dedup"\ninput = "texts"\ncolumn = "nowhere"\n' + OTHER
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in TEXTS))
    recipe = tmp_path / "some.toml"
    recipe.write_text(f'[recipe]\nname = "some"\nversion = "1"\n{stages}')
    done = run_main(recipe, tmp_path / "store", tmp_path, "--accept-review", "a", "--reason", "b")
    for said in (done.stdout, done.stderr):
        assert any(line.startswith("error: ") and "nowhere" in line for line in said.splitlines())


def test_two_failures_are_both_told_and_a_silent_teacher_is_not_asked_again(tmp_path):
    teacher = TEACHER + "fail_every = 1\n"
    (tmp_path / "p.txt").write_text("{{ text }} ->")
    label = 'kind = "label"\ninput = "texts"\nteacher = "t"\nprompt = "p.txt"\n'
    label += 'labels = { good = " good", bad = " bad" }\n'
    stages = HEAD + f"[stages.one]\n{label}[stages.two]\n{label}" + OTHER
    with pytest.raises(TeacherError, match=r"(?s)Not made for that: two \(needs teacher t\)\."):
        run_stages(tmp_path, stages, {"texts.jsonl": TEXTS, "p.txt": "{{ text }} ->"}, teacher)
    assert {m.name for m in Store(tmp_path / "store").manifests()} == {"texts", "other"}


# ---- what was permitted stays so -----------------------------------------------------------------


def run_main(recipe, root, folder, *more):
    return subprocess.run(
        [sys.executable, "-c", "from mashbill.cli import main; main()", "run", str(recipe),
         "--store", str(root), "--cache", str(folder / "cache"), "--threads", "1", *more],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def run_here(monkeypatch, recipe, root, folder):
    """Run the same command in this process, which has loaded what it needs."""
    arguments = ["run", recipe, "--store", root, "--cache", folder / "cache", "--threads", "1"]
    monkeypatch.setattr("sys.argv", ["mashbill", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code


def manifests(root: Path) -> dict[str, str]:
    return {str(m.ref): m.digest for m in Store(root).manifests()}


def stop_after(root, artifact):
    """Run the channels recipe, and stop it as a kill would once an artifact is committed."""

    class Killed(BaseException):
        pass

    class Killing(permission_display()):
        def finish(self, name, *_):
            if name == artifact:
                raise Killed

    store = Store(root, Signer.default())
    recipe = load_recipe(CHANNELS)
    permitted = permit(build(recipe, store), store)
    with pytest.raises(Killed):
        run_permitted(permitted, store, Execution(root.parent / "cache", 1, Killing()))


def permission_display():
    from mashbill.run.display import Quiet

    return Quiet


def permit(plan, store):
    from mashbill.workspace.recipes import registry_of, rules_of

    return permission.permit_plan(
        plan, store, registry_of(plan.recipe), parse_day(None), rules_of(plan.recipe)
    )


ARTIFACTS = list(load_recipe(CHANNELS).stages)


@pytest.mark.parametrize(
    "artifact",
    [
        "elsewhere",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("soft", ARTIFACTS[-2])),
    ],
)
def test_what_was_permitted_at_the_start_is_permitted_wherever_the_run_was_killed(
    tmp_path, artifact, channels, monkeypatch
):
    stop_after(tmp_path / "store", artifact)
    if artifact == "elsewhere":
        run_here(monkeypatch, CHANNELS, tmp_path / "store", tmp_path)
    else:
        done = run_main(CHANNELS, tmp_path / "store", tmp_path)
        assert done.returncode == 0, done.stderr
    assert manifests(tmp_path / "store") == manifests(channels)
    entries = [e for e in Store(tmp_path / "store").ledger.entries if e.event == DECIDE]
    first, second = (entry.predicate for entry in entries)
    assert second["stands"]["digest"] == entries[0].digest
    assert {k: first[k] for k in ("outcome", "use", "decisions", "asked")} == {
        k: second[k] for k in ("outcome", "use", "decisions", "asked")
    }
    assert Auditor(tmp_path / "store").run().holds


def test_a_permission_holds_for_a_day_and_for_the_same_plan_only(tmp_path, monkeypatch):
    root = tmp_path / "store"
    stop_after(root, "elsewhere")
    store = Store(root, Signer.default())
    plan = build(load_recipe(CHANNELS), store)

    class Later(dt.datetime):
        by = dt.timedelta(0)

        @classmethod
        def now(cls, tz=None):
            return dt.datetime.now(tz) + cls.by

    monkeypatch.setattr(permission, "datetime", Later)
    decided = []
    real = type(plan).decide
    monkeypatch.setattr(type(plan), "decide", lambda *a, **k: decided.append(k) or real(*a, **k))
    for hours, anew in ((0, 0), (23.9, 0), (-1, 1), (24.1, 2)):
        Later.by = dt.timedelta(hours=hours)
        try:
            permit(plan, store)
        except Exception as error:  # noqa: BLE001 - decided anew: whatever it says now
            assert "review" in str(error)  # noqa: PT017
        assert len(decided) == anew, hours
    assert all(item["only_to_do"] for item in decided)
    Later.by = dt.timedelta(0)
    text = CHANNELS.read_text()
    for old, new in (("seed = 8", "seed = 9"), ('purpose = "research"', 'purpose = "product"')):
        assert text.count(old) == 1
        folder = tmp_path / new[:4]
        folder.mkdir()
        for name in ("data", "prompts"):
            shutil.copytree(CHANNELS.parent / name, folder / name)
        (folder / "channels.toml").write_text(text.replace(old, new))
        other = build(load_recipe(folder / "channels.toml"), None)
        assert permission.permission_digest(other, registry(other), ()) != (
            permission.permission_digest(plan, registry(plan), ())
        )


def test_a_decision_is_that_of_an_empty_store_whatever_is_made(tmp_path, channels):
    """An import that is made tells sources that the recipe alone does not: a change behind it."""
    folder = tmp_path / "r"
    folder.mkdir()
    for name in ("data", "prompts"):
        shutil.copytree(CHANNELS.parent / name, folder / name)
    text = CHANNELS.read_text()
    changed = text.replace("steps = 200", 'steps = 201\nversion = "2"', 1)
    assert changed != text
    for name in ("heldout-scratch", "evaluation"):
        changed = changed.replace(f"[stages.{name}]\n", f'[stages.{name}]\nversion = "2"\n')
    (folder / "channels.toml").write_text(changed)
    recipe = load_recipe(folder / "channels.toml")
    shutil.copytree(channels, tmp_path / "s")
    store = Store(tmp_path / "s", Signer.default())
    fresh, made = build(recipe, None), build(recipe, store)
    assert {s.status for s in made.stages} == {"done", "to do"}
    decided = [p.decide(registry(p), parse_day(None)).as_json() for p in (fresh, made)]
    assert decided[0] == decided[1]
    permit(made, store)


def registry(plan):
    from mashbill.workspace.recipes import registry_of

    return registry_of(plan.recipe)


@pytest.mark.slow
def test_a_run_of_channels_killed_at_any_moment_ends_as_one_that_was_not(tmp_path, channels):
    """One moment here; benchmarks/channels_kills.py does twenty."""
    draw = random.Random(17)
    for trial in range(1):
        root = tmp_path / str(trial)
        killed = subprocess.Popen(
            [sys.executable, "-c", "from mashbill.cli import main; main()", "run", str(CHANNELS),
             "--store", str(root), "--threads", "1"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        )  # fmt: skip
        until = time.monotonic() + 60
        wanted = draw.randrange(2, 40)
        ledger = root / "ledger.jsonl"
        while killed.poll() is None and time.monotonic() < until:
            if ledger.exists() and ledger.read_bytes().count(b"\n") >= wanted:
                break
            time.sleep(0.005)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        done = run_main(CHANNELS, root, tmp_path)
        assert done.returncode == 0, done.stderr
        assert manifests(root) == manifests(channels)
        assert json.loads((root / "ledger.jsonl").read_text().splitlines()[0])["payload"]


# ---- another version of one stage ----


def versions(folder, **versions):
    """Write a recipe of four stages one behind the other, some with a version of their own."""
    stages = HEAD
    for name, before in {"good": "texts", "q": "good", "r": "q", "s": "r"}.items():
        own = f'version = "{versions[name]}"\n' if name in versions else ""
        stages += f'[stages.{name}]\nkind = "split"\ninput = "{before}"\n{own}range = [0.0, 1.0]\n'
    (folder / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in TEXTS))
    path = folder / "some.toml"
    path.write_text(f'[recipe]\nname = "some"\nversion = "1"\n{stages}')
    return load_recipe(path)


def test_all_that_rests_on_another_version_is_named_by_the_plan(tmp_path):
    versions(tmp_path)
    store = run_toy(tmp_path / "some.toml", tmp_path / "store")[0]
    with pytest.raises(DriftError) as told:
        build(versions(tmp_path, good="2"), store)
    said = str(told.value)
    assert said.startswith("q@1 is already made, from something else:\n  input good: good@1 -> ")
    assert "So are r@1 and s@1: set it in [stages.r] and [stages.s], too" in said
    with pytest.raises(DriftError, match=r"s@1 is already made") as told:
        build(versions(tmp_path, good="2", q="2", r="2"), store)
    assert "So " not in str(told.value)
    plan = build(versions(tmp_path, good="2", q="2", r="2", s="2"), store)
    assert [stage.status for stage in plan.stages] == ["done", *["to do"] * 4]
    supposed = build(versions(tmp_path, good="2"), store, supposed=True)
    assert len(supposed.stages) == 5
