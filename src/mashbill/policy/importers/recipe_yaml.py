"""Training recipes in YAML and JSON, with the line of everything that they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.core.errors import InputError
from mashbill.core.parsing import yaml_value
from mashbill.policy.importers.recipes import Mention, Recipe, mentions_of, part_of, phase_of

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 1_000_000  # characters of a recipe
_DEEP = 12  # keys below each other
_NAMES = ("id", "path", "hf_hub_url", "dataset_name", "name", "dataset", "repo_id", "source")
"""keys by which an entry of a list of datasets names one, the surest first"""
_PARTS = ("config", "subset", "name")
"""keys by which it names a part of that one, the surest first"""
_STAGES = {"pt": "pretraining", "rm": "reward model", "ppo": "rl", "grpo": "rl"}


def read_recipe(text: str, shown: str, registered: dict[str, str] | None = None) -> Recipe | None:
    """Return the recipe that a YAML or JSON text is, or None if it is something else.

    Args:
        text: the file's.
        shown: its name in the repository, for messages and for the phase.
        registered: names of LLaMA-Factory's ``dataset_info.json`` -> ids on the hub.

    Raises:
        InputError: naming the line, if it looks like a recipe and cannot be read.
    """
    if len(text) > MOST:
        if not part_named(text):
            return None
        msg = f"{shown}: {len(text):,} characters, {MOST:,} at most for a recipe"
        raise InputError(msg)
    root = _composed(text, shown)
    if root is None:
        return None
    found: list[Mention] = []
    keys: dict[str, str] = {}
    for path, node in _walk(root, ()):
        if len(path) == 1 and _is_scalar(node):
            keys[path[0]] = str(node.value)
        part = part_of(path)
        if part is not None:
            found += _read(part, node, registered or {})
        elif path == ("models",) and "merge_method" in text:
            found += [merged for item in _items(node) for merged in _merged(item)]
    parts = {mention.part for mention in found}
    # Data alone are a recipe where the file is a blend of data: some of it has an owner.
    blend = any(m.part == "data" and m.named.name for m in found) and "datasets" in text
    if not parts & {"base", "merged"} and not blend and "data_stages" not in text:
        return None
    stage = keys.get("stage", keys.get("rl", ""))
    name = next((keys[key] for key in ("run_name", "exp_name", "output_dir") if key in keys), "")
    phase = _STAGES.get(stage, "") or phase_of(stage, shown, name)
    return Recipe(root.start_mark.line + 1, tuple(found), phase, name=name)


def _composed(text: str, shown: str) -> Any:
    """Return the root of the text's nodes if it is a mapping."""
    import yaml

    from mashbill.core.plain_yaml import PlainLoader

    try:
        root = yaml.compose(text, PlainLoader)
    except (yaml.YAMLError, RecursionError) as problem:
        if part_named(text):
            yaml_value(text, shown, what="the recipe")  # tells the line
            msg = f"{shown}: is not one YAML document: {problem!s:.200}"
            raise InputError(msg) from problem
        return None
    return root if isinstance(root, yaml.MappingNode) else None


def part_named(text: str) -> bool:
    """Return whether a text has a key that says what training starts from."""
    return any(key in text for key in ("model_name_or_path", "base_model", "dataset_mix"))


def _walk(node: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Give each key with its path, from outside in; not what stands in lists."""
    import yaml

    waiting = [(node, path)]
    while waiting:
        at, below = waiting.pop(0)
        for key, value in at.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            here = (*below, str(key.value))
            yield here, value
            # Of lists only nanotron's stages hold keys that a recipe is read by.
            inner = _items(value) if here[-1] == "data_stages" else [value]
            waiting += [
                (item, here)
                for item in inner
                if isinstance(item, yaml.MappingNode) and len(here) < _DEEP
            ]


def _items(node: Any) -> list[Any]:
    """Return the nodes of a list; none of anything else."""
    return [] if _is_scalar(node) or str(node.tag).endswith(":map") else list(node.value)


def _text(node: Any) -> str:
    """Return the text of a value that tells a part from the whole; empty if it tells none."""
    text = str(node.value) if node is not None and _is_scalar(node) else ""
    return "" if text in ("default", "train", "null", "") else text


def _merged(item: Any) -> list[Mention]:
    """Return what an entry of mergekit's ``models`` names."""
    pairs = item.value if str(item.tag).endswith(":map") else []
    return [
        mention
        for key, value in pairs
        if key.value == "model" and _is_scalar(value)
        for mention in _scalar("merged", value, {})
    ]


def _is_scalar(node: Any) -> bool:
    return isinstance(getattr(node, "value", None), str)


def _read(part: Any, node: Any, registered: dict[str, str]) -> list[Mention]:
    """Return what a value names: a text, a list of texts and weights, of entries, or a mapping."""
    import yaml

    if isinstance(node, yaml.ScalarNode):
        return _scalar(part, node, registered)
    if part != "data":
        return []
    found: list[Mention] = []
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            if isinstance(item, yaml.MappingNode):
                found += _entry(item, registered)
            elif isinstance(item, yaml.ScalarNode):
                found += _scalar(part, item, registered)
        return found
    values = {key.value: value for key, value in node.value if _is_scalar(key)}
    if any(name in values for name in _NAMES):
        return _entry(node, registered)
    for key, value in node.value:  # name of a dataset: its weight
        if _is_scalar(key) and _is_number(value):
            found += mentions_of(
                "data", key.value, key.start_mark.line + 1, note=f"weight {value.value}"
            )
    return found


def _is_number(node: Any) -> bool:
    return str(getattr(node, "tag", "")).endswith((":int", ":float"))


def _scalar(part: Any, node: Any, registered: dict[str, str]) -> list[Mention]:
    line = node.start_mark.line + 1
    if str(node.tag).endswith((":null", ":bool")):
        return []
    found = []
    for text in str(node.value).split(",") if part == "data" else [str(node.value)]:
        known = registered.get(text.strip(), "")
        note = f"called {text.strip()} in dataset_info.json" if known else ""
        found += mentions_of(part, known or text, line, note=note)
    return found


def _entry(node: Any, registered: dict[str, str]) -> list[Mention]:
    """Return what an entry of a list of datasets names; its line is that of the name."""
    values = {key.value: value for key, value in node.value if _is_scalar(key)}
    for name in _NAMES:
        at = values.get(name)
        if at is None or not _is_scalar(at):
            continue
        part = next((t for key in _PARTS if key != name and (t := _text(values.get(key)))), "")
        subset = "/".join(t for t in (part, _text(values.get("split"))) if t)
        weight = values.get("weight")
        note = f"weight {weight.value}" if weight is not None and _is_number(weight) else ""
        return [
            Mention(m.part, m.named, m.line, subset, "; ".join(p for p in (m.note, note) if p))
            for m in _scalar("data", at, registered)
        ]
    return []
