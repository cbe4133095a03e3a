"""Several processes train what one does, and end with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests_support import ANSWERS, execute, killed
from tests_tiny_base import make_base

from mashbill import Signer, Store, load_recipe
from mashbill.core.canonical import digest_bytes, digest_file
from mashbill.core.curves import read_curves
from mashbill.core.errors import MashbillError
from mashbill.plan import build
from mashbill.run.executor import Execution

TOLERANCE = 2e-4
"""of a loss, relative: sums of float32 in another order, over 20 steps"""
WORDS = ["river", "stone", "mill", "field", "green", "train", "table", "film", "day", "water"]
RECIPE = """
[recipe]
name = "together"
version = "1"
seed = 5

[stages.texts]
kind = "corpus"
title = "some texts"
license = "CC0-1.0"
source = "texts.jsonl"

[stages.lm]
kind = "pretrain"
inputs = ["texts"]
steps = STEPS
batch_tokens = 96
width = 16
heads = 2
layers = 2
context = 16
vocabulary = 512
heldout_share = 0.2
"""


def recipe(folder: Path, steps: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    rows = [
        {"text": " ".join(random.choice(WORDS, size=int(random.integers(1, 20))))}
        for _ in range(80)
    ]
    (folder / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = folder / "together.toml"
    path.write_text(RECIPE.replace("STEPS", str(steps)))
    return path


def trained(path: Path, root: Path, processes: int = 1):
    store = Store(root, Signer.default())
    plan = build(load_recipe(path, ()), store)
    execute(plan, store, Execution(root.parent / "cache", threads=1, processes=processes))
    manifest = store.find("lm")
    return manifest, read_curves(store.folder("model", manifest.ref))


def workers() -> list[int]:
    """Return process ids of what trains beside others."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"mashbill.train.process_worker" in words:
            found.append(int(entry.name))
    return found


def parent(process: int) -> int:
    """Return the id of the process that started another."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def files(manifest) -> list[tuple[str, str]]:
    return [(each.file, each.sha256) for each in manifest.files]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What two processes train, and where its recipe is."""
    path = recipe(tmp_path_factory.mktemp("two"), 20)
    return path, *trained(path, path.parent / "store", processes=2)


def test_two_processes_have_the_curve_of_one(two, tmp_path):
    path, _, together = two
    _, alone = trained(path, tmp_path / "store")
    for name in ("loss", "held_out_loss", "tokens", "rate"):
        assert together[name].steps.tolist() == alone[name].steps.tolist()
        assert np.allclose(together[name].values, alone[name].values, rtol=TOLERANCE, atol=0)


@pytest.mark.slow
def test_torchrun_starts_them_too(two, tmp_path):
    path, manifest, _ = two
    program = tmp_path / "run.py"
    program.write_text("from mashbill.cli import main\nmain()\n")
    asked = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
        *(str(program), "run", str(path), "--store", str(tmp_path / "store"), "--threads", "1"),
        *("--accept-review", ANSWERS.name, "--reason", ANSWERS.reason),
    ]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert files(Store(tmp_path / "store", Signer.default()).find("lm")) == files(manifest)


def test_one_that_cannot_begin_is_told(tmp_path, monkeypatch):
    path = recipe(tmp_path, 3)
    folder = tmp_path / "late"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import sys\nif 'mashbill.train.process_worker' in ' '.join(sys.orig_argv):\n"
        "    raise SystemExit('no memory')\n"
    )
    monkeypatch.syspath_prepend(folder)
    with pytest.raises(MashbillError, match="process 1 of those that train ended"):
        trained(path, tmp_path / "store", processes=2)


@pytest.mark.slow
def test_one_that_is_killed_ends_the_run_and_it_goes_on_later(tmp_path, monkeypatch):
    from mashbill.train import scratch

    path = recipe(tmp_path, 8)
    mine = set(workers())
    was = scratch._Watching.step

    def kills(self, step, *numbers):
        if step == 4:
            for process in set(workers()) - mine:
                if parent(process) == os.getpid():
                    os.kill(process, signal.SIGKILL)
        was(self, step, *numbers)

    with monkeypatch.context() as patched:
        patched.setattr(scratch._Watching, "step", kills)
        with pytest.raises(MashbillError, match="process 1 of those that train ended"):
            trained(path, tmp_path / "store", processes=2)
    assert not [process for process in workers() if parent(process) == os.getpid()]
    trained(path, tmp_path / "store", processes=2)


