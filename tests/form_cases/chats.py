"""ShareGPT's, Alpaca's and OpenAI's forms."""

import json

from form_cases.case import NONE, Case, assistant, said, stays, system, user

RIVER, VISTULA = said("human", "Poland's longest river?"), said("gpt", " The Vistula.")
ARGUMENTS = '{"name": "tide", "arguments": {"port": "Brest"}}'
CALLS = [
    said("human", "Tide at Brest?"),
    said("function_call", ARGUMENTS),
    said("observation", '{"m": 4.2}'),
    said("gpt", "4.2 metres."),
]
OTHER_CALLS = [
    said("human", "Tide at Brest?"),
    said("tool_call", "{}"),
    said("tool_response", "4.2"),
    said("ai", "4.2 metres."),
]
DEVELOPER = {"role": "developer", "content": "Be kind."}
BING_TOLD = (
    "line 2 its turns are of human and bing, and 'bing' is no role that is known; say in the "
    'recipe what it is: roles.bing = "assistant", "user", "system", "call" or "tool"'
)
BING = [said("human", "First?"), said("bing", "One.")]
WEIGHED = [{**RIVER, "markdown": None}, {**VISTULA, "weight": 0.5}]
TOOL = {"type": "function", "function": {"name": "tide", "parameters": {"type": "object"}}}
ASKED = user("Tide at Brest?")
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {
            "id": "c1",
            "type": "function",
            "function": {"name": "tide", "arguments": json.dumps('{"port": "Brest"}')},
        }
    ],
}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "4.2"}
FUNCTION = [
    ASKED,
    {"role": "assistant", "function_call": {"name": "tide", "arguments": "{}"}},
    {"role": "function", "name": "tide", "content": "4.2"},
    assistant("4.2 metres."),
]
WEIGHTS = [
    system("Be terse."),
    user("1 + 1?"),
    assistant("3", weight=0),
    user("Sure?"),
    assistant("2", weight=1),
]
PARTS = [
    user([{"type": "text", "text": "What is it?"},
          {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]),
    assistant([{"type": "text", "text": "A "}, {"type": "text", "text": "gull."}]),
]  # fmt: skip
PREFERENCE = {
    "input": {"messages": [user("Is it cold?")], "tools": [], "parallel_tool_calls": True},
    "preferred_output": [assistant("Seven degrees.")],
    "non_preferred_output": [assistant("Not very.")],
}
ALPACA = {"instruction": "Translate.", "input": "cat", "output": "  kot"}
HISTORY = {**ALPACA, "system": "Into Polish.", "history": [["dog", "pies"], ["cow", "krowa"]]}

SHAREGPT = [
    Case(
        "ShareGPT",
        [{"id": "s1", "conversations": [said("system", "Be brief."), RIVER, VISTULA]},
         {"id": "s2", "conversations": [RIVER, VISTULA, said("human", "Go on.")]}],
        [{"id": "s1", "text": " The Vistula.", "prompt": "Be brief.\n\nPoland's longest river?",
          "messages_json": [said("system", "Be brief."), RIVER, VISTULA]},
         {"id": "s2", "text": " The Vistula.", "prompt": "Poland's longest river?",
          "messages_json": [RIVER, VISTULA, said("human", "Go on.")]}],
    ),
    Case(
        "ShareGPT with calls of tools",
        [{"conversations": CALLS, "tools": json.dumps([TOOL])},
         {"conversations": OTHER_CALLS, "tools": None},
         {"conversations": CALLS[:2], "tools": None}],
        [{"text": "4.2 metres.", "prompt": "Tide at Brest?", "messages_json": CALLS,
          "tools": json.dumps([TOOL])},
         {"text": "4.2 metres.", "prompt": "Tide at Brest?", "messages_json": OTHER_CALLS,
          "tools": None}],
        rejected=("line 3 no turn of its chat is an answer",),
    ),
    Case(
        "ShareGPT, a role that is not known",
        [{"conversations": [RIVER, VISTULA]}, {"conversations": BING}],
        [{"text": " The Vistula.", "prompt": "Poland's longest river?",
          "messages_json": [RIVER, VISTULA]}],
        rejected=(BING_TOLD,),
    ),
    Case(
        "ShareGPT, a role that the recipe tells",
        [{"conversations": BING}],
        [{"text": "One.", "prompt": "First?", "messages_json": BING}],
        keys=NONE + '\nroles.bing = "assistant"',
    ),
    Case(
        "ShareGPT with weights",
        [{"conversations": WEIGHED}],
        [{"text": " The Vistula.", "prompt": "Poland's longest river?", "messages_json": WEIGHED}],
    ),
]  # fmt: skip

ALPACAS = [
    Case(
        "Alpaca",
        [ALPACA, {"instruction": "Name a metal.", "input": "", "output": "Zinc."},
         {"instruction": "Name one.", "input": "", "output": ""}],
        [stays(ALPACA, "output", text="  kot", prompt="Translate.\ncat"),
         {"instruction": "Name a metal.", "input": "", "text": "Zinc.", "prompt": "Name a metal."}],
        rejected=("line 3 column 'output' is empty",),
    ),
    Case(
        "Alpaca with system and history",
        [HISTORY],
        [stays(HISTORY, "output", text="  kot",
               prompt="Into Polish.\n\ndog\n\ncow\n\nTranslate.\ncat")],
    ),
]  # fmt: skip

OPENAI = [
    Case(
        "OpenAI chat",
        [{"messages": WEIGHTS}],
        [{"text": "2", "prompt": "Be terse.\n\n1 + 1?\n\nSure?", "messages_json": WEIGHTS}],
    ),
    Case(
        "OpenAI chat with tools",
        [{"messages": [ASKED, CALL, RESULT, assistant("4.2 metres.")], "tools": [TOOL],
          "parallel_tool_calls": False}],
        [{"text": "4.2 metres.", "prompt": "Tide at Brest?", "tools": [TOOL],
          "messages_json": [ASKED, CALL, RESULT, assistant("4.2 metres.")],
          "parallel_tool_calls": False}],
    ),
    Case(
        "OpenAI chat that ends in a call",
        [{"messages": [ASKED, CALL], "tools": [TOOL]},
         {"messages": [ASKED, assistant("Wait.")], "tools": None}],
        [{"text": "Wait.", "prompt": "Tide at Brest?", "tools": None,
          "messages_json": [ASKED, assistant("Wait.")]}],
        rejected=("line 1 its last answer calls a tool, and says nothing",),
    ),
    Case(
        "OpenAI chat with functions",
        [{"messages": FUNCTION, "functions": [TOOL["function"]]}],
        [{"text": "4.2 metres.", "prompt": "Tide at Brest?", "messages_json": FUNCTION,
          "functions": [TOOL["function"]]}],
    ),
    Case(
        "OpenAI chat that ends in a refusal",
        [{"messages": [user("Hm?", name="anna"), assistant(None, refusal="I cannot say.")]},
         {"messages": [DEVELOPER, user("Hi"), assistant("Hi.")]}],
        [{"text": "Hi.", "prompt": "Be kind.\n\nHi",
          "messages_json": [DEVELOPER, user("Hi"), assistant("Hi.")]}],
        rejected=("line 1 its last answer is empty",),
    ),
    Case(
        "OpenAI chat with parts",
        [{"messages": PARTS}],
        [{"text": "A gull.", "prompt": "What is it?", "messages_json": PARTS}],
    ),
    Case(
        "OpenAI preference",
        [PREFERENCE],
        [stays(PREFERENCE, "preferred_output", text="Seven degrees.", prompt="Is it cold?",
               messages_json=[user("Is it cold?"), assistant("Seven degrees.")])],
    ),
    Case(
        "OpenAI completions",
        [{"prompt": "Snow is ->", "completion": " white\n"}],
        [{"prompt": "Snow is ->", "text": " white\n"}],
    ),
]  # fmt: skip

CASES = SHAREGPT + ALPACAS + OPENAI
