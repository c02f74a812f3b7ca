"""Numbers in words."""

import pytest

from greentactics.evidence.wording import quantity


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (0.8891, "fraction", "88.91 %"),
        (3.24, "percentage points", "+3.2 points"),
        (-0.04, "percentage points", "0.0 points"),
        (8.19, "times lower", "8.2x lower"),
        (93746608.0, "MAC energy", "93.7 million MAC"),
        (408600.0, "count", "408,600"),
        (39.88, "s", "39.9 s"),
    ],
)
def test_an_absolute_value_is_written_with_its_unit(value, unit, words) -> None:
    assert quantity(value, unit) == words
