"""Write tickets as a helpdesk exports them.

That is with a mark of byte order, bytes of another encoding, semicolons, and names of columns that
no program would choose. The rows are the same each time, and nobody's.

    python make_tickets.py FILE [SEED] [--unlabelled]
"""

import random
import sys
from pathlib import Path

COMPLAINTS = [
    "My {thing} arrived broken and nobody answers my mails.",
    "This is the third time that the {thing} stopped working. I want my money back.",
    "I waited {days} days for the {thing} and it is the wrong one. Terrible.",
    "The {thing} is awful, it failed after {days} days.",
    "Your courier threw the {thing} over the fence. I am very angry.",
    "I was charged twice for the {thing}. Refund it at once.",
    "The manual of the {thing} is useless and your hotline hung up on me.",
    "Still no {thing} after {days} days! This is a disgrace.",
]
PRAISE = [
    "The {thing} works very well, thank you for the quick help.",
    "Just wanted to say that I love the new {thing}.",
    "Great service: the {thing} was here after {days} days, well packed.",
    "Thank you, the {thing} runs perfectly now.",
    "Very happy with the {thing}, I will order again.",
    "Your colleague was kind and solved it in {days} minutes. Wonderful.",
    "The {thing} is beautiful, my mother is delighted.",
    "Excellent quality, the {thing} still looks like new after {days} months.",
]
THINGS = ["kettle", "lamp", "bicycle", "coat", "phone", "chair", "radio", "printer", "toaster",
          "Öfchen", "drill", "mixer", "clock", "heater", "keyboard"]  # fmt: skip


def main(path: Path, seed: int, *, labelled: bool) -> None:
    """Write 400 tickets; three of them are in another encoding."""
    draw = random.Random(seed)  # noqa: S311 - nothing is kept secret by it
    lines = ["Ticket #;Was ist los? (Text)" + ";Laune ✓" * labelled]
    for number in range(400):
        text, mood = draw.choice([(COMPLAINTS, "complaint"), (PRAISE, "praise")])
        said = draw.choice(text).format(thing=draw.choice(THINGS), days=draw.randint(2, 30))
        line = f'{number};"{said} Order {draw.randint(1000, 9999)}."'
        lines.append(line + f";{mood}" * labelled)
    data = ("\r\n".join(lines) + "\r\n").encode("utf-8")
    for number in (17, 230, 399):  # as a copy from an older program leaves them
        begin = f'\r\n{number};"'
        data = data.replace(begin.encode(), f"{begin}Grüße! ".encode("latin-1"))
    path.write_bytes(b"\xef\xbb\xbf" + data)


words = [word for word in sys.argv[1:] if word != "--unlabelled"]
main(
    Path(words[0]),
    int(words[1]) if len(words) > 1 else 7,
    labelled="--unlabelled" not in sys.argv,
)