@pytest.mark.slow
def test_a_killed_run_takes_them_along_and_ends_with_the_same_bytes(tmp_path):
    path = recipe(tmp_path / "recipe", 230)
    whole, _ = trained(path, tmp_path / "whole" / "store", processes=2)
    root = tmp_path / "killed" / "store"
    before = set(workers())

    def has_a_checkpoint() -> bool:
        return any(root.glob(".work/**/checkpoint.pt"))

    killed(path, root, has_a_checkpoint, "--processes", "2", "--threads", "1")
    until = time.monotonic() + 20
    while set(workers()) - before:
        assert time.monotonic() < until
        time.sleep(0.05)
    made, _ = trained(path, root, processes=2)
    assert files(made) == files(whole)


TUNED = """
[recipe]
name = "tuned"
version = "1"
seed = 5

[models.small]
kind = "folder"
name = "tiny"
license = "Apache-2.0"
folder = "base"
sha256 = "DIGEST"

[stages.said]
kind = "import"
title = "answers"
source = "rows.jsonl"
generator = "by"
license = "CC0-1.0"

[stages.held]
kind = "import"
title = "answers"
source = "rows.jsonl"
generator = "by"
license = "CC0-1.0"

[stages.lm]
kind = "sft"
inputs = ["said"]
base = "small"
batch = 4
steps = 6
rate = 0.02
dtype = "float32"
heldout = "held"
method = "METHOD"
"""


def tuned_by(tmp_path, recipe, rows):
    """Curves of a recipe on a tiny base, by one process and by two."""
    base = make_base(tmp_path / "base")
    listed = sorted(item for item in base.iterdir() if item.is_file())
    lines = "".join(f"{digest_file(item)}  {item.name}\n" for item in listed)
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = tmp_path / "tuned.toml"
    path.write_text(recipe.replace("DIGEST", digest_bytes(lines.encode())))
    return [trained(path, tmp_path / f"{count}" / "store", count)[1] for count in (1, 2)]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", "lora"])
def test_two_processes_fine_tune_as_one(method, tmp_path):
    rows = [
        {"prompt": f"what is {word}?", "text": " ".join(WORDS[: n + 1]), "by": "a/b"}
        for n, word in enumerate(WORDS)
    ]
    found = tuned_by(tmp_path, TUNED.replace("METHOD", method), rows)
    for name in ("loss", "held_out_loss", "rate"):
        assert found[0][name].steps.tolist() == found[1][name].steps.tolist()
        assert np.allclose(*(each[name].values for each in found), rtol=TOLERANCE, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("how", ['method = "full"', 'loss = "kto"\nreference = "adapter"'])
def test_two_processes_come_to_prefer_as_one(how, tmp_path):
    """KTO's reference point is one for the pairs of all processes."""
    rows = [
        {"prompt": f"what is {word}?", "chosen": " ".join(WORDS[: n + 1]), "rejected": word,
         "by": "a/b"}
        for n, word in enumerate(WORDS)
    ]  # fmt: skip
    recipe = TUNED.replace('"sft"', '"dpo"').replace('method = "METHOD"', how)
    found = tuned_by(tmp_path, recipe, rows)
    for name in ("loss", "margin", "held_out_loss", *(["reference_point"] if "kto" in how else [])):
        assert found[0][name].steps.tolist() == found[1][name].steps.tolist()
        assert np.allclose(*(each[name].values for each in found), rtol=TOLERANCE, atol=1e-5)


PAID = """
[models.small]
kind = "folder"
name = "tiny"
license = "Apache-2.0"
folder = "base"
sha256 = "DIGEST"

[verifiers.letters]
kind = "form"
match = ["a", "e", "[0-9]", "o"]

[stages.asked]
kind = "import"
title = "questions"
source = "rows.jsonl"
generator = "by"
license = "CC0-1.0"

[stages.lm]
kind = "grpo"
inputs = ["asked"]
base = "small"
by = "letters"
batch = 3
attempts = 4
steps = 4
max_new_tokens = 6
rate = 0.005
dtype = "float32"
"""
LOOSER = 1e-3
"""of a figure, relative: what is sampled follows from weights whose last bits differ"""


@pytest.mark.slow
def test_two_processes_learn_from_rewards_as_one(tmp_path):
    rows = [{"prompt": f"what is {word}?", "text": word, "by": "a/b"} for word in WORDS]
    head = '[recipe]\nname = "together"\nversion = "1"\nseed = 5\n'
    found = tuned_by(tmp_path, head + PAID, rows)
    for name in ("reward", "loss", "gradient_norm", "entropy"):
        assert found[0][name].steps.tolist() == found[1][name].steps.tolist()
        assert np.allclose(*(each[name].values for each in found), rtol=LOOSER, atol=1e-5), name
