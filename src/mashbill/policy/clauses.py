"""Clauses as codes with parameters, each in words of our own.

Two families are kept apart. A *use restriction* binds whoever used the model: it looks at the
route, the purpose, the distribution and the operator. A *derivative definition* attaches to the
student and flows down the lineage with its obligations. Some licence conditions are both.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mashbill.core.use import StudentKind

Code = Literal[
    "outputs-may-train",
    "distillation-allowed",
    "no-competing-model",
    "no-training",
    "no-distillation",
    "no-systematic-collection",
    "permitted-exception",
    "non-commercial",
    "scale-cap",
    "field-of-use",
    "territory",
    "upstream-terms",
    "no-clause-found",
    "student-is-derivative",
    "derivative-naming",
    "notice",
    "licence-passes-on",
    "share-alike",
    "outputs-owned",
    "no-benchmarking",
    "no-shared-access",
]

USE: frozenset[str] = frozenset(
    {
        "outputs-may-train", "distillation-allowed", "no-competing-model", "no-training",
        "no-distillation", "no-systematic-collection", "permitted-exception", "non-commercial",
        "scale-cap", "field-of-use", "territory", "upstream-terms", "no-clause-found",
    }
)  # fmt: skip
"""codes that the engine of use restrictions reads"""
DERIVATIVE: frozenset[str] = frozenset(
    {
        "student-is-derivative", "derivative-naming", "notice", "licence-passes-on", "share-alike",
        "non-commercial", "scale-cap", "field-of-use", "territory",
    }
)  # fmt: skip
"""codes that the engine of derivatives and obligations reads"""

TOLD: frozenset[str] = frozenset({"outputs-owned", "no-benchmarking", "no-shared-access"})
"""codes that are shown and decide nothing: to whom outputs belong, whether measuring is barred, and
whether accounts or keys may be handed on"""

Scope = Literal[
    "any-model", "competing-models", "competing-image-models", "language-models",
    "foundation-models", "external-models",
]  # fmt: skip
"""which students a bar is about"""

Measure = Literal[
    "monthly-active-users", "monthly-revenue-usd", "annual-revenue-usd", "maas-annual-revenue-usd"
]
"""what a cap counts: of the operator; the last, of serving the model to others as a service"""

Outputs = Literal["all", "text", "image", "web-search"]

_WANTS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    # code: (parameters it must have, parameters it may have)
    "outputs-may-train": (frozenset(), frozenset({"outputs"})),
    "distillation-allowed": (frozenset(), frozenset()),
    "no-competing-model": (frozenset(), frozenset({"unless", "outputs", "scope", "rivals"})),
    "no-training": (frozenset({"scope"}), frozenset({"unless", "outputs", "excepts"})),
    "no-distillation": (frozenset(), frozenset({"unless", "scope"})),
    "no-systematic-collection": (frozenset(), frozenset({"unless", "scope", "means"})),
    "permitted-exception": (frozenset({"lifts", "students"}), frozenset({"while_private"})),
    "non-commercial": (frozenset(), frozenset()),
    "scale-cap": (frozenset({"measure", "limit"}), frozenset({"counted", "then", "unless"})),
    "field-of-use": (frozenset({"policy"}), frozenset()),
    "territory": (frozenset({"excludes"}), frozenset()),
    "upstream-terms": (frozenset(), frozenset()),
    "no-clause-found": (frozenset(), frozenset()),
    "student-is-derivative": (frozenset(), frozenset()),
    "derivative-naming": (frozenset({"prefix", "when"}), frozenset({"if_distributed"})),
    "notice": (
        frozenset({"when"}),
        frozenset({"text", "if_distributed", "measure", "limit"}),
    ),
    "licence-passes-on": (frozenset(), frozenset({"if_distributed"})),
    "share-alike": (frozenset(), frozenset({"if_distributed"})),
    "outputs-owned": (frozenset(), frozenset()),
    "no-benchmarking": (frozenset(), frozenset()),
    "no-shared-access": (frozenset(), frozenset()),
}

_PARAMETERS = frozenset().union(*(must | may for must, may in _WANTS.values()))


class Clause(BaseModel):
    """One clause: a code, its parameters, our own words, a fragment of a few of the text's."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    code: Code
    """what it does"""
    says: str = Field(min_length=10, max_length=300)
    """paraphrase, in words of our own"""
    fragment: str = Field(default="", max_length=90)
    """a few words of the text, to find the place by"""
    section: str = ""
    """number of the section, if it has one"""
    scope: Scope | None = None
    """of a bar: which students it is about"""
    excepts: tuple[str, ...] = ()
    """of a bar: students that start with these names are not meant"""
    unless: Literal["authorised"] | None = None
    """of a bar: lifted by an authorisation in writing"""
    rivals: Literal["provider", "maker"] = "provider"
    """of a bar: with whom a rival competes, whoever's text it is or who made the model behind it"""
    means: Literal["any", "automated"] = "any"
    """of a bar on collecting: whether it is about automated means only"""
    outputs: Outputs = "all"
    """which outputs it is about"""
    lifts: Code | None = None
    """of an exception: the bar that it lifts"""
    students: tuple[StudentKind, ...] = ()
    """of an exception: for which students"""
    while_private: bool = False
    """of an exception: only while they are neither distributed nor made available to others"""
    measure: Measure | None = None
    """of a cap, or of a notice that is due above one"""
    limit: float | None = Field(default=None, gt=0)
    """where the cap lies, in the unit of its measure"""
    counted: str = ""
    """of a cap: at which time it is counted, if the text says so"""
    then: str = ""
    """of a cap: what is due above it, in our own words"""
    policy: str = ""
    """of a field of use: the policy that limits it"""
    excludes: tuple[str, ...] = ()
    """of a territory: where no rights are given, ISO 3166 alpha-2, or EU"""
    prefix: str = ""
    """of a naming: what the name must begin with"""
    when: tuple[Literal["weights", "outputs"], ...] = ()
    """of a naming or notice: what must have been used for it to be due"""
    if_distributed: bool = False
    """due only where the student is distributed or offered to others"""
    text: str = Field(default="", max_length=60)
    """of a notice: what is to be shown"""

    @model_validator(mode="after")
    def _parameters_fit(self) -> Clause:
        must, may = _WANTS[self.code]
        given = self.model_fields_set & _PARAMETERS
        if missing := must - given:
            msg = f"{self.code} needs {', '.join(sorted(missing))}"
            raise ValueError(msg)
        if extra := given - must - may:
            msg = f"{self.code} has no {', '.join(sorted(extra))}"
            raise ValueError(msg)
        if len(self.fragment.split()) > 8:
            msg = "fragment has more than 8 words; a few are enough to find the place"
            raise ValueError(msg)
        return self
