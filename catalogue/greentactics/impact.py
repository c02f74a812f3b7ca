"""Published claims about the effect of a tactic, each traced to its source."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from greentactics.bibliography import STRICT, CitationKey, Text
from greentactics.rules import Rule
from greentactics.vocabulary import Bound, ClaimDirection, ClaimKind, ClaimUnit, Quantity, ReadIn


class Range(BaseModel):
    """A published range."""

    model_config = STRICT

    low: float
    """Lower end, in the claim's unit."""
    high: float
    """Upper end, in the claim's unit."""

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.low > self.high:
            raise PydanticCustomError(
                Rule.RANGE_ORDER,
                "a range whose low end is not above its high end",
                {"found": f"{self.low:g} to {self.high:g}"},
            )
        return self


class Claim(BaseModel):
    """One published statement about the effect."""

    model_config = STRICT

    quantity: Quantity
    """What was counted."""
    value: Annotated[float, Field(ge=0)] | None = None
    """The figure, without sign; `direction` says which way."""
    range: Range | None = None
    """A range, where the source gives one instead of a single figure."""
    unit: ClaimUnit | None = None
    """Unit of `value` or `range`."""
    bound: Bound = Bound.EXACT
    """Whether the source qualifies the figure."""
    direction: ClaimDirection
    """Which way the quantity moves against the baseline."""
    baseline: Text
    """What it is compared with."""
    setting: Text
    """Model, data, hardware and conditions."""
    kind: ClaimKind
    """How the figure came about."""
    source: CitationKey
    """Key of the source in the bibliography."""
    read_in: ReadIn
    """Where we read it."""
    note: Text | None = None
    """What a reader should know."""

    @model_validator(mode="after")
    def _figure_or_argument(self) -> Claim:
        given = [name for name in ("value", "range", "unit") if getattr(self, name) is not None]
        if self.kind is ClaimKind.ARGUED:
            expected, right = "an argued claim without value, range or unit", not given
        else:
            expected = "either a value or a range, with its unit (or kind: argued)"
            right = given in (["value", "unit"], ["range", "unit"])
        if not right:
            raise PydanticCustomError(
                Rule.CLAIM_FIGURE, expected, {"found": " and ".join(given) or "none of them"}
            )
        return self


class Impact(BaseModel):
    """What has been published about the effect."""

    model_config = STRICT

    claims: tuple[Claim, ...] = ()
    """Published claims; the first is the one shown in the verdict line."""
