"""The benchmark of conduct, inbound: who is found, who is not, how soon; beside rivals, on one log.

    python benchmarks/conduct/detect.py [--quick] [--honeypot PYTHON] [--unmimic PYTHON]
        [--prompts FOLDER] [--folder FOLDER]

Worlds are simulated, so that the truth is known (``mashbill.conduct.simulate``, whose parameters
were frozen before any detector was tuned). The main world has all kinds and all campaigns, one
abusive account in a hundred; others have honest kinds alone, of which more accounts are wanted than
a hundredth of a service has. Seeds from 1 on are for here, from 101 on for development, and
``--quick`` uses those. Each step runs in a process of its own, two at a time.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import Future

sys.path.insert(0, str(Path(__file__).parents[1]))

import machine
import rivals
import telling
from controls import controls
from measured import Found, of_campaign, summary, upper
from prompts import held_out
from scanned import Outcome, World, made, model, rows_of, scan

from mashbill.conduct.simulate.simulating import HONEST

BULK = ("sft", "selfinstruct", "evolve", "judging", "rubric", "translation", "harness", "retry")
SAMPLE = 2000
"""prompts that a guard of prompts is given"""
FULL = (
    World("main", 1, 0.006),
    World("people", 2, 0.125, 15, ("class", "surge", "curious", "family", "company", "switcher")),
    World("agents", 3, 0.05, 8, ("agent",)),
    World("tutors", 4, 0.2, 8, ("tutor",)),
    World("organisations", 5, 0.3, 3, ("organisation",)),
    World("sft", 6, 0.05, 20, ("sft",)),
    World("rubric", 7, 0.06, 20, ("rubric",)),
    World("judging", 8, 0.05, 20, ("judging",)),
    World("evolve", 9, 0.06, 20, ("evolve",)),
    World("selfinstruct", 10, 0.05, 20, ("selfinstruct",)),
    World("translation", 11, 0.05, 20, ("translation",)),
    World("aggregators", 12, 1.05, 2, ("aggregator",)),
    World("retry", 13, 0.1, 20, ("retry",)),
    World("harness", 14, 0.03, 20, ("harness",)),
    World("red teams", 15, 0.1, 20, ("redteam",)),
)
"""the first with all there is; others with honest kinds of which it has fewer than 3,000 accounts,
as many as the time allows, the cheapest first"""
QUICK = (
    World("main", 101, 0.0002, 5),
    World("people", 102, 0.002, 4, ("class", "curious", "family", "company", "switcher")),
    World("bulk", 103, 0.0002, 4, BULK),
)
CONTROLS = World("controls", 16, 0.0005, 8)
QUICK_CONTROLS = World(
    "controls", 104, 0.00005, 4, ("chat", "tool", "sft", "hydra", "rotation", "coaxed")
)
MINUTES = 40.0
"""after which no other world is begun"""


def world_alone(world: World, folder: Path, until: float) -> Outcome:
    """Make, scan and forget a world, if there is time; ``until`` is of the clock on the wall."""
    if time.time() > until:
        outcome = Outcome(world, problem="left out, since there was no time for it")
        outcome.when = {"review": {}, "act": {}}
        return outcome
    outcome = scan(world, folder, made(world, folder))
    shutil.rmtree(folder)
    return outcome


def run_peer(name: str, python: str, script: str, given: Path, limit: float) -> dict[str, Any]:
    """Run a rival in an environment of its own, and return what it wrote."""
    if not python:
        return {"not_run": f"no environment was named; see --{name}"}
    to = given.with_name(f"{name}.json")
    command = [python, str(Path(__file__).with_name(script)), str(given), str(to)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=limit, check=False, text=True)
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"not_run": f"{type(error).__name__}: {error}"[:200]}
    if done.returncode or not to.exists():
        last = done.stderr.strip().splitlines() or ["it ended without a word"]
        return {"not_run": last[-1][:200]}
    told: dict[str, Any] = json.loads(to.read_text())
    return told


def by_rivals(folder: Path, outcome: Outcome) -> dict[str, Any]:
    """Return what rivals that need nothing but the log come to."""
    rows, truth = rows_of(folder), outcome.truth
    found = {
        "limit a key: chat's 99.9%": rivals.key_limit(rows, truth),
        "isolation forest, a key": rivals.forest(rows, truth),
        "one network address": rivals.addresses(rows, "address"),
        "one block of addresses": rivals.addresses(rows, "network"),
    }
    if outcome.scored:
        _, levels = model()
        loose, tight = zip(levels.jailbreak, levels.extraction, strict=True)
        found["text alone: one prompt at 0.1%"] = rivals.one_prompt(rows, *tight)
        found["text alone: 2% of prompts at 1%"] = rivals.some_prompts(rows, *loose)
    told = {}
    for name, one in found.items():
        told[name] = summary(truth, one, rows.served)
        if one.groups:
            told[name]["pairs"] = told_pairs(truth, one)
    if not outcome.scored:
        told["text alone"] = {"not_run": "there is no model of texts yet"}
    return told


def told_pairs(truth: list[Any], found: Found, name: str | None = None) -> dict[str, Any]:
    """Return precision and recall by pairs; precision also where a campaign is one cluster."""
    one = of_campaign(truth, found.groups, name)
    return {
        **dataclasses.asdict(one),
        "precision": one.precision,
        "recall": one.recall,
        "precision_campaign": of_campaign(truth, found.groups, name, by_kind=True).precision,
    }


def by_us(folder: Path, outcome: Outcome) -> dict[str, Any]:
    """Return our own findings by the same measures."""
    served = rows_of(folder).served
    told = {}
    for tier in ("review", "act"):
        found = outcome.found(tier)
        told[f"mashbill, {tier}"] = summary(outcome.truth, found, served)
        told[f"mashbill, {tier}"]["pairs"] = told_pairs(outcome.truth, found)
    return told


def by_campaign(outcome: Outcome) -> dict[str, Any]:
    """Return our pairs by campaign."""
    names = sorted({one.kind for one in outcome.truth if not one.honest})
    return {name: told_pairs(outcome.truth, outcome.found("review"), name) for name in names}


def by_honeypot(folder: Path, outcome: Outcome, told: dict[str, Any]) -> dict[str, Any]:
    """Return what honeypotllm named, by the same measures."""
    if "not_run" in told:
        return told
    rows = rows_of(folder)
    places = {}
    with (folder / "truth.jsonl").open() as lines:
        for place, line in enumerate(lines):
            places[json.loads(line)["account"]] = place
    found = Found({places[name]: when for name, when in told["found"].items()})
    return summary(outcome.truth, found, rows.served)


def sample(folder: Path, seed: int) -> Path:
    """Write prompts for a guard of prompts: half of them of campaigns, as they come."""
    rand = random.Random(seed)
    kept: dict[bool, list[str]] = {False: [], True: []}
    seen = {False: 0, True: 0}
    names = {}
    with (folder / "truth.jsonl").open() as lines:
        for line in lines:
            one = json.loads(line)
            names[one["account"]] = not one["honest"]
    with (folder / "events.jsonl").open() as lines:
        for line in lines:
            row = json.loads(line)
            if not row.get("text"):
                continue
            abusive = names[row["account"]]
            seen[abusive] += 1
            if len(kept[abusive]) < SAMPLE // 2:
                kept[abusive].append(row["text"])
            elif (place := rand.randrange(seen[abusive])) < SAMPLE // 2:
                kept[abusive][place] = row["text"]
    path = folder / "prompts.json"
    path.write_text(
        json.dumps([{"text": text, "abusive": is_so} for is_so in kept for text in kept[is_so]])
    )
    return path


def honest_kinds(outcomes: list[Outcome]) -> dict[str, dict[str, Any]]:
    """Return of each honest kind what was held of it, over all worlds."""
    told = {}
    for kind in (*HONEST, "chat"):
        number = acted = reviewed = 0
        why: Counter[str] = Counter()
        for outcome in outcomes:
            own = {at for at, one in enumerate(outcome.truth) if one.honest and one.kind == kind}
            number += len(own)
            acted += len(own & outcome.when["act"].keys())
            reviewed += len(own & outcome.when["review"].keys())
            why.update(outcome.why[at] for at in own & outcome.why.keys())
        told[kind] = {
            "accounts": number,
            "act": acted,
            "act_upper": upper(acted, number),
            "review": reviewed,
            "review_upper": upper(reviewed, number),
            "why": dict(sorted(why.items())),
            "rows_each": sum(one.exchanges.get(kind, 0) for one in outcomes) / max(1, number),
        }
    return told


def main() -> None:
    """Run it all, print the tables, write them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="some minutes, of development seeds")
    parser.add_argument("--honeypot", default="", help="python of an environment with honeypotllm")
    parser.add_argument("--unmimic", default="", help="python of an environment with unmimic")
    parser.add_argument("--prompts", type=Path, help="folder of prompts that were held out")
    parser.add_argument(
        "--minutes", type=float, default=MINUTES, help="after which no other world is begun"
    )
    parser.add_argument("--folder", type=Path, help="where logs are written; they need 8 GB")
    given = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="conduct-", dir=given.folder) as folder:
        report = measured_in(Path(folder), given)
    report["minutes"] = (time.monotonic() - begun) / 60
    report["machine"] = machine.describe()
    text = telling.told(report)
    print(text)
    results = Path(__file__).parents[1] / "results"
    machine.write(Path(__file__).parents[1] / "conduct.json", report)
    (results / "conduct.md").write_text(text)


