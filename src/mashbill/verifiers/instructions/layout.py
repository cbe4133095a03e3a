"""Demands on layout and fixed forms, by the names that IFBench gives them, each with its controls.

Names and arguments as in allenai/IFBench, ``ifbench/instructions.py``; see
:mod:`mashbill.verifiers.instructions.wording`. Those named ``custom:`` belong to one prompt each;
of what they ask, form is held and knowledge is not.
"""

# ruff: noqa: RUF001, SIM905 - marks of other scripts, as texts have them; a list as a text

from __future__ import annotations

import csv
import datetime as dt
import re
import unicodedata
from itertools import pairwise

from mashbill.verifiers.instructions.demand import Demand, Given, text_of
from mashbill.verifiers.instructions.texts import sentences_of, tokens_of

_CLOSES = {")": "(", "]": "[", "}": "{"}
_PICTURES = (
    "\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\u2300-\u23ff\u2190-\u21ff\u203c\u2049\u3030"
    "\u303d\u3297\u3299"
)
_EMOJI = (
    rf"(?:[{_PICTURES}][\ufe0f\u200d\U0001f3fb-\U0001f3ff]*|[\u00a9\u00ae\u2122#*0-9]\ufe0f\u20e3?)"
)
_MARK_BEFORE = re.compile(rf"([.!?…。！？]+[\"'”’)\]]*)(\s*)({_EMOJI}+)")
_ENDS = re.compile(rf"{_EMOJI}\W*$")
_LOWER = frozenset(
    "a an the and but or nor for so yet as at by in of off on per to up via with from into".split()
)
"""words that a title may begin small"""
_TEMPLATE = re.compile(
    r"\s*My Answer:\s*\S.*?My Conclusion:\s*\S.*?Future Outlook:\s*\S", re.DOTALL
)
_CELLS = re.compile(r'"[^"\t]*"(?:\t *"[^"\t]*"){4}')
_LONGEST = 100_000  # characters of a field


def _deepest(text: str) -> int:
    """Return how many brackets, of whatever kind, are closed within one another at most."""
    open_: list[str] = []
    inside = [0]
    deepest = 0
    for letter in text:
        if letter in "([{":
            open_.append(letter)
            inside.append(0)
        elif letter in _CLOSES:
            if not open_ or open_[-1] != _CLOSES[letter]:
                open_, inside = [], [0]
                continue
            open_.pop()
            height = inside.pop() + 1
            inside[-1] = max(inside[-1], height)
            deepest = max(deepest, height)
    return deepest


def _deepest_quotes(text: str) -> int:
    """Return how many quotes stand in one another at most, by turns of ``"`` and ``'``."""
    plain = re.sub(r"(?<=\w)['’](?=\w)", "", text)
    plain = re.sub("[“”„]", '"', re.sub("[‘’‚]", "'", plain))
    open_: list[str] = []
    inside = [0]
    deepest = 0
    for letter in plain:
        if letter not in "\"'":
            continue
        if open_ and open_[-1] == letter:
            open_.pop()
            height = inside.pop() + 1
            inside[-1] = max(inside[-1], height)
            deepest = max(deepest, height)
        else:
            open_.append(letter)
            inside.append(0)
    return deepest


def _all_marks(text: str) -> bool:
    found = re.search(r"\?!|!\?|‽", text)
    rest = text.replace(found[0], "", 1) if found else ""
    return bool(found) and set(".,!?;:") <= set(rest)


def _option(text: str, given: Given) -> bool:
    told = text_of(given, "options")
    ways = "/" if "/" in told else r"\bor\b" if re.search(r"\bor\b", told) else ","
    options = [one.strip() for one in re.split(ways, told) if one.strip()]
    if re.match(r"\W*a\W*b\W*c\W*", told, re.IGNORECASE):  # letters with brackets: as they stand
        return text.strip() in options
    said = text.strip().strip(".,!\"'`* ").casefold()
    return said in {one.strip(".,!\"'`* ").casefold() for one in options}


def _a_word_a_line(text: str) -> bool:
    lines = [line.split() for line in text.splitlines() if line.strip()]
    return len(lines) > 1 and all(len(line) == 1 for line in lines)


def _emoji(text: str) -> bool:
    moved = _MARK_BEFORE.sub(r"\3\1\2", text.strip())
    found = sentences_of(moved)
    return bool(found) and all(_ENDS.search(sentence) for sentence in found)


def _stairs(text: str) -> bool:
    lines = [line for line in text.splitlines() if line.strip()]
    depths = [len(line) - len(line.lstrip(" \t")) for line in lines]
    return len(lines) > 1 and all(one < two for one, two in pairwise(depths))


def _explained(text: str) -> bool:
    parts = re.sub("[“”„]", '"', text).split('"')
    quoted, behind = parts[1::2], parts[2::2]
    return (
        len(parts) > 2
        and len(quoted) == len(behind)
        and all(tokens_of(part) for part in behind)
        and all(part.strip() for part in quoted)
    )


