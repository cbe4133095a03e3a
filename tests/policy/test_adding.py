"""Adding what was imported: new files only, nothing twice, and conflicts for people to see."""

import csv
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.core.errors import InputError
from mashbill.policy.claim_rows import write_rows
from mashbill.policy.claims import CLAIM_COLUMNS, ENTITY_COLUMNS, Claim, Entity, load_catalogue
from mashbill.policy.importers import Imported, add_csv, add_to, import_claims
from mashbill.policy.keeping import open_index
from mashbill.policy.relations import RELATIONS
from mashbill.policy.statuses import STATUSES

DATA = Path(__file__).parent / "data"
NOTHING = load_catalogue(shipped=False)

PLACES = {"card": DATA / "cards", "modsleuth": DATA / "modsleuth", "dpi": DATA / "dpi"}


@pytest.mark.parametrize("name", PLACES)
def test_what_is_added_is_in_the_catalogue_and_only_once(name, tmp_path):
    imported = import_claims(name, PLACES[name])
    first = add_to(tmp_path, imported, NOTHING)
    assert first.new_claims == len(imported.claims)
    assert first.new_entities == len(imported.entities)
    assert [f.name.rsplit("-", 1)[0] for f in first.files] == [
        f"entities-{name}",
        f"claims-{name}",
    ]
    catalogue = load_catalogue([tmp_path], shipped=False)
    assert set(catalogue.claims) == set(imported.claims)
    assert set(catalogue.entities.values()) >= set(imported.entities)
    for known in (catalogue, NOTHING):
        again = add_to(tmp_path, imported, known)
        assert again.files == ()
        assert (again.new_claims, again.new_entities) == (0, 0)
        assert again.known_claims == len(imported.claims)


NAMES = st.sampled_from(["a/one", "A/One", "b/two", "c/three", "d/four", "Café/x", 'two, "quoted"'])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.none() | st.floats(0, 1)


@st.composite
def claims(draw, texts=TEXTS, numbers=NUMBERS):
    child, parent = draw(st.lists(NAMES, min_size=2, max_size=2, unique_by=str.lower))
    return Claim(
        child=child,
        parent=parent,
        relation=draw(st.sampled_from(sorted(RELATIONS))),
        dataset=draw(texts),
        share=draw(numbers),
        rows=draw(numbers),
        status=draw(st.sampled_from(STATUSES)),
        second_hand=draw(st.booleans()),
        source=draw(texts) or "x",
        note=draw(texts),
    )


ENTITIES = st.builds(
    Entity, id=NAMES, what=st.sampled_from(["model", "dataset"]), license=st.none() | st.just("MIT")
)
IMPORTS = st.builds(
    lambda e, c: Imported(tuple({x.id.lower(): x for x in e}.values()), tuple(c), (), "csv"),
    st.lists(ENTITIES, max_size=4),
    st.lists(claims(), max_size=5),
)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@law(40)
@given(st.lists(IMPORTS, min_size=1, max_size=3))
def test_adding_alters_no_file_and_a_second_time_adds_none(imports):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for imported in imports:
            before = contents(folder)
            add_to(folder, imported, load_catalogue([folder], shipped=False))
            after = contents(folder)
            assert before.items() <= after.items()
        last = load_catalogue([folder], shipped=False)
        for imported in imports:
            again = add_to(folder, imported, last)
            assert again.new_claims == 0
            assert again.files == ()
        assert contents(folder) == after


