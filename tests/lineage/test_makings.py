"""What definitions say of well-known models and datasets, beside what their makers' texts say.

`makings.csv` was written from those texts: none, or yes at a number of hops, of closed models by A,
B and C; yes or none, of any model, by EU-2.5; and the closed models that have to be found. A blank
is what the text leaves open.
"""

import csv
from pathlib import Path

from tests_tables import table

from mashbill.lineage.bills.definitions import Verdict, judge_all
from mashbill.lineage.catalogue.public import lineage_of
from mashbill.policy.claims import load_catalogue

ROWS = list(csv.DictReader((Path(__file__).parent / "makings.csv").read_text().splitlines()))
CATALOGUE = load_catalogue()
PUBLIC = lineage_of(CATALOGUE)


def told(verdict: Verdict, hops: bool = True) -> str:
    if verdict.conclusion != "yes":
        return verdict.conclusion.removesuffix(" recorded")
    return f"yes@{verdict.depth}" if hops else "yes"


@table("row", ROWS, ids=lambda row: row["what"])
def test_what_its_maker_says_of_it_is_what_the_definitions_find(row):
    found = judge_all(PUBLIC.of(CATALOGUE.entities[row["what"]]), ("A", "B", "C", "EU-2.5"))
    got = dict(zip("abc", (told(closed) for closed, _ in found[:3]), strict=True))
    got["eu"] = told(found[3][1], hops=False)
    assert got == {test: row[test] or said for test, said in got.items()}
    assert set(row["finds"].split()) <= {source.name for source in found[0][0].sources}


def test_each_is_told_once_and_with_the_text_that_says_it():
    assert len({row["what"] for row in ROWS}) == len(ROWS)
    assert all(row["says"] for row in ROWS)
