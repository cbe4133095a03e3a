#!/bin/sh
# Make an environment for the server, one for each peer: ./envs.sh [name ...]
# Versions are those of pins/, which pip freeze wrote on Python 3.11 in November 2026.
# No peer needs torch at what is measured here; if a later version wants it, install a CPU build
# first: .venvs/NAME/bin/pip install torch==2.13.0
set -eu
cd "$(dirname "$0")"
for name in ${*:-bare distilabel curator datadesigner datatrove}; do
    "${PYTHON:-python3.11}" -m venv ".venvs/$name"
    ".venvs/$name/bin/pip" install --quiet --no-deps -r "pins/$name.txt"
    ".venvs/$name/bin/pip" check || echo "$name: pip check complains, see above"
    echo "$name: done"
done
# tiktoken downloads its encoding at first use; Curator and DataDesigner count tokens with it.
# litellm, which Curator depends on, carries the same file under the name that tiktoken looks for.
encoding=9b5ad71b2ce5302211f9c61530b329a4922fc6a4
carried=$(find .venvs/curator/lib -path "*litellm*/tokenizers/$encoding" 2>/dev/null | head -n 1)
if [ -n "$carried" ]; then
    mkdir -p .venvs/tiktoken
    cp "$carried" .venvs/tiktoken/
fi
