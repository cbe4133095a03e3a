"""How laws are tried: the same examples each time by default, many random ones at night.

A law says how many examples it is worth, and nothing else::

    @law(80)
    @given(circuits())
    def test_...

Without ``law`` it is tried on 100. Examples are derived from the test itself, so no run fails by
chance. With ``MASHBILL_HYPOTHESIS=nightly`` there are 25 times as many, drawn at random anew each
time; what fails is printed as a ``@reproduce_failure`` line, and belongs beside the law as an
``@example``, or written out.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, settings

PROFILES = {"default": 1, "nightly": 25}
"""profile -> how many times the examples that a law is worth"""
VARIABLE = "MASHBILL_HYPOTHESIS"

# Machines differ, and none is asserted to be fast.
_TIMED = [HealthCheck.too_slow]
_COMMON: dict[str, Any] = {"deadline": None, "suppress_health_check": _TIMED}

settings.register_profile("default", derandomize=True, database=None, **_COMMON)
settings.register_profile(
    "nightly",
    derandomize=False,
    max_examples=100 * PROFILES["nightly"],
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
    times = PROFILES[chosen_profile()]
    return settings(max_examples=examples * times, suppress_health_check=checks, **more)


settings.load_profile(chosen_profile())
