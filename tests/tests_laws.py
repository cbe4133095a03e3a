"""How laws are tried: few examples in `make test`, all in `make slow`, many random ones at night.

A law says how many examples it is worth, and nothing else::

    @law(80)
    @given(circuits())
    def test_...

Without ``law`` it is tried on 100. Examples are derived from the test itself, so no run fails by
chance. ``MASHBILL_HYPOTHESIS`` names another profile than the default:

- ``quick`` tries a tenth, the simplest ones: `make test` sets it. Laws that are tried on fewer so
  are marked ``law``, and `make slow` tries them again on all.
- ``nightly`` tries 25 times as many, drawn at random anew each time; what fails is printed as a
  ``@reproduce_failure`` line, and belongs beside the law as an ``@example``, or written out.
"""

from __future__ import annotations

import math
import os
from typing import Any

from hypothesis import HealthCheck, settings

PROFILES = {"quick": 0.1, "default": 1, "nightly": 25}
"""profile -> how many times the examples that a law is worth"""
VARIABLE = "MASHBILL_HYPOTHESIS"

# Machines differ, and none is asserted to be fast.
_TIMED = [HealthCheck.too_slow]
_COMMON: dict[str, Any] = {"deadline": None, "suppress_health_check": _TIMED}


def _tried(examples: int, profile: str) -> int:
    """Return on how many examples a law is tried that is worth so many."""
    return math.ceil(examples * PROFILES[profile])


for _name in ("quick", "default"):
    settings.register_profile(
        _name, derandomize=True, database=None, max_examples=_tried(100, _name), **_COMMON
    )
settings.register_profile(
    "nightly",
    derandomize=False,
    max_examples=_tried(100, "nightly"),
    print_blob=True,
    **_COMMON,
)


def chosen_profile() -> str:
    """Return the profile that the environment names."""
    name = os.environ.get(VARIABLE) or "default"
    if name not in PROFILES:
        msg = f"{VARIABLE}={name!r} is none of {', '.join(PROFILES)}"
        raise ValueError(msg)
    return name


def law(examples: int = 100, **more: Any) -> settings:
    """Return the settings of a law.

    Args:
        examples: on how many it is tried by default.
        more: other settings, such as ``suppress_health_check``; not those that a profile decides.
    """
    checks = [*_TIMED, *more.pop("suppress_health_check", ())]
    tried = _tried(examples, chosen_profile())
    return settings(max_examples=tried, suppress_health_check=checks, **more)


def is_law(test: object) -> bool:
    """Return whether a test is a law: hypothesis gives it its examples."""
    return getattr(test, "is_hypothesis_test", False)


settings.load_profile(chosen_profile())
