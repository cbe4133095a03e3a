"""What is handed between a run and its worker processes: values, and nothing that acts.

A worker is a process of the run's own, started by it. It connects to the run's session server
(:mod:`mashbill.run.server`) on a local socket, is given the work of a stage and one piece of it
after another, and asks the server for whatever only the run has: its journal, and with it limits,
budget and keys of services.
"""

from __future__ import annotations

import pickle
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import MashbillError, StageError
from mashbill.core.shown import shown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mashbill.core.artifact import Manifest
    from mashbill.core.job import Job
    from mashbill.core.source import Source
    from mashbill.core.teacher import TeacherSpec
    from mashbill.run.slices import Place
    from mashbill.run.stage_work import Nodes


@dataclass(frozen=True)
class StageWork:
    """All that a process has to know to do slices of one stage."""

    number: int
    """of this work in its run: no two are the same"""
    job: Job
    folder: Path
    """of the artifact"""
    inputs: Mapping[str, tuple[Path, Manifest]]
    """stage -> folder and manifest of what it made"""
    nodes: Nodes
    cache: Path
    scratch: Path
    threads: int
    each: int = 1
    """pieces that a worker may do at once"""
    teachers: Mapping[str, TeacherSpec] = field(default_factory=dict)
    """those that are loaded by whoever asks them"""
    services: Mapping[str, Source] = field(default_factory=dict)
    """those that the run asks"""
    blamed: tuple[tuple[str, str], ...] = ()
    """(kind, group) of what the stage calls, so that a plugin's slip is told as its own"""
    asked_on: frozenset[str] = frozenset()
    """names of all that this stage and later ones ask: what else a worker has loaded may go"""


@dataclass(frozen=True)
class Piece:
    """One slice to be done."""

    work: int
    """number of the stage's work"""
    number: int
    """of the slice, and of the shard that is made of it"""
    of: str
    """the input"""
    start: int
    """rows of all inputs before it"""
    first: int
    """position of its first row in the input"""
    count: int
    """its rows"""
    offset: int
    """what to add to a row's node to get its code"""
    place: Place | None = None
    """what came of the slices before it, where it is told"""


def cannot_be_handed(job: Job, teachers: Mapping[str, TeacherSpec]) -> str:
    """Return why a stage cannot be handed to another process; empty if it can.

    Args:
        job: the stage.
        teachers: those that are loaded by whoever asks them.
    """
    try:
        pickle.dumps((job, dict(teachers)))
    except Exception as error:  # noqa: BLE001 - whatever a plugin's keys hold
        return shown(f"{type(error).__name__}: {error}", 200)
    return ""


def fit_to_hand(error: BaseException) -> BaseException:
    """Return an error that another process can read: itself, or one that says the same."""
    if not isinstance(error, MashbillError):
        error.add_note("In a worker process:\n" + "".join(traceback.format_exception(error)))
    try:
        again: Any = pickle.loads(pickle.dumps(error))  # noqa: S301 - what was just written
    except Exception:  # noqa: BLE001 - whatever its class does
        again = None
    if type(again) is type(error) and str(again) == str(error):
        return error
    return StageError(f"{type(error).__name__}: {error}")
