"""UltraFeedback's, Nemotron's and distilabel's columns."""

from form_cases.case import NONE, Case, assistant, stays, user

ASKED = "Name a metal."
ZINC, WOOD = [user(ASKED), assistant("Zinc.")], [user(ASKED), assistant("Wood.")]


def completion(model, response, score):
    return {
        "model": model, "principle": "helpfulness", "custom_system_prompt": "Help.",
        "response": response, "annotations": {"honesty": {"Rating": str(score)}},
        "critique": "So.", "overall_score": score, "fine-grained_score": score / 2,
    }  # fmt: skip


FEEDBACK = {
    "source": "sharegpt",
    "instruction": ASKED,
    "models": ["gpt-4", "alpaca-7b"],
    "correct_answers": ["None"],
    "incorrect_answers": ["None"],
    "completions": [completion("gpt-4", "Zinc.", 8.5), completion("alpaca-7b", "Wood.", 1.0)],
}
BINARIZED = {
    "prompt": ASKED, "prompt_id": "24b2", "chosen": ZINC, "rejected": WOOD, "messages": ZINC,
    "score_chosen": 8.5, "score_rejected": 1.0,
}  # fmt: skip
CLEANED = {
    "source": "sharegpt", "prompt": ASKED, "chosen": ZINC, "chosen-rating": 4.75,
    "chosen-model": "gpt-4", "rejected": WOOD, "rejected-rating": 1.0,
    "rejected-model": "alpaca-7b",
}  # fmt: skip
ARGILLA = {
    "source": "sharegpt", "instruction": ASKED, "chosen_response": "Zinc.",
    "rejected_response": "Wood.", "chosen_avg_rating": 4.75, "rejected_avg_rating": 1.0,
    "chosen_model": "gpt-4",
}  # fmt: skip

ULTRAFEEDBACK = [
    Case(
        "UltraFeedback, openbmb",
        [FEEDBACK],
        [
            stays(FEEDBACK, "completions", **stays(one, "response"), text=one["response"],
                  prompt="Help.\n\nName a metal.")
            for one in FEEDBACK["completions"]
        ],
        keys="",
        by=("gpt-4", "alpaca-7b"),
    ),
    Case(
        "UltraFeedback, binarized",
        [BINARIZED],
        [stays(BINARIZED, "messages", text="Zinc.", prompt=ASKED, messages_json=ZINC,
               original_prompt=ASKED)],
    ),
    Case(
        "UltraFeedback, argilla",
        [ARGILLA],
        [stays(ARGILLA, "chosen_response", text="Zinc.", prompt=ASKED)],
        keys="",
        by=("gpt-4",),
    ),
    Case(
        "UltraFeedback, argilla, cleaned",
        [CLEANED],
        [stays(CLEANED, "chosen", text="Zinc.", prompt=ASKED, messages_json=ZINC,
               original_prompt=ASKED)],
        keys="",
        by=("alpaca-7b + gpt-4",),
    ),
]  # fmt: skip

V1 = {
    "input": "<|user|>Name a metal.<|end|>", "output": "Zinc.<|eot_id|>", "category": "chat",
    "license": "cc-by-4.0", "reasoning": "off", "generator": "Qwen-2.5-32B-Instruct",
    "used_in_training": "yes",
}  # fmt: skip
V1_1 = {
    "input": [user(ASKED)], "output": "Zinc.", "category": "chat", "license": "cc-by-4.0",
    "reasoning": "off", "generator": "DeepSeek-R1", "used_in_training": ["Ultra"],
    "version": "v1", "system_prompt": "detailed thinking off",
}  # fmt: skip
CHAT = [
    user("Tide?", tool_calls=[]),
    assistant("", tool_calls=[{"id": "c1", "type": "function",
                               "function": {"name": "tide", "arguments": "{}"}}]),
    {"role": "tool", "content": "4.2", "tool_calls": []},
    assistant("<think>ok</think>4.2 m.", tool_calls=[]),
]  # fmt: skip
POST = {
    "uuid": "5f0c", "license": "cc-by-4.0", "generator": "DeepSeek-R1-0528", "version": "v1",
    "category": "tool", "reasoning": "on", "messages": CHAT, "metadata": "{}",
}  # fmt: skip

