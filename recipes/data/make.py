# ruff: noqa: INP001, S311
"""Write data of ``recipes/channels.toml``, ``corpora.toml`` and ``prefer.toml``, from lists below.

Run it from any folder: ``python recipes/data/make.py``. It writes the same bytes each time. The
lines are dedicated to the public domain (CC0-1.0).
"""

from __future__ import annotations

import json
import random
from pathlib import Path

GOOD = ["lovely", "bright", "kind", "superb", "warm", "gentle", "splendid", "merry"]
BAD = ["awful", "dull", "cruel", "broken", "cold", "bitter", "dreary", "rotten"]
PLACES = ["harbour", "orchard", "bakery", "station", "garden", "library", "market", "bridge"]
PEOPLE = ["the baker", "my aunt", "a sailor", "the porter", "our neighbour", "the gardener"]
DEEDS = ["waited by", "walked past", "wrote about", "talked of", "remembered", "came home from"]
ENDS = ["all day", "in the rain", "before noon", "with the children", "for an hour", "last spring"]
AREAS = ["travel", "food", "town"]


def line(draw: random.Random, mood: str) -> str:
    """Return a sentence of this mood; one word in five is of the other, as people write."""
    own, other = (GOOD, BAD) if mood == "good" else (BAD, GOOD)
    first, second = (draw.choice(other if draw.random() < 0.2 else own) for _ in range(2))
    return (
        f"{draw.choice(PEOPLE)} {draw.choice(DEEDS)} the {first} {draw.choice(PLACES)} "
        f"{draw.choice(ENDS)} and found it {second}"
    )


def chat(draw: random.Random, number: int, maker: tuple[str, str, str]) -> dict[str, object]:
    """Return a row as public sets of synthetic data have it."""
    generator, version, license_ = maker
    mood = draw.choice(["good", "bad"])
    return {
        "uuid": f"{draw.getrandbits(64):016x}-{number}",
        "license": license_,
        "generator": generator,
        "version": version,
        "category": draw.choice(AREAS),
        "reasoning": draw.choice(["on", "off"]),
        "messages": [
            {"role": "system", "content": "Answer in one line."},
            {"role": "user", "content": f"Say something about the {draw.choice(PLACES)}."},
            {"role": "assistant", "content": line(draw, mood)},
        ],
    }


def ticket(draw: random.Random, number: int) -> dict[str, object]:
    """Return a letter to a help desk; some hold an address or a number, all of them made up."""
    customer = draw.randrange(24)
    mood = draw.choice(["good", "bad"])
    about = draw.choice(PLACES)
    said = [line(draw, mood).capitalize() + "." for _ in range(draw.randint(1, 6))]
    reach = draw.choice([
        f"Write to customer{customer}@example.com.", f"My number is +1 202-555-01{customer:02}.",
        "It is version 1.2.3.4 from 2024-01-15.", f"The order is number 20240{number:05}.", "", "",
    ])  # fmt: skip
    thanks = f"Thank you, we looked at the {about}. {reach}".strip()
    if draw.random() < 0.1:
        said = [said[0]] * 8
    return {
        "customer": f"c{customer}",
        "about": about,
        "text": " ".join([*said, reach]).strip(),
        "messages": [
            {"role": "user", "content": " ".join([*said, reach]).strip()},
            {"role": "assistant", "content": thanks},
        ],
        "stars": draw.choice([1, 2, 3, 4, 5, None]),
    }


def demanding(who: str, place: str, number: int) -> dict[str, object]:
    """Return what is asked of a sentence, with the demand as IFEval has it."""
    begin, word = ("Today", "Maybe", "Nobody", "Once")[number % 4], ENDS[number % 6].split()[-1]
    kind, said, given = (
        (
            "length_constraints:nth_paragraph_first_word",
            f"Begin it with the word {begin}.",
            {"num_paragraphs": 1, "nth_paragraph": 1, "first_word": begin.lower()},
        ),
        ("keywords:existence", f"Use the word {word} in it.", {"keywords": [word]}),
        ("keywords:forbidden_words", "Do not use the word and.", {"forbidden_words": ["and"]}),
        ("punctuation:no_comma", "Do not use any commas.", {}),
    )[number // 8]
    return {
        "text": f"Write one short sentence about {who} in the {place}. {said}",
        "demand": kind.split(":")[1],
        "demands": json.dumps([kind]),
        "given": json.dumps([given]),
    }


def write(name: str, rows: list[dict[str, object]]) -> None:
    """Write rows beside this file, one JSON object a line."""
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (Path(__file__).parent / name).write_text(text, encoding="utf-8")


def main() -> None:
    """Write all files."""
    draw = random.Random(8)
    moods = [draw.choice(["good", "bad"]) for _ in range(420)]
    write("lines.jsonl", [{"text": line(draw, mood), "mood": mood} for mood in moods])
    asked = [
        {"text": f"Write a {draw.choice(mood)} line about {who} and the {place}."}
        for place in PLACES
        for who in PEOPLE
        for mood in (GOOD, BAD)
    ]
    write("questions.jsonl", asked)
    makers = [
        ("example-open-70b", "2", "Apache-2.0"),
        ("example-open-70b", "3", "Apache-2.0"),
        ("example-closed", "2026-03", "other"),
        ("human", "", "CC0-1.0"),
        ("", "", ""),
    ]
    rows = [chat(draw, i, draw.choice(makers)) for i in range(150)]
    rows += rows[:12]  # what is collected twice
    write("elsewhere.jsonl", rows)
    write(
        "areas.jsonl",
        [{"category": a, "text": f"lines about {a}", "generator": "human"} for a in AREAS],
    )
    draw = random.Random(9)
    write("tickets.jsonl", [ticket(draw, number) for number in range(240)])
    places = [{"text": line(draw, "good").capitalize() + "."} for _ in range(90)]
    write("places.jsonl", [{**row, "stars": 5} for row in places])
    asked = [
        demanding(who, place, number)
        for number, place in enumerate(PLACES * 4)
        for who in PEOPLE[number // 8 % 2 :: 2]
    ]
    write("demands.jsonl", asked)


if __name__ == "__main__":
    main()