@given(
    st.lists(
        claims(
            texts=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r")),
            numbers=st.none() | st.integers(0, 1000).map(lambda n: n / 1000),
        ),
        max_size=6,
        unique=True,
    )
)
def test_ones_own_csv_comes_back_as_it_was_added(written):
    with tempfile.TemporaryDirectory() as place:
        added = add_to(Path(place), Imported((), tuple(written), (), "csv"), NOTHING)
        assert len(added.files) == bool(written)
        for file in added.files:
            assert import_claims("csv", file).claims == tuple(written)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
    | st.sampled_from(["a/b", "c/d", "trained_on", "model", "direct", "OpenAI GPT-4",
                       "https://huggingface.co/datasets/a/b", "content"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["id", "kind", "links", "subject", "relation", "object", "anchor_list", "source", "items",
         "License", "Num Dialogs", "name", "channels", "depth", "share_low", "share_high"]
    ), inner, max_size=6),
    max_leaves=12,
)  # fmt: skip
SHAPES = {
    "modsleuth": lambda a, b: {"nodes": [a], "edges": [b]},
    "modsleuth ": lambda a, b: {"lattice": {"groups": [{"items": a}]}, "relations": [b]},
    "dpi": lambda a, b: {"k": {"Hugging Face URL": "https://hf.co/datasets/a/b",
                               "Model Generated": a, "Licenses": b, "Text Metrics": b}},
    "card": lambda a, b: {"base_model": a, "base_model_relation": b, "license": a},
    "card ": lambda a, b: {"x-mashbill": {"format": 1, "bill": [a, b]}, "datasets": b},
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
@given(JSON, JSON)
def test_what_makes_no_sense_is_left_out_or_an_input_error(shape, one, other):
    text = json.dumps(SHAPES[shape](one, other))
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "it"
        file.write_text(f"---\n{text}\n---\n" if "card" in shape else text)
        whose = {"entity": "z/z"} if "card" in shape else {}
        try:
            imported = import_claims(shape.strip(), file, **whose)
        except InputError as error:
            assert str(file) in str(error)  # noqa: PT017 - it may also be understood
        else:
            add_to(Path(place) / "mine", imported, NOTHING)
            load_catalogue([Path(place) / "mine"], shipped=False)


def test_a_file_that_is_there_is_left_even_if_it_was_edited(tmp_path):
    imported = import_claims("dpi", DATA / "dpi")
    for file in add_to(tmp_path, imported, NOTHING).files:
        file.write_text(file.read_text().splitlines()[0] + "\n")
    edited = contents(tmp_path)
    again = add_to(tmp_path, imported, NOTHING)
    assert again.files == ()
    assert contents(tmp_path) == edited


def test_only_what_is_new_is_written(tmp_path):
    imported = import_claims("dpi", DATA / "dpi")
    part = Imported(imported.entities[:1], imported.claims[:1], (), "dpi")
    add_to(tmp_path, part, NOTHING)
    rest = add_to(tmp_path, imported, load_catalogue([tmp_path], shipped=False))
    assert (rest.new_claims, rest.known_claims) == (3, 1)
    with next(f for f in rest.files if f.name.startswith("claims")).open(newline="") as stream:
        assert len(list(csv.reader(stream))) == 1 + 3


def test_an_entity_known_by_its_name_alone_is_described():
    one = Claim(child="a/b", parent="c/d", relation="logits", source="x")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_rows(folder / "claims.csv", [one], CLAIM_COLUMNS)
        catalogue = load_catalogue([folder], shipped=False)
        bare, full = (Entity(id="A/B", what="model", license=x) for x in (None, "MIT"))
        assert add_to(folder, Imported((bare,), (), ()), catalogue).new_entities == 0
        assert add_to(folder, Imported((full,), (), ()), catalogue).new_entities == 1


def test_a_card_says_no_more_of_a_base_than_its_own_card_does(tmp_path):
    imported = import_claims("card", DATA / "cards")
    assert "acme/base-7b" not in {e.id for e in imported.entities}
    add_to(tmp_path, imported, NOTHING)
    known = load_catalogue([tmp_path], shipped=False).entities
    assert [known[i].what for i in ("acme/base-7b", "other/web")] == ["model", "dataset"]


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="claims cannot be written there"):
        add_to(tmp_path / "file", import_claims("dpi", DATA / "dpi"), NOTHING)


def claim(parent, child="d/data", dataset="", relation="sft-data", source="x"):
    return Claim(child=child, parent=parent, dataset=dataset, relation=relation, source=source)


@pytest.mark.parametrize(
    ("known", "new", "count"),
    [
        ([claim("m/one")], [claim("m/two")], 1),
        ([claim("m/one")], [claim("M/One", source="y")], 0),
        ([claim("m/one")], [claim("m/two"), claim("m/one", source="y")], 0),
        ([claim("m/one")], [claim("m/two", relation="rewrite")], 0),
        ([claim("m/one")], [claim("m/two", dataset="part")], 1),  # the child is the data
        ([claim("m/one", "s/s", "Chats")], [claim("m/two", "s/s", "chats")], 1),
        ([claim("m/one", "s/s", "Chats")], [claim("m/two", "s/s", "Code")], 0),
        ([claim("m/one", "s/s", "Chats")], [claim("m/two", "t/t", "Chats")], 0),
        ([claim("a/a", "s/s", "", "trained-on")], [claim("b/b", "s/s", "", "trained-on")], 0),
        ([claim("a/a", "s/s", "", "base-weights")], [claim("b/b", "s/s", "", "merge")], 1),
    ],
)
def test_conflicts_are_the_same_question_with_no_answer_in_common(tmp_path, known, new, count):
    data = Entity(id="d/data", what="dataset")
    add_to(tmp_path, Imported((data,), tuple(known), ()), NOTHING)
    catalogue = load_catalogue([tmp_path], shipped=False)
    added = add_to(tmp_path, Imported((), tuple(new), ()), catalogue)
    assert len(added.conflicts) == count
    for conflict in added.conflicts:
        assert "imported" in str(conflict)
        assert conflict.known != conflict.imported


@law(12)
@given(st.lists(IMPORTS, min_size=1, max_size=3))
def test_csv_by_column_adds_what_is_added_row_by_row(imports):
    with tempfile.TemporaryDirectory() as place:
        one, two = Path(place) / "one", Path(place) / "two"
        for number, imported in enumerate(imports):
            given_ = Path(place) / f"given-{number}"
            given_.mkdir()
            write_rows(given_ / "claims.csv", imported.claims, CLAIM_COLUMNS)
            write_rows(given_ / "entities.csv", imported.entities, ENTITY_COLUMNS)
            folders = [[each] if each.exists() else [] for each in (one, two)]
            catalogue = load_catalogue(folders[0], shipped=False)
            read = import_claims("csv", given_)
            rows = add_to(one, read, catalogue)
            done = add_csv(two, given_, open_index(folders[1], shipped=False))
            if done is None:  # something is told of it
                assert read.left_out or read.rejected
                add_to(two, read, load_catalogue(folders[1], shipped=False))
                continue
            columns = done[0]
            first, second = (load_catalogue([each], shipped=False) for each in (one, two))
            assert set(first.claims) == set(second.claims)
            assert first.entities == second.entities
            assert columns.new_entities == rows.new_entities
            assert columns.new_claims <= rows.new_claims  # equal ones once, aliases replaced
            assert {str(c) for c in columns.conflicts} == {str(c) for c in rows.conflicts}
            assert not read.left_out
            again = add_csv(two, given_, open_index([two], shipped=False))[0]
            assert (again.files, again.new_claims, again.new_entities) == ((), 0, 0)
