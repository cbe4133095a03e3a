"""Long tables of cases of one mechanism: a few of them in `make test`, the rest in `make slow`.

A table whose rows go the same way through the code says how many of them are worth a minute of
everybody's::

    @pytest.mark.few(4)
    @pytest.mark.parametrize("case", CASES)
    def test_...

Those that are kept are spread over the table, the first among them; all others are marked ``slow``.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable


def mark_the_rest(items: Iterable[pytest.Item]) -> None:
    """Mark as slow all but a few cases of each test that is ``few``."""
    cases = defaultdict(list)
    for item in items:
        if mark := item.get_closest_marker("few"):
            cases[item.nodeid.partition("[")[0], mark.args[0]].append(item)
    for (_, few), found in cases.items():
        kept = {number * len(found) // few for number in range(few)}
        for number, item in enumerate(found):
            if number not in kept:
                item.add_marker(pytest.mark.slow)
