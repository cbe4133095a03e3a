"""What breaks if some models go, over a circuit the size of a public hub: one scenario, timed.

By hand: ``python benchmarks/whatif_hub.py``. Models have countries, kinds and providers drawn at
random; the expression is evaluated once for each combination that it names.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from lineage_hub import hub
from machine import describe, write

COUNTRIES = ("US", "CN", "FR", "DE", "GB", "CA", "JP", "KR", "IN", "unknown")
KINDS = ("open-weights", "closed-api", "public-dataset", "unknown")
SCENARIOS = (
    'country == "CN" && kind == "open-weights"',
    'kind == "closed-api"',
    'provider == "maker 7"',
    'name.startsWith("model 12") && country == "US"',
)


def things(nodes: int, edges: int, seed: int = 1):  # noqa: ANN201
    from mashbill.lineage.circuit.arrays import DATASET, MODEL, SOURCE, Circuit
    from mashbill.lineage.whatif.things import Column, Measures, Things

    graph = hub(nodes, edges, seed)
    draw = np.random.default_rng(seed + 1)
    kind = np.full(nodes, SOURCE, np.uint8)
    is_data = draw.random(nodes) < 0.3
    kind[graph["parent"]] = np.where(is_data[graph["parent"]], DATASET, MODEL)
    started = time.perf_counter()
    circuit = Circuit.build(
        kind, graph["parent"], graph["to"], graph["label"], graph["tokens"],
        described=np.ones(nodes, bool),
    )  # fmt: skip
    # What a model is follows from its type here: no million descriptions are read.
    circuit._models = np.where(
        circuit.type == SOURCE, ~is_data[circuit._before], circuit.type == MODEL
    )
    built = time.perf_counter() - started

    def drawn(values: tuple[str, ...], weights: list[float] | None = None) -> Column:
        return Column(draw.choice(len(values), nodes, p=weights).astype(np.int32), values)

    blank = Column(np.zeros(nodes, np.int32), ("",))
    quarters = tuple(f"{year}-{month:02}" for year in range(2023, 2027) for month in range(1, 13))
    columns = {
        "name": Column(np.arange(nodes, dtype=np.int32), [f"model {n}" for n in range(nodes)]),
        "what": Column(is_data[circuit._before].astype(np.int32), ("model", "dataset")),
        "provider": drawn(tuple(f"maker {n}" for n in range(50_000))),
        "country": drawn(COUNTRIES, [0.35, 0.2, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.1]),
        "kind": drawn(KINDS, [0.6, 0.01, 0.3, 0.09]),
        "license": drawn(("", "MIT", "Apache-2.0", "cc-by-nc-4.0")),
        "route": blank,
        "released": drawn(("", *quarters)),
    }
    known = draw.random((3, nodes)) < 0.5
    measures = Measures(
        np.where(known[0], draw.choice([1e9, 7e9, 32e9, 70e9, 400e9], nodes), np.nan),
        np.where(known[1], draw.choice([8192, 32768, 131072], nodes), np.nan),
        np.where(known[2], 1, 0).astype(np.uint8),
        np.where(draw.random(nodes) < 0.5, draw.lognormal(5, 3, nodes).round(), np.nan),
    )
    return Things(circuit, np.ones(nodes, bool), columns, measures), built


def sources_of(made) -> None:  # noqa: ANN001
    """Let a node's source be made from its columns: these models have no descriptions."""
    from mashbill.core.source import Source

    facts = ("name", "what", "provider", "country", "kind")

    def source(node: int) -> Source:
        return Source(
            route="weights",
            license=made.columns["license"][node] or None,
            **{fact: made.columns[fact][node] for fact in facts},
        )

    made.circuit.source = source


def main() -> None:
    from mashbill.lineage.bills.definitions import load_definitions
    from mashbill.lineage.whatif.scenarios import removing, tell
    from mashbill.policy.documents import load_registry
    from mashbill.report.whatif import write_whatif

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=3_000_000)
    parser.add_argument("--edges", type=int, default=3_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    asked = parser.parse_args()
    made, built = things(asked.nodes, asked.edges)
    sources_of(made)
    definitions, registry, day = (
        load_definitions(("A", "B", "C")),
        load_registry(),
        date(2026, 11, 28),
    )
    result = {"machine": describe(), "nodes": asked.nodes, "edges": asked.edges, "build_s": built}
    print(f"put in order in {built:.2f} s")
    for text in SCENARIOS:
        times = []
        for _ in range(asked.repeat):
            told = facts = flows = None  # what the last one took is given back first
            started, busy = time.perf_counter(), time.process_time()
            scenario = removing(made, text, day)
            selected = time.perf_counter() - started
            told = tell(made, scenario, definitions, registry, day)
            passed = time.perf_counter() - started
            facts, flows = told.as_json(), told.flows()
            busy = time.process_time() - busy
            times.append((time.perf_counter() - started, selected, passed, busy))
        best, worst = min(times), max(times)
        busy = min(row[3] for row in times)
        with TemporaryDirectory() as folder:
            page = write_whatif(
                [facts], [flows], Path(folder) / "w.html", as_of=day, counted="A hub."
            )
            size = page.stat().st_size
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        result[text] = {
            "best_s": best[0], "worst_s": worst[0], "select_s": best[1], "passes_s": best[2],
            "processor_s": busy,
            "removed": facts["removed"], "lose": facts["lose_an_ancestor"], "page_bytes": size,
            "json_bytes": len(json.dumps(facts)), "peak_mib": peak,
            "impact": facts["impact"]["models"]["impact"],
        }  # fmt: skip
        print(
            f"{text}: {best[0]:.2f} to {worst[0]:.2f} s, selecting {best[1]:.2f}, "
            f"{busy:.2f} s of a processor; "
            f"{facts['removed']:,} go, {facts['lose_an_ancestor']:,} lose an ancestor; page "
            f"{size:,} bytes, {peak:,.0f} MiB at most"
        )
    write(Path(__file__).with_suffix(".json"), result)


if __name__ == "__main__":
    main()
