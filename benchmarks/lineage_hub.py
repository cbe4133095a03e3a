"""A circuit the size of a public hub: every definition over all of it, beside networkx and DuckDB.

By hand: ``make bench-lineage``. The peers run in an environment of their own; all answer the same
question on the same edges: which artifacts rest on a closed source, and how many hops away?
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import describe, write

PEERS = r"""
import json, sys, time
import numpy as np
data = np.load(sys.argv[1])
parent, to, closed, counts = data["parent"], data["to"], data["closed"], data["counts"]
which, limit = sys.argv[2], float(sys.argv[3])
keep = counts[data["label"]]
parent, to = parent[keep], to[keep]
started = time.perf_counter()
if which == "networkx":
    import networkx as nx
    graph = nx.DiGraph()
    graph.add_nodes_from(range(int(data["nodes"])))
    graph.add_edges_from(zip(to.tolist(), parent.tolist()))
    built = time.perf_counter() - started
    started = time.perf_counter()
    hops = dict(nx.multi_source_dijkstra_path_length(graph, set(closed.tolist()), weight=None))
    asked = time.perf_counter() - started
    reached, total = len(hops), int(sum(hops.values()))
else:
    import duckdb
    db = duckdb.connect()
    db.execute("SET threads TO 1")
    db.execute("SET enable_progress_bar = false")
    import pyarrow as pa
    edges = pa.table({"parent": parent, "child": to})
    seeds = pa.table({"node": closed})
    db.execute("CREATE TABLE edges AS SELECT DISTINCT parent, child FROM edges")
    db.execute("CREATE TABLE seeds AS SELECT DISTINCT node FROM seeds")
    built = time.perf_counter() - started
    started = time.perf_counter()
    rows = db.execute('''
        WITH RECURSIVE up(node, hops) USING KEY (node) AS (
            SELECT node, 0 FROM seeds
            UNION
            SELECT e.parent, min(u.hops + 1) FROM up u JOIN edges e ON e.child = u.node
            LEFT JOIN recurring.up r ON r.node = e.parent
            WHERE r.node IS NULL OR u.hops + 1 < r.hops
            GROUP BY e.parent
        ) SELECT count(*), sum(hops) FROM up''').fetchone()
    asked = time.perf_counter() - started
    reached, total = int(rows[0]), int(rows[1])
print(json.dumps({"build_s": built, "ask_s": asked, "reached": reached, "hops": total}))
"""


def hub(nodes: int, edges: int, seed: int = 1) -> dict[str, np.ndarray]:
    """Return a graph in which the old and popular are built on most, as on a hub."""
    draw = np.random.default_rng(seed)
    parent = draw.integers(nodes // 20_000 + 1, nodes, edges)
    to = (parent * draw.random(edges) ** 3).astype(np.int64)
    label = draw.choice([0, 3, 6, 9, 12, 15, 18], edges, p=[0.4, 0.05, 0.2, 0.1, 0.1, 0.1, 0.05])
    tokens = np.where(draw.random(edges) < 0.2, np.nan, draw.integers(1, 1000, edges))
    closed = np.unique(draw.integers(0, nodes, nodes // 1000))
    return {
        "nodes": np.array(nodes), "parent": parent, "to": to, "label": label.astype(np.uint8),
        "tokens": tokens, "closed": closed,
    }  # fmt: skip


def ours(graph: dict[str, np.ndarray]) -> dict[str, object]:
    from mashbill.lineage.bills.definitions import decide, load_definitions
    from mashbill.lineage.circuit.arrays import MODEL, SOURCE, Circuit
    from mashbill.lineage.circuit.semirings import proportional, touched

    nodes = int(graph["nodes"])
    kind = np.full(nodes, SOURCE, np.uint8)
    kind[graph["parent"]] = MODEL
    started = time.perf_counter()
    circuit = Circuit.build(kind, graph["parent"], graph["to"], graph["label"], graph["tokens"])
    result: dict[str, object] = {
        "build_s": time.perf_counter() - started,
        "levels": len(circuit.levels) - 1,
    }
    closed = np.zeros(nodes, bool)
    closed[circuit.place[graph["closed"]]] = True
    hop = np.ones(nodes, np.int32)
    for definition in load_definitions():
        times = []
        for _ in range(3):
            started = time.perf_counter()
            decided = decide(circuit, definition, closed, hop)
            verdict = time.perf_counter() - started
            shares = touched(circuit, decided.reached, decided.counts)
            times.append((verdict, time.perf_counter() - started))
        verdict, both = min(times, key=lambda pair: pair[1])
        result[definition.name] = {
            "hops_s": verdict,
            "hops_and_share_s": both,
            "worst_s": max(t for _, t in times),
            "reached": int(decided.reached.sum()),
            "hops": int(decided.hops[decided.reached].sum()),
            "mean_share": float(shares.low[-1000:].mean()),
        }
    started = time.perf_counter()
    proportional(circuit, closed, decided.counts)
    result["proportional_s"] = time.perf_counter() - started
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=2_000_000)
    parser.add_argument("--edges", type=int, default=10_000_000)
    parser.add_argument("--peers", type=Path, help="python of an environment with the peers")
    parser.add_argument("--limit", type=float, default=900, help="seconds a peer may take")
    given = parser.parse_args()
    from mashbill.lineage.bills.definitions import load_definitions

    graph = hub(given.nodes, given.edges)
    mine = ours(graph)
    report = {"machine": describe(), "nodes": given.nodes, "edges": given.edges, "mashbill": mine}
    counts = load_definitions(["C"])[0].counts(verifiers=True)
    for name in ("networkx", "duckdb") if given.peers else ():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "graph.npz"
            np.savez(path, counts=counts, **graph)
            command = [str(given.peers), "-c", PEERS, str(path), name, str(given.limit)]
            try:
                done = subprocess.run(
                    command, capture_output=True, text=True, timeout=given.limit, check=True
                )
                report[name] = json.loads(done.stdout.strip().splitlines()[-1])
            except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
                report[name] = {"failed": str(getattr(error, "stderr", "") or error)[-300:]}
    print(f"{given.nodes:,} artifacts, {given.edges:,} edges, {mine['levels']} levels, one core")
    print(f"{'':12} {'build s':>8} {'C, all nodes, s':>16} {'ratio':>7}  same answer")
    c = mine["C"]
    print(f"{'mashbill':12} {mine['build_s']:8.2f} {c['hops_s']:16.3f} {1.0:7.1f}")
    for name in ("networkx", "duckdb"):
        peer = report.get(name)
        if peer and "failed" not in peer:
            same = (peer["reached"], peer["hops"]) == (c["reached"], c["hops"])
            ratio = peer["ask_s"] / c["hops_s"]
            print(f"{name:12} {peer['build_s']:8.2f} {peer['ask_s']:16.3f} {ratio:7.1f}  {same}")
        elif peer:
            print(f"{name:12} failed: {peer['failed']}")
    for definition in load_definitions():
        row = mine[definition.name]
        print(
            f"{definition.name:8} verdict {row['hops_s']:.3f} s, with shares "
            f"{row['hops_and_share_s']:.3f} s (worst {row['worst_s']:.3f})"
        )
    print(f"proportional shares {mine['proportional_s']:.3f} s")
    write(Path(__file__).with_suffix(".json"), report)


if __name__ == "__main__":
    sys.exit(main())
