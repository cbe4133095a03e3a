"""The recipe and the definition that the README shows are run as they stand there."""

import json
import random
import re
from pathlib import Path

from tests_support import run_toy

from mashbill.lineage.bills.definitions import load_definitions

README = Path(__file__).parents[1] / "README.md"


def block(start):
    """Return the indented block of the README that begins with this line."""
    text = re.search(
        rf"^    {re.escape(start)}\n.*?(?=^\S)", README.read_text(), re.MULTILINE | re.DOTALL
    )[0]
    return "\n".join(line[4:] for line in text.splitlines())


def test_the_recipe_runs(tmp_path):
    draw = random.Random(1)
    rows = []
    for _ in range(80):
        mood = draw.choice(["happy", "angry"])
        words = draw.choices(["the", "reply", "was", "team", "ticket"], k=6)
        words += draw.choices(["good", "fast"] if mood == "happy" else ["bad", "slow"], k=2)
        rows.append(json.dumps({"body": " ".join(words), "mood": mood}))
    (tmp_path / "tickets.jsonl").write_text("\n".join(rows))
    (tmp_path / "prompt.txt").write_text("Ticket: {{ text }} Mood:\n")
    (tmp_path / "mine.toml").write_text(block("[recipe]"))
    _, done = run_toy(tmp_path / "mine.toml", tmp_path / "store")
    assert [item.name for item in done] == ["corpus", "labelled", "classifier"]


def test_the_definition_is_read(tmp_path):
    text = block('name = "two-hops"')
    path = tmp_path / "mine.toml"
    path.write_text(text)
    assert load_definitions([str(path)])[0].max_hops == 2
