"""Making the list of generators that passed their controls: every one that is installed is tried.

Run it where another version of reasoning-gym is installed:
``python -m mashbill.verifiers.reasoning_gym.listing``. It takes half a minute.
"""

from __future__ import annotations

import datetime as dt
import json
from importlib.metadata import version
from typing import Any

from mashbill.verifiers.kept_apart import RaisedError, TookTooLongError
from mashbill.verifiers.reasoning_gym.allowed import LIST
from mashbill.verifiers.reasoning_gym.asking import Gym

_SECONDS = 300.0  # that the controls of a generator may take


def make_list() -> dict[str, Any]:
    """Try every generator that is installed, and return the list."""
    gym = Gym(any_version=True)
    found: dict[str, Any] = {}
    try:
        for name in gym.ask(_SECONDS, "names"):
            try:
                found[name] = gym.ask(_SECONDS, "try", generator=name)
            except (RaisedError, TookTooLongError) as error:
                found[name] = {"paid": {}, "faults": [f"cannot be tried: {error}"], "partly": [],
                               "runs": False}  # fmt: skip
    finally:
        gym.close()
    return {
        "package": "reasoning-gym",
        "version": version("reasoning-gym"),
        "made": dt.datetime.now(dt.UTC).date().isoformat(),
        "generators": found,
    }


def main() -> None:
    """Write the list."""
    LIST.write_text(json.dumps(make_list(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
