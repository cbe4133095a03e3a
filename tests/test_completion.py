"""--version, and what completes a command line in a shell."""

import os
import subprocess
import sys
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from mashbill.cli import app


def test_the_version_is_that_of_the_distribution():
    told = CliRunner().invoke(app, ["--version"])
    assert (told.exit_code, told.stdout) == (0, f"mashbill {version('mashbill')}\n")


@pytest.mark.parametrize(
    ("words", "found"), [("sta", "stages"), ("pre", "predict"), ("conduct sc", "scan")]
)
def test_commands_are_completed(words, found):
    """As bash asks for it, once the script of `--install-completion` is read."""
    line = f"mashbill {words}"
    program = "import sys; sys.argv[0] = 'mashbill'; from mashbill.cli import main; main()"
    told = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "_MASHBILL_COMPLETE": "complete_bash", "COMP_WORDS": line,
             "COMP_CWORD": str(len(line.split()) - 1)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found in told.stdout.split(), told.stderr
