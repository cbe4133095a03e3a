"""What a stage that fails takes with it: only what needs it.

A stage that has no rows left, cannot read its input, gets no answers or whose verifier fails its
controls ends the branches that go on from it. Others are made, and the run says at its end what
could not be. What concerns the whole run ends it at once: a cap that is reached, a rule of conduct,
a store that cannot be written.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from mashbill.core.errors import BudgetError, ConductError, MashbillError, TeacherError

if TYPE_CHECKING:
    from collections.abc import Collection

    from mashbill.plan import PlannedStage


class Branches:
    """Which stages of a run failed, and which need one that did."""

    def __init__(self) -> None:
        self._failed: dict[str, MashbillError] = {}
        self._needing: dict[str, str] = {}
        """stage that could not begin -> the stage or teacher that it needs"""
        self._silent: dict[str, str] = {}
        """teacher that failed -> the stage in which it did"""

    def is_cut(self, stage: PlannedStage, silent: Collection[str] = ()) -> bool:
        """Return whether a stage needs what failed, and note that it does.

        Args:
            stage: the stage.
            silent: teachers that this run asks no more.
        """
        for use in stage.job.uses:
            unasked = stage.status != "done" and use.teacher in {*self._silent, *silent}
            if unasked or (use.is_artifact and use.name in {*self._failed, *self._needing}):
                what = f"teacher {use.teacher}" if unasked else use.name
                self._needing[stage.name] = what
                return True
        return False

    def cut(self, stage: PlannedStage, error: MashbillError) -> None:
        """Note that a stage failed.

        Raises:
            MashbillError: the error itself, if it ends the whole run.
        """
        if isinstance(error, BudgetError | ConductError):
            raise error
        self._failed[stage.name] = error
        if isinstance(error, TeacherError):
            for use in stage.spec.uses():
                if use.is_teacher:
                    self._silent[use.name] = stage.name

    def tell(self, made: int) -> None:
        """Say at the end of a run what could not be made.

        Args:
            made: stages that are.

        Raises:
            MashbillError: of the kind of the first failure, naming all of them and what needs them.
        """
        if not self._failed:
            return
        first, *others = self._failed.values()
        lines = [str(first), *(f"and {error}" for error in others)]
        if self._needing:
            needing = ", ".join(f"{name} (needs {what})" for name, what in self._needing.items())
            lines.append(f"Not made for that: {needing}.")
        if made:
            lines.append("All else of the recipe is made; run it again once this is mended.")
        whole = copy.copy(first)  # with all that it says beside its text
        whole.args = ("\n".join(lines),)
        whole.failed = {name: str(error) for name, error in self._failed.items()}
        whole.not_made = dict(self._needing)
        raise whole from first
