#!/usr/bin/env bash
# A release gate: make the artifact, audit the store, and let terms and house rules decide.
# Ends with the exit code of `mashbill check`: 0 allow, 1 deny, 3 review. A run that is refused, or
# a store that does not hold, ends it sooner, and never with 0. TEACHER=open passes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=${1:-$(mktemp -d)}
teacher=${TEACHER:-closed}
cp "$here"/{rules.toml,terms.toml,prompt.txt,lines.jsonl} "$work"
sed "s/^teacher = \"closed\"/teacher = \"$teacher\"/" "$here/recipe.toml" > "$work/recipe.toml"
export MASHBILL_KEY_FILE=${MASHBILL_KEY_FILE:-$work/key.pem}
export MASHBILL_CHECKPOINTS=${MASHBILL_CHECKPOINTS:-$work/checkpoints}
mashbill run "$work/recipe.toml" --store "$work/store" > "$work/run.txt"
# Both come from outside of the store: SIGNER from a register, CHECKPOINT from whoever keeps them. Here
# the store was just made with this key, and the run has left a checkpoint beside it.
checkpoint=${CHECKPOINT:-$(ls "$MASHBILL_CHECKPOINTS"/*.note | grep -v /at- | head -n 1)}
signer=${SIGNER:-$(mashbill signers mine)}
mashbill audit --store "$work/store" --signer "$signer" --checkpoint "$checkpoint" --deep
mashbill check student --store "$work/store" --policy "$work/rules.toml" \
  --terms-file "$work/terms.toml" --sarif "$work/gate.sarif" --junit "$work/gate.junit"
