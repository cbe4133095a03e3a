"""Every command in an environment of the base and one extra alone: it works, or says what to do."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import sys
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import typer
from packaging.utils import canonicalize_name
from tests_environments import EXTRAS, distributions, make_environment, run_all
from tests_support import run_stages

import mashbill
from mashbill.cli import app
from mashbill.core.errors import MissingExtraError
from mashbill.core.extras import needs
from mashbill.core.installed import install_command, requirements

SOURCE = Path(mashbill.__file__).parent
DOCS = Path(__file__).parents[1] / "docs"
ROWS = [
    {"text": f"a {'kind' if i % 2 else 'dull'} day number {i}", "mood": "good" if i % 2 else "bad"}
    for i in range(40)
]
NOWHERE = "http://127.0.0.1:9"
CORPUS = """
[stages.texts]
kind = "corpus"
title = "some texts"
license = "CC0-1.0"
source = "texts.jsonl"
"""
LABEL = """
[stages.labelled]
kind = "label"
input = "texts"
teacher = "t"
prompt = "ask.txt"
labels = { good = " good", bad = " bad" }
"""
FAKE = """
[teachers.t]
kind = "fake"
words.good = ["kind"]
words.bad = ["dull"]
"""
SERVICE = FAKE.replace('"fake"', '"fake-service"\nmodel = "Example"\nsource_kind = "closed-api"')
SERVER = f"""
[teachers.t]
kind = "server"
model = "m"
base_url = "{NOWHERE}/v1"
patience = 0.5
"""
WEIGHTS = f"""
name = "m"
provider = "p"
sha256 = "{"0" * 64}"
"""
EMBEDDED = f'\n[teachers.t]\nkind = "embedded"\nfile = "none.gguf"{WEIGHTS}'
FOLDER = f'\n[teachers.t]\nkind = "transformers"\nfolder = "none"{WEIGHTS}'
CLASSIFIER = '\n[stages.classifier]\nkind = "classifier"\ninput = "labelled"\n'
REPLAY = """
[teachers.t]
kind = "replay"
journal = "none.jsonl"
teacher.kind = "fake"
teacher.words = { good = ["kind"], bad = ["dull"] }
"""
STUDENT = """
[teachers.t]
kind = "student"
model = "student"

[stages.learned]
kind = "corpus"
title = "some texts to learn from"
license = "CC0-1.0"
source = "texts.jsonl"

[stages.student]
kind = "pretrain"
inputs = ["learned"]
labels = false
steps = 1
width = 16
layers = 1
"""
TEACHERS = {  # kind -> (its table, the extra that asking it needs)
    "fake": (FAKE, ""),
    "fake-service": (SERVICE, "api"),
    "server": (SERVER, "api"),
    "api": ('\n[teachers.t]\nkind = "api"\nprovider = "openai"\nmodel = "m"\n', "api"),
    "hub": ('\n[teachers.t]\nkind = "hub"\nmodel = "o/m"\nprovider = "p"\n', ""),
    "embedded": (EMBEDDED, "local"),
    "torch": (EMBEDDED + 'engine = "torch"\n', "torch-teacher"),
    "transformers": (FOLDER, "torch-teacher"),
    "student": (STUDENT, "students"),
    "vllm": (FOLDER.replace("transformers", "vllm"), "vllm"),
    "replay": (
        REPLAY,
        "",
    ),
}
TRAINERS = f"""{CLASSIFIER}{CLASSIFIER.replace("classifier]", "two]")}
[stages.merged]
kind = "merge"
models = {{ classifier = 1.0, two = 1.0 }}

[stages.small]
kind = "quantise"
base = "merged"

[stages.lm]
kind = "pretrain"
inputs = ["labelled"]
steps = 1
width = 16
layers = 1
"""
STUDENTS = """
[verifiers.same]
kind = "exact"

[models.small]
kind = "gguf"

[stages.tuned]
kind = "sft"
inputs = ["texts"]
base = "small"

[stages.preferring]
kind = "dpo"
inputs = ["texts"]
base = "small"
rejected = "mood"

[stages.paid]
kind = "grpo"
inputs = ["texts"]
base = "small"
by = "same"
reference = "mood"
steps = 1
batch = 1
attempts = 2
max_new_tokens = 2
dtype = "float32"

[stages.sampling]
kind = "on_policy"
inputs = ["texts"]
base = "small"
teacher = "t"
steps = 1
batch = 1
attempts = 2
max_new_tokens = 2
dtype = "float32"
test_rollouts = 1

