"""A maker's own repository: training recipes, commands and tables in it, as claims with their line.

Given is a folder (a checkout) with the name and the commit of what it is a checkout of; nothing is
run, and no network is reached. What becomes a claim is what a file states of a run: what it starts
from, what it reads, by whom it is judged. Which model a run makes is said by the file itself
(``hub_model_id``), by the heading and text above a command, by a table's row, or by ``makes``;
where nothing says it, the run is left out with file and line, and so is every path and every name
that is no repository of the hub. Programs that are Python (datatrove, distilabel) are not read.

Such a claim is the maker's own word, since it is his repository. Whether the run is the one that
made what he gave out, and not a trial, no program can see: read the file before you rely on it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import InputError
from mashbill.policy.importers.imported import HUB_ID, Gathering, Imported, read_json, read_text
from mashbill.policy.importers.recipe_shell import read_commands, read_page
from mashbill.policy.importers.recipe_tables import read_tables
from mashbill.policy.importers.recipe_yaml import read_recipe
from mashbill.policy.importers.recipes import RELATIONS, Mention, Recipe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FILES = 50_000  # files of a repository that are looked at
_SUFFIXES = frozenset([".yaml", ".yml", ".json", ".sh", ".bash", ".slurm", ".sbatch", ".md"])
_BYTES = 2_000_000
_PASSED = frozenset([".git", ".github", "node_modules", "tests", "test", "third_party"])
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{7,40}", re.ASCII)


@dataclass(frozen=True)
class Origin:
    """What a folder is a checkout of."""

    repository: str
    """OWNER/REPO"""
    commit: str
    """at least seven hexadecimal digits"""
    makes: Mapping[str, str]
    """pattern of a file's path -> id of the model that its recipe makes; the first that fits"""
    owner: str = ""
    """who owns, on the hub, what a recipe names without an owner"""

    def __post_init__(self) -> None:
        if not _REPOSITORY.fullmatch(self.repository):
            msg = f"import: {self.repository!r} is no repository; write OWNER/REPO"
            raise InputError(msg)
        if not _COMMIT.fullmatch(self.commit):
            msg = (
                f"import: {self.commit!r} is no commit; give 7 to 40 hexadecimal digits, so that "
                "others find what was read (git -C FOLDER rev-parse HEAD)"
            )
            raise InputError(msg)
        for pattern, name in self.makes.items():
            if not HUB_ID.fullmatch(name) or "/" not in name:
                msg = f"import: makes {pattern}={name!r}: give the model's id, OWNER/NAME"
                raise InputError(msg)


def read(path: Path, origin: Origin) -> Imported:
    """Read a checkout.

    Args:
        path: the folder, or one file of it.
        origin: what it is a checkout of.

    Raises:
        InputError: if there is no such folder, or nothing in it that could be read.
    """
    gathered = Gathering("repository")
    home = path if path.is_dir() else path.parent
    seen: set[tuple[str, ...]] = set()
    for file in _files(path):
        name = file.relative_to(home).as_posix()
        try:
            recipes = list(_recipes(file, name))
        except InputError as flaw:
            gathered.reject(name, f"{name}: {str(flaw).removeprefix(f'{name}: ')}")
            continue
        for recipe in recipes:
            _gather(gathered, name, recipe, origin, seen)
    return gathered.finish()


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        msg = f"{path}: there is no such file or folder; correct the path"
        raise InputError(msg)
    found = []
    for file in sorted(path.rglob("*")):
        inside = file.relative_to(path).parts
        if file.suffix.lower() not in _SUFFIXES or _PASSED & set(inside[:-1]):
            continue
        if file.is_symlink() or not file.is_file() or file.stat().st_size > _BYTES:
            continue
        found.append(file)
        if len(found) > FILES:
            msg = f"{path}: more than {FILES:,} files that may hold a recipe; name a folder in it"
            raise InputError(msg)
    if not found:
        kinds = ", ".join(sorted(_SUFFIXES))
        msg = f"{path}: no file that may hold a recipe ({kinds}); name another folder"
        raise InputError(msg)
    return found


