"""Of a long table a few cases are tried each time, and the others are not lost."""

from types import SimpleNamespace

import pytest
from tests_few import mark_the_rest


class Case(SimpleNamespace):
    """As much of an item as is asked."""

    def get_closest_marker(self, name):
        return next((mark for mark in self.marks if mark.name == name), None)

    def add_marker(self, mark):
        self.marks.append(mark)


def cases(test, count, *marks):
    return [Case(nodeid=f"{test}[{n}]", marks=list(marks)) for n in range(count)]


def slow(found):
    return [n for n, case in enumerate(found) if case.get_closest_marker("slow")]


@pytest.mark.parametrize(
    ("count", "few", "quick"), [(10, 3, [0, 3, 6]), (3, 3, [0, 1, 2]), (2, 5, [0, 1]), (7, 1, [0])]
)
def test_as_many_as_are_said_are_quick_and_spread(count, few, quick):
    found = cases("t.py::test", count, pytest.mark.few(few).mark)
    mark_the_rest(found)
    assert slow(found) == [n for n in range(count) if n not in quick]


def test_each_test_has_a_few_and_others_are_left_alone():
    found = [cases(f"t.py::{name}", 4, pytest.mark.few(2).mark) for name in ("a", "b")]
    plain = cases("t.py::c", 4)
    mark_the_rest([*found[0], *plain, *found[1]])
    assert [slow(each) for each in (*found, plain)] == [[1, 3], [1, 3], []]


@pytest.mark.few(1)
@pytest.mark.parametrize("number", range(3))
def test_it_is_so_where_tests_are_collected(request, number):
    assert bool(request.node.get_closest_marker("slow")) == (number > 0)
