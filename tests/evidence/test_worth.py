"""What a device measures first."""

from __future__ import annotations

from greentactics.evidence.tactic import join
from greentactics.evidence.worth import by_worth
from tests.examples.records import PRUNING, catalogue
from tests.examples.synthetic import METRICS, results

MEASURED = METRICS | {
    "energy_batch_1": METRICS["energy_batch_1"].model_copy(update={"provenance": "measured"})
}


def named(identifier: str):
    return PRUNING.model_copy(update={"id": identifier})


def there(name: str, *, seconds: float = 1.0, **changes):
    made = results(**changes)
    repeats = tuple(repeat.model_copy(update={"duration_s": seconds}) for repeat in made.repeats)
    device = made.device.model_copy(update={"name": name})
    return made.model_copy(update={"device": device, "repeats": repeats})


def test_what_says_most_comes_first_and_what_holds_is_left_out() -> None:
    committed = {
        "begun": (there("Ours", complete=False),),
        "measured": (there("Theirs", metrics=MEASURED),),
        "never": (),
        "slow": (there("Theirs", seconds=9.0),),
        "quick": (there("Theirs"),),
        "done": (there("Theirs"), there("Ours")),
    }
    made = catalogue(*map(named, committed), results=committed)
    order = by_worth(join(made, {}), lambda _, entry: entry.device.name == "Ours")
    assert list(order) == ["begun", "measured", "never", "quick", "slow"]
    seconds = {name: seed_s / order["quick"] for name, seed_s in order.items()}
    assert seconds == {
        "begun": 1,
        "measured": 1,
        "never": 3,
        "quick": 1,
        "slow": 9,
    }  # as long as the four took
    assert set(by_worth(join(made, {}), lambda *_: True, "smoke")) == set(committed)
