"""Environments of the base and one extra alone: folders of links, and who sees nothing else.

What an environment holds follows from metadata: what mashbill requires, with the extra, and what
that requires in turn.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import mashbill

EXTRAS = ("", "api", "local", "train", "students", "torch-teacher", "hub", "objects", "onnx")
"""all but vllm, whose wheels are for few platforms; "" is the base"""


def distributions(extra: str) -> dict[str, object]:
    """Return what an environment holds beside mashbill: name -> distribution."""
    found = {}
    todo = [("mashbill", extra)]
    seen = set()
    while todo:
        name, wanted = todo.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        try:
            there = distribution(name)
        except PackageNotFoundError:
            continue  # for another platform, or not wanted here
        found[name] = there
        for line in there.requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": wanted}):
                inner = canonicalize_name(requirement.name)
                todo += [(inner, each) for each in ("", *sorted(requirement.extras))]
    return found


def make_environment(folder: Path, extra: str) -> Path:
    """Write a folder to put on the path, with links to what the environment holds."""
    folder.mkdir(parents=True)
    for name, there in distributions(extra).items():
        root = Path(there.locate_file(""))
        tops = {file.parts[0] for file in there.files or () if file.parts[0] not in {"..", "/"}}
        if name == "mashbill":  # the code that is tested, wherever it lies
            tops = {top for top in tops if top.endswith(".dist-info")}
            _link(Path(mashbill.__file__).parent, folder / "mashbill")
        for top in sorted(tops - {"__pycache__", "bin"}):
            _link(root / top, folder / top)
    return folder


def _link(there: Path, here: Path) -> None:
    """Link to a file or package; of a folder that many distributions share, to what is in it."""
    if not there.exists():
        return
    is_shared = there.is_dir() and "." not in there.name and not (there / "__init__.py").exists()
    if not is_shared:
        if not here.exists():
            here.symlink_to(there)
        return
    here.mkdir(exist_ok=True)
    for item in there.iterdir():
        _link(item, here / item.name)


HEAD = """
import sys
sys.path[:] = [item for item in sys.path if "site-packages" not in item] + [{folder!r}]
"""


def interpreter(folder: Path) -> list[str]:
    """Return a command that runs Python with an environment and nothing else; it takes ``-c``."""
    return [sys.executable, "-I", "-S", "-c", HEAD.format(folder=str(folder))]


MANY = """
import json, os, sys
sys.argv[0] = "mashbill"
import mashbill.cli
import mashbill.report, mashbill.run, mashbill.run.permission, mashbill.teachers.api
from mashbill.policy import claims, documents
claims.load_catalogue()
documents.load_registry()
# What is slow to import is imported once; what must not be there cannot be.
told, logs = [], sys.argv[1]
for name, arguments in json.loads(sys.stdin.read()):
    log = f"{logs}/{len(told)}.log"
    child = os.fork()
    if child == 0:
        code = 70
        try:
            file = os.open(log, os.O_CREAT | os.O_WRONLY)
            os.dup2(file, 1)
            os.dup2(file, 2)
            sys.argv[1:] = arguments
            try:
                mashbill.cli.main()
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
            except BaseException:
                import traceback
                traceback.print_exc()
                code = 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    told.append([name, status, open(log, errors="replace").read()])
print(json.dumps(told))
"""


def run_all(
    folder: Path, calls: dict[str, list[str]], logs: Path, environ: dict[str, str]
) -> dict[str, tuple[int, str]]:
    """Run commands in an environment, each in a process of its own; return (exit code, output)."""
    logs.mkdir()
    *head, code = interpreter(folder)
    done = subprocess.run(
        [*head, code + MANY, str(logs)],
        input=json.dumps(list(calls.items())),
        capture_output=True,
        text=True,
        env=environ,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    return {name: (status, " ".join(text.split())) for name, status, text in json.loads(last)}
