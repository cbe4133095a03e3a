"""What an account may be told about a case: the rule, what was seen, what clears it, how to object.

It is written for the account itself, and for it alone. It names no other account, no number of
them, no row, no text and no strength, and none of the case's own sentences, which an analyst reads:
each may hold what belongs to somebody else, or what would teach how to stay just below a limit.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mashbill.core.plain import counted
from mashbill.core.shown import shown

if TYPE_CHECKING:
    from mashbill.conduct.evidence.case import Case

RULES = {
    "J": "Requests must not be built to switch off the rules that a model answers by.",
    "X": "What a model keeps to itself is not offered: its hidden reasoning, the system prompt of "
    "a service, and sealed reasoning that was made for another account or another model.",
    "I": "Whoever uses the service does so under an account of their own, and says which accounts "
    "belong together. An account that was closed is not replaced by another.",
    "L": "Limits hold for a user, not for a key. Work that was refused for a limit waits; it does "
    "not go on under another account.",
}
"""finding -> the rule that it is about"""

_SEEN = {
    "handover": "Soon after a request of one account was refused for a limit, work of the same "
    "kind went on under another, more often than chance would have it.",
    "succession": "After an account was closed, work of the same kind went on under another.",
    "inheritance": "An account that was opened soon after another was closed has its means of "
    "payment or connects from its network.",
    "partition": "One list of work was divided between accounts, so that each did a part that the "
    "others left out.",
    "sharing": "Accounts that say nothing of each other send prompts of one making that hardly "
    "anybody else sends.",
    "timing": "Accounts that say nothing of each other are busy at the same moments, more closely "
    "than the hours of a day explain.",
    "evenness": "Accounts that say nothing of each other ask about equally often in the same days, "
    "more evenly than strangers do.",
    "linkage": "Accounts that say nothing of each other have in common what few others have, such "
    "as how they pay, when they were opened or where they connect from.",
    "replay": "Sealed reasoning was sent that had been made for another account or another model.",
    "wording": "Requests were worded in ways that ordinary requests, long and detailed ones among "
    "them, hardly ever are.",
}
_CLEARS = {
    "J": (
        "an agreed test of the model's safety: say under which agreement, and from when to when;",
        (
            "texts that you were given to classify, translate or moderate, and that were quoted in "
            "requests rather than meant as such;"
        ),
        "a key that was used by somebody else: say since when, and replace it.",
    ),
    "X": (
        "requests about your own system prompt, or about reasoning that your own text contains;",
        "a product that keeps conversations and changed model or account within one of them;",
        "a key that was used by somebody else: say since when, and replace it.",
    ),
    "I": (
        (
            "one organisation, class, customer or product behind these accounts: say so, and have "
            "them joined under it;"
        ),
        (
            "a public tool, assignment or course that sends the same prompts for everybody who "
            "uses it: name it;"
        ),
        "a shared network, office or reseller: name it.",
    ),
    "L": (
        "accounts of one organisation whose limits were agreed: name the agreement;",
        "a public tool that many use at once, and that retries by itself: name it;",
        "a change of key within one account, which is no evasion.",
    ),
}
_TIERS = {
    "note": "It is a note. Nothing follows from it.",
    "review": "A person is to look at it before anything follows from it.",
    "act": "It is strong enough for whoever runs the service to limit the account. A person can be "
    "asked to look at it again.",
}


def explain(case: Case, *, contact: str = "") -> str:
    """Return what the account, or each of the accounts, may be told: plain text of some lines.

    Args:
        case: it.
        contact: where to object, such as a mail address; whoever sent this if empty.
    """
    is_one = case.subject.kind == "account"
    signals = dict.fromkeys(one.signal for one in case.evidence)
    whose = "Your account is" if is_one else "Your account is one of several that are"
    days = f"between {_day(case.first)} and {_day(case.last)} (UTC)"
    of = f" in {counted(case.exchanges, 'request')}" if is_one else ""
    to = f"write to {shown(contact, 200)}" if contact else "answer whoever sent you this"
    parts = [
        f"About case {case.id}",
        "",
        f"{whose} part of a finding about how access was had, {days}{of}.",
        _TIERS[case.tier],
        "",
        "The rule",
        f"  {RULES[case.finding]}",
        "",
        "What was seen",
        *(f"  - {_SEEN[signal]}" for signal in signals),
        "",
        "What did not count by itself",
        (
            "  - How much you ask, how alike your own prompts are to one another, how narrow their "
            "subject is, when a model came out. Large and repetitive use is ordinary use."
        ),
        "  - What you do with the answers. It was not looked at.",
        *_of_statements(case),
        "",
        "What would clear it",
        *(f"  - {one}" for one in _CLEARS[case.finding]),
        "  - anything else that explains what was seen. You need not prove it to object.",
        "",
        "How to object",
        (
            f"  Please {to}, and name case {case.id}. Say what explains it, and which account you "
            "write for. A person who can change the outcome must read it. The finding can be "
            "derived again from the records, and you may ask that somebody else does so."
        ),
        "",
        "What this does not say",
        (
            "  It does not say who you are, what you wanted, or that a law was broken. It is a "
            "comparison with how others use the service, and it can be wrong."
        ),
    ]
    return "\n".join(parts) + "\n"


def _of_statements(case: Case) -> list[str]:
    if case.declared is None or not case.declared.statements or case.subject.kind != "account":
        return []
    said = counted(case.declared.statements, "signed statement")
    speak = "speaks" if case.declared.statements == 1 else "speak"
    return [f"  - You sent {said} of your runs, which {speak} for you where volume is concerned."]


def _day(moment: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)).date().isoformat()
