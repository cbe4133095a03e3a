"""Slips that strict mypy must find from outside: one in each line that says so."""

import mashbill as mb


def slips() -> None:
    """Misuse each verb once."""
    ws = mb.open(3)  # slip: arg-type
    ws.plan(None)  # slip: arg-type
    ws.run("grey_area")  # slip: arg-type
    ws.bill("scratch").verdict(3)  # slip: arg-type
    mb.Acceptance("Ada")  # slip: call-arg
    mb.Acceptance("Ada", "why").name = "Eve"  # slip: misc
    _ = mb.no_such_name  # slip: attr-defined
