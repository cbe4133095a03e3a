"""TRL's forms (huggingface/trl, docs/source/dataset_formats.md)."""

from form_cases.case import Case, assistant, stays, system, user

ASKED = [user("Which metal melts first?")]
TIN, ZINC = [assistant("Tin.")], [assistant("Zinc.")]
TOOL = {"type": "function", "function": {"name": "tide", "parameters": {"type": "object"}}}
CALL = {"type": "function", "function": {"name": "tide", "arguments": {"port": "Brest"}}}
WITH_CALL = [
    user("Tide at Brest?"),
    {"role": "assistant", "tool_calls": [CALL]},
    {"role": "tool", "name": "tide", "content": "4.2"},
    assistant("4.2 metres."),
]
HARMONY = [
    {"role": "developer", "content": "Be terse."},
    user("2 + 2?"),
    {"role": "assistant", "thinking": "Two and two.", "content": "4"},
]
PAIR = {"prompt": ASKED, "chosen": TIN, "rejected": ZINC}
WHOLE = {"chosen": ASKED + TIN, "rejected": ASKED + ZINC}
STEPS = {
    "prompt": "9.8 or 9.11?",
    "completions": ["0.8 > 0.11.", "So 9.8."],
    "labels": [True, False],
}
KWARGS = {"reasoning_effort": "low"}

CASES = [
    Case("TRL language modelling", [{"text": " Tin melts."}], [{"text": " Tin melts."}]),
    Case(
        "TRL language modelling, conversational",
        [{"messages": [system("Be brief."), *ASKED, *TIN]}],
        [{
            "text": "Tin.",
            "prompt": "Be brief.\n\nWhich metal melts first?",
            "messages_json": [system("Be brief."), *ASKED, *TIN],
        }],
    ),
    Case(
        "TRL prompt-only",
        [{"prompt": "Tin"}],
        error=r"no column 'text' or 'messages' or 'conversations'; it has 'prompt'; set text in",
    ),
    Case("TRL prompt-only, as texts", [{"prompt": "Tin"}], [{"text": "Tin"}],
         keys='generator = "none"\ntext = "prompt"'),
    Case(
        "TRL prompt-completion",
        [{"prompt": "Tin", "completion": " melts."}],
        [{"prompt": "Tin", "text": " melts."}],
    ),
    Case(
        "TRL prompt-completion, conversational",
        [{"prompt": ASKED, "completion": TIN}],
        [{
            "text": "Tin.",
            "prompt": "Which metal melts first?",
            "messages_json": ASKED + TIN,
            "original_prompt": ASKED,
        }],
    ),
    Case(
        "TRL preference",
        [{"prompt": "Tin", "chosen": " melts.", "rejected": " sings."}],
        [{"prompt": "Tin", "text": " melts.", "rejected": " sings."}],
    ),
    Case(
        "TRL preference, conversational",
        [PAIR],
        [{
            "text": "Tin.",
            "prompt": "Which metal melts first?",
            "messages_json": ASKED + TIN,
            "original_prompt": ASKED,
            "rejected": ZINC,
        }],
    ),
    Case(
        "TRL preference with the prompt in both",
        [{"chosen": "Tin melts.", "rejected": "Tin sings."}],
        [{"text": "Tin melts.", "rejected": "Tin sings."}],
    ),
    Case(
        "TRL preference with the prompt in both, conversational",
        [WHOLE],
        [{
            "text": "Tin.",
            "prompt": "Which metal melts first?",
            "messages_json": ASKED + TIN,
            "rejected": ASKED + ZINC,
        }],
    ),
    Case(
        "TRL unpaired preference",
        [{"prompt": "Tin", "completion": " melts.", "label": True},
         {"prompt": "Tin", "completion": " sings.", "label": False}],
        [{"prompt": "Tin", "text": " melts.", "label": True},
         {"prompt": "Tin", "text": " sings.", "label": False}],
    ),
    Case(
        "TRL unpaired preference, conversational",
        [{"prompt": ASKED, "completion": ZINC, "label": False}],
        [{
            "text": "Zinc.",
            "prompt": "Which metal melts first?",
            "messages_json": ASKED + ZINC,
            "original_prompt": ASKED,
            "label": False,
        }],
    ),
    Case("TRL stepwise supervision", [STEPS], [stays(STEPS, text="0.8 > 0.11.\nSo 9.8.")]),
    Case(
        "TRL with tools",
        [{"messages": WITH_CALL, "tools": [TOOL]}],
        [{
            "text": "4.2 metres.",
            "prompt": "Tide at Brest?",
            "messages_json": WITH_CALL,
            "tools": [TOOL],
        }],
    ),
    Case(
        "TRL Harmony",
        [{"messages": HARMONY, "chat_template_kwargs": KWARGS}],
        [{
            "text": "4",
            "prompt": "Be terse.\n\n2 + 2?",
            "messages_json": HARMONY,
            "chat_template_kwargs": KWARGS,
        }],
    ),
]  # fmt: skip
