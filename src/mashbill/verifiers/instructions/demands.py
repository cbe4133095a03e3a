"""All demands that rules can tell, by name: those of IFEval and of IFBench."""

from __future__ import annotations

from mashbill.verifiers.instructions.ifeval import IFEVAL
from mashbill.verifiers.instructions.layout import LAYOUT
from mashbill.verifiers.instructions.wording import WORDING

DEMANDS = {**IFEVAL, **WORDING, **LAYOUT}
"""name -> demand"""
UNTOLD = {
    "language:response_language": "no rule tells a language",
    "words:start_verb": "whether a word is a verb hangs on a dictionary, and on its sentence",
    "words:odd_even_syllables": "how many syllables a word has hangs on a dictionary",
    "custom:european_capitals_sort": "it asks for facts of geography, and a form cannot tell them",
}
"""name -> why no rule tells whether it is kept"""
