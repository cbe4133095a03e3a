"""distilabel's steps for W2: it pickles them by name, and reads their annotations."""

from typing import Any

from common import judge_prompt
from distilabel.steps import StepInput, step


@step(inputs=["generation"], outputs=["instruction", "prompt", "answer"])
def ask_judge(inputs: StepInput) -> Any:
    """Put the judge's prompt where the next step looks for its prompt."""
    for row in inputs:
        row["prompt"], row["answer"] = row["instruction"], row["generation"]
        row["instruction"] = judge_prompt(row["answer"] or "")
    yield inputs


@step(inputs=["generation"], outputs=[])
def keep(inputs: StepInput) -> Any:
    """Keep what the judge says yes to."""
    yield [row for row in inputs if row["generation"] == "yes"]