def _recipes(file: Path, name: str) -> Iterator[Recipe]:
    if file.suffix == ".md":
        text = read_text(file)
        if front := re.match(r"---\r?\n(.*?)\n---\s*\n", text, re.DOTALL):
            card = read_recipe(f"\n{front[1]}\n", name)
            yield from () if card is None else (card,)
        yield from read_page(text, name)
        yield from read_tables(text)
    elif file.suffix in (".yaml", ".yml", ".json"):
        if file.name == "dataset_info.json":
            return
        recipe = read_recipe(read_text(file), name, _registered(file))
        if recipe is not None:
            yield recipe
    else:
        yield from read_commands(read_text(file), name)


def _registered(file: Path) -> dict[str, str]:
    """Return what LLaMA-Factory's ``dataset_info.json`` beside, or above in ``data``, registers."""
    for folder in file.parents[:4]:
        for at in (folder / "dataset_info.json", folder / "data" / "dataset_info.json"):
            if not at.is_file() or at.stat().st_size > _BYTES:
                continue
            try:
                entries: dict[str, Any] = read_json(at)
            except InputError:
                return {}
            return {
                name: entry["hf_hub_url"]
                for name, entry in entries.items()
                if isinstance(entry, dict) and isinstance(entry.get("hf_hub_url"), str)
            }
    return {}


def _gather(
    gathered: Gathering, name: str, recipe: Recipe, origin: Origin, seen: set[tuple[str, ...]]
) -> None:
    where = f"{name}: line {recipe.line}"
    child, reason = _child(name, recipe, origin)
    if not child:
        parts = [mention.named.name for mention in recipe.mentions if mention.named.name]
        told = f" (it names {', '.join(dict.fromkeys(parts))[:200]})" if parts else ""
        gathered.leave(where, reason + told)
        return
    told_of = False
    for mention in recipe.mentions:
        if mention.part == "makes":
            continue
        place = f"{name}: line {mention.line}"
        if not mention.named.name:
            gathered.leave(place, f"{child}: {mention.named.reason}")
            continue
        told_of |= _claim(gathered, place, child, mention, recipe, origin, seen)
    if told_of:
        source = f"{origin.repository}@{origin.commit[:12]}:{name}#L{recipe.line}"
        gathered.add_entity(where, id=child, what="model", source=source)


def _claim(
    gathered: Gathering,
    place: str,
    child: str,
    mention: Mention,
    recipe: Recipe,
    origin: Origin,
    seen: set[tuple[str, ...]],
) -> bool:
    parent = mention.named.name
    relation = RELATIONS[mention.part]
    phase = recipe.phase if mention.part in ("data", "teacher", "judge", "reward") else ""
    same = (child.lower(), parent.lower(), relation, phase, mention.dataset)
    if same in seen:
        return True
    seen.add(same)
    name = place.rpartition(": line ")[0]
    source = f"{origin.repository}@{origin.commit[:12]}:{name}#L{mention.line}"
    note = "; ".join(part for part in (mention.note, mention.named.note) if part)
    kept = gathered.add_claim(
        place, child=child, parent=parent, relation=relation, of=phase, dataset=mention.dataset,
        route="weights" if mention.part in ("base", "teacher") else "unknown",
        status="stated", source=source, note=note,
    )  # fmt: skip
    if kept:
        what = "dataset" if mention.part == "data" else "model"
        gathered.add_entity(place, id=parent, what=what, source=source)
    return kept


def _child(name: str, recipe: Recipe, origin: Origin) -> tuple[str, str]:
    """Return the id of what a recipe makes; or nothing, and the reason."""
    for pattern, made in origin.makes.items():
        if fnmatchcase(name, pattern) or fnmatchcase(f"{name}#{recipe.name}", pattern):
            return made, ""
    for mention in recipe.mentions:
        if mention.part != "makes":
            continue
        if mention.named.name:
            return mention.named.name, ""
        bare = re.search(r"'([\w.-]+)' names no owner", mention.named.reason)
        if bare and origin.owner:
            return f"{origin.owner}/{bare[1]}", ""
    bases = {m.named.name.lower() for m in recipe.mentions}
    near = [model for model in recipe.near if model.lower() not in bases]
    if len(near) == 1:
        return near[0], ""
    if near:
        return "", f"the text around it links to {len(near)} models; say which by --makes"
    return "", "nothing says which model this recipe makes; say it by --makes FILE=OWNER/NAME"
