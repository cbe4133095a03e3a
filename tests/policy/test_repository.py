"""A maker's repository as claims: each form of recipe, with its lines; the rest is told."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill import InputError
from mashbill.policy.claims import load_catalogue
from mashbill.policy.importers import Origin, add_to, read_repository
from mashbill.policy.importers.recipe_shell import read_commands, read_page
from mashbill.policy.importers.recipe_tables import read_tables
from mashbill.policy.importers.recipe_yaml import read_recipe
from mashbill.policy.importers.recipes import phase_of

COMMIT = "0123456789abcdef0123456789abcdef01234567"

HANDBOOK = """# a comment
model_name_or_path: base/big
chat_template: "{% for m in messages %}{{ m }}{% endfor %}"
dataset_mixture:
  datasets:
    - id: data/one
      config: SFT
      split: part_a
      weight: 0.5
    - id: data/two
      split: train
  seed: 0
hub_model_id: made/it
dataset_mixer_eval_list: [not/this, 1.0]
"""
OLD_HANDBOOK = """model_name_or_path: base/big
dataset_mixer:
  data/one: 1.0
  data/two: 0.25
hub_model_id: made/it
"""
AXOLOTL = """base_model: base/big
adapter: lora
datasets:
  - path: data/one
    type: chat_template
  - path: ./local.jsonl
    type: alpaca
test_datasets:
  - path: data/held-back
rl: dpo
hub_model_id: made/it
"""
FACTORY = """model_name_or_path: base/big
stage: pt
dataset: one_zh,unregistered
push_to_hub_model_id: made/it
"""
TRL = "model_name_or_path: base/big\ndataset_name: data/one\nteacher_model_name_or_path: t/teach\n"
VERL = "actor_rollout_ref:\n  model:\n    path: base/big\nreward_model_path: r/judge\n"
NEMO = """{
  "datasets": [
    {"name": "a", "path": "hf://data/one", "subset": "chat", "weight": 2.5},
    {"name": "b", "path": "hf://data/two"}
  ]
}
"""
NANOTRON = """data_stages:
  - name: first
    data:
      dataset:
        dataset_folder:
          - s3://bucket/own
          - data/one
"""
MERGE = """merge_method: slerp
base_model: base/big
models:
  - model: base/big
  - model: other/tuned
"""
SHELL = """#!/bin/bash
MODEL=base/big
accelerate launch \\
    --config_file x.conf open_instruct/dpo_tune.py \\
    --model_name_or_path "$MODEL" \\
    --dataset_mixer_list data/one 1.0 \\
        data/two 500 \\
    --dataset_mixer_eval_list not/this 1.0 \\
    --hf_repo_id made/it --output_dir out/x  # a comment with 'a quote
python other.py --model_name_or_path base/small --dataset_mixer '{"data/three": 0.5}' \\
    --hf_repo_id made/second --llm_judge_model hosted_vllm/j/judge
"""
PAGE = """# Pages