NEMOTRON = [
    Case(
        "Nemotron v1",
        [V1],
        [stays(V1, "output", text="Zinc.<|eot_id|>", prompt="<|user|>Name a metal.<|end|>")],
        keys="",
        by=("Qwen-2.5-32B-Instruct",),
    ),
    Case(
        "Nemotron v1.1",
        [V1_1],
        [stays(V1_1, "output", text="Zinc.", prompt="detailed thinking off\n\nName a metal.",
               messages_json=[{"role": "system", "content": "detailed thinking off"},
                              user(ASKED), assistant("Zinc.")])],
        keys="",
        by=("DeepSeek-R1",),
    ),
    Case(
        "Nemotron post-training v1",
        [POST],
        [stays(POST, "messages", text="<think>ok</think>4.2 m.", prompt="Tide?",
               messages_json=CHAT)],
        keys="",
        by=("DeepSeek-R1-0528",),
    ),
]  # fmt: skip

RAW = {"raw_output_text_generation_0": "Zinc."}
ONE = {"instruction": ASKED, "generation": "Zinc.", "model_name": "m/Llama",
       "distilabel_metadata": RAW}  # fmt: skip
MANY = {
    "instruction": ASKED, "generations": ["Zinc.", "Wood."],
    "generation_models": ["gpt-4", "zephyr-7b"], "ratings": [5, 1],
    "rationales": ["Good.", None], "model_name": "judge", "distilabel_metadata": RAW,
}  # fmt: skip
DPO = {
    **MANY, "prompt": ASKED, "prompt_id": "24b2", "chosen": ZINC, "chosen_model": "gpt-4",
    "chosen_rating": 5, "rejected": WOOD, "rejected_model": "zephyr-7b", "rejected_rating": 1,
}  # fmt: skip


def answer(number, ratings):
    return {
        "instruction": ASKED, "text": MANY["generations"][number], "prompt": ASKED,
        "generation_models": MANY["generation_models"][number], "ratings": ratings,
        "rationales": MANY["rationales"][number], "model_name": "judge",
        "distilabel_metadata": RAW,
    }  # fmt: skip


DISTILABEL = [
    Case(
        "distilabel generation",
        [ONE, {**ONE, "generation": None}],
        [stays(ONE, "generation", text="Zinc.", prompt=ASKED)],
        keys="",
        by=("m/Llama",),
        rejected=("line 2 column 'generation' is missing",),
    ),
    Case(
        "distilabel generations",
        [MANY],
        [answer(0, 5), answer(1, 1)],
        keys="",
        by=("gpt-4", "zephyr-7b"),
    ),
    Case(
        "distilabel generations, ratings that do not go answer by answer",
        [{**MANY, "ratings": [5, 1, 3]}],
        [answer(0, [5, 1, 3]), answer(1, [5, 1, 3])],
        keys="",
        by=("gpt-4", "zephyr-7b"),
    ),
    Case(
        "distilabel DPO",
        [DPO],
        [stays(DPO, "chosen", text="Zinc.", prompt=ASKED, messages_json=ZINC,
               original_prompt=ASKED)],
        keys="",
        by=("gpt-4 + zephyr-7b",),
    ),
    Case(
        "distilabel conversation",
        [{"instruction": ASKED, "response": "Zinc.", "conversation": ZINC}],
        [{"instruction": ASKED, "response": "Zinc.", "text": "Zinc.", "prompt": ASKED,
          "messages_json": ZINC}],
        keys=NONE,
    ),
]  # fmt: skip

CASES = ULTRAFEEDBACK + NEMOTRON + DISTILABEL
