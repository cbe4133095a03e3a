"""A step of distillation from a cache, beside plain cross-entropy and beside TRL's live teacher.

    python benchmarks/training/kd.py [--rival env/bin/python] [--rounds 5] [--steps 4] [--tiny]

One student (a Llama of ``--width`` and ``--layers`` in SmolLM2's tokenizer), one batch of the same
tokens of this repository's documents, one optimiser; the packaged SmolLM2-135M-Instruct teaches.
Each way is a process of its own. All are started, stand still, and take steps turn and turn about,
so that what else the machine does falls on all; seconds are medians over the rounds, ratios the
median of each round's own. Memory is the peak of each process.

    ce        what ``sft`` does with all weights
    sampled   ``logit_kd`` from a cache of 12 sampled classes, 37 bytes a position
    top       the same, of the 9 likeliest
    live      ``logit_kd`` with the teacher beside it
    trl       GKDTrainer of TRL 1.16.0 with lmbda = 0 and beta = 0 (forward KL on given texts): what
              TRL has off policy, since its DistillationTrainer generates. In an environment of its
              own: pip install torch==2.13.0, then trl==1.16.0

And what the divergence takes beside weights and gradients, over vocabularies of several sizes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
OURS = ("ce", "sampled", "top", "live")
VOCABULARIES = (8_192, 32_768, 131_072, 262_144)


def main() -> None:
    """Measure, and write results/kd.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rival", default="", help="Python of the environment that has TRL")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4, help="of a round")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tiny", action="store_true", help="a small teacher, to try the benchmark")
    parser.add_argument("--child", default="")
    parser.add_argument("--work", default="")
    told = parser.parse_args()
    if told.child.startswith("vocabulary"):
        print(
            json.dumps(vocabulary_memory(told.child.split(":")[1], int(told.child.split(":")[2])))
        )
        return
    if told.child:
        serve(told.child, Path(told.work), told)
        return
    sys.path.insert(0, str(HERE.parent))
    from machine import describe, write

    with tempfile.TemporaryDirectory() as folder:
        facts = prepare(Path(folder), told)
        rounds = measure(Path(folder), told)
    seconds = {name: statistics.median(one[name][0] for one in rounds) for name in rounds[0]}
    report = {
        "machine": describe(),
        "settings": {k: v for k, v in vars(told).items() if k not in {"child", "work", "rival"}},
        **facts,
        "load": os.getloadavg(),
        "seconds_a_step": {name: round(value, 4) for name, value in seconds.items()},
        "over_ce": ratios(rounds, "ce"),
        "under_trl": ratios(rounds, "trl", inverse=True) if "trl" in seconds else {},
        "peak_mb": {name: round(rounds[-1][name][1] / 1024) for name in rounds[0]},
        "divergence_mb": {
            form: {size: own(f"vocabulary:{form}:{size}", told) for size in VOCABULARIES}
            for form in ("sampled", "full")
        },
    }
    print(json.dumps(report, indent=1))
    write(HERE / "kd.json", report)


def ratios(
    rounds: list[dict[str, tuple[float, int]]], to: str, *, inverse: bool = False
) -> dict[str, float]:
    """Return each way's step over another's, the median of the rounds' own."""
    found = {}
    for name in rounds[0]:
        each = [one[name][0] / one[to][0] for one in rounds]
        found[name] = round(statistics.median(1 / e if inverse else e for e in each), 3)
    return found


def measure(work: Path, told: argparse.Namespace) -> list[dict[str, tuple[float, int]]]:
    """Return (seconds a step, peak kilobytes) of each way, by round."""
    children = {name: start(sys.executable, [__file__], name, work, told) for name in OURS}
    if told.rival:
        script = [str(HERE / "kd_rival.py")]
        children["trl"] = start(told.rival, script, "trl", work, told)
    try:
        for child in children.values():
            ask(child, 1)  # everything is allocated, and both libraries are awake
        return [
            {name: ask(child, told.steps) for name, child in children.items()}
            for _ in range(told.rounds)
        ]
    finally:
        for child in children.values():
            child.kill()
            child.wait()


