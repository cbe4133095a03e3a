"""Nothing that is fetched or brought along is executed: who may execute anything is listed here.

The kind: a reader of others' bytes that runs what they say. Each call below was looked at; a new
one is an error until it is listed with its reason.
"""

from __future__ import annotations

import ast
import fnmatch
from pathlib import Path

import pytest

import mashbill

SOURCE = Path(mashbill.__file__).parent
# What executes, or reads what may execute, by its full name.
EXECUTES = (
    "eval", "exec", "compile", "__import__", "subprocess.*", "os.system", "os.popen", "os.exec*",
    "os.spawn*", "os.posix_spawn*", "os.startfile", "pty.*", "asyncio.create_subprocess*",
    "importlib.import_module", "importlib.util.*", "importlib.machinery.*",
    "importlib.metadata.entry_points", "numpy.load", "numpy.fromregex", "torch.load", "torch.hub.*",
    "torch.jit.*", "torch.ops.load_library", "pandas.*", "ctypes.*", "cffi.*", "vllm.LLM",
    "yaml.load",
    "yaml.full_load", "yaml.unsafe_load", "yaml.load_all", "yaml.full_load_all",
    "yaml.unsafe_load_all", "jinja2.Environment", "jinja2.Template", "jinja2.sandbox.*",
    "ast.literal_eval", "shutil.unpack_archive", "multiprocessing.*", "concurrent.futures.Process*",
    "fsspec.*", "pyarrow.register_extension_type", "pyarrow.serialization.*", "pyarrow.deserialize",
)  # fmt: skip
# The same by the name of a method, of whatever it is.
METHODS = frozenset(
    {
        "exec_module", "load_module", "extractall", "extract", "from_string", "from_pretrained",
        "load_dataset", "get_kernel", "enable_load_extension", "load_extension", "Unpickler",
        "read_pickle", "from_function",
    }
)  # fmt: skip
HARMLESS = frozenset({"yaml.safe_load"})
OF_A_RUN = "a socket of this user's alone, with a key that only the run's own workers are told"
# file -> call -> why it may
LISTED = {
    "__init__.py": {"importlib.import_module": "a module of the package's own table"},
    "cli/commands.py": {"importlib.import_module": "a module of the package's own table"},
    "files/remote.py": {"fsspec.get_filesystem_class": "a scheme, never of a chain"},
    "files/packages.py": {
        "subprocess.run": "pip's own settings, in words",
        "ast.literal_eval": "a quoted text of pip's settings",
    },
    "core/installed.py": {"importlib.util.find_spec": "looks whether pip is there; loads nothing"},
    "core/parsing.py": {"yaml.load": "with a safe loader of ours that takes less (plain_yaml)"},
    "core/registry.py": {
        "importlib.metadata.entry_points": "packages that the user installed",
        "importlib.util.find_spec": "looks where a plugin's code lies, to digest it; loads nothing",
    },
    "files/rows/cells.py": {"ast.literal_eval": "a quoted text of a list that a cell writes"},
    "prompts/schema.py": {
        "importlib.util.spec_from_file_location": "a model that --allow names",
        "importlib.util.module_from_spec": "the same",
        "specification.loader.exec_module": "the same",
    },
    "prompts/prompt.py": {"_JINJA.from_string": "in the bounded sandbox"},
    "conduct/logs/ahead.py": {
        "subprocess.Popen": "itself, told in JSON which log to read, by this version's own code"
    },
    "conduct/text/beside.py": {"subprocess.Popen": "itself, told texts to score"},
    "policy/apart.py": {
        "subprocess.Popen": "a program of ours, bounded and asked in JSON: CEL runs nothing"
    },
    "report/templating.py": {"jinja2.Environment": "the package's own pages"},
    "verifiers/maths/fallback.py": {
        "importlib.import_module": "math-verify by its name, where the extra is installed",
    },
    "evals/suites/environments.py": dict.fromkeys(
        ("subprocess.Popen", "subprocess.run"),
        "an interpreter that the user names by a variable of the shell, never a recipe",
    ),
    "verifiers/kept_apart.py": {
        "subprocess.Popen": "a module of ours, which asks an installed package and is ended",
        "importlib.util.find_spec": "looks whether the package is there; loads nothing",
    },
    "verifiers/environment/worker.py": {
        "importlib.import_module": "an installed environment that the recipe names, in a process "
        "of its own",
    },
    "verifiers/environment/tasksets.py": {
        "importlib.import_module": "verifiers by its name, where the extra is installed",
    },
    "verifiers/reasoning_gym/worker.py": {
        "importlib.import_module": "reasoning-gym by its name, where the extra is installed",
    },
    "verifiers/code/bubblewrap.py": {
        "importlib.import_module": "the wheel with bubblewrap, where the extra is installed",
        "subprocess.Popen": "bubblewrap, around a program of ours",
        "subprocess.run": "bubblewrap, asked for its version",
    },
    "verifiers/code/bare.py": {
        "subprocess.Popen": "a program of ours; the recipe says in words that foreign ones may run",
        "subprocess.run": "rm, on the folder that it made itself",
    },
    "verifiers/code/answering.py": dict.fromkeys(
        ("__import__", "compile", "exec"),
        "runs foreign programs: what the sandbox is for; it is handed to a process inside of it",
    ),
    "verifiers/code/guest.py": dict.fromkeys(
        (
            "__import__",
            "ctypes.PyDLL",
            "ctypes.addressof",
            "ctypes.c_uint",
            "ctypes.c_ulong",
            "ctypes.create_string_buffer",
            "ctypes.get_errno",
        ),
        "closes foreign programs in; it is handed to a process inside of the sandbox",
    ),
    "run/pool.py": {"subprocess.Popen": "a module of ours: the run's own workers"},
    "run/tracking.py": {"subprocess.Popen": "a module of ours, which has a tracker's library"},
    "run/server.py": {"multiprocessing.connection.Listener": OF_A_RUN},
    "run/worker.py": {"multiprocessing.connection.Client": OF_A_RUN},
    "models/chat_filling.py": {"subprocess.Popen": "the worker of chat templates"},
    "models/chat_worker.py": {
        "jinja2.sandbox.ImmutableSandboxedEnvironment": "in a process with bounds",
        "environment.from_string": "the same",
    },
    "models/engine_choice.py": {
        "importlib.util.find_spec": "looks whether engines are there; loads nothing",
    },
    "models/causal_folder.py": {
        "transformers.AutoModelForCausalLM.from_pretrained": "safetensors, no remote code"
    },
    "teachers/transformers_engine.py": {
        "transformers.AutoModelForCausalLM.from_pretrained": "safetensors, no remote code"
    },
    "teachers/vllm_engine.py": {"vllm.LLM": "the same"},
    "train/durable.py": {"torch.load": "our own checkpoint, weights_only=True"},
    "train/memory.py": {"ctypes.CDLL": "the C library that this process has already"},
    "train/processes.py": {"subprocess.Popen": "a module of ours: processes that train together"},
    "train/process_worker.py": {
        "importlib.import_module": "a module of the package's own table",
    },
    "train/examples.py": {"numpy.load": "our own file of places, allow_pickle=False"},
    "train/aligned_rows.py": {"numpy.load": "our own file of places, allow_pickle=False"},
}
# What may not even be imported.
FORBIDDEN = frozenset(
    {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "runpy",
     "datasets", "imp", "code", "codeop"}
)  # fmt: skip