[stages.distilled]
kind = "logit_kd"
inputs = ["texts"]
base = "small"
teacher = "t"
live = true

[stages.taken]
kind = "trained"
folder = "elsewhere"
inputs = ["texts"]
"""
HALVES = """
[stages.half]
kind = "split"
input = "texts"
range = [0, 0.5]

[stages.rest]
kind = "split"
input = "texts"
range = [0.5, 1]
"""
SOURCES = {
    "s3://bucket/texts.jsonl": "objects",
    f"{NOWHERE}/texts.jsonl": "objects",
    "hf:datasets/owner/name/texts.jsonl": "hub",
}
PLANNED = {"teacher api", "teacher fake-service", "several"}
TOGETHER = """
[teachers.t]
kind = "fake-service"
model = "Example"
words.good = ["kind"]
words.bad = ["dull"]
"""


def recipes(folder):
    """Write small recipes, and return (path, extras that running it needs) by name."""
    folder.mkdir()
    (folder / "texts.jsonl").write_text("".join(f"{row}\n".replace("'", '"') for row in ROWS))
    (folder / "ask.txt").write_text("Text: {{ text }} ->\n")
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "model.safetensors").write_bytes(b"weights")
    found = {
        f"teacher {kind}": (table + CORPUS + LABEL, {extra} - {""})
        for kind, (table, extra) in TEACHERS.items()
    }
    found["trainers"] = (FAKE + CORPUS + LABEL + TRAINERS, {"train"})
    found["students"] = (FOLDER + CORPUS + STUDENTS, {"students", "torch-teacher"})
    found |= {
        f"source {address.partition(':')[0]}": (
            CORPUS.replace("texts.jsonl", address) + f'sha256 = "{"0" * 64}"\n',
            {extra},
        )
        for address, extra in SOURCES.items()
    }
    found["several"] = (
        TOGETHER + FOLDER.replace(".t]", ".u]") + CORPUS + LABEL
        + LABEL.replace("labelled]", "again]").replace('"t"', '"u"') + CLASSIFIER,
        {"api", "torch-teacher", "train"},
    )  # fmt: skip
    told = {}
    for number, (name, (text, extras)) in enumerate(found.items()):
        path = folder / f"r{number}.toml"
        path.write_text(f'[recipe]\nname = "r{number}"\nversion = "1"\n{text}')
        told[name] = (path, extras)
    return told


def commands():
    """Return every command of the program: name -> click's command."""
    found = {}

    def walk(command, name):
        for part, inner in getattr(command, "commands", {}).items():
            walk(inner, f"{name} {part}".strip())
        if not hasattr(command, "commands"):
            found[name] = command

    walk(typer.main.get_command(app), "")
    return found


def arguments(name, command, places):
    """Return arguments for a command: those of ARGUMENTS, or else one for each that it demands."""
    if name in ARGUMENTS:
        given = [str(places.get(item, item)) for item in ARGUMENTS[name]]
    else:
        given = []
        for parameter in command.params:
            if parameter.required:
                value = DEMANDED[parameter.name]
                is_option = parameter.param_type_name == "option"
                given += [
                    *([parameter.opts[0]] if is_option else []),
                    str(places.get(value, value)),
                ]
    has_store = "--store" not in given and any(p.name == "store" for p in command.params)
    return [*name.split(), *given, *(["--store", str(places["STORE"])] if has_store else [])]


