"""A table of cases fails where one of them does, names it, and tries the others."""

import inspect

import pytest
from tests_tables import table


def tried(*given, names="number", ids=None):
    """Return the numbers that were tried of a test that fails for 2, and what it said."""
    seen = []

    @table(names, given, ids)
    def of(number):
        seen.append(number)
        if number == 5:
            pytest.skip("not here")
        assert number != 2, f"{number} is two"

    try:
        of()
    except pytest.fail.Exception as error:
        return seen, str(error)
    return seen, ""


def test_all_are_tried_and_those_that_fail_are_named_with_place_and_reason():
    seen, said = tried(1, 2, 3, 2, 2, 4)
    assert seen == [1, 2, 3, 2, 2, 4]
    assert said.startswith("3 of 6 cases fail\n[1] 2\n")
    assert [said.count(f"[{n}] ") for n in range(6)] == [0, 1, 0, 1, 1, 0]
    assert said.count("2 is two") == 3
    assert "test_table_of_cases.py:" in said.rpartition("[4] 2\n")[2]


def test_without_one_that_fails_nothing_is_said():
    assert tried(1, 3) == ([1, 3], "")


def test_a_case_that_is_skipped_or_fails_by_pytest_is_told():
    assert tried(1, 5, 3)[0] == [1, 5, 3]
    assert "[1] 5" in tried(1, 5, 3)[1]

    @table("kind", [ValueError])
    def of(kind):
        with pytest.raises(kind):
            pass

    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        of()


def test_names_come_of_ids_of_params_or_of_the_values():
    assert "[0] the second" in tried(2, ids=["the second"])[1]
    assert "[0] <2>" in tried(2, ids=lambda value: f"<{value}>")[1]
    assert "[0] named" in tried(pytest.param(2, id="named"))[1]


def test_two_tables_are_each_with_each_and_fixtures_are_left():
    seen = []

    @table("a", [1, 2])
    @table(("b", "c"), [(3, "x"), (4, "y")])
    def of(c, store, a, b):
        seen.append((a, b, c))
        assert (a, b) != (2, 3), store

    assert list(inspect.signature(of).parameters) == ["store"]
    with pytest.raises(pytest.fail.Exception) as failed:
        of(store="kept")
    assert seen == [(1, 3, "x"), (1, 4, "y"), (2, 3, "x"), (2, 4, "y")]
    assert "[1] 2\n" in str(failed.value)
    assert "[0] 3 | x" in str(failed.value)


def test_what_one_test_for_all_cannot_keep_is_refused():
    def asks_for_a_folder(a, tmp_path):
        pass

    with pytest.raises(TypeError, match="tmp_path"):
        table("a", [1])(asks_for_a_folder)
    with pytest.raises(TypeError, match="asks_for_a_folder"):
        table("b", [1])(asks_for_a_folder)
    with pytest.raises(TypeError, match="marks"):
        table("a", [pytest.param(1, marks=pytest.mark.slow)])
    with pytest.raises(ValueError, match="no case"):
        table("a", [])
    with pytest.raises(ValueError, match="shorter"):
        table("a, b", [(1,)])
    with pytest.raises(ValueError, match="shorter"):
        table("a", [1, 2], ids=["one"])
