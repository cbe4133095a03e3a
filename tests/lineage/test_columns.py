"""A digest of nodes is over their bodies, and bills are read from columns: both say one thing."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import assume, given
from hypothesis import strategies as st
from tests_circuits import circuits
from tests_laws import law

from mashbill.core.errors import MashbillError
from mashbill.core.source import Channel
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.evidence.agreeing import written_else

CELLS = {
    "via": st.sampled_from([each.value for each in Channel]),
    "records": st.integers(0, 9) | st.none(),
    "tokens": st.integers(0, 9) | st.none(),
    "number": st.integers(0, 3) | st.none(),
    "number_records": st.integers(0, 9) | st.none(),
    "is_root": st.booleans(),
    "type": st.sampled_from(["source", "made", "dataset", "model"]),
}
"""column -> what may be put into a cell of it, or into each place of the list in it"""


def parquet(rows):
    sink = io.BytesIO()
    pq.write_table(rows, sink)
    return sink.getvalue()


def read(reader, rows, path):
    """Return the nodes as one of the readers has them; None if it refuses them."""
    try:
        return reader(path, parquet(rows))
    except MashbillError:
        return None


@law(60)
@given(circuits())
def test_the_columns_that_are_written_say_what_the_nodes_do(table):
    rows = pq.ParquetFile(io.BytesIO(table.to_parquet())).read()
    assert written_else(rows, table) is None


@law(200)
@given(circuits(), st.sampled_from(sorted(CELLS)), st.data())
def test_columns_of_which_nothing_is_told_are_read_alike_by_both_readers(
    tmp_path_factory, table, column, data
):
    rows = table.columns()
    values = rows.column(column).to_pylist()
    at = data.draw(st.integers(0, len(values) - 1))
    one = CELLS[column]
    is_list = isinstance(values[at], list)
    values[at] = [data.draw(one) for _ in values[at]] if is_list else data.draw(one)
    place = rows.schema.get_field_index(column)
    rows = rows.set_column(place, column, pa.array(values, rows.schema.field(column).type))
    path = tmp_path_factory.getbasetemp() / "nodes.parquet"
    again, circuit = read(NodeTable.read, rows, path), read(Circuit.read, rows, path)
    assume(again is not None)  # the audit tells of one that it cannot read
    if written_else(rows, again) is None:
        assert circuit is not None
        assert bill(circuit) == bill(Circuit.of(again))
