"""From a recipe to a frame and a verdict, as in a notebook: a cell between two blank lines.

Run it with a folder for the store: ``python examples/notebook.py STORE``. It asks no service and
needs no key; the teacher of this recipe is a program.
"""

import sys
from pathlib import Path

import mashbill as mb

ws = mb.open(Path(sys.argv[1]) if len(sys.argv) > 1 else "store")

plan = ws.plan("channels")
print(plan)

print(plan.decision.outcome, "of", len(plan.decision.decisions), "decisions")

done = ws.run(plan, accept=mb.Acceptance("Ada", "an internal study"))
print(done)

frame = ws["preferred"].to_pandas()
print(frame.head())

verdict = ws.bill("scratch").verdict("C")
print(verdict.definition.name, verdict.conclusion, [step.what for step in verdict.path])

hop = ws.trace("preferred", 3)
print(*(f"{'  ' * depth}{each.kind}: {each.what}" for depth, each in hop.walk()), sep="\n")

print(ws.check("scratch", distribution="private").outcome)

print(ws.whatif(remove='what == "model"'))

print("the audit holds:", ws.audit().holds)