OF_THE_KIT = {"pickle": "it unpickles what it pickled itself a line before"}
ALLOWED = {
    "workspace/artifact.py": {"datasets": "wraps a table in memory; nothing is loaded by it"},
    "run/handed.py": {"pickle": "errors that it pickled itself a line before"},
    "testing/laws.py": OF_THE_KIT,
    "testing/stages.py": OF_THE_KIT,
    "testing/trainers.py": OF_THE_KIT,
}
"""file -> what it imports although it can run what it reads, and why it does not"""


def calls(tree):
    """Yield the full name of what is called, as far as imports tell it, and the call."""
    known = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known |= {a.asname or a.name.split(".")[0]: a.name if a.asname else a.name.split(".")[0]
                      for a in node.names}  # fmt: skip
        elif isinstance(node, ast.ImportFrom):
            known |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            head, dot, rest = ast.unparse(node.func).partition(".")
            whole = known.get(head, head) + dot + rest
            is_one = any(fnmatch.fnmatchcase(whole, name) for name in EXECUTES)
            if (is_one or whole.rsplit(".", 1)[-1] in METHODS) and whole not in HARMLESS:
                yield whole, node


def found_in(text):
    return {whole for whole, _ in calls(ast.parse(text))}


def test_whoever_executes_anything_is_listed_with_a_reason():
    found = {}
    for path in SOURCE.rglob("*.py"):
        if names := found_in(path.read_text("utf-8")):
            found[path.relative_to(SOURCE).as_posix()] = names
    unlisted = {
        file: names - LISTED.get(file, {}).keys()
        for file, names in found.items()
        if names - LISTED.get(file, {}).keys()
    }
    assert not unlisted, "look at each, and list it with its reason if it may execute"
    gone = {
        file: names.keys() - found.get(file, set())
        for file, names in LISTED.items()
        if names.keys() - found.get(file, set())
    }
    assert not gone, "take these off the list"


def test_nothing_that_unpickles_is_imported():
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            found = FORBIDDEN & {name.split(".")[0] for name in names}
            assert not found - ALLOWED.get(path.relative_to(SOURCE).as_posix(), {}).keys(), path


def test_what_could_execute_is_told_not_to():
    wanted = {
        "from_pretrained": {"trust_remote_code": False, "use_safetensors": True,
                            "local_files_only": True},
        "LLM": {"trust_remote_code": False},
        "torch.load": {"weights_only": True},
    }  # fmt: skip
    seen = set()
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        for whole, node in calls(tree):
            name = next((n for n in wanted if whole == n or whole.endswith(f".{n}")), None)
            if name is not None:
                said = {k.arg: k.value.value for k in node.keywords
                        if isinstance(k.value, ast.Constant)}  # fmt: skip
                assert said.items() >= wanted[name].items(), path
                seen.add(name)
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and isinstance(node.value, ast.Constant):
                assert (node.arg, node.value.value) not in {
                    ("shell", True), ("allow_pickle", True), ("trust_remote_code", True),
                    ("weights_only", False),
                }, path  # fmt: skip
    assert seen == wanted.keys()


@pytest.mark.parametrize(
    "text",
    [
        "import numpy as np\nnp.load(p)", "eval(x)", "from torch import load as l\nl(x)",
        "from os import system\nsystem(x)",
        "import subprocess as s\ns.run(x)", "import yaml\nyaml.load(x)",
        "import importlib\nimportlib.import_module(name)", "tar.extractall()",
        "transformers.AutoModel.from_pretrained(x)", "import os\nos.execvp(x, y)",
    ],
)  # fmt: skip
def test_a_new_one_would_be_found(text):
    assert found_in(text)