See [base/big](https://huggingface.co/base/big).

## The run

This made [made/it](https://huggingface.co/made/it).

```bash
python sft.py --model_name_or_path base/big \\
    --dataset_name data/one
```

```python
call("--model_name_or_path", "not/this")
```

| Model | Base Model | SFT data |
|---|:---:|---|
| [m](https://huggingface.co/made/m) | [b](https://huggingface.co/base/big) | [d](https://hf.co/datasets/data/one) |
| [n](https://huggingface.co/made/n) | Llama 2 | |
| none | [b](https://huggingface.co/base/big) | |
"""  # noqa: E501 - rows of a table


def named(recipe):
    return [
        (m.part, m.named.name, m.line, m.dataset)
        for m in recipe.mentions
        if m.named.name and m.part != "makes"
    ]


@pytest.mark.parametrize(
    ("text", "file", "phase", "expected"),
    [
        (HANDBOOK, "recipes/x/sft/full.yaml", "sft",
         [("base", "base/big", 2, ""), ("data", "data/one", 6, "SFT/part_a"),
          ("data", "data/two", 10, "")]),
        (OLD_HANDBOOK, "recipes/x/orpo.yaml", "orpo",
         [("base", "base/big", 1, ""), ("data", "data/one", 3, ""), ("data", "data/two", 4, "")]),
        (AXOLOTL, "examples/a.yml", "dpo",
         [("base", "base/big", 1, ""), ("data", "data/one", 4, "")]),
        (FACTORY, "train.yaml", "pretraining",
         [("base", "base/big", 1, ""), ("data", "zh/one", 3, "")]),
        (TRL, "grpo/x.yaml", "rl",
         [("base", "base/big", 1, ""), ("data", "data/one", 2, ""), ("teacher", "t/teach", 3, "")]),
        (VERL, "ppo_trainer.yaml", "rl",
         [("base", "base/big", 3, ""), ("reward", "r/judge", 4, "")]),
        (NEMO, "stage1_sft/blend.json", "sft",
         [("data", "data/one", 3, "chat"), ("data", "data/two", 4, "b")]),
        (NANOTRON, "pretraining/stage1.yaml", "pretraining", [("data", "data/one", 7, "")]),
        (MERGE, "merge.yaml", "",
         [("base", "base/big", 2, ""), ("merged", "base/big", 4, ""),
          ("merged", "other/tuned", 5, "")]),
    ],
)  # fmt: skip
def test_each_form_of_a_recipe_is_read_with_its_lines(text, file, phase, expected):
    recipe = read_recipe(text, file, {"one_zh": "zh/one"})
    assert sorted(named(recipe)) == sorted(expected)
    assert recipe.phase == phase


@pytest.mark.parametrize(
    "text",
    ["a: 1", "- model_name_or_path: x/y", "datasets: [one, two]", "", "model: gpt\nname: x/y",
     "{{ jinja }}: {{ more }}", "#" * 1_000_001],
)  # fmt: skip
def test_what_is_no_recipe_is_passed_over(text):
    assert read_recipe(text, "x.yaml") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x 1\nmodel_name_or_path: *x", "x.yaml: line 2: .*aliases are not read"),
        ("model_name_or_path: [", "x.yaml: line 1"),
        ("base_model: " + "[" * 5_000, "nested too deeply|not valid YAML"),
        ("base_model: a/b #" + "#" * 1_000_001, "1,000,000 at most"),
    ],
)
def test_a_recipe_that_cannot_be_read_names_its_line(text, message):
    with pytest.raises(InputError, match=message):
        read_recipe(text, "x.yaml")


def test_commands_are_read_over_lines_quotes_and_variables():
    first, second = read_commands(SHELL, "scripts/train.sh")
    assert (first.line, first.phase, second.phase) == (3, "dpo", "")
    assert named(first) == [
        ("base", "base/big", 2, ""),
        ("data", "data/one", 6, ""),
        ("data", "data/two", 7, ""),
    ]
    assert named(second) == [
        ("base", "base/small", 10, ""),
        ("data", "data/three", 10, ""),
        ("judge", "j/judge", 11, ""),
    ]
    several = 'MIX="\ndata/one 5\ndata/two 6\n"\nx --mixer_list $MIX --model_name_or_path b/c'
    [recipe] = read_commands(several, "a.sh")
    assert named(recipe)[:2] == [("data", "data/one", 2, ""), ("data", "data/two", 3, "")]
    [unset] = read_commands("x --model_name_or_path $NEVER_SET", "a.sh")
    assert not unset.mentions[0].named.name


def test_a_page_says_what_its_commands_and_rows_make():
    [recipe] = read_page(PAGE, "README.md")
    assert recipe.near == ("made/it",)
    assert named(recipe) == [("base", "base/big", 10, ""), ("data", "data/one", 11, "")]
    first, second = read_tables(PAGE)
    assert (first.near, named(first)) == (
        ("made/m",),
        [("base", "base/big", 20, ""), ("data", "data/one", 20, "")],
    )
    assert (second.near, named(second)) == (("made/n",), [])


@pytest.mark.parametrize(
    ("words", "phase"),
    [
        (("recipes/smollm3/sft/mid.yaml",), "midtraining"), (("open_instruct/finetune.py",), "sft"),
        (("recipes/zephyr-7b-beta/dpo/config_full.yaml",), "dpo"), (("grpo_fast.py",), "rl"),
        (("reward_modeling.py",), "reward model"), (("stage0_pretrain/a.json",), "pretraining"),
        (("config.yaml",), ""), (("", "a/sft/b.yaml"), "sft"), (("models/surreal/x.yaml",), ""),
    ],
)  # fmt: skip
def test_the_phase_is_what_the_last_word_says(words, phase):
    assert phase_of(*words) == phase


@pytest.fixture
def checkout(tmp_path):
    for name, text in {
        "recipes/sft/a.yaml": HANDBOOK, "axolotl/b.yml": AXOLOTL, "train.sh": SHELL,
        "README.md": PAGE, "lost/sft/c.yaml": TRL, "bare.yaml": "base_model: base/big\n"
        "datasets:\n  - path: data/one\nhub_model_id: bare-name\n", "data/dataset_info.json":
        '{"one_zh": {"hf_hub_url": "zh/one"}}', "factory.yaml": FACTORY,
        "card.md": "---\nbase_model: base/big\ndatasets: [data/one]\n---\n# It\n",
        "broken.yaml": "model_name_or_path: [", "odd.bin": "model_name_or_path: x/y",
        "tests/t.yaml": HANDBOOK,
    }.items():  # fmt: skip
        file = tmp_path / "repo" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return tmp_path / "repo"


def test_a_checkout_becomes_claims_that_say_where_they_stand(checkout):
    origin = Origin("maker/code", COMMIT, {"card.md": "made/card"}, owner="hub-maker")
    got = read_repository(checkout, origin)
    found = {(c.child, c.parent, c.relation, c.of) for c in got.claims}
    assert {
        ("made/it", "base/big", "base-weights", ""),
        ("made/it", "data/one", "trained-on", "sft"),
        ("made/second", "j/judge", "rl-judge", ""),
        ("made/m", "base/big", "base-weights", ""),
        ("hub-maker/bare-name", "base/big", "base-weights", ""),
        ("made/it", "zh/one", "trained-on", "pretraining"),
        ("made/card", "data/one", "trained-on", ""),
    } <= found
    assert not any("not/this" in str(claim) for claim in got.claims)
    for claim in got.claims:
        opened, _, place = claim.source.partition(":")
        assert opened == f"maker/code@{COMMIT[:12]}"
        path, _, line = place.partition("#L")
        text = (checkout / path).read_text(encoding="utf-8").splitlines()[int(line) - 1]
        assert claim.parent in text or claim.parent == "zh/one", claim
        assert (claim.status, claim.second_hand) == ("stated", False)
    told = "\n".join(got.left_out)
    assert "lost/sft/c.yaml: line 1: nothing says which model this recipe makes" in told
    assert "'./local.jsonl' is a path" in told
    assert "'Llama 2' links to nothing on the hub" in told
    assert "broken.yaml: line 1" in told
    assert "unregistered" in told


def test_what_was_read_can_be_added_to_a_catalogue(checkout, tmp_path):
    got = read_repository(checkout, Origin("maker/code", COMMIT, {}))
    added = add_to(tmp_path / "c", got, load_catalogue(shipped=False))
    assert added.new_claims == len(got.claims)
    again = load_catalogue([tmp_path / "c"], shipped=False)
    assert {c.source for c in again.claims} == {c.source for c in got.claims}


@pytest.mark.parametrize(
    ("origin", "message"),
    [
        (("code", COMMIT, {}), "'code' is no repository"),
        (("maker/code", "main", {}), "'main' is no commit"),
        (("maker/code", COMMIT, {"a": "bare"}), "makes a='bare'"),
    ],
)
def test_an_origin_that_nobody_could_open_is_refused(origin, message):
    with pytest.raises(InputError, match=message):
        Origin(*origin)


def test_a_folder_without_recipes_is_told(tmp_path):
    with pytest.raises(InputError, match="no file that may hold a recipe"):
        read_repository(tmp_path, Origin("maker/code", COMMIT, {}))


@law(150)
@given(st.text(alphabet="ab/-_ \n\\'\"#|$={}[]:,`*&<>!0123456789\t", max_size=300))
def test_no_text_breaks_a_reader(text):
    read_commands(f"python x.py --model_name_or_path a/b {text}", "x.sh")
    read_page(text, "x.md")
    read_tables(text)
    with suppress(InputError):
        read_recipe(f"model_name_or_path: a/b\n{text}", "x.yaml")
