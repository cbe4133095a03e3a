"""What a recipe declares about the use of its result: the facts that terms ask for.

Nothing here bears identity: the same artifacts come about whatever they are for. What is not
declared stays unknown, and what a rule needs and does not know leads to review, never to
permission.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

StudentKind = Literal["language-model", "classifier", "embedding", "other"]
"""what kind of model a student is, as far as terms tell kinds apart"""


Said = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
"""a text that says something"""


class Operator(BaseModel):
    """Who runs the recipe and answers for its result."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str = ""
    """person or company"""
    country: str | None = Field(default=None, pattern=r"^[A-Z]{2}$")
    """where it sits, ISO 3166 alpha-2: GB and GR, not UK and EL"""
    monthly_users: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """monthly active users of all its products"""
    monthly_revenue_usd: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """revenue a month, US dollars"""
    annual_revenue_usd: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """revenue a year, US dollars"""
    maas_annual_revenue_usd: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """revenue a year from serving models to others, US dollars"""

    @field_validator("country")
    @classmethod
    def _is_of_the_standard(cls, value: str | None) -> str | None:
        if value in ("UK", "EL"):
            msg = f"write {'GB' if value == 'UK' else 'GR'}, as ISO 3166 does"
            raise ValueError(msg)
        return value


class PolicyFiles(BaseModel):
    """The ``[policy]`` table of a recipe: files beside it. They bear no identity either."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    terms: tuple[str, ...] = ()
    """terms and licences of one's own: TOML files, or folders of them"""
    rules: tuple[str, ...] = ()
    """house rules, TOML"""

    def files(self) -> tuple[str, ...]:
        """Return every file or folder that is named."""
        return (*self.terms, *self.rules)


class Use(BaseModel):
    """The ``[use]`` table of a recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    purpose: Literal["product", "internal", "research", "evaluation"] | None = None
    """what the result is for"""
    commercial: bool | None = None
    """whether it earns money, directly or not"""
    distribution: Literal["private", "service", "public"] | None = None
    """private: nobody else gets or uses it; service: others use it; public: others get it"""
    competes_with: tuple[Said, ...] | None = None
    """providers with whose products the result competes; an empty list says: with none"""
    published_name: str | None = None
    """name under which others get it"""
    license: Said | None = None
    """licence under which others get it: SPDX identifier, expression or LicenseRef-..."""
    authorised_by: dict[str, Said] = {}
    """provider -> the authorisation in writing: contract, letter, order form"""
    operator: Operator = Operator()
    """who answers for it"""

    @property
    def distributed(self) -> bool | None:
        """Whether others get or use the result; None if not declared."""
        return None if self.distribution is None else self.distribution != "private"

    def changed(self, given: dict[str, Any]) -> Use:
        """Return this use with some facts declared otherwise; None leaves a fact as it is."""
        wanted = {key: value for key, value in given.items() if value is not None}
        return Use.model_validate({**self.model_dump(), **wanted})

    def facts(self) -> dict[str, Any]:
        """Return what is declared, for rules and for the ledger."""
        return self.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
