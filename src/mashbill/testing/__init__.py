"""A kit for authors of plugins: what they bring, such as a stage, is run with all laws checked.

Each check runs over small data in a temporary store. What breaks a law is told in a sentence that
says what to mend, all of them at once::

    from mashbill.testing import check_stage

    def test_my_stage():
        check_stage(ShoutSpec(input="rows"), [{"text": "a"}, {"text": "b"}])
"""

from __future__ import annotations

from mashbill.testing.laws import LawError
from mashbill.testing.sandboxes import check_sandbox
from mashbill.testing.stages import check_stage
from mashbill.testing.teachers import check_teacher
from mashbill.testing.trainers import check_trainer
from mashbill.testing.verifiers import check_verifier

__all__ = [
    "LawError",
    "check_sandbox",
    "check_stage",
    "check_teacher",
    "check_trainer",
    "check_verifier",
]
