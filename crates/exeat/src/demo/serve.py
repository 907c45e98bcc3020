"""Serves one GGUF model on loopback until its standard input closes, so that it never outlives its parent."""

import os
import signal
import sys

import xllamacpp

MODEL, PORT, ALIAS = sys.argv[1], int(sys.argv[2]), sys.argv[3]

# The model's own format with one addition: tools, and calls of them between tags, which the server then can enforce.
TEMPLATE = r"""
{%- if tools -%}
{{- '<|im_start|>system\n' -}}
{%- if messages[0].role == 'system' -%}{{- messages[0].content + '\n\n' -}}{%- endif -%}
{{- 'You may call these functions:\n<tools>' -}}
{%- for tool in tools -%}{{- '\n' -}}{{- tool | tojson -}}{%- endfor -%}
{{- '\n</tools>\nTo call one, answer with a JSON object between tags:\n<tool_call>\n{"name": <its name>, "arguments": <an object>}\n</tool_call><|im_end|>\n' -}}
{%- elif messages[0].role == 'system' -%}
{{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' -}}
{%- else -%}
{{- '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' -}}
{%- endif -%}
{%- for message in messages -%}
{%- if message.role == 'user' -%}
{{- '<|im_start|>user\n' + message.content + '<|im_end|>\n' -}}
{%- elif message.role == 'tool' -%}
{{- '<|im_start|>user\nThe function answered: ' + message.content + '<|im_end|>\n' -}}
{%- elif message.role == 'assistant' -%}
{{- '<|im_start|>assistant' -}}
{%- if message.content -%}{{- '\n' + message.content -}}{%- endif -%}
{%- if message.tool_calls -%}
{%- for call in message.tool_calls -%}
{{- '\n<tool_call>\n{"name": "' -}}{{- call.function.name -}}{{- '", "arguments": ' -}}{{- call.function.arguments | tojson -}}{{- '}\n</tool_call>' -}}
{%- endfor -%}
{%- endif -%}
{{- '<|im_end|>\n' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}
"""

# Ctrl-C reaches the whole foreground group; the parent drains its calls first and then closes our input.
signal.signal(signal.SIGINT, signal.SIG_IGN)

params = xllamacpp.CommonParams()
params.model.path = MODEL
params.model_alias = {ALIAS}
params.chat_template = TEMPLATE.strip()
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
