"""HTTP services on loopback: each provider's paths, with recorded shapes, faults and batches."""

from __future__ import annotations

import json
import re
import socket
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SHAPES = Path(__file__).parent / "client" / "wire" / "shapes"


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
        threading.Thread(target=self.serve_forever, daemon=True, args=(0.01,)).start()
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

    makes = "/v1/batches"
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


class _HandedIn:
    """What the toys of Anthropic's and Gemini's batches share: one call hands all requests in.

    ``fail`` is told a prompt and in how many batches it was before; it returns how it fails there,
    or None. Results come in another order than the requests.
    """

    before = after = staticmethod(lambda _: None)

    def __init__(self, polls=2, fail=lambda *_: None):
        self.batches, self.submitted, self.seen = {}, [], {}
        self.polls, self.fail = polls, fail

    def take(self, own, requests):
        """Take (id, prompt) of each request."""
        results = []
        for call, prompt in requests:
            attempt = self.seen[prompt] = self.seen.get(prompt, -1) + 1
            results.append((call, prompt, self.fail(prompt, attempt)))
        now = datetime.now(UTC).isoformat()
        self.batches[own] = {"results": results[::-1], "polls": 0, "at": now}
        self.submitted.append([call for call, _ in requests])

    def polled(self, own):
        self.batches[own]["polls"] += 1
        return self.batches[own]["polls"] > self.polls


class AnthropicBatches(_HandedIn):
    """POST and GET /v1/messages/batches, GET .../ID, GET .../ID/results.

    A failure is a type of error, or "expired".
    """

    makes = "/v1/messages/batches"

    def __call__(self, handler, path, data):
        self.before(path)
        rest = path.removeprefix(self.makes)
        if not rest:
            own = f"msgbatch_{len(self.batches)}"
            asked = json.loads(data)["requests"]
            prompts = [each["params"]["messages"][-1]["content"] for each in asked]
            self.take(own, [(e["custom_id"], p) for e, p in zip(asked, prompts, strict=True)])
            self.after(path)
            handler.reply(200, self.state(own, done=False))
        elif rest.startswith("?"):
            found = [self.state(own, done=False) for own in reversed(self.batches)]
            handler.reply(200, {"data": found, "has_more": False})
        elif rest.endswith("/results"):
            lines = [self.line(*each) for each in self.batches[rest.split("/")[1]]["results"]]
            text = "".join(json.dumps(line) + "\n" for line in lines)
            handler.reply(200, text.encode(), "application/x-jsonl")
        else:
            own = rest.removeprefix("/")
            handler.reply(200, self.state(own, done=self.polled(own)))

    def state(self, own, *, done):
        batch = self.batches[own]
        counts = dict.fromkeys(("succeeded", "errored", "canceled", "expired"), 0)
        counts["succeeded" if done else "processing"] = len(batch["results"])
        return {
            "id": own,
            "type": "message_batch",
            "processing_status": "ended" if done else "in_progress",
            "request_counts": counts,
            "created_at": batch["at"],
            "results_url": f"https://elsewhere.example/{own}" if done else None,
        }

    @staticmethod
    def line(call, prompt, failed):
        if failed == "expired":
            return {"custom_id": call, "result": {"type": "expired"}}
        if failed:
            error = {"type": "error", "error": {"type": failed, "message": f"it is {failed}"}}
            return {"custom_id": call, "result": {"type": "errored", "error": error}}
        message = {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m-1",
            "content": [{"type": "text", "text": f"said of {prompt}"}],
            "stop_reason": "end_turn", "usage": {"input_tokens": 5, "output_tokens": 7},
        }  # fmt: skip
        return {"custom_id": call, "result": {"type": "succeeded", "message": message}}


class GeminiBatches(_HandedIn):
    """POST /v1beta/models/m-1:batchGenerateContent, GET /v1beta/batches, GET /v1beta/batches/ID.

    A failure is a google.rpc.Code.
    """

    makes = "/v1beta/models/m-1:batchGenerateContent"

    def __call__(self, handler, path, data):
        self.before(path)
        if path == self.makes:
            own = f"batches/{len(self.batches)}"
            batch = json.loads(data)["batch"]
            asked = batch["inputConfig"]["requests"]["requests"]
            prompts = [each["request"]["contents"][-1]["parts"][0]["text"] for each in asked]
            ids = [each["metadata"]["key"] for each in asked]
            self.take(own, list(zip(ids, prompts, strict=True)))
            self.batches[own]["name"] = batch["displayName"]
            self.after(path)
            handler.reply(200, self.operation(own, done=False))
        elif path.startswith("/v1beta/batches?"):
            found = [self.operation(own, done=False) for own in reversed(self.batches)]
            handler.reply(200, {"operations": found})
        else:
            own = path.removeprefix("/v1beta/")
            handler.reply(200, self.operation(own, done=self.polled(own)))

    def operation(self, own, *, done):
        batch = self.batches[own]
        state = {"state": f"BATCH_STATE_{'SUCCEEDED' if done else 'RUNNING'}"}
        stats = {"requestCount": str(len(batch["results"]))}
        said = {"name": own, "metadata": {
            **state, "displayName": batch["name"], "createTime": batch["at"], "batchStats": stats,
        }}  # fmt: skip
        if done:
            results = [self.result(*each) for each in batch["results"]]
            said |= {"done": True, "response": {"inlinedResponses": {"inlinedResponses": results}}}
        return said

    @staticmethod
    def result(call, prompt, failed):
        if failed:
            error = {"code": failed, "message": f"it is {failed}"}
            return {"metadata": {"key": call}, "error": error}
        said = {
            "candidates": [
                {"content": {"role": "model", "parts": [{"text": f"said of {prompt}"}]},
                 "finishReason": "STOP"}
            ],
            "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 7},
            "modelVersion": "m-1", "responseId": "r-1",
        }  # fmt: skip
        return {"metadata": {"key": call}, "response": said}
