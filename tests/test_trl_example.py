"""A dataset goes out, a trainer elsewhere learns from it, and its model comes back."""

import ast
import contextlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

import mashbill as mb
from mashbill.cli import app
from mashbill.core.canonical import digest_file
from mashbill.core.training_record import read_record
from mashbill.lineage.circuit.contradicted import told_of

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "trl"
CALLBACK = EXAMPLE / "mashbill_record.py"
TRL = os.environ.get("MASHBILL_TRL", "")


def mashbill(folder, *words, code=0):
    """Run a command in a folder, and return what it printed."""
    with contextlib.chdir(folder):
        done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, done.output
    return f"{done.output}{done.exception or ''}"


def published(folder):
    """The example's dataset, as it is handed to a trainer."""
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    mashbill(folder, "run", "data.toml", "--store", "store")
    mashbill(
        folder, "publish", "answers", "--to", "published", "--format", "trl-sft", "--store", "store"
    )
    return folder


def test_the_callback_has_twenty_lines_and_needs_nothing_of_mashbill():
    tree = ast.parse(CALLBACK.read_text())
    (callback,) = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    lines = CALLBACK.read_text().splitlines()[callback.lineno - 1 : callback.end_lineno]
    assert len([line for line in lines if line.strip()]) <= 20
    modules = {
        node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    outside = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names
    assert outside == {"transformers"}


@pytest.mark.slow
def test_what_the_callback_leaves_is_a_record_and_its_model_is_taken(tmp_path):
    """By transformers' interface alone, with a state as a trainer has it at the end."""
    pytest.importorskip("transformers")
    pytest.importorskip("safetensors")
    from tests_tiny_base import make_base
    from transformers import AutoModelForCausalLM, TrainerCallback

    work = published(tmp_path / "work")
    base = make_base(work / "base")
    spec = importlib.util.spec_from_file_location("mashbill_record", CALLBACK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # What is installed everywhere the test runs stands for the trainer.
    callback = module.MashbillRecord(work / "published", 12, "base", trainer="transformers")
    assert isinstance(callback, TrainerCallback)
    args = SimpleNamespace(
        output_dir=str(work / "out"), include_num_input_tokens_seen="non_padding"
    )
    state = SimpleNamespace(
        is_world_process_zero=False, global_step=4, epoch=2.0, num_input_tokens_seen=900
    )
    model = AutoModelForCausalLM.from_pretrained(base)
    callback.on_train_end(args, state, None, model=model)
    assert not (work / "out").exists()
    state.is_world_process_zero = True
    callback.on_train_end(args, state, None, model=model)
    told = read_record(work / "out" / "mashbill.json", "it")
    assert (told.epochs, told.tokens, told.steps) == (2.0, 900, 4)
    assert told.datasets[0].artifact == "answers@1"
    assert told.datasets[0].sums == digest_file(work / "published" / "SHA256SUMS")
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(base / name, work / "out" / name)
    mashbill(work, "run", "student.toml", "--store", "store")
    store = mb.open(work / "store")
    assert store["student"].manifest.tokens == 900
    assert told_of(mb.Store(work / "store"), "student@1") is None
    assert len(mb.load("student", work / "store", max_tokens=4)(["What is a mash bill?"])) == 1


@pytest.mark.slow
@pytest.mark.skipif(not TRL, reason="MASHBILL_TRL names no Python that has trl; `make trl` does")
def test_trl_trains_on_what_was_published_and_its_model_comes_back(tmp_path):
    work = published(tmp_path / "work")
    make = f"""
import sys; sys.path.insert(0, {str(ROOT / "tests")!r})
from pathlib import Path
from tests_tiny_base import make_base
make_base(Path("base"))
for arguments in (["--out", "out"], ["--out", "adapters", "--lora", "--epochs", "0.5"]):
    sys.argv = ["train.py", "--base", "base", *arguments]
    exec(compile(Path("train.py").read_text(), "train.py", "exec"), {{"__name__": "__main__"}})
"""
    outside = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHONPATH", "MASHBILL"))}
    done = subprocess.run(
        [TRL, "-W", "ignore", "-c", make], cwd=work, env={**outside, "PYTHONPATH": str(work)},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    record = json.loads((work / "out" / "mashbill.json").read_text())
    assert record["trainer"] == {"name": "trl", "version": "1.16.0"}
    assert (record["epochs"], record["datasets"][0]["rows"]) == (2.0, 12)
    # What the trainer saved when all was done is what the record has.
    assert record["weights"] == {
        "model.safetensors": digest_file(work / "out" / "model.safetensors")
    }
    adapters = json.loads((work / "adapters" / "mashbill.json").read_text())
    assert list(adapters["weights"]) == ["adapter_model.safetensors"]
    assert 0 < adapters["tokens"] < record["tokens"]

    mashbill(work, "run", "student.toml", "--store", "store")
    recipe = (work / "student.toml").read_text()
    recipe = recipe.replace("stages.student", "stages.light").replace('"out" ', '"adapters"')
    recipe = recipe.replace('base = "base"\n', 'base = "base"\nmethod = "lora"\n')
    (work / "light.toml").write_text(recipe)
    told = mashbill(work, "plan", "light.toml", "--store", "store", code=1)
    digest = re.search(r"sha256 = '([0-9a-f]{64})'", " ".join(told.split()))[1]
    pinned = recipe.replace('folder = "base"', f'folder = "base"\nsha256 = "{digest}"')
    (work / "light.toml").write_text(pinned)
    mashbill(work, "run", "light.toml", "--store", "store")

    bill = mb.open(work / "store").bill("student").as_json()
    lines = {line["source"]["name"]: line for line in bill["bill"]}
    assert lines["Big (stand-in)"]["channels"] == ["content"]
    assert bill["learned_from"][0]["epochs"] == 2
    assert mb.open(work / "store")["student"].manifest.tokens == record["tokens"]
    said = mashbill(work, "audit", "--store", "store")
    assert "holds" in said
    for name in ("student", "light"):
        answers = mb.load(name, work / "store", max_tokens=4)(["What is a still?"])
        assert len(answers) == 1
        assert told_of(mb.Store(work / "store"), f"{name}@1") is None
