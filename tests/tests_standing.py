"""A program that has loaded the commands, and gives each call of one a process of its own.

Loading takes most of a second, and most calls less. What a call may not load is refused in the
program, so it is to the calls too; each is forked from it, so none sees what another one did.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

CODE = """
import json, os, sys, traceback
sys.argv[0] = "mashbill"
import mashbill.cli, mashbill.workspace, mashbill.report, mashbill.run.permission
import mashbill.teachers.api, mashbill.lineage.exports, mashbill.lineage.evidence.audit

def run(arguments, out, err):
    for name, stream in ((out, 1), (err, 2)):
        os.dup2(os.open(name, os.O_CREAT | os.O_WRONLY | os.O_TRUNC), stream)
    sys.argv[1:] = arguments
    try:
        mashbill.cli.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0

for line in sys.stdin:
    child = os.fork()
    if not child:
        code = 70
        try:
            code = run(*json.loads(line))
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Standing:
    """Such a program; ended by :meth:`close`."""

    def __init__(self, folder: Path, environ: Mapping[str, str], before: str = "") -> None:
        """Start it.

        Args:
            folder: for what calls print.
            environ: the environment of all calls.
            before: code to run before anything is loaded.
        """
        self._out, self._err = folder / "out", folder / "err"
        self._process = subprocess.Popen(
            [sys.executable, "-c", before + CODE],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(environ),
        )  # fmt: skip

    def call(self, arguments: Sequence[str]) -> tuple[int, str, str]:
        """Return exit code, output and what was told beside it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        said = json.dumps([list(arguments), str(self._out), str(self._err)])
        self._process.stdin.write(said + "\n")
        self._process.stdin.flush()
        code = self._process.stdout.readline()
        assert code, "the program that stands for all calls has ended"
        read = [file.read_text("utf-8", "replace") for file in (self._out, self._err)]
        return int(code), *read

    def close(self) -> None:
        """End it."""
        self._process.communicate()
