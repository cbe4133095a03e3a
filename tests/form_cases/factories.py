"""LLaMA-Factory's and axolotl's forms."""

import json

from form_cases.case import NONE, Case, assistant, said, stays, user

HI, HELLO, WHAT = said("human", "Hi"), said("gpt", "Hello."), said("gpt", "What?")
EARLIER = [said("human", "Who wrote it?"), said("gpt", "Austen."), said("human", "When?")]


def part(kind, text):
    return {"type": kind, "value": text}


V1 = [
    {"role": "user", "content": [part("text", "Hi")], "loss_weight": 0.0},
    {
        "role": "assistant",
        "content": [part("reasoning", "They greet."), part("text", "Hello.")],
        "loss_weight": 1.0,
    },
]
V1_TOOLS = [
    {"role": "user", "content": [part("text", "Tide?")]},
    {"role": "assistant", "content": [part("tool_call", '{"name": "tide"}')]},
    {"role": "tool", "content": [part("text", "4.2")]},
    {"role": "assistant", "content": [part("text", "4.2"), part("text", " m.")]},
]
V1_CALL = V1_TOOLS[:2]
V1_PAIR = {"chosen_messages": V1, "rejected_messages": [V1[0], {**V1[1], "content": []}]}
PAIR = {"conversations": [HI], "chosen": HELLO, "rejected": WHAT}
LONG = {"conversations": EARLIER, "chosen": said("gpt", "In 1813."), "rejected": WHAT}
IMAGE = [user("<image>Who?"), assistant("A man.")]

LLAMA_FACTORY = [
    Case(
        "LLaMA-Factory alpaca preference",
        [{"instruction": "Name a metal.", "input": "", "chosen": "Zinc.", "rejected": "Wood."}],
        [{"instruction": "Name a metal.", "input": "", "text": "Zinc.", "rejected": "Wood.",
          "prompt": "Name a metal."}],
    ),
    Case(
        "LLaMA-Factory alpaca preference, a list",
        [{"instruction": "Name a metal.", "input": "", "output": ["Zinc.", "Wood."]}],
        [{"instruction": "Name a metal.", "input": "", "text": text, "prompt": "Name a metal."}
         for text in ("Zinc.", "Wood.")],
        keys=NONE + '\neach = "output"',
    ),
    Case(
        "LLaMA-Factory sharegpt preference",
        [PAIR, LONG],
        [{"text": "Hello.", "prompt": "Hi", "messages_json": [HI, HELLO], "conversations": [HI],
          "rejected": WHAT},
         {"text": "In 1813.", "prompt": "Who wrote it?\n\nWhen?", "conversations": EARLIER,
          "messages_json": [*EARLIER, said("gpt", "In 1813.")], "rejected": WHAT}],
    ),
    Case(
        "LLaMA-Factory KTO",
        [{"messages": [user("Hi"), assistant("Hello.")], "label": True}],
        [{"text": "Hello.", "prompt": "Hi", "messages_json": [user("Hi"), assistant("Hello.")],
          "label": True}],
    ),
    Case(
        "LLaMA-Factory images",
        [{"messages": IMAGE, "images": ["pics/1.jpg"]}],
        [{"text": "A man.", "prompt": "<image>Who?", "messages_json": IMAGE,
          "images": ["pics/1.jpg"]}],
    ),
    Case(
        "LLaMA-Factory v1",
        [{"messages": V1, "tools": None}, {"messages": V1_TOOLS, "tools": "[]"},
         {"messages": V1_CALL, "tools": "[]"}],
        [{"text": "Hello.", "prompt": "Hi", "messages_json": V1, "tools": None},
         {"text": "4.2 m.", "prompt": "Tide?", "messages_json": V1_TOOLS, "tools": "[]"}],
        rejected=("line 3 no part of its last answer holds text: they are tool_call",),
    ),
    Case(
        "LLaMA-Factory v1 preference",
        [V1_PAIR],
        [{"text": "Hello.", "prompt": "Hi", "messages_json": V1,
          "rejected_messages": V1_PAIR["rejected_messages"]}],
    ),
]  # fmt: skip

