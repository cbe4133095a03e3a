"""A training recipe as its file tells it: what it starts from, what it reads, and what it makes.

Which key means what is one table for all programs that train, since they share most of them:
alignment-handbook, TRL and open-r1, open-instruct, axolotl, LLaMA-Factory, NeMo's recipes, verl,
nanotron, mergekit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from mashbill.policy.importers.card_names import Named, read_name

Part = Literal["base", "merged", "data", "teacher", "judge", "reward", "makes"]

KEYS: dict[str, Part] = {
    "base_model": "base",
    "base_model_name_or_path": "base",
    "model_name_or_path": "base",
    "policy.model_name": "base",
    "actor_rollout_ref.model.path": "base",
    "model.pretrained_model_name_or_path": "base",
    "teacher_model": "teacher",
    "teacher_model_name_or_path": "teacher",
    "llm_judge_model": "judge",
    "reward_model": "reward",
    "reward_model_path": "reward",
    "reward_model_name_or_path": "reward",
    "hub_model_id": "makes",
    "push_to_hub_model_id": "makes",
    "hf_repo_id": "makes",
    "dataset": "data",
    "dataset_folder": "data",
    "hf_dataset_or_datasets": "data",
    "dataset_id": "data",
    "dataset_mix": "data",
    "dataset_mixer": "data",
    "dataset_mixer_list": "data",
    "dataset_mixture.datasets": "data",
    "dataset_name": "data",
    "datasets": "data",
    "mixer_list": "data",
    "train_dataset": "data",
    "train_datasets": "data",
}
"""key, or the end of a path of keys, with ``_`` for ``-`` -> what it says"""

RELATIONS = {
    "base": "base-weights",
    "merged": "merge",
    "data": "trained-on",
    "teacher": "logits",
    "judge": "rl-judge",
    "reward": "rl-reward-model",
}
"""part of a recipe -> relation of the claim"""

_PHASES = [
    (r"dpo", "dpo"),
    (r"orpo", "orpo"),
    (r"kto", "kto"),
    (r"apo", "apo"),
    (r"grpo|ppo|rloo|rlvr|reinforce|rl", "rl"),
    (r"reward(_?model(l?ing)?)?|rm", "reward model"),
    (r"mid(_?train(ing)?)?", "midtraining"),
    (r"sft|fine_?tun(e|ing)|instruct", "sft"),
    (r"pre_?train(ing)?|pt|long_context", "pretraining"),
]
"""words of a file's path, of a program's name or of a key -> phase of training"""
_SERVED = re.compile(r"^(hosted_vllm|openai|litellm_proxy|huggingface|vllm)/(?=[^/]+/)")


@dataclass(frozen=True)
class Mention:
    """One thing that a recipe names."""

    part: Part
    named: Named
    line: int
    """line of the file, from 1"""
    dataset: str = ""
    """configuration, split or subset"""
    note: str = ""


@dataclass(frozen=True)
class Recipe:
    """One run of training, as a file writes it down."""

    line: int
    """where it begins, from 1"""
    mentions: tuple[Mention, ...]
    phase: str = ""
    """phase of training; empty if nothing says so"""
    near: tuple[str, ...] = ()
    """ids of models that the text around it names as what it makes"""
    name: str = ""
    """what the file calls the run"""


def part_of(path: tuple[str, ...]) -> Part | None:
    """Return what a key says, by itself or with those that it stands under."""
    keys = [key.strip().lower().replace("-", "_") for key in path]
    if any(re.match(r"(eval|test|valid|val)(uation|idation)?(_|$)|.*_eval(_|$)", k) for k in keys):
        return None
    for length in (3, 2, 1):
        found = KEYS.get(".".join(keys[-length:])) if len(keys) >= length else None
        if found is not None:
            return found
    return None


def phase_of(*texts: str) -> str:
    """Return the phase of training that the last words of paths and names speak of."""
    for text in texts:
        for word in reversed(re.split(r"[/.\s-]+", text.lower())):
            for pattern, phase in _PHASES:
                if re.search(rf"(?:^|_)(?:{pattern})(?:_|\d*$)", word):
                    return phase
    return ""


def mentions_of(part: Part, value: Any, line: int, *, note: str = "") -> list[Mention]:
    """Return what a scalar names: an id, or several divided by commas.

    Args:
        part: what its key says.
        value: text, number or None.
        line: where it stands.
        note: what stands beside it.
    """
    if value is None or isinstance(value, bool | int | float):
        return []
    what: Literal["model", "dataset"] = "dataset" if part == "data" else "model"
    found = []
    for item in str(value).split(",") if what == "dataset" else [str(value)]:
        text = _SERVED.sub("", item.strip().removeprefix("hf://"))
        if not text or re.fullmatch(r"[\d.eE+-]+", text):
            continue
        text, _, rest = (
            text.partition(":") if re.fullmatch(r"[^:]+/[^:]+:\w+", text) else (text, "", "")
        )
        named = read_name(text, what)
        if named.name and "/" not in named.name:
            named = Named(reason=f"{text!r} names no owner, so it may be anybody's")
        found.append(Mention(part, named, line, rest, note))
    return found
