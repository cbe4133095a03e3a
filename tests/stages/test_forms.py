"""Every row of docs/formats.md, through the real runner: what each form becomes."""

import re
from pathlib import Path

import pytest
from form_cases import chats, factories, scored, trl
from form_cases.case import NONE, check

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
CASES = [*trl.CASES, *chats.CASES, *factories.CASES, *scored.CASES]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_form_becomes_what_the_page_says(case, tmp_path):
    check(case, tmp_path)
