#!/usr/bin/env bash
# From a helpdesk's CSV to a student that TRL trained, and to its bill. README.md says what happens.
#
#   run.sh FOLDER
#
# $MASHBILL is the command, $PYTHON a Python without anything, $TRAINER one that has trl, peft and
# datasets (`make first-hour` makes it).
set -euo pipefail
export TQDM_DISABLE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1 OMP_NUM_THREADS=1
here=$(cd "$(dirname "$0")" && pwd)
mashbill=${MASHBILL:-mashbill} python=${PYTHON:-python3} trainer=${TRAINER:?a Python that has trl}
mkdir -p "$1" && cd "$1"
cp "$here/student.toml" "$here"/../trl/{mashbill_record,train}.py .
say() { printf '\n== %s\n' "$1"; }

say "1. a CSV with a mark of byte order, bad bytes, and odd names"
"$python" "$here/make_tickets.py" "Tickets März (Export).csv" 7
"$python" "$here/make_tickets.py" "Neue Tickets (Export).csv" 8 --unlabelled

say "2. a teacher labels, a classifier learns, both are held to what people said"
"$mashbill" init "Tickets März (Export).csv" --gold "Laune ✓" --name tickets
"$mashbill" plan tickets.toml
"$mashbill" run tickets.toml
"$mashbill" show labelled --rows 2
"$mashbill" show rows --rejects --rows 3

say "3. the classifier on tickets that nobody labelled"
"$mashbill" predict classifier "Neue Tickets (Export).csv" --to moods.csv
cat "$here/more.toml" >> tickets.toml
"$mashbill" run tickets.toml
"$mashbill" show moods --rows 2

say "4. handed on, in the form that TRL reads"
"$mashbill" publish moods --to published --format trl-sft
"$mashbill" publish moods --to table
"$trainer" - <<'PYTHON'
import pandas
from datasets import load_dataset

asked = load_dataset("published", split="train")
table = pandas.read_parquet("table/data")
print(asked[0]["prompt"], asked[0]["completion"])
assert len(asked) == len(table) == 397, (len(asked), len(table))
assert [row[0]["content"] for row in asked["completion"]] == table["label"].tolist()
PYTHON

say "5. a student, trained by TRL"
"$trainer" -W ignore "$here/make_base.py" base
"$trainer" -W ignore train.py --base base --epochs 2

say "6. taken back, with its bill: the first teacher stands at depth 2"
"$mashbill" run student.toml
"$mashbill" bill student
"$mashbill" audit
"$mashbill" bill student --json > bill.json
"$python" - <<'PYTHON'
import json

bill = json.load(open("bill.json"))
depths = {line["source"]["name"]: (line["depth"], line["channels"]) for line in bill["bill"]}
print(depths)
assert depths["SmolLM2-135M-Instruct"] == (2, ["judgement"]), depths
PYTHON
say "done: $1/store/reports has a page of each"