def _list(text: str, given: Given) -> bool:
    mark = re.escape(text_of(given, "sep"))
    item = re.compile(rf"(?:^|(?<=\s)){mark}(?!{mark})\s*\S")
    lines = [line.strip() for line in text.splitlines()]
    return sum(len(item.findall(line)) for line in lines if item.match(line)) >= 2


def _thesis(text: str) -> bool:
    blocks = re.split(r"^#+[^\n]*$", text.strip(), flags=re.MULTILINE)
    blocks = [block.strip() for block in blocks if block.strip()]
    begun = [re.match(r"<(i|em)>(.*?)</\1>(.*)", b, re.DOTALL | re.IGNORECASE) for b in blocks]
    return bool(begun) and all(found and found[2].strip() and found[3].strip() for found in begun)


def _sub_bullets(text: str) -> bool:
    found = [re.match(r"\s*(\*(?!\*)|-)\s*\S", line) for line in text.splitlines()]
    marks = "".join(mark[1] for mark in found if mark)
    return re.fullmatch(r"(?:\*-+)+", marks) is not None


def _bullets_behind(text: str) -> bool:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    is_bullet = [re.match(r"\*(?!\*)\s*\S", line) is not None for line in lines]
    first = is_bullet.index(True) if True in is_bullet else len(lines)
    said = [one for one in sentences_of(" ".join(lines[:first])) if one.endswith(".")]
    return len(said) >= 2 and sum(is_bullet) >= 2 and all(is_bullet[first:])


def _title(text: str) -> bool:
    found = tokens_of(text)
    wrong = [
        at for at, word in enumerate(found)
        if word[0].isalpha() and word[0].islower() and (at == 0 or word not in _LOWER)
    ]  # fmt: skip
    return bool(found) and not wrong and any(word[0].isupper() for word in found)


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d{1,9}", text)]


def _questions(text: str) -> bool:
    parts = re.split(r"^\W{0,4}Question\b[ \t]*\d*[\W_]*", text.strip(), flags=re.MULTILINE)
    asked = [re.split(r"^\s*\W?[A-Ea-e][.):]\s*", part, flags=re.MULTILINE) for part in parts[1:]]
    sizes = [len(part[0].strip()) for part in asked]
    whole = len(asked) == 4 and not parts[0].strip() and all(len(part) == 6 for part in asked)
    return whole and all(one < two for one, two in pairwise(sizes))


def _plain(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in apart if not unicodedata.combining(letter)).casefold()


def _backwards(text: str) -> bool:
    lines = [_plain(line).strip(" \t.,;:*-0123456789)") for line in text.splitlines()]
    lines = [line for line in lines if line]
    return len(lines) >= 50 and lines == sorted(set(lines), reverse=True)


def _by_word(text: str) -> bool:
    return "bald eagle" in " ".join(token.casefold() for token in reversed(tokens_of(text)))


def _from_a_to_z(text: str) -> bool:
    firsts = [tokens_of(sentence) for sentence in sentences_of(text)]
    return "".join(said[0][0].casefold() for said in firsts if said) == "abcdefghijklmnopqrstuvwxyz"


def _table(text: str, columns: list[str], rows: int, delimiter: str = ",") -> bool:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    if any(len(line) > _LONGEST for line in lines):
        return False
    try:
        table = list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True))
    except csv.Error:
        return False
    head = [[cell.strip() for cell in row] for row in table[:1]]
    return head == [columns] and len(table) == rows + 1 and all(
        len(row) == len(columns) for row in table
    )  # fmt: skip


def _special(text: str) -> bool:
    columns = ["ProductID", "Category", "Brand", "Price", "Stock"]
    rows = text.strip().split("\n", 1)[-1]
    return _table(text, columns, 14) and re.search(r'"[^"\n]*[^\w\s"][^"\n]*"', rows) is not None


def _quoted(text: str) -> bool:
    columns = ["StudentID", "Subject", "Grade", "Semester", "Score"]
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return _table(text, columns, 3, "\t") and all(_CELLS.fullmatch(line) for line in lines)


def _dates(text: str) -> bool:
    found = [part.strip() for part in text.strip().rstrip(".").split(",")]
    try:
        days = [dt.date.fromisoformat(part) for part in found if re.fullmatch(r"[\d-]{10}", part)]
    except ValueError:
        return False
    return bool(found) and len(days) == len(found) and all(1769 <= d.year <= 1821 for d in days)


_LINES = "\n".join(f"{one}{two}" for one in "zyxwvutsrqponmlkjihgfedcba" for two in "ba")
_STORY = " ".join(f"{chr(97 + n)}ll is well." for n in range(26))
_ASKED = "\n".join(
    f"Question {n}: Who painted it{' so' * n}?\n" + "\n".join(f"{x}) Somebody" for x in "ABCDE")
    for n in range(1, 5)
)
_CITIES = "ID,Country,City,Year,Count\n" + "\n".join(f"{n},Chad,Faya,2020,{n}" for n in range(7))
_GOODS = "ProductID,Category,Brand,Price,Stock\n" + "\n".join(
    f'{n},Tea,"A&B",2,{n}' for n in range(14)
)
_MARKS = "\n".join(
    "\t".join(f'"{cell}"' for cell in row)
    for row in [["StudentID", "Subject", "Grade", "Semester", "Score"], *[["1"] * 5] * 3]
)

