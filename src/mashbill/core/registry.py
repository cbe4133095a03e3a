"""Finding teachers, verifiers, trainers and stages by kind, through entry points.

Built-ins register the same way as a plugin does, in ``pyproject.toml``. What goes wrong in a plugin
is told as its own: which distribution, at which version, by which entry point.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import Distribution, EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

from mashbill.core.errors import MashbillError, PluginError, RecipeError
from mashbill.core.explaining import near
from mashbill.core.installed import NAME
from mashbill.core.shown import shown

TEACHERS = "mashbill.teachers"
VERIFIERS = "mashbill.verifiers"
TRAINERS = "mashbill.trainers"
STAGES = "mashbill.stages"
SANDBOXES = "mashbill.sandboxes"
GROUPS = (TEACHERS, VERIFIERS, TRAINERS, STAGES, SANDBOXES)


@cache
def _points(group: str) -> dict[str, tuple[EntryPoint, ...]]:
    """Return who registers each kind: one, unless a plugin takes a kind that another has."""
    found: dict[str, dict[tuple[str, str], EntryPoint]] = {}
    for point in sorted(entry_points(group=group)):
        found.setdefault(point.name, {})[_maker(point), point.value] = point
    return {name: tuple(points.values()) for name, points in found.items()}


def _point(kind: str, groups: tuple[str, ...]) -> EntryPoint | None:
    return next((points[0] for group in groups if (points := _points(group).get(kind))), None)


def kinds(*groups: str) -> list[str]:
    """Return the kinds registered in these groups, sorted."""
    return sorted(name for group in groups for name in _points(group))


def find(kind: str, *groups: str) -> Any:
    """Return what is registered under ``kind`` in the first of these groups that has it.

    Raises:
        RecipeError: listing the kinds there are.
        PluginError: if it cannot be loaded, or two distributions register it.
    """
    for group in groups:
        points = _points(group).get(kind, ())
        if len(points) > 1:
            who = " and ".join(f"{_maker(point)} ({point.value})" for point in points)
            msg = (
                f"kind {kind!r} is registered by {who}, and it cannot be told which of them is "
                "meant; uninstall one of them"
            )
            raise PluginError(msg)
        if points:
            with telling(f"kind {kind!r}", kind, group):
                return points[0].load()
    known = kinds(*groups)
    msg = f"kind {kind!r} is not one of {', '.join(known)}{near(kind, known)}"
    raise RecipeError(msg)


def origin(kind: str, *groups: str) -> dict[str, str]:
    """Return which distribution, at which version, registers a kind: it goes into the ledger."""
    point = _point(kind, groups)
    if point is None or point.dist is None:
        return {}
    name, version = _named(point.dist)
    return {"distribution": name, "version": version}


def origins(kinds: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Return what plugins are behind some kinds, for the ledger: each with a digest of its code.

    Args:
        kinds: (kind, group) of all that is used; what is this package's own is left out.
    """
    found = {}
    for kind, group in kinds:
        point = _point(kind, (group,))
        if point is not None and not _is_own(point):
            found[group, kind] = {
                "group": group,
                "kind": kind,
                **origin(kind, group),
                "sha256": _code(_top(point)),
            }
    return [found[key] for key in sorted(found)]


@cache
def _code(package: str) -> str:
    """Return the SHA-256 over the names and bytes of a package's Python files, as they are here."""
    spec = find_spec(package)
    places = [Path(place) for place in spec.submodule_search_locations or ()] if spec else []
    files = sorted(
        (path.relative_to(place).as_posix(), path)
        for place in places
        for path in place.rglob("*.py")
    )
    if not files and spec is not None and spec.origin:
        files = [(Path(spec.origin).name, Path(spec.origin))]
    whole = hashlib.sha256()
    for name, path in files:
        data = path.read_bytes()
        whole.update(f"{name}\0{len(data)}\0".encode())
        whole.update(data)
    return whole.hexdigest()


def is_plugin(kind: str, *groups: str) -> bool:
    """Return whether a kind comes from a distribution other than this one."""
    point = _point(kind, groups)
    return point is not None and not _is_own(point)


@contextmanager
def telling(
    doing: str, kind: str, *groups: str, beside: Iterable[tuple[str, str]] = ()
) -> Iterator[None]:
    """Tell what a plugin does wrong as its own, where code of a kind is called.

    Deliberate errors pass as they are, and so does what goes wrong in a kind of this package.

    Args:
        doing: what was being done, as the beginning of a sentence: ``stages.NAME``.
        kind: whose code is called.
        groups: where it is registered.
        beside: (kind, group) of what is called in turn: teachers, trained models.

    Raises:
        PluginError: naming distribution, version, entry point, place and cause.
    """
    try:
        yield
    except MashbillError:
        raise
    except (Exception, SystemExit) as error:
        own = _point(kind, groups)
        called = [own, *(_point(other, (group,)) for other, group in beside)]
        point = _in_traceback(error)
        if point is None and not isinstance(error, OSError):  # a full disk is no plugin's fault
            point = own
        if point is None or _is_own(point):
            raise
        same = (item for item in called if item is not None and _top(item) == _top(point))
        raise _told(doing, next(same, point), error) from error


def blamed(error: BaseException) -> PluginError | None:
    """Return an error as that of the plugin in whose code it arose; None if it was in none."""
    point = _in_traceback(error)
    return None if point is None else _told(f"kind {point.name!r}", point, error)


def _told(doing: str, point: EntryPoint, error: BaseException) -> PluginError:
    said = shown(f"{type(error).__name__}: {error!s:.300}".rstrip(": "), None, layout=True)
    return PluginError(
        f"{doing}: the plugin {_maker(point)} (entry point {point.name} = {point.value} of "
        f"{point.group}) failed{_place(point, error)}: {said}. That is the plugin's own fault: "
        "tell its makers, or install another version. What was committed is kept; MASHBILL_DEBUG=1 "
        "shows the traceback"
    )


@cache
def _named(distribution: Distribution) -> tuple[str, str]:
    """Return name and version, read once: importlib parses the whole README at each question."""
    return distribution.name, distribution.version


def _maker(point: EntryPoint) -> str:
    return " ".join(_named(point.dist)) if point.dist is not None else "of no name"


def _is_own(point: EntryPoint) -> bool:
    return point.dist is not None and _named(point.dist)[0] == NAME


def _top(point: EntryPoint) -> str:
    return point.module.split(".")[0]


def _tops(error: BaseException) -> Iterator[tuple[str, TracebackType]]:
    """Yield the package whose code each level of a traceback is in, outermost first."""
    trace = error.__traceback__
    while trace is not None:
        yield str(trace.tb_frame.f_globals.get("__name__", "")).split(".")[0], trace
        trace = trace.tb_next


def _in_traceback(error: BaseException) -> EntryPoint | None:
    """Return the plugin whose code is innermost in a traceback."""
    plugins = {
        _top(point): point
        for group in GROUPS
        for points in _points(group).values()
        for point in points
        if not _is_own(point)
    }
    found = [plugins[top] for top, _ in _tops(error) if top in plugins]
    return found[-1] if found else None


def _place(point: EntryPoint, error: BaseException) -> str:
    """Return where in a plugin it happened."""
    found = [trace for top, trace in _tops(error) if top == _top(point)]
    if not found:
        return ""
    return f" at {Path(found[-1].tb_frame.f_code.co_filename).name}, line {found[-1].tb_lineno}"
