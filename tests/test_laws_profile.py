"""No law is tried by chance, nor on few examples alone, and each can be tried harder at night."""

import ast
import os
import subprocess
import sys
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests_laws import PROFILES, VARIABLE, chosen_profile, law

TESTS = Path(__file__).parent


def test_by_default_the_same_examples_are_tried_each_time():
    if (profile := chosen_profile()) != "nightly":
        assert settings().derandomize
        assert law(7).derandomize
        assert law(7).max_examples == {"quick": 1, "default": 7}[profile]
        assert settings().database is None
    assert law().deadline is None


def _tried(profile):
    """Return what the profile makes of a law of 10 examples, in a process of its own."""
    program = (
        "from tests_laws import law, settings;"
        "s = law(10); print(s.max_examples, s.derandomize, settings().max_examples)"
    )
    return subprocess.run(
        [sys.executable, "-c", program], cwd=TESTS, capture_output=True, text=True, check=False,
        env={**os.environ, VARIABLE: profile},
    )  # fmt: skip


def test_at_night_there_are_more_and_random_ones():
    times = PROFILES["nightly"]
    assert _tried("nightly").stdout.split() == [str(10 * times), "False", str(100 * times)]
    assert _tried("").stdout.split() == ["10", "True", "100"]


def test_what_is_quick_is_a_tenth_and_the_rest_is_tried_by_make_slow():
    assert _tried("quick").stdout.split() == ["1", "True", "10"]
    recipes = (TESTS.parent / "Makefile").read_text().split("\n\n")
    (quick,) = (r for r in recipes if r.startswith("test:"))
    (slow,) = (r for r in recipes if r.startswith("slow:"))
    assert f"{VARIABLE}=quick " in quick
    assert VARIABLE not in slow
    assert '-m "slow or law"' in slow


@law(1, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one=st.just(1))
def test_a_law_is_marked_as_one(request, one):
    assert request.node.get_closest_marker("law")


def test_what_is_no_law_is_not_marked_as_one(request):
    assert not request.node.get_closest_marker("law")


def test_a_profile_that_is_not_there_is_told():
    assert f"{VARIABLE}='nihgtly' is none of quick, default, nightly" in _tried("nihgtly").stderr


def test_no_test_decides_for_itself_how_it_is_tried():
    named = [
        f"{path.name}:{node.lineno}"
        for path in sorted(TESTS.rglob("*.py"))
        if path.name != "tests_laws.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", getattr(node.func, "attr", "")) == "settings"
        and {"max_examples", "derandomize", "deadline", "database"}
        & {keyword.arg for keyword in node.keywords}
    ]
    assert not named, f"{named}: use @law(EXAMPLES) of tests_laws, so that the profile decides"
