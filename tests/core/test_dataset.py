import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from tests_laws import law

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