DEMANDED = {  # parameter -> what to give for it; a new one is added here
    "name": "labelled", "row": "1", "recipe": "RECIPE", "to": "TO", "format": "cyclonedx",
    "file": "TO",
}  # fmt: skip
ARGUMENTS = {
    "checkpoint": ["--to", "TO"],
    "prove": ["labelled", "--row", "1", "--to", "TO"],
    "whatif": ["--remove", 'kind == "closed-api"', "--to", "TO"],
    "affected": ["--kind", "closed-api"],
    "rebuild": ["RECIPE", "--kind", "closed-api", "--to", "TO"],
    "run": ["RECIPE"],
    "conduct statement": ["--to", "TO"],
    "conduct audit": ["STATEMENT"],
    "conduct scan": ["LOG", "--folder", "TO"],
    "conduct cases": ["--folder", "CONDUCT"],
    "conduct case": ["CASE", "--to", "TO"],
    "conduct explain": ["CASE"],
    "conduct derive": ["CASE", "--log", "LOG", "--folder", "CONDUCT"],
    "conduct serve": ["--upstream", "nowhere", "--folder", "TO"],
    "conduct simulate": ["TO", "--scale", "0.0001", "--days", "1", "--kind", "family"],
    "signers add": ["0" * 64],
    "signers remove": ["0" * 64],
    "journal prune": ["--before", "2020-01-01"],
    "journal import": ["CALLS"],
    "terms show": ["openai"],
    "terms diff": ["--from", "2024-01-01"],
    "catalogue show": ["hf:HuggingFaceTB/SmolLM3-3B"],
    "catalogue import": ["hub", "hf:owner/name", "--to", "TO"],
    "publish": ["labelled", "--to", "TO"],
    "overlap": ["half", "rest"],
    "init": ["ROWS", "--labels", "good,bad", "--replace"],
    "predict": ["classifier", "--say", "a kind text"],
    "rm": ["half", "--yes"],
    "gc": ["--yes"],
    "compare": ["half", "rest"],
}
NEEDS = {"catalogue import": {"hub"}, "conduct serve": {"api"}, "predict": {"train"}}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """What commands are given: a store with calls of a service, a statement, exported calls."""
    folder = tmp_path_factory.mktemp("places")
    store = run_stages(
        folder / "r",
        CORPUS + HALVES + LABEL + CLASSIFIER,
        {"texts.jsonl": ROWS, "ask.txt": "{{ text }}"},
        SERVICE,
    )
    from typer.testing import CliRunner

    for call in (
        ["conduct", "statement", "--to", "s.json"],
        ["journal", "export", "--to", "calls.jsonl"],
    ):
        call[-1] = str(folder / call[-1])
        done = CliRunner().invoke(app, [*call, "--store", str(store.root)])
        assert done.exit_code == 0, done.output
    log, conduct = folder / "log.jsonl", folder / "conduct"
    asked = [
        {"id": f"{who}{turn}", "time": f"2026-11-{day + turn:02}T08:00:00Z", "account": who,
         "text": f"ask {turn}", key: [f"sealed-{turn}" * 9]}
        for who, day, key in (("maker", 1, "blobs_out"), ("other", 9, "blobs_in"))
        for turn in range(4)
    ]  # fmt: skip
    log.write_text("".join(json.dumps(row) + "\n" for row in asked))
    done = CliRunner().invoke(app, ["conduct", "scan", str(log), "--folder", str(conduct)])
    assert done.exit_code == 3, done.output
    return {
        "LOG": log,
        "CONDUCT": conduct,
        "CASE": max((conduct / "cases").glob("*.json")),
        "STORE": store.root,
        "RECIPE": folder / "r" / "some.toml",
        "ROWS": folder / "r" / "texts.jsonl",
        "CALLS": folder / "calls.jsonl",
        "STATEMENT": folder / "s.json",
    }


@cache
def has(environment, extra):
    """Return whether an environment has all that an extra brings, whatever it was made for."""
    there = {canonicalize_name(name) for name in distributions(environment)}
    wanted = {canonicalize_name(name) for name in requirements(extra)}
    return wanted <= there


