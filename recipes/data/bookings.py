# ruff: noqa: INP001, S311
"""Write data of ``recipes/extract.toml``: short letters about bookings, from templates and lists.

Run it from any folder: ``python recipes/data/bookings.py``. It writes the same bytes each time. The
lines are dedicated to the public domain (CC0-1.0).

A letter says in one of many wordings who booked, where, for which day and at what price, and holds
up to two sentences more with other people, places, days and prices, which are not to be taken.
Held-out letters are of wordings, names and places that no other letter has.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import NamedTuple

FIELDS = ("guest", "place", "price", "when")  # as JSON is written here: in order


class Words(NamedTuple):
    """What letters are made of."""

    bookings: tuple[str, ...]
    """wordings of the booking itself, with all of {guest}, {place}, {when} and {price}"""
    others: tuple[str, ...]
    """sentences about something else, with some of the same"""
    greetings: tuple[str, ...]
    first: tuple[str, ...]
    last: tuple[str, ...]
    places: tuple[str, ...]


LEARNED = Words(
    bookings=(
        "{guest} has booked {place} for {when} at {price} euros.",
        "Please reserve {place} for {guest} on {when}; the price is {price} euros.",
        "We confirm {place} on {when} for {guest}, {price} euros in all.",
        "On {when} {guest} will stay at {place} and pay {price} euros.",
        "{guest} would like {place} on {when}. The rate is {price} euros.",
        "The booking of {guest} at {place} is for {when} and costs {price} euros.",
        "For {price} euros {guest} gets a room at {place} on {when}.",
        "Room at {place}: guest {guest}, day {when}, price {price} euros.",
        "{place} expects {guest} on {when}. The bill comes to {price} euros.",
        "I am {guest} and I want to come to {place} on {when} for {price} euros.",
        "{guest} wrote to {place}: a table on {when}, {price} euros, please.",
        "At {place} there is a table for {guest} on {when}, at {price} euros.",
        "It is {price} euros for {when} at {place}, in the name of {guest}.",
        "{when} at {place} is settled: {guest} pays {price} euros.",
    ),
    others=(
        "{guest} says hello.",
        "Our colleague {guest} will write again.",
        "{place} is full.",
        "The transfer is {price} euros more.",
        "The office is closed on {when}.",
        "Breakfast for two is {price} euros.",
        "Please answer before {when}.",
        "Last year {guest} paid {price} euros.",
        "It is not far from {place}.",
        "We cannot offer {when}.",
    ),
    greetings=("Hello,", "Dear all,", "Good morning,", "Hi,", "", ""),
    first=("Anna", "Peter", "Maria", "John", "Laura", "David", "Sofia", "Paul", "Emma",
           "Martin", "Julia", "Thomas", "Nina", "Oscar", "Clara", "Hugo", "Alice", "Simon",
           "Helen", "Victor"),
    last=("Berg", "Novak", "Rossi", "Keller", "Martin", "Jensen", "Silva", "Brown", "Moreau",
          "Lang", "Costa", "Fischer", "Larsen", "Young", "Petit", "Weber", "Marino", "Hill",
          "Dubois", "Holm"),
    places=("Hotel Aurora", "Blue Lantern", "Villa Rosa", "Old Mill", "Hotel Central",
            "Harbour Inn", "Casa Verde", "Golden Lion", "Hotel Bellevue", "Green Door",
            "Pension Alma", "Red House", "Hotel Europa", "Station Cafe"),
)  # fmt: skip

HELD_OUT = Words(
    bookings=(
        "Kindly note that {guest} arrives at {place} on {when}, agreed price {price} euros.",
        "{price} euros was agreed with {guest} for a night at {place}, on {when}.",
        "New reservation: {place}, {when}, {price} euros, {guest}.",
        (
            "The guest this time is {guest}. She chose {place}, comes on {when} and owes "
            "{price} euros."
        ),
        "For {guest} we keep a place at {place} until {when}, which makes {price} euros.",
        "{guest} takes the offer of {place}: {when}, {price} euros.",
        "See you at {place} on {when}! I pay the {price} euros there. Yours, {guest}",
        "Could {place} have {guest} on {when}? We would pay {price} euros.",
    ),
    others=(
        "It was {guest} who recommended us.",
        "{place} was too loud.",
        "Parking is another {price} euros.",
        "Nothing was free before {when}.",
        "If anything is wrong, {guest} will know.",
        "The deposit of {price} euros has been paid.",
        "The garden opens on {when}.",
        "We liked {place} less.",
    ),
    greetings=("Good evening,", "Dear Sir or Madam,", "To whom it may concern,", ""),
    first=("Ingrid", "Bruno", "Teresa", "Edgar", "Monica", "Felix", "Irene", "Walter", "Carmen",
           "Rudolf", "Louise", "Gregor"),
    last=("Lindqvist", "Barros", "Hoffman", "Castelli", "Nyberg", "Palmer", "Ferreira", "Quinn",
          "Sandberg", "Vogel", "Ricci", "Turner"),
    places=("White Swan", "Hotel Miramar", "Casa Luna", "Three Keys", "Hotel Panorama",
            "Lake House", "Pension Edelweiss", "Silver Fox"),
)  # fmt: skip

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September",
          "October", "November", "December")  # fmt: skip


def values(draw: random.Random, words: Words) -> dict[str, str]:
    """Return a person, a place, a day and a price."""
    return {
        "guest": f"{draw.choice(words.first)} {draw.choice(words.last)}",
        "place": draw.choice(words.places),
        "when": f"{draw.randint(1, 28)} {draw.choice(MONTHS)}",
        "price": str(draw.randint(4, 60) * 5 + draw.choice([0, 0, 0, 2])),
    }


def letter(draw: random.Random, words: Words) -> dict[str, str]:
    """Return a letter and what is to be taken from it, as JSON."""
    right = values(draw, words)
    sentences = [draw.choice(words.bookings).format(**right)]
    for other in draw.sample(words.others, draw.choice([0, 1, 1, 2])):
        wrong = values(draw, words)
        while any(wrong[field] == right[field] for field in FIELDS):
            wrong = values(draw, words)
        sentences.insert(draw.randint(0, len(sentences)), other.format(**wrong))
    text = " ".join([draw.choice(words.greetings), *(s[0].upper() + s[1:] for s in sentences)])
    return {"text": text.strip(), "fields": json.dumps({f: right[f] for f in FIELDS})}


def letters(seed: int, words: Words, count: int) -> list[dict[str, str]]:
    """Return so many letters, no two of them the same."""
    draw = random.Random(seed)
    made: dict[str, dict[str, str]] = {}
    while len(made) < count:
        row = letter(draw, words)
        made[row["text"]] = row
    return list(made.values())


def write(name: str, rows: list[dict[str, str]]) -> None:
    """Write rows beside this file, one JSON object a line."""
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (Path(__file__).parent / name).write_text(text, encoding="utf-8")


def main() -> None:
    """Write both files."""
    write("bookings.jsonl", letters(1, LEARNED, 400))
    write("bookings-heldout.jsonl", letters(2, HELD_OUT, 200))


if __name__ == "__main__":
    main()
