"""A real server of llama.cpp over a GGUF file, on loopback, for tests."""

import contextlib
import http.client
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

SERVER = Path(__file__).with_name("llama_server.py")


@contextlib.contextmanager
def llama_cpp(path):
    """A real server of llama.cpp over a file; gives what asks it."""
    pytest.importorskip("xllamacpp")
    process = subprocess.Popen(
        [sys.executable, str(SERVER), str(path), "exact"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    end = threading.Timer(120, process.kill)
    end.start()
    try:
        at = next(line.split()[1] for line in process.stdout if line.startswith("address"))

        def ask(path, **body):
            link = http.client.HTTPConnection(at.removeprefix("http://"), timeout=60)
            how = {"Content-Type": "application/json"}
            with contextlib.closing(link):
                link.request("POST", path, json.dumps(body), how)
                return json.loads(link.getresponse().read())

        yield ask
    finally:
        end.cancel()
        process.kill()
        process.wait()