@pytest.mark.parametrize(
    ("extra", "every"),
    [("", 3), *(pytest.param(extra, 1, marks=pytest.mark.slow) for extra in EXTRAS)],
)
def test_each_command_works_or_says_what_to_do(extra, every, places, tmp_path):
    calls, wants, differs = {}, {}, {}
    for number, (name, command) in enumerate(commands().items()):
        mine = places | {"TO": tmp_path / f"to{number}"}
        calls[name] = arguments(name, command, mine)
        wants[name] = NEEDS.get(name, set())
    for name, (path, extras) in recipes(tmp_path / "recipes").items():
        at = ["--store", str(tmp_path / f"store-{path.stem}")]
        if name in PLANNED:
            calls[f"plan: {name}"], wants[f"plan: {name}"] = ["plan", str(path), *at], set()
            differs[f"plan: {name}"] = extras
        calls[f"run: {name}"], wants[f"run: {name}"] = (
            [
                "run",
                str(path),
                "--threads",
                "1",
                "--accept-review",
                "me",
                "--reason",
                "a test",
                *at,
            ],
            extras,
        )
    for address, needed in (("s3://bucket/x", "objects"), ("hf:datasets/owner/name", "hub")):
        calls[address] = ["publish", "labelled", "--to", address, "--store", str(places["STORE"])]
        wants[address] = {needed}
    onnx = ["--format", "onnx", "--to", str(tmp_path / "m.onnx")]
    calls["export: onnx"] = ["export", "classifier", *onnx, "--store", str(places["STORE"])]
    wants["export: onnx"] = {"onnx"}
    calls = {
        name: call
        for number, (name, call) in enumerate(calls.items())
        if not number % every or name in {"rm", "signers add"}  # whom `signers remove` removes
    }
    # Last: what others are asked about is there no more.
    calls["rm"] = calls.pop("rm")
    if extra:  # what it does not bring is as it is in the base, where all is run
        calls = {
            name: call
            for name, call in calls.items()
            if extra in sorted(differs.get(name, wants[name]))[:1]
        }
        assert calls
    site = make_environment(tmp_path / "site", extra)
    environ = {
        **os.environ, "COLUMNS": "300", "NO_COLOR": "1", "AWS_ENDPOINT_URL": NOWHERE,
        "HF_ENDPOINT": NOWHERE, "HF_HUB_OFFLINE": "1", "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "AWS_MAX_ATTEMPTS": "1", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s",
        "MASHBILL_CONTACT": "somebody@example.org", "OPENAI_API_KEY": "", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    for name, (code, said) in run_all(site, calls, tmp_path / "logs", environ).items():
        where = f"{name} with {extra or 'the base'}: {code}: {said}"
        assert "Traceback" not in said, where
        assert "fault of mashbill" not in said, where
        lacking = {item for item in wants[name] if not has(extra, item)}
        if lacking:
            assert code == 2, where
            assert all(f"'{item}'" in said for item in lacking), where
            _check_remedy(said, lacking, where)
        else:
            assert "mashbill's extra" not in said or name.startswith("plan: "), where
            if not name.startswith(("run: ", "s3:", "hf:")) and not wants[name]:
                assert code in {0, 3}, where


def _check_remedy(said, lacking, where):
    """Check that what is told can be typed: this interpreter, and each extra or its packages."""
    command = shlex.split(said.partition("; run: ")[2])
    assert command[1:4] == ["-m", "pip", "install"] or command[:3] == ["uv", "pip", "install"], (
        where
    )
    arguments = command[4:]
    assert not any(item.startswith("mashbill[") and "@" not in item for item in arguments), where
    named = [
        set(re.findall(r"[\w-]+", item.rpartition("[")[2])) for item in arguments if "[" in item
    ]
    packages = {re.match(r"[\w.-]*", item)[0] for item in arguments}
    for extra in lacking:
        assert any(extra in names for names in named) or set(requirements(extra)) <= packages, where


def test_each_kind_and_each_command_is_among_them():
    from mashbill.core import registry

    assert set(registry.kinds(registry.TEACHERS)) <= TEACHERS.keys()
    for kind in registry.kinds(registry.TRAINERS):
        assert f'kind = "{kind}"' in TRAINERS + STUDENTS
    assert ARGUMENTS.keys() <= commands().keys()


# -- one way to import -----------------------------------------------------------------------------

MEANS = {"needs"}
"""context managers that tell what is missing"""
FASTER = {"uvloop"}
"""what is left out where it is not installed, and nothing is lacking"""


def _tops(names):
    return {
        name
        for name, dists in packages_distributions().items()
        if names & {canonicalize_name(dist) for dist in dists}
    }


@cache
def _of_the_base():
    return _tops({canonicalize_name(name) for name in distributions("")})


@cache
def _imports_of(text):
    return list(_imports(ast.parse(text)))


def _imports(tree):
    """Yield (module, line, how) of each import: how is "top", "bare", "told" or "typing"."""

    def walk(node, how):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno, how) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module, node.lineno, how
            for alias in node.names:  # from mashbill.teachers import remote
                yield f"{node.module}.{alias.name}", node.lineno, how
        inner = how
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and how == "top":
            inner = "bare"
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            inner = "typing"
        elif isinstance(node, ast.With) and _tells(node):
            inner = "told"
        for child in ast.iter_child_nodes(node):
            yield from walk(child, inner)

    yield from walk(tree, "top")


def _tells(node):
    """Return whether what is imported in a block is told of as missing."""
    calls = [item.context_expr for item in node.items]
    return any(isinstance(c, ast.Call) and getattr(c.func, "id", "") in MEANS for c in calls)


