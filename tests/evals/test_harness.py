"""Suites of others in environments of their own: toys in their place, and real ones if named."""

from __future__ import annotations

import json
import os
import stat
import sys

import pytest
from tests_bases import pin, table
from tests_causal import save
from tests_support import rows_of, run_stages
from typer.testing import CliRunner

from mashbill import InputError, RecipeError
from mashbill.cli import app
from mashbill.cli.options import out
from mashbill.cli.show_evaluation import print_evaluations
from mashbill.core.evaluation import evaluation_of
from mashbill.evals.suites.environments import SUITES, surroundings
from mashbill.evals.suites.results import Figure, of_inspect, of_lm_eval
from mashbill.report import write_report

# What stands for an environment: a program that behaves as its python would.
TOY = """#!{python}
import json, os, pathlib, sys, time
if sys.argv[1] == "-c":
    print("9.9")
    raise SystemExit
said = {{"arguments": sys.argv[1:], "environ": dict(os.environ), "files": sorted(
    path.as_posix() for path in pathlib.Path().rglob("*") if path.is_file())}}
pathlib.Path({log!r}).write_text(json.dumps(said))
what = open("how.txt").read().strip() if os.path.exists("how.txt") else "well"
if what == "fails":
    print("Traceback: no such task")
    raise SystemExit(3)
if what == "hangs":
    time.sleep(60)
out = pathlib.Path("out") / "model"
out.mkdir(parents=True)
if what == "silent":
    raise SystemExit
told = {{
    "results": {{"sums": {{"alias": "sums", "acc,none": 0.5, "acc_stderr,none": 0.1,
                          "ppl,none": 7.5, "ppl_stderr,none": "N/A"}}}},
    "versions": {{"sums": 2}}, "n-samples": {{"sums": {{"effective": 26}}}},
    "higher_is_better": {{"sums": {{"acc": True, "ppl": False}}}},
}}
text = "[" * 100000 if what == "deep" else json.dumps(told)
(out / "results_2026.json").write_text(text)
"""
TASKS = 'tasks = ["sums.yaml"]\ndata = ["sums.jsonl", "how.txt"]\n'
STAGE = """
[stages.suite]
kind = "harness"
suite = "lm-eval"
"""
ROWS = [
    {"question": f"{a} + 1 =", "choices": [f" {a + 1}", f" {a + 2}"], "label": 0,
     "input": f"{a} + 1 =", "target": str(a + 1)}
    for a in range(6)
]  # fmt: skip
YAML = """task: sums
dataset_path: json
dataset_kwargs:
  data_files:
    test: sums.jsonl
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{label}}"
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1.0
"""
INSPECT = """
from inspect_ai import Task, task
from inspect_ai.dataset import json_dataset
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

@task
def sums():
    return Task(dataset=json_dataset("sums.jsonl"), solver=[generate()], scorer=includes())
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    for seed, name in enumerate(("one", "two")):
        save(root / name, seed=seed)
    return root


def toy(tmp_path, monkeypatch):
    path, log = tmp_path / "python", tmp_path / "log.json"
    path.write_text(TOY.format(python=sys.executable, log=str(log)))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("MASHBILL_LM_EVAL", str(path))
    return log


def suite(folder, models, keys, how="well", allow=True):
    folder.mkdir(parents=True, exist_ok=True)
    files = {"sums.yaml": YAML, "sums.jsonl": ROWS, "how.txt": how, "sums.py": INSPECT}
    tables = "".join(table(name, pin(models / name), str(models / name)) for name in ("one", "two"))
    named = [models, *([folder / "sums.yaml"] if allow else [])]
    files = {name: data for name, data in files.items() if name != "sums.py" or ".py" in keys}
    return run_stages(folder, f"{tables}{keys}", files, "", named)


KEYS = f'{STAGE}{TASKS}models = {{ before = "one", after = ["one", "two"] }}\nlimit = 26\n'


def test_a_suite_is_handed_the_model_and_its_figures_come_back(models, tmp_path, monkeypatch):
    log = toy(tmp_path, monkeypatch)
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    store = suite(tmp_path / "r", models, KEYS)
    measures = store.find("suite").measures
    assert measures["by"] == "lm-eval 9.9"
    told = measures["systems"]["before"]["tasks"]["sums"]
    assert told["acc"]["value"] == 0.5
    assert told["acc"]["low"] < 0.5 < told["acc"]["high"]
    assert (told["acc"]["samples"], told["acc"]["version"]) == (26, "2")
    assert told["ppl"]["stderr"] is None
    assert told["ppl"]["higher_is_better"] is False
    assert measures["systems"]["after"]["tasks"]["sums"]["acc"]["seeds"]["seeds"] == 2
    rows = rows_of(store, "suite")
    assert {(row["system"], row["seed"]) for row in rows} == {
        ("before", 0), ("after", 0), ("after", 1),
    }  # fmt: skip
    said = json.loads(log.read_text())
    assert "OPENAI_API_KEY" not in said["environ"]
    assert said["environ"]["HF_HUB_OFFLINE"] == "1"
    assert "sums.jsonl" in said["files"]
    assert "pretrained=./model,dtype=float32,trust_remote_code=False" in said["arguments"]
    assert {item.role for item in store.find("suite").inputs} == {"base"} or all(
        item.source for item in store.find("suite").inputs
    )
    with out.capture() as caught:
        print_evaluations({"suite": evaluation_of(measures)})
    assert "Tasks of lm-eval 9.9" in " ".join(caught.get().split())
    html = write_report(store, store.find("suite"), tmp_path / "page.html").read_text()
    assert "run in an environment of its own" in html
    assert "sums" in html
    done = CliRunner().invoke(app, ["audit", "--store", str(store.root)])
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(app, ["bill", "suite", "--store", str(store.root)])
    assert "Tiny" in done.output
    done = CliRunner().invoke(app, ["trace", "suite", "--row", "0", "--store", str(store.root)])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("fails", r"failed \(exit code 3\): Traceback: no such task"),
        ("silent", "ended and wrote no results"),
        ("hangs", "took longer than 1 s and was ended"),
        ("deep", "its results cannot be read"),
    ],
)
def test_what_goes_wrong_in_a_suite_is_told(how, said, models, tmp_path, monkeypatch):
    toy(tmp_path, monkeypatch)
    keys = f'{STAGE}{TASKS}models = {{ m = "one" }}\nseconds = {1 if how == "hangs" else 30}\n'
    with pytest.raises(InputError, match=said):
        suite(tmp_path / "r", models, keys, how)


def test_nothing_is_run_where_the_user_names_no_environment(models, tmp_path, monkeypatch):
    monkeypatch.delenv("MASHBILL_LM_EVAL", raising=False)
    keys = f'{STAGE}{TASKS}models = {{ m = "one" }}\n'
    with pytest.raises(InputError, match="mashbill harness lm-eval"):
        suite(tmp_path / "a", models, keys)
    monkeypatch.setenv("MASHBILL_LM_EVAL", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="which is no program"):
        suite(tmp_path / "b", models, keys)


def test_a_task_is_code_and_wants_the_users_word(models, tmp_path, monkeypatch):
    toy(tmp_path, monkeypatch)
    keys = f'{STAGE}{TASKS}models = {{ m = "one" }}\n'
    with pytest.raises(RecipeError, match=r"--allow sums\.yaml"):
        suite(tmp_path / "r", models, keys, allow=False)
    assert not (tmp_path / "log.json").exists()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ('tasks = ["sums.py"]', "a file of a task of lm-eval is .yaml"),
        ('tasks = ["--evil"]', "is no name of a task"),
        ('tasks = ["a,b"]', "is no name of a task"),
        ('tasks = ["sums.yaml"]\nmax_tokens = 3', "max_tokens is not for lm-eval"),
        ('tasks = ["sums.yaml", "sums.yaml"]', "each once"),
    ],
)
def test_keys_of_a_suite_are_held_to_it(keys, said, models, tmp_path):
    with pytest.raises(RecipeError, match=said):
        suite(tmp_path, models, f'{STAGE}{keys}\nmodels = {{ m = "one" }}\n')


def test_the_command_says_how_to_make_an_environment(tmp_path, monkeypatch):
    for one in SUITES.values():
        monkeypatch.delenv(one.variable, raising=False)
    done = CliRunner().invoke(app, ["harness", "--json"])
    told = json.loads(done.stdout)
    assert set(told) == {"lm-eval", "inspect-ai"}
    assert any("pip install torch==" in line for line in told["lm-eval"]["commands"])
    assert told["lm-eval"]["commands"][-1].startswith("export MASHBILL_LM_EVAL=")
    toy(tmp_path, monkeypatch)
    assert "lm-eval: 9.9" in CliRunner().invoke(app, ["harness", "lm-eval"]).output
    assert CliRunner().invoke(app, ["harness", "lm-evil"]).exit_code != 0


@pytest.mark.parametrize(
    "text",
    [
        "{}", "[]", "not json", '{"results": 3}', '{"results": {"t": {"acc,none": "N/A"}}}',
        '{"results": {"t": {"acc,none": true}}}', '{"results": {"t": [1]}}', "\x00", '{"a": NaN}',
    ],
)  # fmt: skip
def test_results_that_are_none_are_told(text, tmp_path):
    (tmp_path / "results_1.json").write_text(text)
    with pytest.raises(InputError):
        of_lm_eval(tmp_path, "it")
    (tmp_path / "log.json").write_text(text)
    with pytest.raises(InputError):
        of_inspect(tmp_path, "it")


def test_an_interval_is_wilsons_where_items_are_right_or_wrong():
    share = Figure("t", "acc", 1.0, 0.0, 30, "")
    assert share.interval[0] < 0.9
    loss = Figure("t", "loss", 2.5, 0.25, 30, "")
    assert loss.interval == pytest.approx((2.01, 2.99), abs=0.01)
    assert Figure("t", "loss", 2.5, None, 30, "").interval is None


def test_no_key_of_a_service_is_handed_to_a_suite(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    assert "secret" not in surroundings(1).values()


REAL = {
    "lm-eval": 'tasks = ["sums.yaml"]\ndata = ["sums.jsonl"]\n',
    "inspect-ai": 'tasks = ["sums.py@sums"]\ndata = ["sums.jsonl"]\nmax_tokens = 8\n',
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_a_real_suite_scores_a_model_without_a_network(name, models, tmp_path):
    variable = SUITES[name].variable
    if not os.environ.get(variable):
        pytest.skip(f"{variable} names no environment; `mashbill harness {name}` makes one")
    stage = STAGE.replace("lm-eval", name)
    keys = f'{stage}{REAL[name]}models = {{ one = "one", two = "two" }}\nseconds = 500\n'
    store = suite(tmp_path, models, keys)
    measures = store.find("suite").measures
    assert measures["by"].startswith(f"{name} ")
    for system in ("one", "two"):
        (figures,) = measures["systems"][system]["tasks"].values()
        for told in figures.values():
            assert 0 <= told["value"] <= 1
            assert told["samples"] == 6
            assert told["low"] <= told["value"] <= told["high"]
