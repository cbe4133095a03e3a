"""Fine-tune a model with TRL on what `mashbill publish --format trl-sft` wrote, and say so.

python train.py --data published --base HuggingFaceTB/SmolLM2-135M-Instruct --out out
"""

import argparse

import torch
from datasets import load_dataset
from mashbill_record import MashbillRecord
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

parser = argparse.ArgumentParser()
parser.add_argument("--data", default="published", help="folder that mashbill published")
parser.add_argument("--base", required=True, help="OWNER/NAME of a hub, or a folder")
parser.add_argument("--out", default="out")
parser.add_argument("--epochs", type=float, default=2)
parser.add_argument("--lora", action="store_true")
told = parser.parse_args()

rows = load_dataset(told.data, split="train")
columns = [name for name in rows.column_names if name not in ("prompt", "completion", "messages")]

trainer = SFTTrainer(
    model=AutoModelForCausalLM.from_pretrained(told.base),
    processing_class=AutoTokenizer.from_pretrained(told.base),
    train_dataset=rows.remove_columns(columns),
    peft_config=LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear")
    if told.lora
    else None,
    args=SFTConfig(
        output_dir=told.out,
        num_train_epochs=told.epochs,
        per_device_train_batch_size=8,
        learning_rate=2e-4,
        save_strategy="no",
        report_to=[],
        bf16=torch.cuda.is_available(),
        use_cpu=not torch.cuda.is_available(),
        # What state.num_input_tokens_seen counts: prompts too, and no padding.
        include_num_input_tokens_seen="non_padding",
    ),
    callbacks=[MashbillRecord(told.data, len(rows), told.base)],
)
trainer.train()
trainer.save_model()
