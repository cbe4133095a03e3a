"""What the server, the drivers and the harness agree on; standard library only."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

END = "[end]"  # what a tool appends to a prompt after this does not change which prompt it is
JUDGE = "JUDGE:"
MODEL = "fake-1"
TIMEOUT = 60  # seconds, at fair settings; lognormal's longest of 10,000 is shorter
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "score": {"type": "integer"}},
    "required": ["name", "score"],
    "additionalProperties": False,
}


def digest(prompt: str) -> bytes:
    """Return the SHA-256 of a prompt, by which the server knows it."""
    return hashlib.sha256(prompt.partition(END)[0].encode()).digest()


def yes(key: bytes) -> bool:
    """Return whether the judge says yes, which it does to 70% of prompts."""
    return int.from_bytes(key[24:28]) % 10 < 7


def judge_prompt(answer: str) -> str:
    """Return the judge's prompt for an answer."""
    return f"{JUDGE} Is this answer good? Say yes or no.\n{answer} {END}"


def prompt(row: int) -> str:
    """Return the prompt of a row, about 60 words."""
    seed = hashlib.sha256(str(row).encode()).hexdigest()
    words = " ".join(f"w{seed[at : at + 3]}" for at in range(0, 60, 2))
    return (
        f"Row {row}. Rewrite the following text so that a reader who is new to it understands it, "
        f"keep every number, and do not add anything that is not there: {words} {END}"
    )


def write_prompts(path: Path, rows: int) -> None:
    """Write the prompts that all clients read."""
    with path.open("w") as file:
        for row in range(rows):
            file.write(json.dumps({"id": row, "prompt": prompt(row)}) + "\n")


def read_prompts(path: Path, rows: int) -> list[dict[str, Any]]:
    """Read the first rows of the prompts."""
    found = []
    with path.open() as file:
        for line in file:
            found.append(json.loads(line))
            if len(found) == rows:
                break
    return found


def arguments(doc: str | None) -> argparse.Namespace:
    """Parse the arguments that every driver takes."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--base-url", required=True, help="such as http://127.0.0.1:8901/v1")
    parser.add_argument("--work", choices=("w1", "w2", "w3", "w4", "w5", "w6", "w7"), default="w1")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--settings", choices=("fair", "default"), default="fair")
    parser.add_argument(
        "--out", type=Path, required=True, help="kept between W3's, W4's, W5's runs"
    )
    parser.add_argument(
        "--prompts", type=Path, help="JSONL of id and prompt; else OUT/prompts.jsonl"
    )
    parser.add_argument("--variant", default="", help="datatrove only: off, local, local-off")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="uvloop", help="bare only")
    given = parser.parse_args()
    given.out = given.out.resolve()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.prompts is None:
        given.prompts = given.out / "prompts.jsonl"
        write_prompts(given.prompts, given.rows)
    given.prompts = given.prompts.resolve()
    return given


def right(row_prompt: str, reply: Any, work: str) -> bool:
    """Return whether a reply is the server's reply to this prompt."""
    key = digest(row_prompt)
    if work == "w7":
        if isinstance(reply, str):
            try:
                reply = json.loads(reply)
            except ValueError:
                return False
        return (
            isinstance(reply, dict)
            and reply.get("name") == key.hex()[:16]
            and isinstance(reply.get("score"), int)
        )
    return isinstance(reply, str) and reply.startswith(key.hex())


def check(
    wanted: list[dict[str, Any]], replies: list[tuple[str, Any]], work: str
) -> dict[str, int]:
    """Compare rows (prompt, reply) with what was asked.

    For W2 these are the rows that the judge let through; a row that should have been let through
    and was not is lost, and one that should not have been is misaligned.
    """
    asked = {row["prompt"] for row in wanted}
    if work == "w2":
        asked = {one for one in asked if yes(digest(judge_prompt(answer(digest(one)))))}
    good: set[str] = set()
    misaligned = 0
    repeated = 0
    for row_prompt, reply in replies:
        if row_prompt not in asked or not right(row_prompt, reply, work):
            misaligned += 1
        elif row_prompt in good:
            repeated += 1
        else:
            good.add(row_prompt)
    return {
        "rows_out": len(replies),
        "rows_lost": len(asked) - len(good),
        "rows_misaligned": misaligned,
        "rows_repeated": repeated,
    }


FILLER = " ".join(["It says the same in plainer words, and keeps each number as it stood."] * 4)


def answer(key: bytes) -> str:
    """Return the text of the server's reply to a prompt that no judge or schema asks for."""
    return f"{key.hex()} {FILLER}"


def bytes_under(folder: Path, *but: Path) -> int:
    """Return the bytes of the files under a folder, less those named."""
    skipped = {path.resolve() for path in but}
    total = 0
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.resolve() not in skipped:
            total += path.stat().st_size
    return total


def sealed(out: Path) -> None:
    """Keep a tool's files under OUT and keep it off the network; before the tool is imported."""
    home = out / "home"
    home.mkdir(exist_ok=True)
    encodings = str(Path(__file__).parent / ".venvs" / "tiktoken")
    os.environ.update(
        HOME=str(home),
        HF_HOME=str(home / "huggingface"),
        XDG_CACHE_HOME=str(home / "cache"),
        HF_HUB_OFFLINE="1",
        HF_DATASETS_OFFLINE="1",
        HF_HUB_DISABLE_TELEMETRY="1",
        DO_NOT_TRACK="1",
        TELEMETRY_ENABLED="false",
        NEMO_TELEMETRY_ENABLED="false",
        LITELLM_LOCAL_MODEL_COST_MAP="True",
        TIKTOKEN_CACHE_DIR=encodings,
        CUSTOM_TIKTOKEN_CACHE_DIR=encodings,
        OPENAI_API_KEY="none",
        NO_PROXY="*",
    )


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Send what a tool prints, and its children print, to stderr: stdout is for one JSON line."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


class Meter:
    """Wall time, processor time and memory of a run, in parts."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.cpu_started = cpu_seconds()

    def line(self, given: argparse.Namespace, client: str, **more: Any) -> None:
        """Print the one JSON line that the harness reads.

        The processor's seconds are of the whole process, imports too; `setup_cpu_s` is what was
        spent before the meter began, which is once the tool's imports were done.
        """
        wall = more.pop("wall_s", None)
        cpu = more.pop("cpu_s", None)
        memory = max(
            resource.getrusage(who).ru_maxrss
            for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        print(
            json.dumps(
                {
                    "client": client,
                    "work": given.work,
                    "settings": given.settings,
                    "concurrency": given.concurrency,
                    "rows": given.rows,
                    "wall_s": wall,
                    "cpu_s": cpu,
                    "setup_cpu_s": self.cpu_started,
                    "peak_rss_mib": memory / 1024,
                    **more,
                }
            ),
            flush=True,
        )

    def stop(self) -> dict[str, float]:
        """Return the seconds since the start, by the wall and by the processor."""
        return {
            "wall_s": time.perf_counter() - self.started,
            "cpu_s": cpu_seconds() - self.cpu_started,
        }


def cpu_seconds() -> float:
    """Return the processor's seconds of this process and of its children that have ended."""
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        used = resource.getrusage(who)
        total += used.ru_utime + used.ru_stime
    return total