LAYOUT: dict[str, Demand] = {
    "count:punctuation": Demand(
        lambda text, _: _all_marks(text), {}, "Oh, no; yes: go! Why? What?! It is.",
        "Oh, no; yes: go! What?! It is.",
    ),
    "format:parentheses": Demand(
        lambda text, _: _deepest(text) >= 5, {}, "a (b [c {d (e [f])}])", "((((a)))) ()",
    ),
    "format:quotes": Demand(
        lambda text, _: _deepest_quotes(text) >= 3, {}, "\"I said 'he said \"no\" then' to her\"",
        "\"It's 'so'\" and 'no'",
    ),
    "format:options": Demand(
        _option, {"options": "yes/no/maybe"}, "Maybe.", "Maybe, since it rains.",
    ),
    "format:newline": Demand(
        lambda text, _: _a_word_a_line(text), {}, "One\ntwo\n\nthree.", "One\ntwo three",
    ),
    "format:emoji": Demand(
        lambda text, _: _emoji(text), {}, "It rains 🌧️. It pours! ☔", "It rains. It pours! ☔",
    ),
    "format:line_indent": Demand(
        lambda text, _: _stairs(text), {}, "a\n b\n  c", "a\n b\n c\n d\n e",
    ),
    "format:quote_unquote": Demand(
        lambda text, _: _explained(text), {}, '"So be it" means yes.', 'He said "so be it".',
    ),
    "format:list": Demand(
        _list, {"sep": "!?!?"}, "!?!? one\n!?!? two", "- one\n!?!? two",
    ),
    "format:thesis": Demand(
        lambda text, _: _thesis(text), {},
        "# One\n<i>It rains.</i> Much.\n# Two\n<em>So.</em> Yes.",
        "# One\nIt rains.\n# Two\n<i>It rains.</i> Much.\n# Three\nSo it is.",
    ),
    "format:sub-bullets": Demand(
        lambda text, _: _sub_bullets(text), {}, "* one\n  - a\n* two\n  - b",
        "* one\n  - a\n* two\n* three\n* four",
    ),
    "format:no_bullets_bullets": Demand(
        lambda text, _: _bullets_behind(text), {}, "It rains. It pours.\n\n* one\n* two",
        "It rains.\n\n* one\n* two",
    ),
    "format:title_case": Demand(
        lambda text, _: _title(text), {}, "The Old Man and the Sea", "The old Man and the Sea",
    ),
    "format:output_template": Demand(
        lambda text, _: _TEMPLATE.match(text) is not None, {},
        "My Answer: yes\nMy Conclusion: so\nFuture Outlook: good",
        "My Answer: yes\nFuture Outlook: good\nMy Conclusion: so",
    ),
    "format:no_whitespace": Demand(
        lambda text, _: not any(letter.isspace() for letter in text), {}, "all-of-it", "all of it",
    ),
    "custom:multiples": Demand(
        lambda text, _: _numbers(text) == [14, 21, 28, 35, 42, 49], {}, "14, 21, 28, 35, 42, 49",
        "7, 14, 21, 28, 35, 42, 49",
    ),
    "custom:mcq_count_length": Demand(
        lambda text, _: _questions(text), {}, _ASKED, _ASKED.replace(" so so so so", " so"),
    ),
    "custom:reverse_newline": Demand(
        lambda text, _: _backwards(text), {}, _LINES, "\n".join(reversed(_LINES.split("\n"))),
    ),
    "custom:word_reverse": Demand(
        lambda text, _: _by_word(text), {}, "Eagle bald the is it.", "It is the bald eagle.",
    ),
    "custom:character_reverse": Demand(
        lambda text, _: "elgae dlab" in text.casefold(), {}, "elgae dlab eht si tI",
        "It is the bald eagle.",
    ),
    "custom:sentence_alphabet": Demand(
        lambda text, _: _from_a_to_z(text), {}, _STORY, _STORY.replace("cll", "all"),
    ),
    "custom:csv_city": Demand(
        lambda text, _: _table(text, ["ID", "Country", "City", "Year", "Count"], 7), {}, _CITIES,
        _CITIES.replace("3,Chad", "3"),
    ),
    "custom:csv_special_character": Demand(
        lambda text, _: _special(text), {}, _GOODS, _GOODS.replace('"', ""),
    ),
    "custom:csv_quotes": Demand(
        lambda text, _: _quoted(text), {}, _MARKS, _MARKS.replace('"', ""),
    ),
    "custom:date_format_list": Demand(
        lambda text, _: _dates(text), {}, "1805-12-02, 1815-06-18", "1805-12-02, 1815-06-31",
    ),
}  # fmt: skip
"""name -> demand. ``custom:european_capitals_sort`` is none of them: what it asks for is a fact of
geography, of which no form tells whether it is right."""
