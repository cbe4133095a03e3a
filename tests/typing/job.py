"""A program that somebody else would write, as strict mypy reads it from outside."""

import datetime as dt
from pathlib import Path
from typing import assert_type

import mashbill as mb


def job(store: Path) -> str:
    """Plan, run, ask: every verb gives a value whose type the reader's editor knows."""
    ws = mb.open(store)
    assert_type(ws, mb.Workspace)
    plan = ws.plan("grey_area")
    assert_type(plan.as_of, dt.date)
    done = ws.run(plan, accept=mb.Acceptance("Ada", "an internal study"))
    assert_type(done.result, mb.Manifest)
    assert_type(done.report, Path)
    labelled = ws["labelled"]
    assert_type(labelled, mb.Artifact)
    assert_type(len(labelled), int)
    assert_type(ws["scratch"].load(), mb.Predictor)
    writer = ws["scratch"].writer()
    assert_type(writer, mb.Writer)
    assert_type(writer.answer([mb.Question("", "a day")], mb.Decoding(8)), list[mb.Answer])
    bill = ws.bill("scratch")
    assert_type(bill, mb.Billed)
    assert_type(bill.coverage.recorded, tuple[float, float])
    assert_type(ws.export("scratch", "cyclonedx"), str)
    return bill.verdict("C").definition.name


def stopped(store: Path) -> str:
    """What is refused on purpose is one family of errors."""
    try:
        return job(store)
    except mb.PolicyError as error:
        assert_type(error.outcome, str)
        return str(error)
    except mb.MashbillError as error:
        return str(error)
