"""What breaks if some models go, over a circuit the size of a public hub: one scenario, timed.

By hand: ``python benchmarks/whatif_hub.py``. Models have countries, kinds and providers drawn at
random; the expression is evaluated once for each combination that it names.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

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
    from mashbill.lineage.circuit import DATASET, MODEL, SOURCE, Circuit
    from mashbill.lineage.things import Column, Things

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
    circuit._models = np.where(circuit.type == SOURCE, ~is_data[circuit._before],
                               circuit.type == MODEL)  # fmt: skip
    built = time.perf_counter() - started

    def drawn(values: tuple[str, ...], weights: list[float] | None = None) -> Column:
        return Column(draw.choice(len(values), nodes, p=weights).astype(np.int32), values)

    blank = Column(np.zeros(nodes, np.int32), ("",))
    columns = {
        "name": Column(np.arange(nodes, dtype=np.int32), [f"model {n}" for n in range(nodes)]),
        "what": drawn(("model", "dataset"), [0.7, 0.3]),
        "provider": drawn(tuple(f"maker {n}" for n in range(50_000))),
        "country": drawn(COUNTRIES, [0.35, 0.2, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.1]),
        "kind": drawn(KINDS, [0.6, 0.01, 0.3, 0.09]),
        "license": blank,
        "route": blank,
        "released": blank,
    }
    return Things(circuit, np.ones(nodes, bool), columns), built


def main() -> None:
    from mashbill.lineage.definitions import load_definitions
    from mashbill.lineage.scenarios import GROUPED_BY, Scenario, Told
    from mashbill.lineage.things import expression
    from mashbill.lineage.whatif import what_if

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=2_000_000)
    parser.add_argument("--edges", type=int, default=10_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    asked = parser.parse_args()
    made, built = things(asked.nodes, asked.edges)
    definitions = load_definitions(("A", "B", "C"))
    result = {"machine": describe(), "nodes": asked.nodes, "edges": asked.edges, "build_s": built}
    print(f"put in order in {built:.2f} s")
    for text in SCENARIOS:
        times = []
        for _ in range(asked.repeat):
            started = time.perf_counter()
            removed = made.matching(expression(text, "--remove"))
            selected = time.perf_counter() - started
            outcome = what_if(made, removed, definitions)
            passed = time.perf_counter() - started
            told = Told(Scenario(text, removed, None), made, outcome, 6)  # type: ignore[arg-type]
            groups = {fact: told.groups(fact) for fact in GROUPED_BY}
            times.append((time.perf_counter() - started, selected, passed))
        best, worst = min(times), max(times)
        result[text] = {
            "best_s": best[0], "worst_s": worst[0], "select_s": best[1], "passes_s": best[2],
            "removed": int(removed.sum()), "affected": int(outcome.affected.sum()),
            "score": list(outcome.score), "groups": {k: len(v) for k, v in groups.items()},
        }  # fmt: skip
        print(f"{text}: {best[0]:.2f} to {worst[0]:.2f} s, selecting {best[1]:.2f}; "
              f"{int(removed.sum()):,} go, {int(outcome.affected.sum()):,} lose an ancestor; "
              f"impact {outcome.score[0]:.1f} to {outcome.score[1]:.1f}")  # fmt: skip
    write(Path(__file__).with_suffix(".json"), result)


if __name__ == "__main__":
    main()
