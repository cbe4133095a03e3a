"""A double of vLLM's server on loopback: it scores tokens that are given, by a model of torch."""

from __future__ import annotations

import json
import threading
import time

import torch
from tests_service import Service


class Scoring:
    """``POST /v1/completions`` with ``prompt_logprobs``, as vLLM answers it.

    ``change`` gets the answer before it is sent, ``latency`` is in seconds. As there, a token that
    the model does not have is refused, the first position is null, and the others hold the
    likeliest token and the one that stands there.
    """

    def __init__(self, folder, *, latency=0.0, change=None, dtype=torch.float32, name="m-1"):
        from tokenizers import Tokenizer
        from transformers import AutoModelForCausalLM

        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.latency, self.change, self.name = latency, change, name
        self.asked, self.at_once, self.most_at_once = [], 0, 0
        self._turn = threading.Lock()

    def __call__(self, handler, path, data):
        body = json.loads(data)
        with self._turn:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(self.latency)
        try:
            self.answer(handler, path, body)
        finally:
            with self._turn:
                self.at_once -= 1

    def answer(self, handler, path, body):
        if path != "/v1/completions" or body["model"] != self.name:
            handler.reply(404, {"error": {"message": f"no model {body.get('model')}", "code": 404}})
            return
        ids = body["prompt"]
        size = self.model.config.vocab_size
        if foreign := [token for token in ids if token >= size]:
            said = f"Token id {foreign[0]} is out of vocabulary"
            handler.reply(400, {"error": {"message": said, "type": "BadRequestError", "code": 400}})
            return
        with self._turn:
            self.asked.append(body)
            found = self.logprobs(ids)
        positions = [None]
        for at in range(1, len(ids)):
            likely = int(found[at - 1].argmax())
            positions.append({str(i): self.entry(found[at - 1], i) for i in (ids[at], likely)})
        choice = {"index": 0, "text": "x", "logprobs": None, "finish_reason": "length"}
        answer = {
            "id": "cmpl-1", "object": "text_completion", "model": self.name,
            "choices": [choice | {"prompt_logprobs": positions}],
            "usage": {"prompt_tokens": len(ids), "completion_tokens": 1,
                      "total_tokens": len(ids) + 1},
        }  # fmt: skip
        if self.change is not None:
            answer = self.change(answer)
        handler.reply(200, answer if isinstance(answer, bytes) else json.dumps(answer).encode())

    @torch.no_grad()
    def logprobs(self, ids):
        """Return log-probabilities behind each token, shape (tokens, vocabulary)."""
        return torch.log_softmax(self.model(torch.tensor([ids])).logits[0].float(), -1)

    def entry(self, found, token):
        value = max(float(found[token]), -9999.0)
        rank = int((found > found[token]).sum()) + 1
        return {"logprob": value, "rank": rank, "decoded_token": self.tokenizer.decode([token])}


def scoring(folder, **how):
    """Return the double as a context manager; ``with scoring(folder) as (service, double)``."""
    double = Scoring(folder, **how)
    service = Service(double)

    class Both:
        def __enter__(self):
            service.__enter__()
            return service, double

        def __exit__(self, *ended):
            service.__exit__(*ended)

    return Both()
