"""Serves one GGUF model on loopback until its standard input closes, so that it never outlives its parent."""

import os
import signal
import sys

import xllamacpp

MODEL, PORT, ALIAS = sys.argv[1], int(sys.argv[2]), sys.argv[3]

# Ctrl-C reaches the whole foreground group; the parent drains its calls first and then closes our input.
signal.signal(signal.SIGINT, signal.SIG_IGN)

params = xllamacpp.CommonParams()
params.model.path = MODEL
params.model_alias = {ALIAS}
params.hostnames = ["127.0.0.1"]
params.port = PORT
# Four calls at once with 2,048 tokens each.
params.n_ctx = 8192
params.n_parallel = 4
# Two threads on two busy cores spin against each other: one is ten times faster.
params.cpuparams.n_threads = 1
params.cpuparams_batch.n_threads = 1

server = xllamacpp.Server(params)
print("listening", server.listening_address, flush=True)
while sys.stdin.buffer.read(4096):
    pass
os._exit(0)
