"""mashbill distils language models, and can say what each thing it touched was distilled from.

The job, in one line::

    Recipe -> Plan -> Records -> Entry -> Bill -> Report

As a program writes it::

    import mashbill as mb

    ws = mb.open("store")
    plan = ws.plan("grey_area")
    done = ws.run(plan, accept=mb.Acceptance("Ada", "an internal study"))
    ws.bill("scratch").verdict("C").path

Names are imported when they are used, so that whoever reads a bill loads nothing more.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mashbill.client.budget import Caps as Caps
    from mashbill.core.artifact import ArtifactKind as ArtifactKind
    from mashbill.core.artifact import ArtifactRef as ArtifactRef
    from mashbill.core.artifact import Manifest as Manifest
    from mashbill.core.chat import Conversation as Conversation
    from mashbill.core.chat import Opaque as Opaque
    from mashbill.core.chat import Tool as Tool
    from mashbill.core.chat import ToolCall as ToolCall
    from mashbill.core.chat import Turn as Turn
    from mashbill.core.errors import AuditError as AuditError
    from mashbill.core.errors import CanonicalError as CanonicalError
    from mashbill.core.errors import DriftError as DriftError
    from mashbill.core.errors import InputError as InputError
    from mashbill.core.errors import MashbillError as MashbillError
    from mashbill.core.errors import MissingExtraError as MissingExtraError
    from mashbill.core.errors import PolicyError as PolicyError
    from mashbill.core.errors import RecipeError as RecipeError
    from mashbill.core.errors import StoreError as StoreError
    from mashbill.core.errors import TeacherError as TeacherError
    from mashbill.core.ledger import Signer as Signer
    from mashbill.core.model import Decoding as Decoding
    from mashbill.core.model import Predictor as Predictor
    from mashbill.core.model import Writer as Writer
    from mashbill.core.recipe import Recipe as Recipe
    from mashbill.core.recipe import load_recipe as load_recipe
    from mashbill.core.record import FROM as FROM
    from mashbill.core.record import REASON as REASON
    from mashbill.core.record import REJECTED_BY as REJECTED_BY
    from mashbill.core.schema import Schema as Schema
    from mashbill.core.source import Channel as Channel
    from mashbill.core.source import Purpose as Purpose
    from mashbill.core.source import Source as Source
    from mashbill.core.stage import StageContext as StageContext
    from mashbill.core.stage import StageSpec as StageSpec
    from mashbill.core.stage import Uses as Uses
    from mashbill.core.store import Store as Store
    from mashbill.core.teacher import Answer as Answer
    from mashbill.core.teacher import Question as Question
    from mashbill.core.teacher import Teacher as Teacher
    from mashbill.core.teacher import TeacherSpec as TeacherSpec
    from mashbill.core.verifier import Around as Around
    from mashbill.core.verifier import Case as Case
    from mashbill.core.verifier import Score as Score
    from mashbill.core.verifier import Verifier as Verifier
    from mashbill.core.verifier import VerifierSpec as VerifierSpec
    from mashbill.run.permission import Acceptance as Acceptance
    from mashbill.run.permission import Permit as Permit
    from mashbill.workspace.artifact import Artifact as Artifact
    from mashbill.workspace.billed import Billed as Billed
    from mashbill.workspace.predicting import Model as Model
    from mashbill.workspace.predicting import load as load
    from mashbill.workspace.space import Workspace as Workspace
    from mashbill.workspace.space import open_workspace as open  # noqa: A004 - mb.open

_FROM = {
    "Acceptance": "run.permission",
    "Answer": "core.teacher",
    "Around": "core.verifier",
    "Artifact": "workspace.artifact",
    "ArtifactKind": "core.artifact",
    "ArtifactRef": "core.artifact",
    "AuditError": "core.errors",
    "Billed": "workspace.billed",
    "CanonicalError": "core.errors",
    "Caps": "client.budget",
    "Case": "core.verifier",
    "Channel": "core.source",
    "Conversation": "core.chat",
    "Decoding": "core.model",
    "DriftError": "core.errors",
    "FROM": "core.record",
    "InputError": "core.errors",
    "Manifest": "core.artifact",
    "MashbillError": "core.errors",
    "MissingExtraError": "core.errors",
    "Opaque": "core.chat",
    "Permit": "run.permission",
    "PolicyError": "core.errors",
    "Predictor": "core.model",
    "Purpose": "core.source",
    "Question": "core.teacher",
    "REASON": "core.record",
    "REJECTED_BY": "core.record",
    "Recipe": "core.recipe",
    "RecipeError": "core.errors",
    "Schema": "core.schema",
    "Score": "core.verifier",
    "Signer": "core.ledger",
    "Source": "core.source",
    "StageContext": "core.stage",
    "StageSpec": "core.stage",
    "Store": "core.store",
    "StoreError": "core.errors",
    "Teacher": "core.teacher",
    "TeacherError": "core.errors",
    "TeacherSpec": "core.teacher",
    "Tool": "core.chat",
    "ToolCall": "core.chat",
    "Turn": "core.chat",
    "Uses": "core.stage",
    "Verifier": "core.verifier",
    "VerifierSpec": "core.verifier",
    "Workspace": "workspace.space",
    "Writer": "core.model",
    "Model": "workspace.predicting",
    "load": "workspace.predicting",
    "load_recipe": "core.recipe",
    "open": "workspace.space:open_workspace",
}
"""name -> where it is, and what it is called there"""

__all__ = [
    "FROM",
    "REASON",
    "REJECTED_BY",
    "Acceptance",
    "Answer",
    "Around",
    "Artifact",
    "ArtifactKind",
    "ArtifactRef",
    "AuditError",
    "Billed",
    "CanonicalError",
    "Caps",
    "Case",
    "Channel",
    "Conversation",
    "Decoding",
    "DriftError",
    "InputError",
    "Manifest",
    "MashbillError",
    "MissingExtraError",
    "Model",
    "Opaque",
    "Permit",
    "PolicyError",
    "Predictor",
    "Purpose",
    "Question",
    "Recipe",
    "RecipeError",
    "Schema",
    "Score",
    "Signer",
    "Source",
    "StageContext",
    "StageSpec",
    "Store",
    "StoreError",
    "Teacher",
    "TeacherError",
    "TeacherSpec",
    "Tool",
    "ToolCall",
    "Turn",
    "Uses",
    "Verifier",
    "VerifierSpec",
    "Workspace",
    "Writer",
    "load",
    "load_recipe",
    "open",
]


# A checker that saw this would take every misspelt name for one that is there.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Import a public name when it is asked for."""
        if name not in _FROM:
            msg = f"module 'mashbill' has no attribute {name!r}"
            raise AttributeError(msg)
        module, _, own = _FROM[name].partition(":")
        found = getattr(import_module(f"mashbill.{module}"), own or name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted(__all__)
