"""Folders and tars that the field's own libraries wrote, where these are installed."""

import json

import pytest
from form_cases.case import assistant, user
from tests_support import rows_of, run_stages

STAGE = '[stages.got]\nkind = "import"\ntitle = "Set"\nsource = "set"\ngenerator = "none"\n'
PAIRS = [[user(f"q{i}?"), assistant(f"a{i}.")] for i in range(25)]


@pytest.fixture(name="data")
def _data(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    rows = [{"messages": pair, "n": i} for i, pair in enumerate(PAIRS)]
    return datasets, datasets.Dataset.from_list(rows)


def numbers(store):
    return [row["n"] for row in rows_of(store, "got")]


@pytest.mark.parametrize("shards", [1, 2, 12])
def test_a_dataset_that_was_saved_is_read_in_its_order(tmp_path, data, shards):
    _, rows = data
    rows.save_to_disk(tmp_path / "set", num_shards=shards)
    store = run_stages(tmp_path, STAGE, {})
    assert numbers(store) == list(range(25))
    found = rows_of(store, "got")
    assert [json.loads(row["messages_json"]) for row in found] == PAIRS
    assert {name for name in found[0] if name[0] != "_"} == {"text", "prompt", "messages_json", "n"}


def test_rows_that_were_selected_are_read_as_selected(tmp_path, data):
    _, rows = data
    rows.select([4, 2, 0]).save_to_disk(tmp_path / "set")
    assert numbers(run_stages(tmp_path, STAGE, {})) == [4, 2, 0]


def doubled(row):
    return {"n": row["n"] * 2}


@pytest.mark.filterwarnings("ignore")  # the library's own, about what it calls
def test_what_map_and_filter_leave_in_the_folder_is_not_read_with_it(tmp_path, data):
    datasets, rows = data
    rows.save_to_disk(tmp_path / "set", num_shards=2)
    again = datasets.load_from_disk(tmp_path / "set")
    assert again.map(doubled)[3]["n"] == 6
    assert len(again.filter(lambda row: row["n"] > 20)) == 4
    assert list((tmp_path / "set").glob("cache-*.arrow"))
    assert numbers(run_stages(tmp_path, STAGE, {})) == list(range(25))


def test_splits_are_a_column(tmp_path, data):
    datasets, rows = data
    both = {"train": rows.select(range(3)), "test": rows.select(range(3, 5))}
    datasets.DatasetDict(both).save_to_disk(tmp_path / "set")
    found = rows_of(run_stages(tmp_path, STAGE, {}), "got")
    assert [(row["split"], row["n"]) for row in found] == [
        ("test", 3), ("test", 4), ("train", 0), ("train", 1), ("train", 2)
    ]  # fmt: skip


def test_texts_that_webdataset_wrote_are_read(tmp_path):
    webdataset = pytest.importorskip("webdataset")
    (tmp_path / "set").mkdir()
    pattern = str(tmp_path / "set" / "text-%06d.tar")
    with webdataset.ShardWriter(pattern, maxcount=3, verbose=0) as shards:
        for i in range(5):
            told = {"model": "gpt-4", "n": i}
            shards.write({"__key__": f"{i:06d}", "txt": f"Text {i}.", "json": told, "cls": i % 2})
    assert len(list((tmp_path / "set").iterdir())) == 2
    stage = STAGE.replace('"none"', '"json.model"')
    found = rows_of(run_stages(tmp_path, stage, {}), "got")
    assert [(row["text"], row["cls"], json.loads(row["json"])["n"]) for row in found] == [
        (f"Text {i}.", i % 2, i) for i in range(5)
    ]