def strays(sources):
    """Return imports of optional packages that nothing tells of, over modules name -> text."""
    base = _of_the_base()
    found = {name: _imports_of(text) for name, text in sources.items()}
    known = set(sys.stdlib_module_names) | base | {"mashbill"}
    optional = lambda module: module.partition(".")[0] not in known | FASTER  # noqa: E731
    engines = set()
    while True:  # what imports an optional package, or an engine, at its top is an engine
        more = {
            name
            for name, imports in found.items()
            for module, _, how in imports
            if how == "top" and (optional(module) or module in engines)
        }
        if more <= engines:
            break
        engines |= more
    wrong = [
        f"{name}, line {line}: {module}"
        for name, imports in found.items()
        for module, line, how in imports
        if (optional(module) or module in engines)
        and how not in {"told", "typing"}
        and not (how == "top" and name in engines)
    ]
    # An engine that nobody imports in the one way would be reached by an entry point.
    reached = {module for imports in found.values() for module, _, how in imports if how == "told"}
    reached |= {m for name in engines for m, _, how in found[name] if how == "top"}
    return wrong + [f"{name} is imported nowhere in the one way" for name in engines - reached]


def modules():
    return {
        ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(
            ".__init__"
        ): path.read_text()
        for path in SOURCE.rglob("*.py")
    }


def test_optional_packages_are_imported_in_the_one_way():
    assert not strays(modules())


@pytest.mark.parametrize(
    "text",
    [
        "import torch",
        "def load():\n    import orjson",
        "def load():\n    from mashbill.teachers import remote",
        "def load():\n    from mashbill.train.decoder import train",
        "import mashbill.models.gguf_file",
        "try:\n    import fsspec\nexcept ImportError:\n    fsspec = None",
    ],
)
def test_a_stray_import_is_found(text):
    assert any(
        "mashbill.stages.new" in line for line in strays(modules() | {"mashbill.stages.new": text})
    )


# -- what is said ----------------------------------------------------------------------------------


def told_of(raised, what="asking", extra="api"):
    with pytest.raises(MissingExtraError) as caught, needs(what, extra):
        raise raised
    return str(caught.value)


def test_a_package_that_is_there_and_cannot_be_imported_is_told_with_the_cause():
    said = told_of(ImportError("libz.so: no such file", name="orjson"))
    assert "is installed but cannot be imported (ImportError: libz.so: no such file)" in said
    assert "--force-reinstall" in said
    assert "OSError: broken" in told_of(OSError("broken"))
    assert "no nothing_of here" in told_of(ModuleNotFoundError("no", name="nothing_of.that"))


def test_a_fault_of_ours_is_not_told_as_a_missing_extra():
    with pytest.raises(ModuleNotFoundError), needs("asking", "api"):
        import mashbill.nothing_of_that  # noqa: F401
    with pytest.raises(ImportError), needs("asking", "api"):
        from mashbill.core import nothing_of_that  # noqa: F401


def remedies(monkeypatch, said, extras=("api",)):
    from mashbill.core import installed

    monkeypatch.setattr(installed, "_direct_url", lambda: said)
    return shlex.split(install_command(extras))[4:]


def test_the_remedy_is_where_it_came_from_or_else_the_packages(monkeypatch, tmp_path):
    home = tmp_path / "a folder"
    home.mkdir()
    (home / "pyproject.toml").write_text('[project]\nname = "mashbill"\n')
    here = {"url": home.as_uri(), "dir_info": {}}
    assert remedies(monkeypatch, here) == [f"{home}[api]"]
    editable = here | {"dir_info": {"editable": True}}
    assert remedies(monkeypatch, editable, ["api", "hub"]) == ["--editable", f"{home}[api,hub]"]
    (home / "constraints.txt").write_text("")
    assert remedies(monkeypatch, here)[:2] == ["--constraint", str(home / "constraints.txt")]
    wheel = tmp_path / "mashbill-1-py3-none-any.whl"
    wheel.touch()
    assert remedies(monkeypatch, {"url": wheel.as_uri(), "archive_info": {}}) == [f"{wheel}[api]"]
    git = {"url": "https://example.org/m", "vcs_info": {"vcs": "git", "commit_id": "c"}}
    assert remedies(monkeypatch, git) == ["mashbill[api] @ git+https://example.org/m@c"]
    packages = list(requirements("api").values())
    for gone in ({}, {"url": (tmp_path / "gone").as_uri()}, {"url": wheel.as_uri() + ".old"}):
        assert remedies(monkeypatch, gone) == packages
    (home / "pyproject.toml").write_text('[project]\nname = "another"\n')
    assert remedies(monkeypatch, here) == packages
    both = remedies(monkeypatch, {}, ["local", "train"])
    assert len(both) == len(set(both))
    assert {"torch>=2.8", "openvino>=2026.1"} <= set(both)


def test_no_page_or_message_names_a_package_that_no_index_has():
    wrong = re.compile(r"pip install ['\"]?mashbill")
    texts = modules() | {path.name: path.read_text() for path in DOCS.glob("*.md")}
    assert not [name for name, text in texts.items() if wrong.search(text)]