DETAILED = [
    said("human", "Hello", train=False),
    said("assistant", "I am well.", train_detail=[{"begin_offset": 0, "end_offset": 2}]),
]
TRAINED = [
    user([{"type": "text", "text": "2 + 2?"}]),
    {"role": "assistant", "reasoning_content": "Hm.",
     "content": [{"type": "text", "content": "Let me see:", "train": False},
                 {"type": "text", "content": " 4.", "train": True}]},
]  # fmt: skip
PYGMALION = [{"role": "human", "value": "Hi"}, {"role": "bot", "value": "Hello."}]
SEGMENTS = [
    {"label": False, "text": "<s>Hi\n"},
    {"label": True, "text": "Hel"},
    {"label": True, "text": "lo.</s>"},
]
DPO = {"messages": [user("Hi")], "chosen": assistant("Hello."), "rejected": assistant("What?")}
TEXTS = {"messages": "Hi", "chosen": "Hello.", "rejected": "What?"}
NECTAR = {
    "prompt": "Hi",
    "answers": [
        {"answer": "Hello.", "model": "gpt-4", "rank": 1},
        {"answer": "What?", "model": "llama-2", "rank": 2},
    ],
}
ARGILLA = {"system": "Be kind.", "instruction": "Hi", "chosen_response": "Hello.",
           "rejected_response": "What?"}  # fmt: skip
INTEL = {"system": "Be kind.", "question": "Hi", "chosen": "Hello.", "rejected": "What?"}
ORCA = {"system_prompt": "Be kind.", "question": "Hi", "response": "Hello."}

AXOLOTL = [
    Case(
        "axolotl chat_template",
        [{"messages": TRAINED}],
        [{"text": "Let me see: 4.", "prompt": "2 + 2?", "messages_json": TRAINED}],
    ),
    Case(
        "axolotl chat_template with train_detail",
        [{"conversations": DETAILED}],
        [{"text": "I am well.", "prompt": "Hello", "messages_json": DETAILED}],
    ),
    Case(
        "axolotl pygmalion",
        [{"conversations": PYGMALION}],
        [{"text": "Hello.", "prompt": "Hi", "messages_json": PYGMALION}],
    ),
    Case(
        "axolotl completion with a field",
        [{"body": "Tin melts."}],
        [{"text": "Tin melts."}],
        keys=NONE + '\ntext = "body"',
    ),
    Case(
        "axolotl segments",
        [{"segments": SEGMENTS}, {"segments": SEGMENTS[:1]}],
        [{"text": "Hello.</s>", "prompt": "<s>Hi\n", "segments": SEGMENTS}],
        rejected=("line 2 no segment of it is an answer",),
    ),
    Case("axolotl alpaca_w_system.load_open_orca", [ORCA],
         [stays(ORCA, "response", text="Hello.", prompt="Be kind.\n\nHi")]),
    Case("axolotl metharme", [{"prompt": "Hi", "generation": "Hello."}],
         [{"prompt": "Hi", "text": "Hello."}]),
    Case(
        "axolotl load_camel_ai",
        [{"message_1": "Hi", "message_2": "Hello."}],
        [{"text": "Hello.", "prompt": "Hi", "message_1": "Hi"}],
        keys=NONE + '\ntext = "message_2"\nprompt = "message_1"',
    ),
    Case(
        "axolotl dpo chat_template",
        [DPO],
        [{"text": "Hello.", "prompt": "Hi", "messages_json": [user("Hi"), assistant("Hello.")],
          "messages": [user("Hi")], "rejected": assistant("What?")}],
    ),
    Case("axolotl dpo chat_template, texts", [TEXTS],
         [stays(TEXTS, "chosen", text="Hello.", prompt="Hi")]),
    Case("axolotl dpo chatml.argilla", [ARGILLA],
         [stays(ARGILLA, "chosen_response", text="Hello.", prompt="Be kind.\n\nHi")]),
    Case("axolotl dpo chatml.intel", [INTEL],
         [stays(INTEL, "chosen", text="Hello.", prompt="Be kind.\n\nHi")]),
    Case(
        "axolotl dpo zephyr.nectar",
        [NECTAR],
        [{"text": "Hello.", "prompt": "Hi", "model": "gpt-4", "rank": 1},
         {"text": "What?", "prompt": "Hi", "model": "llama-2", "rank": 2}],
        keys="",
        by=("gpt-4", "llama-2"),
    ),
    Case(
        "axolotl kto chatml",
        [{"instruction": "Hi", "completion": "Hello.", "label": True}],
        [{"instruction": "Hi", "text": "Hello.", "prompt": "Hi", "label": True}],
    ),
    Case(
        "axolotl tokenised rows",
        [{"input_ids": [1, 2], "attention_mask": [1, 1], "labels": [-100, 2]}],
        error=r"no column 'text' or .* it has 'input_ids', 'attention_mask', 'labels'; set text",
    ),
]  # fmt: skip

CASES = LLAMA_FACTORY + AXOLOTL
assert json.dumps([case.data for case in CASES])  # all of it is JSON
