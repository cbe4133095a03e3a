"""Asking reasoning-gym, which lives in a process of its own: see its worker."""

from __future__ import annotations

from importlib.metadata import version

from mashbill.core.errors import InputError
from mashbill.verifiers.kept_apart import Apart
from mashbill.verifiers.reasoning_gym.allowed import release

EXTRA = "reasoning-gym"


class Gym(Apart):
    """A process that has reasoning-gym: asked for ``names``, a ``task``, a score."""

    def __init__(self, *, any_version: bool = False) -> None:
        """Prepare.

        Args:
            any_version: whether another version may answer than the one whose controls are listed.
        """
        super().__init__("mashbill.verifiers.reasoning_gym.worker", "reasoning_gym", EXTRA)
        self._any_version = any_version

    def check(self) -> None:
        """Raise InputError if its generators were tried at another version."""
        if not self._any_version and (there := version("reasoning-gym")) != release():
            msg = (
                f"reasoning-gym {there} is installed, and its generators were tried at "
                f"{release()}; install that version"
            )
            raise InputError(msg)
