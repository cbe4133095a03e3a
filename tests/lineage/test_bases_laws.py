"""Whatever a model starts from and is taught by, an audit composes the same again, and no less."""

from hypothesis import given
from hypothesis import strategies as st
from tests_circuits import circuits, source
from tests_laws import law

from mashbill.core.artifact import FileDigest, InputRef, Manifest
from mashbill.core.canonical import canonical, digest, digest_bytes
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.composer import close_model
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.evidence.made import Made
from mashbill.lineage.evidence.recomposing import recompose_model

FILES = (FileDigest(file="w", sha256="0" * 64),)
WAYS = [("base", "weights"), ("actor", "logits"), ("actor", "selection"), ("base", "transform")]


@st.composite
def starts(draw, only_models=False):
    """Return (role, channel, source or table) of what reached a model, some of it twice."""
    tables = circuits(labels=["content", "weights", "logits"])
    if only_models:
        tables = tables.filter(lambda table: table.bodies[table.root]["type"] == "model")
    parts = st.one_of(st.integers(0, 3).map(source), tables)
    drawn = draw(st.lists(st.tuples(st.sampled_from(WAYS), parts), min_size=1, max_size=3))
    twice = draw(st.booleans())
    return [(*way, part) for way, part in (*drawn, *drawn[: 1 if twice else 0])]


def committed(parts):
    """Return manifest, nodes and inputs of a model that these parts reached."""
    inputs, made = [], {}
    for number, (role, channel, part) in enumerate(parts):
        if isinstance(part, NodeTable):
            name = f"m{number}@1"
            made[name] = Made(None, part)
            inputs.append(InputRef(name=name, role=role, channel=channel, digest=part.root))
        else:
            told = digest_bytes(canonical(part.model_dump(mode="json")))
            called = {"actor": "teacher"}.get(role, role)
            inputs.append(InputRef(name=part.title, role=called, channel=channel, digest=told,
                                   source=part))  # fmt: skip
    files = digest([[one.file, one.sha256] for one in FILES])
    table = close_model("s@1", files, [], [(how, part) for _, how, part in parts])
    manifest = Manifest(
        kind="model", name="s", version="1", stage={}, fingerprint="", inputs=tuple(inputs),
        files=FILES, nodes=FileDigest(file="nodes.parquet", sha256=""), nodes_digest=table.digest,
        bill=table.root,
    )  # fmt: skip
    return manifest, table, made


@law(25)
@given(starts())
def test_a_model_is_composed_again_from_what_reached_it(parts):
    manifest, table, made = committed(parts)
    assert recompose_model(manifest, table, made, None).wrong == []
    distinct = {(how, node) for how, node, _ in table.bodies[table.root]["members"]}
    for left_out in range(len(parts)):
        rest = [*parts[:left_out], *parts[left_out + 1 :]]
        less, _, fewer = committed(rest)
        found = recompose_model(less, table, {**made, **fewer}, None).wrong
        _, other, _ = committed(rest)
        same = {(how, n) for how, n, _ in other.bodies[other.root]["members"]} == distinct
        assert bool(found) != (same and other.digest == table.digest)


def hops(table):
    """Return the fewest hops to each source."""
    found = {}
    for line in bill(Circuit.of(table)):
        found[line.source] = min(found.get(line.source, line.depth), line.depth)
    return found


@law(25)
@given(starts(only_models=True))
def test_each_source_is_one_hop_further_than_in_what_brings_it(parts):
    _, table, _ = committed(parts)
    wanted = {}
    for _, _, part in parts:
        behind = hops(part) if isinstance(part, NodeTable) else {part: 0}
        for leaf, depth in behind.items():
            wanted[leaf] = min(wanted.get(leaf, depth + 1), depth + 1)
    assert hops(table) == wanted
