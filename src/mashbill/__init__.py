"""mashbill distils language models, and can say what each thing it touched was distilled from.

The job, in one line::

    Recipe -> Plan -> Records -> Entry -> Bill -> Report

    load_recipe(path) -> build(recipe, store) -> execute(plan, store) -> bill(nodes) -> write_report
"""

from __future__ import annotations

from mashbill.core.artifact import ArtifactRef, Manifest
from mashbill.core.errors import (
    AuditError,
    CanonicalError,
    DriftError,
    InputError,
    MashbillError,
    MissingExtraError,
    RecipeError,
    StoreError,
    TeacherError,
)
from mashbill.core.ledger import Signer
from mashbill.core.recipe import Recipe, load_recipe
from mashbill.core.source import Channel, Source
from mashbill.core.stage import StageContext, StageSpec, Uses
from mashbill.core.store import Store
from mashbill.core.teacher import Answer, Question, TeacherSpec

__all__ = [
    "Answer",
    "ArtifactRef",
    "AuditError",
    "CanonicalError",
    "Channel",
    "DriftError",
    "InputError",
    "Manifest",
    "MashbillError",
    "MissingExtraError",
    "Question",
    "Recipe",
    "RecipeError",
    "Signer",
    "Source",
    "StageContext",
    "StageSpec",
    "Store",
    "StoreError",
    "TeacherError",
    "TeacherSpec",
    "Uses",
    "load_recipe",
]
