import hashlib
from importlib import resources

import pytest

from mashbill.conduct.simulate.parameters import parameters
from mashbill.core.errors import InputError

# Who changes a parameter after a detector was tuned measures another thing than was promised.
FROZEN = "98374beb87e6e87c63d8a379ac1b3166d57603ea33b7566750c7a3eac56594e4"
SOURCES = '[sources]\nchosen = "by its author"\n'


def test_the_parameters_are_those_that_were_frozen():
    file = resources.files("mashbill.conduct.simulate") / "parameters.toml"
    assert hashlib.sha256(file.read_bytes()).hexdigest() == FROZEN


def test_each_parameter_has_a_source_that_is_explained_and_each_source_is_used():
    found = parameters()
    used = {source for part in found.sections.values() for source in part.sources.values()}
    assert used == set(found.sources)
    assert all(set(part.values) == set(part.sources) for part in found.sections.values())
    assert all(len(words) > 20 for words in found.sources.values())


def test_the_figures_of_the_reports_are_the_reports_own():
    found = parameters()
    assert found["coaxed"].whole("exchanges") == 150_000
    assert found["agentic"].whole("exchanges") == 3_400_000
    assert found["pivot"].share("moved") == 0.5
    hydra = found["hydra"]
    assert (
        round(hydra.whole("accounts") * hydra.number("rate") * hydra.number("days")) == 28_800_000
    )


def test_a_count_is_scaled_and_bounded_from_below():
    found = parameters()
    assert found["hydra"].count("accounts", 0.01) == 250
    assert found["hydra"].count("accounts", 1e-6) == 25
    assert found["sft"].count("accounts", 1e-9) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a]\nx = 3\n" + SOURCES, "a.x is 3; write"),
        ('[a]\nx = [3, "nobody"]\n' + SOURCES, "source is 'nobody'"),
        ('[a]\nx = [[1, "b"], "chosen"]\n' + SOURCES, "a.x has"),
        ('[a]\nx = [true, "chosen"]\n' + SOURCES, "a.x has True"),
        ('[a]\nx = [1e12, "chosen"]\n' + SOURCES, "a number up to"),
        ("x = 3\n" + SOURCES, "outside of any section"),
        ('[a]\nx = [3, "chosen"]\n', r"\[sources\] is not there"),
    ],
)
def test_a_file_that_is_no_parameters_is_refused_by_its_key(tmp_path, text, said):
    file = tmp_path / "own.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=said):
        parameters(file)


def test_a_parameter_that_is_not_there_or_of_another_kind_is_named(tmp_path):
    file = tmp_path / "own.toml"
    file.write_text('[a]\nx = [1.5, "chosen"]\nname = ["b", "chosen"]\n' + SOURCES)
    found = parameters(file)
    for ask in (found["a"].whole, found["a"].text, found["a"].share, found["a"].numbers):
        with pytest.raises(InputError, match=r"parameters of a: x is 1\.5, not"):
            ask("x")
    with pytest.raises(InputError, match="y is not there"):
        found["a"].number("y")
    with pytest.raises(InputError, match="no section b"):
        found["b"]
