"""HTTP services on loopback: each provider's paths, with recorded shapes, faults and batches."""

from __future__ import annotations

import json
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SHAPES = Path(__file__).parent / "teachers" / "wire" / "shapes"


def shape(name: str) -> bytes:
    return (SHAPES / name).read_bytes()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.path, dict(self.headers), data))
        self.server.answer(self, self.path, data)

    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers), b""))
        self.server.answer(self, self.path, b"")

    def reply(self, status, body, kind="application/json", **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def cut(self, body, said):
        """Promise so many bytes, send fewer, and hang up."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(said))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        self.hang_up()

    def hang_up(self):
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def log_message(self, *args):
        pass


class Service(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []
        self.answer = answer

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True, args=(0.05,)).start()
        return self

    def __exit__(self, *ended):
        self.shutdown()
        self.server_close()


def chat(text, **more):
    return {
        "id": "c-1",
        "object": "chat.completion",
        "model": "m-1",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        ],
        "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
        **more,
    }


class OpenAIBatches:
    """POST /files, POST /batches, GET /batches, GET /batches/ID, GET /files/ID/content.

    ``before`` and ``after`` are told of each path, around what it does and before its reply.
    """

    before = after = staticmethod(lambda _: None)

    def __init__(self, polls=2, fail=lambda *_: None):
        self.files, self.batches = {}, {}
        self.polls, self.fail = polls, fail
        self.attempts = {}
        self.submitted = []

    def __call__(self, handler, path, data):
        path = path.removeprefix("/v1")
        self.before(path)
        if path == "/files":
            own = f"file-{len(self.files)}"
            body = data.split(b"\r\n\r\n")[-1].rsplit(b"\r\n--", 1)[0]
            for part in re.split(rb"--[-\w]+\r\n", data):
                if b"filename=" in part:
                    body = part.split(b"\r\n\r\n", 1)[1].rsplit(b"\r\n", 1)[0]
            self.files[own] = body
            self.after(path)
            handler.reply(200, {"id": own, "object": "file", "bytes": len(body)})
        elif path.startswith("/batches?"):
            found = [self.state(own, "in_progress") for own in reversed(self.batches)]
            handler.reply(200, {"object": "list", "data": found, "has_more": False})
        elif path == "/batches":
            own = f"batch_{len(self.batches)}"
            order = json.loads(data)
            file = order["input_file_id"]
            lines = [json.loads(line) for line in self.files[file].splitlines()]
            self.submitted.append([line["custom_id"] for line in lines])
            self.batches[own] = {"lines": lines, "polls": 0, "order": order}
            self.after(path)
            handler.reply(200, self.state(own, "validating"))
        elif path.startswith("/batches/"):
            own = path.split("/")[2]
            self.batches[own]["polls"] += 1
            done = self.batches[own]["polls"] > self.polls
            handler.reply(200, self.state(own, "completed" if done else "in_progress"))
        else:
            self.content(handler, path.split("/")[2])

    def state(self, own, status):
        batch = self.batches[own]
        done = status == "completed"
        return {
            "id": own,
            "object": "batch",
            "status": status,
            "created_at": 1_790_000_000,
            "metadata": batch["order"].get("metadata"),
            "output_file_id": f"out-{own}" if done else None,
            "error_file_id": f"err-{own}" if done else None,
            "request_counts": {
                "total": len(batch["lines"]),
                "completed": len(batch["lines"]) if done else 0,
                "failed": 0,
            },
        }

    def content(self, handler, file):
        kind, _, own = file.partition("-")
        lines = []
        for line in self.batches[own]["lines"]:
            prompt = line["body"]["messages"][-1]["content"]
            attempt = self.attempts.setdefault((own, prompt), sum(
                1 for b, p in self.attempts if p == prompt
            ))  # fmt: skip
            status = self.fail(prompt, attempt)
            item = {"id": "r", "custom_id": line["custom_id"], "error": None}
            if status is None and kind == "out":
                body = chat(f"said of {prompt}")
                lines.append({**item, "response": {"status_code": 200, "body": body}})
            elif status is not None and kind == "err":
                body = {"error": {"message": f"failed with {status}"}}
                lines.append({**item, "response": {"status_code": status, "body": body}})
        text = "".join(json.dumps(line) + "\n" for line in lines)
        handler.reply(200, text.encode(), "application/jsonl")
