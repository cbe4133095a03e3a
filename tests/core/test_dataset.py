import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from tests_laws import law
from tests_support import run_stages

from mashbill import ArtifactRef, InputError, RecipeError, Store


@law(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, 320), size=st.integers(1, 200))
def test_any_range_is_read_as_from_the_whole(finished, start, size):
    data = Store(finished[0]).dataset(ArtifactRef("relabelled", "1"))
    assert len(data.manifest.shards) > 2
    whole = data.read(0, data.num_rows).to_pylist()
    assert data.read(start, start + size).to_pylist() == whole[start : start + size]
    if start < data.num_rows:
        assert data.row(start) == whole[start]


def test_a_row_or_column_that_is_not_there_is_told(finished):
    data = Store(finished[0]).dataset(ArtifactRef("relabelled", "1"))
    with pytest.raises(InputError, match=r"has rows 0 to \d+"):
        data.row(data.num_rows)
    with pytest.raises(InputError, match="has no column 'gold'; it has text"):
        data.column("gold")


@given(st.from_regex(r"[a-z0-9][a-z0-9._-]{0,8}", fullmatch=True))
def test_an_address_reads_back_as_written(name):
    ref = ArtifactRef(name, name)
    assert ArtifactRef.parse(str(ref)) == ref


@pytest.mark.parametrize("text", ["scratch", "A@1", "a@", "../x@1", "a@1/2"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(RecipeError, match="not an artifact address"):
        ArtifactRef.parse(text)


def test_a_sample_is_drawn_by_pieces_as_from_all_at_once(tmp_path, monkeypatch):
    store = run_stages(
        tmp_path,
        '[stages.texts]\nkind = "corpus"\ntitle = "t"\nlicense = "CC0-1.0"\nsource = "t.jsonl"\n',
        {"t.jsonl": [{"text": f"text {n}", "n": None if n % 3 else n} for n in range(50)]},
    )
    data = store.dataset(store.find("texts").ref)
    for columns in (["text"], ["text", "n"]):
        for count in (0, 1, 7, 17, 50, 99):
            whole = data.sample(count, columns), data.sampled(count, columns).tolist()
            monkeypatch.setattr("mashbill.core.dataset._CHUNK", 8)
            pieces = data.sample(count, columns), data.sampled(count, columns).tolist()
            monkeypatch.undo()
            assert whole[0].to_pylist() == pieces[0].to_pylist()
            assert whole[1] == pieces[1]
            assert len(whole[1]) == min(count, 50 if columns == ["text"] else 17)