def measured_in(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Make worlds, scan them, let rivals loose on the main one, and return the figures."""
    worlds = QUICK if given.quick else FULL
    small = QUICK_CONTROLS if given.quick else CONTROLS
    home = folder / "main"
    until = time.time() + 60 * given.minutes
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context, max_tasks_per_child=1) as pool:
        making = pool.submit(made, worlds[0], home)
        control = pool.submit(controls, small, folder / "controls")
        told = making.result()
        scanning = pool.submit(scan, worlds[0], home, told, keep=True)
        events = home / "events.jsonl"
        peer = pool.submit(run_peer, "honeypot", given.honeypot, "honeypot.py", events, 1200)
        guard = pool.submit(guarded, home, worlds[0].seed, given.unmimic)
        others = [
            pool.submit(world_alone, world, folder / f"world-{number}", until)
            for number, world in enumerate(worlds[1:])
        ]
        main_world = scanning.result()
        guessing = pool.submit(by_rivals, home, main_world)
        outcomes = [main_world, *(one.result() for one in others)]
        detectors = {
            **by_us(home, main_world),
            **guessing.result(),
            "honeypotllm 0.1.3": by_honeypot(home, main_world, peer.result()),
            "unmimic 0.1.0": guard.result(),
        }
        report = {
            "quick": given.quick,
            "main": about(main_world),
            "detectors": detectors,
            "pairs": by_campaign(main_world),
            "honest": honest_kinds(outcomes),
            "scan": scan_figures(main_world),
            "controls": control_figures(control, outcomes),
            "problems": {one.world.name: one.problem for one in outcomes if one.problem},
            "worlds": [costs(one) for one in outcomes],
        }
    if given.prompts:
        report["prompts"] = held_out(given.prompts)
    return report


def costs(outcome: Outcome) -> dict[str, Any]:
    """Return what a world was, and the seconds of a processor that it took."""
    return {
        **dataclasses.asdict(outcome.world),
        "rows": outcome.rows,
        "accounts": len(outcome.truth),
        "simulating": outcome.simulating,
        "scanning": outcome.scanning,
    }


def about(outcome: Outcome) -> dict[str, Any]:
    """Return what the main world is."""
    return {
        "rows": outcome.rows,
        "seed": outcome.world.seed,
        "scale": outcome.world.scale,
        "accounts": len(outcome.truth),
        "abusive": sum(not one.honest for one in outcome.truth) / len(outcome.truth),
        "scored": outcome.scored,
        "findings": outcome.kinds,
    }


def guarded(folder: Path, seed: int, python: str) -> dict[str, Any]:
    """Return what unmimic comes to on a sample of prompts; it says nothing of accounts."""
    if not python:
        return {"not_run": "no environment was named; see --unmimic"}
    told = run_peer("unmimic", python, "peer_unmimic.py", sample(folder, seed), 600)
    if "not_run" in told:
        return told
    said = "; ".join(f"{who}: {one}" for who, one in told["counts"].items())
    return {"not_run": f"on accounts, of which it says nothing; on prompts: {said}", **told}


def scan_figures(outcome: Outcome) -> dict[str, Any]:
    """Return what a scan costs."""
    last = outcome.quarters[-1]["rows_a_second"] if outcome.quarters else 0.0
    return {
        "quarters": outcome.quarters,
        "rate": outcome.rows / max(1e-9, outcome.scanning),
        "hours": telling.WHOLE / last / 3600 if last else 0.0,
        "state_bytes_a_row": outcome.state_bytes / max(1, outcome.rows),
    }


def control_figures(control: Future[dict[str, Any]], outcomes: list[Outcome]) -> dict[str, Any]:
    """Return what came of the controls, and of bulk pipelines in all worlds."""
    try:
        told = control.result()
    except Exception as error:  # noqa: BLE001 - it is what is reported
        return {"not_run": f"{type(error).__name__}: {error}"[:300]}
    bulk = [
        (at in one.when["review"])
        for one in outcomes
        for at, who in enumerate(one.truth)
        if who.honest and who.kind in BULK
    ]
    return {**told, "bulk": len(bulk), "bulk_held": sum(bulk)}


if __name__ == "__main__":
    main()
