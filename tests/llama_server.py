"""A real llama.cpp server on loopback, as a program: ``python llama_server.py FILE.gguf [exact]``.

With ``exact`` its cache of keys and values is in float32.

It prints its address, and ends when its standard input does: with the test, however that ends.
"""

import os
import sys

import xllamacpp

if __name__ == "__main__":
    asked = xllamacpp.CommonParams()
    asked.model.path = sys.argv[1]
    asked.hostnames = ["127.0.0.1"]
    asked.port = 0
    asked.n_ctx = 8192
    asked.n_parallel = 4
    # One thread: on a machine that does other work too, two wait for each other most of the time.
    for each in (asked.cpuparams, asked.cpuparams_batch):
        each.n_threads = 1
        each.poll = 0
    if "exact" in sys.argv[2:]:
        asked.cache_type_k = asked.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        asked.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    server = xllamacpp.Server(asked)
    sys.stdout.write(f"address {server.listening_address}\n")
    sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nobody reads the rest, so it would block
    sys.stdin.read()
