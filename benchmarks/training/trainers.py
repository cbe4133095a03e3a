"""What benchmarks of trainers share: a base, the head of a recipe, and a process for each side."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAD = """
[recipe]
name = "bench"
version = "1"
seed = 3
[models.base]
{base}
[stages.said]
kind = "import"
title = "said"
source = "rows.jsonl"
generator = "by"
license = "CC0-1.0"
"""
"""of a recipe that reads rows.jsonl; ``base`` is what :func:`base_keys` gives"""


def options(*, steps: int) -> argparse.ArgumentParser:
    """Return a parser with the options that all of them have.

    Args:
        steps: of a round, if none are named.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", required=True)
    parser.add_argument("--method", default="lora", choices=["lora", "full"])
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--tiny", action="store_true")
    return parser


def base_folder(scratch: Path, *, tiny: bool) -> Path:
    """Return SmolLM2-135M-Instruct as plain transformers loads it, or a tiny base."""
    if tiny:
        sys.path.insert(0, str(ROOT / "tests"))
        from tests_tiny_base import make_base

        return make_base(scratch / "base", width=64, layers=4)
    from mashbill.core.base_model import GgufModel
    from mashbill.core.cache import chosen_cache
    from mashbill.models.base_weights import weights_of

    made = weights_of("base", GgufModel(kind="gguf"), scratch, chosen_cache())
    (scratch / "base").symlink_to(made.folder)
    return scratch / "base"


def base_keys(base: Path, *, tiny: bool) -> str:
    """Return the keys of ``[models.base]`` for what :func:`base_folder` gave."""
    if not tiny:
        return 'kind = "gguf"'
    from mashbill.core.canonical import digest_bytes, digest_file

    files = sorted(base.resolve().iterdir())
    digest = digest_bytes("".join(f"{digest_file(f)}  {f.name}\n" for f in files).encode())
    kind = 'kind = "folder"\nname = "base"\nlicense = "Apache-2.0"\nfolder = "base"\n'
    return f'{kind}sha256 = "{digest}"'


def ask(python: str, program: str, told: dict[str, object]) -> dict[str, list[float]]:
    """Run one of the two in a process of its own."""
    done = subprocess.run(
        [python, "-c", program, json.dumps(told)], capture_output=True, text=True, check=False
    )
    line = next((x for x in done.stdout.splitlines() if x.startswith("FOUND ")), None)
    if line is None:
        sys.exit(done.stdout[-2000:] + done.stderr[-4000:])
    return json.loads(line.removeprefix("FOUND "))
