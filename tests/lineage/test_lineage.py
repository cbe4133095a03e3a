"""Laws of bills and verdicts, on random circuits, against an oracle that walks every path."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mashbill import Channel, InputError, Source
from mashbill.lineage.bill import bill
from mashbill.lineage.definitions import judge, load_definitions
from mashbill.lineage.nodes import NodeTable, children, supposing

CHANNELS = [channel.value for channel in Channel]
DEFINITIONS = load_definitions()


def source(number, kind="open-weights"):
    return Source(name=f"s{number}", what="model", kind=kind, route="weights")


@st.composite
def circuits(draw):
    """A random circuit; its root is a model."""
    table = NodeTable()
    kinds = ["open-weights", "closed-api"]
    records = [
        table.add_source(source(i, draw(st.sampled_from(kinds))))
        for i in range(draw(st.integers(1, 4)))
    ]
    for i in range(draw(st.integers(1, 8))):
        parts = draw(
            st.lists(
                st.tuples(st.sampled_from(CHANNELS), st.sampled_from(records)),
                min_size=1, max_size=3, unique=True,
            )
        )  # fmt: skip
        if draw(st.booleans()):
            records.append(table.add({"type": "made", "parts": [list(p) for p in parts]}))
        else:
            members = [[channel, part, draw(st.integers(1, 9))] for channel, part in parts]
            body = {"type": "model", "artifact": f"m{i}@1", "files": str(i), "members": members}
            records.append(table.add(body))
    members = [["content", records[-1], 5], ["content", draw(st.sampled_from(records)), 3]]
    table.root = table.add(
        {"type": "model", "artifact": "root@1", "files": "r", "members": members}
    )
    return table


def paths(table, name, hops=0, channels=()):
    """Yield (source, hops, channels) of every path down from a node."""
    body = table.bodies[name]
    if body["type"] == "source":
        yield name, hops + 1, channels
    for channel, part in children(body):
        more = 1 if table.bodies[part]["type"] == "model" else 0
        yield from paths(table, part, hops + more, (*channels, channel))


@settings(deadline=None)
@given(circuits())
def test_a_verdict_is_what_walking_every_path_gives(table):
    for definition in DEFINITIONS:
        hops = [
            depth
            for name, depth, channels in paths(table, table.root)
            if set(channels) <= set(definition.channels)
            and (definition.max_hops is None or depth <= definition.max_hops)
            and table.bodies[name]["kind"] in definition.closed
        ]
        verdict = judge(definition, table)
        assert (verdict.conclusion == "yes") == bool(hops)
        assert verdict.depth == min(hops, default=None)
        assert bool(verdict.path) == bool(hops)


@settings(deadline=None)
@given(circuits())
def test_a_bill_has_every_source_at_its_least_depth(table):
    least = {}
    for name, depth, _ in paths(table, table.root):
        least[name] = min(depth, least.get(name, depth))
    found = {}
    for line in bill(table):
        found[line.source.name] = min(line.depth, found.get(line.source.name, line.depth))
        assert 0 < line.share[0] <= line.share[1] <= 1
    assert found == {table.bodies[name]["name"]: depth for name, depth in least.items()}


@settings(deadline=None)
@given(circuits(), st.sampled_from(CHANNELS), st.data())
def test_adding_a_closed_source_never_lowers_a_verdict(table, channel, data):
    before = [judge(definition, table) for definition in DEFINITIONS]
    root = table.bodies[table.root]
    member = data.draw(st.sampled_from(root["members"]))
    closed = table.add_source(source(99, "closed-api"))
    made = table.add({"type": "made", "parts": [["content", member[1]], [channel, closed]]})
    swapped = [[member[0], made, member[2]] if m is member else m for m in root["members"]]
    table.root = table.add({**root, "members": swapped})
    for definition, old in zip(DEFINITIONS, before, strict=True):
        new = judge(definition, table)
        assert not (old.conclusion == "yes" and new.conclusion != "yes")
        assert old.depth is None or new.depth <= old.depth


@given(circuits())
def test_definitions_widen_from_a_to_c(table):
    a, b, c = (judge(definition, table).conclusion == "yes" for definition in DEFINITIONS)
    assert a <= b <= c


def test_supposing_a_closed_teacher_changes_only_the_leaf():
    table = NodeTable()
    teacher = table.add_source(source(1))
    members = [["content", table.add({"type": "made", "parts": [["judgement", teacher]]}), 4]]
    table.root = table.add({"type": "model", "artifact": "m@1", "files": "", "members": members})
    supposed = supposing(table, {teacher: source(2, "closed-api")})
    verdicts = [judge(definition, supposed).conclusion for definition in DEFINITIONS]
    assert verdicts == ["none recorded", "none recorded", "yes"]
    assert judge(DEFINITIONS[2], table).conclusion == "none recorded"
    assert judge(DEFINITIONS[2], table).unknown


def test_a_long_chain_needs_no_recursion():
    table = NodeTable()
    last = table.add_source(source(0, "closed-api"))
    for i in range(3000):
        members = [["content", last, 1]]
        last = table.add({"type": "model", "artifact": f"m{i}@1", "files": "", "members": members})
    table.root = last
    assert judge(DEFINITIONS[1], table).depth == 3000
    assert judge(DEFINITIONS[0], table).conclusion == "none recorded"


def test_a_definition_of_ones_own_is_read_from_a_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        'name="mine"\nversion="1"\ntitle="t"\ntext="x"\nchannels=["prompt"]\nmax_hops=2\n'
    )
    assert load_definitions([str(path)])[0].max_hops == 2
    path.write_text("name = 3")
    with pytest.raises(InputError, match=r"mine.toml"):
        load_definitions([str(path)])
    with pytest.raises(InputError, match="neither one of A, B, C"):
        load_definitions(["D"])


@given(circuits())
def test_a_node_table_reads_back_as_written(tmp_path_factory, table):
    table.number(table.root)
    path = tmp_path_factory.mktemp("nodes") / "nodes.parquet"
    path.write_bytes(table.to_parquet())
    again = NodeTable.read(path)
    assert (again.bodies, again.root, again.digest) == (table.bodies, table.root, table.digest)
