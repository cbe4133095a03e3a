"""A trainer that nudges the weights it starts from, and small bases for it, for tests of bases."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pytest

from mashbill import Answer, Channel, StageSpec, Uses
from mashbill.core import registry
from mashbill.core.artifact import ArtifactKind
from mashbill.core.canonical import digest_bytes, digest_file

CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8,
    "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 4,
}  # fmt: skip


class Nudge(StageSpec):
    """``kind = "nudge"``: the base's first weight moved by the number of rows learned from."""

    output: ClassVar[ArtifactKind] = "model"
    can_label: ClassVar[bool] = False
    can_write: ClassVar[bool] = True
    references: ClassVar[tuple[str, ...]] = ("input", "base", "others", "teacher", "judge")

    kind: Literal["nudge"] = "nudge"
    input: str = ""
    base: str
    others: tuple[str, ...] = ()
    teacher: str = ""
    judge: str = ""

    def uses(self):
        told = [Uses(self.input, "trained-on", Channel.CONTENT)] if self.input else []
        told += [Uses(name, "base", Channel.WEIGHTS) for name in (self.base, *self.others)]
        if self.teacher:
            told.append(Uses(self.teacher, "actor", Channel.LOGITS, is_teacher=True))
        if self.judge:
            told.append(Uses(self.judge, "actor", Channel.SELECTION, is_teacher=True))
        return tuple(told)

    def train(self, ctx, out):
        import shutil

        from safetensors.numpy import load_file, save_file

        bases = [ctx.base(name) for name in (self.base, *self.others)]
        rows = ctx.input(self.input).num_rows if self.input else 0
        if self.input:
            ctx.seen[self.input] = np.ones(rows, np.int64)
        for name in ("config.json", "tokenizer.json"):
            shutil.copyfile(bases[0].folder / name, out / name)
        tensors = load_file(bases[0].folder / "model.safetensors")
        tensors["w"] = tensors["w"] + np.float32(1 + rows)
        save_file(tensors, out / "model.safetensors")
        ctx.measures["started_from"] = {base.title: base.digest for base in bases}
        ctx.trained = Nudged(tensors["w"])

    @staticmethod
    def load(folder, threads):  # noqa: ARG004
        from safetensors.numpy import load_file

        return Nudged(load_file(folder / "model.safetensors")["w"])


class Nudged:
    """Writes one word that tells its weights."""

    def __init__(self, weights):
        self.word = f"w{float(np.asarray(weights).sum()):.0f}"

    def answer(self, questions, decoding):  # noqa: ARG002
        return [
            Answer(tuple(-float(len(each)) for each in q.choices), 1)
            if q.choices
            else Answer((), 2, f"{q.body} {self.word}", finish="stop")
            for q in questions
        ]


_PLUGIN = f"""
from typing import ClassVar, Literal
import numpy as np
from mashbill import Answer, Channel, StageSpec, Uses
from mashbill.core.artifact import ArtifactKind

{inspect.getsource(Nudge)}

{inspect.getsource(Nudged)}
"""


@pytest.fixture
def nudging(tmp_path, monkeypatch):
    """Install the trainer as a plugin."""
    site = tmp_path / "site"
    info = site / "nudging-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "nudging.py").write_text(_PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: nudging\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mashbill.trainers]\nnudge = nudging:Nudge\n")
    (info / "RECORD").write_text("nudging.py,,\nnudging-1.0.dist-info/METADATA,,\n")
    monkeypatch.syspath_prepend(str(site))
    registry._points.cache_clear()
    yield
    registry._points.cache_clear()


def write_base(folder: Path, weights=(0.0,) * 8, **config) -> str:
    """Write a folder of weights as small as they come; return the digest of its files' list."""
    from safetensors.numpy import save_file
    from tokenizers import Tokenizer, models

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**CONFIG, **config}))
    (folder / "tokenizer.json").write_text(
        Tokenizer(models.BPE(vocab={"a": 0, "b": 1}, merges=[])).to_str()
    )
    save_file({"w": np.array(weights, np.float32)}, folder / "model.safetensors")
    return pin(folder)


def pin(folder: Path) -> str:
    """Return what ``sha256sum * | sha256sum`` prints in a folder."""
    lines = [f"{digest_file(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    return digest_bytes("".join(lines).encode())


def table(name: str, sha256: str, folder: str = "tiny", **keys: str) -> str:
    """Return a ``[models.NAME]`` of kind ``folder``."""
    told = {"name": "Tiny", "provider": "Tinies", "license": "MIT", **keys}
    lines = [f'{key} = "{value}"' for key, value in told.items()]
    pinned = f'sha256 = "{sha256}"\n' if sha256 else ""
    return (
        f'\n[models.{name}]\nkind = "folder"\nfolder = "{folder}"\n{pinned}'
        + "\n".join(lines)
        + "\n"
    )


ROWS = """
[stages.rows]
kind = "corpus"
title = "own"
origin = "own-dataset"
source = "rows.jsonl"
"""
FILES = {"rows.jsonl": [{"text": f"a day {n}"} for n in range(6)]}
TUNED = '\n[stages.tuned]\nkind = "nudge"\ninput = "rows"\nbase = "tiny"\n'
GIVEN = '\n[models.first]\nkind = "artifact"\nartifact = "{}"\n{}'
NEXT = '\n[stages.next]\nkind = "nudge"\nbase = "first"\n'


def write_next(folder: Path, stages: str, version: str = "2") -> Path:
    """Write a recipe that comes after another one."""
    path = folder / "next.toml"
    path.write_text(f'[recipe]\nname = "next"\nversion = "{version}"\n{stages}')
    return path