def start(
    python: str, script: list[str], name: str, work: Path, told: argparse.Namespace
) -> subprocess.Popen[str]:
    """Start a way's process."""
    keys = ("batch", "length", "threads", "steps", "rounds")
    options = [part for key in keys for part in (f"--{key}", str(getattr(told, key)))]
    return subprocess.Popen(
        [python, *script, "--child", name, "--work", str(work), *options],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def ask(child: subprocess.Popen[str], steps: int) -> tuple[float, int]:
    """Let a process take some steps; return seconds a step, and its peak in kilobytes."""
    stdin, stdout = child.stdin, child.stdout
    if stdin is None or stdout is None:
        raise SystemExit("a process has no pipes")
    stdin.write(f"{steps}\n")
    stdin.flush()
    for line in stdout:
        if line.startswith("{"):
            found = json.loads(line)
            return found["seconds"] / steps, found["peak_kb"]
    msg = f"a process ended with {child.wait()}"
    raise SystemExit(msg)


def own(mode: str, told: argparse.Namespace) -> float:
    """Return what a process of its own prints."""
    command = [sys.executable, __file__, "--child", mode, "--threads", str(told.threads)]
    return float(
        json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    )


def prepare(work: Path, told: argparse.Namespace) -> dict[str, Any]:
    """Write teacher, student, tokens and caches."""
    import numpy as np
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from mashbill.core.base_model import BaseWeights, GgufModel
    from mashbill.models.base_weights import weights_of
    from mashbill.models.llama import Shape, config_of
    from mashbill.models.logit_records import Records
    from mashbill.models.teacher_logits import TeacherLogits

    weights = weights_of("teacher", GgufModel(), HERE, Path.home() / ".cache" / "mashbill")
    tokenizer = AutoTokenizer.from_pretrained(weights.folder)
    torch.manual_seed(0)
    special = {"begin": 1, "end": 2, "pad": 2}
    shape = Shape(len(tokenizer), told.width, told.layers, max(1, told.width // 32), 2048)
    student = LlamaForCausalLM(LlamaConfig(**config_of(shape, special)))
    save(student, tokenizer, work / "student")
    (work / "teacher").symlink_to(weights.folder)
    if told.tiny:
        (work / "teacher").unlink()
        small = Shape(len(tokenizer), 64, 2, 2, 2048)
        save(
            LlamaForCausalLM(LlamaConfig(**config_of(small, special))), tokenizer, work / "teacher"
        )
    texts = "\n".join(p.read_text("utf-8") for p in sorted((HERE.parents[1] / "docs").glob("*.md")))
    rows = 4 * told.batch
    ids = tokenizer(texts)["input_ids"][: rows * told.length]
    tokens = np.array(ids, np.int64).reshape(rows, told.length)
    np.save(work / "tokens.npy", tokens)
    teacher = TeacherLogits(BaseWeights(work / "teacher", "", "the teacher"), told.threads)
    began = time.perf_counter()
    for form, classes in (("sampled", 12), ("top", 9)):
        records = Records(form, classes, teacher.vocabulary)  # type: ignore[arg-type]
        made = teacher.records(
            [(row.tolist(), [True] * told.length) for row in tokens], records, 1.0,
            [
                np.random.default_rng(number).random((told.length - 1, records.draws))
                for number in range(rows)
            ],
            most=1024,
        )  # fmt: skip
        (work / f"{form}.bin").write_bytes(b"".join(made))
    took = (time.perf_counter() - began) / (2 * rows * told.length)
    return {
        "student_parameters": student.num_parameters(),
        "cache_us_a_token": round(took * 1e6, 1),
    }


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write a model with its tokenizer."""
    model.generation_config.eos_token_id = 2
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def serve(mode: str, work: Path, told: argparse.Namespace) -> None:
    """Take steps as they are asked for."""
    import numpy as np
    import torch

    from mashbill.core.base_model import BaseWeights
    from mashbill.models.causal_base import CausalBase
    from mashbill.models.logit_records import Records
    from mashbill.models.products import fast_linear
    from mashbill.models.teacher_logits import TeacherLogits
    from mashbill.train.losses import (
        Divergence,
        FullTeacher,
        SampledTeacher,
        TopTeacher,
        linear_cross_entropy,
        linear_divergence,
    )
    from mashbill.train.memory import freed_memory_kept

    torch.set_num_threads(told.threads)
    tokens = torch.from_numpy(np.load(work / "tokens.npy"))
    student = CausalBase.load(work / "student", "the student", packs=True)
    optimiser = torch.optim.AdamW(student.model.parameters(), lr=1e-3, fused=True)
    records, kept, teacher = None, None, None
    if mode in {"sampled", "top"}:
        records = Records(mode, 12 if mode == "sampled" else 9, len(student.head[0]))  # type: ignore[arg-type]
        kept = np.memmap(work / f"{mode}.bin", np.uint8, "r").reshape(
            len(tokens), told.length - 1, records.bytes
        )
    if mode == "live":
        teacher = TeacherLogits(BaseWeights(work / "teacher", "", "the teacher"), told.threads)

    def given(rows: list[int], sequences: list[torch.Tensor], is_told: torch.Tensor) -> Any:
        if teacher is not None:
            return FullTeacher(teacher.states(sequences)[is_told], *teacher.head)
        if kept is None or records is None:
            raise SystemExit(mode)
        found = records.read(torch.from_numpy(np.concatenate([kept[row] for row in rows])))
        if found.entropy_n is None:
            return TopTeacher(found.ids_nk, found.values_nk)
        return SampledTeacher(found.ids_nk, found.values_nk, found.entropy_n)

    def step(number: int) -> None:
        first = number * told.batch % len(tokens)
        rows = list(range(first, first + told.batch))
        sequences = [tokens[row] for row in rows]
        targets = torch.cat([torch.roll(each, -1) for each in sequences])
        weights = torch.ones(len(sequences), told.length)
        weights[:, -1] = 0
        flat = weights.flatten()
        head, bias = student.head
        with student.together([told.length] * told.batch):
            states = student.states(sequences)
            if mode == "ce":
                loss = linear_cross_entropy(states, head, targets, flat, bias_v=bias)
            else:
                is_told = flat > 0
                loss, _ = linear_divergence(
                    states[is_told], head, given(rows, sequences, is_told), flat[is_told],
                    Divergence(), bias_v=bias,
                )  # fmt: skip
            (loss / flat.sum()).backward()
        torch.nn.utils.clip_grad_norm_(student.model.parameters(), 1.0, foreach=False)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    done = 0
    with freed_memory_kept(), fast_linear():
        for line in sys.stdin:
            began = time.perf_counter()
            for _ in range(int(line)):
                step(done)
                done += 1
            tell(time.perf_counter() - began)


def tell(seconds: float) -> None:
    """Print what some steps took."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "peak_kb": peak}), flush=True)


def vocabulary_memory(form: str, size: int) -> float:
    """Return megabytes that a divergence takes beside weights and gradients of this vocabulary."""
    import torch

    from mashbill.train.losses import (
        Divergence,
        FullTeacher,
        SampledTeacher,
        linear_divergence,
    )

    count, width = 2048, 32
    hidden = torch.randn(count, width, requires_grad=True)
    head = torch.randn(size, width, requires_grad=True)
    other = torch.randn(size, width)
    teacher: Any = FullTeacher(torch.randn(count, width), other)
    if form == "sampled":
        ids = torch.randint(size, (count, 12))
        teacher = SampledTeacher(ids, torch.full(ids.shape, 1 / 12))
    weights = torch.ones(count)
    linear_divergence(hidden[:1], head[:9], smaller(teacher), weights[:1], Divergence())
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = memory("VmRSS")
    loss, _ = linear_divergence(hidden, head, teacher, weights, Divergence())
    loss.backward()
    # The head's gradient is made once, and then is the parameter's.
    return round((memory("VmHWM") - before) / 1024 - 4 * size * width / 2**20, 1)


def smaller(teacher: Any) -> Any:
    """Return a teacher of one position and nine classes: libraries are awake after it."""
    import torch

    from mashbill.train.losses import FullTeacher, SampledTeacher

    if isinstance(teacher, FullTeacher):
        return FullTeacher(teacher.hidden_ne[:1], teacher.head_ve[:9])
    return SampledTeacher(torch.zeros(1, 12).long(), teacher.shares_nk[:1])


def memory(key: str) -> int:
    """Return what this process has, in kilobytes."""
    text = Path("/proc/self/status").read_text("utf-8")
    return int(text.split(f"{key}:")[1].split()[0])


if __name__ == "__main__":
    main()
