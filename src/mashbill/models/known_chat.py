"""Whether what a trainer starts from has a chat template, as far as it is known before a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.core.base_model import FolderModel
from mashbill.files.fetch import is_elsewhere
from mashbill.models.folder import template_of

if TYPE_CHECKING:
    from mashbill.core.recipe import Recipe


def has_chat(recipe: Recipe, name: str) -> bool | None:
    """Return whether a base has a chat template; None if that is not known before a run.

    A model that learned texts alone has none, and one that goes on from another has its.

    Args:
        recipe: names models and stages.
        name: of one of them.

    Raises:
        TeacherError: if a file that is at hand cannot be read.
    """
    for _ in recipe.stages:
        spec = recipe.stages.get(name)
        if spec is None:
            break
        if spec.knows_no_chat:
            return False
        name = getattr(spec, "base", "")
    model = recipe.models.get(name)
    if not isinstance(model, FolderModel) or is_elsewhere(model.folder):
        return None
    path = recipe.folder / model.folder
    return template_of(path) is not None if path.is_dir() else None
