"""The command that shows what verifiers paid for."""

from __future__ import annotations

from mashbill.cli.opening import workspace
from mashbill.cli.options import (
    DEFAULT_STORE,
    JsonOption,
    NameArgument,
    StoreOption,
    app,
    out,
    print_json,
)
from mashbill.cli.show_rewards import print_rewards, rewards_json


@app.command("rewards")
def rewards_command(
    name: NameArgument, store: StoreOption = DEFAULT_STORE, as_json: JsonOption = False
) -> None:
    """Print what verifiers paid for: pass rates, correlations, signs of a hacked reward.

    Of all stages that score outputs which an artifact rests on: verify, and trainers whose student
    samples and is paid (docs/verifying.md, docs/rollouts.md).
    """
    found = workspace(store).rewards(name)
    if as_json:
        print_json(rewards_json(found))
        return
    if not found:
        out.say(f"{name} rests on nothing that a verifier scored, so there are no rewards.")
    print_rewards(found)
