"""Every row of docs/formats.md, through the real runner: what each form becomes."""

from pathlib import Path

import pytest
from form_cases import cells, chats, factories, files, scored, trl
from form_cases.case import check

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
CASES = [*files.CASES, *cells.CASES, *trl.CASES, *chats.CASES, *factories.CASES, *scored.CASES]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_form_becomes_what_the_page_says(case, tmp_path):
    check(case, tmp_path)


def rows_of_the_page():
    """Return first cell -> second cell of every table of forms and of cells."""
    found = []
    for line in PAGE.read_text("utf-8").partition("\n## Writing\n")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" |")]
        if line.startswith("| ") and cells[0] not in ("Form", "Cell"):
            found.append((cells[0], cells[1] if len(cells) > 2 else ""))
    return found


def test_every_row_of_the_page_has_a_case_and_every_case_a_row():
    names = [name for name, _ in rows_of_the_page()]
    assert sorted(names) == sorted(case.name for case in CASES)


def test_the_page_says_what_the_recipe_of_a_case_says():
    said = dict(rows_of_the_page())
    usual = {'generator = "none"', ""}
    for case in CASES:
        keys = [line for line in case.keys.splitlines() if line not in usual]
        assert said[case.name] == ", ".join(f"`{key}`" for key in keys), case.name
