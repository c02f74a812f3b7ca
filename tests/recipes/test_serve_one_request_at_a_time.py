"""The other side of batches."""

from recipes import batch_requests
from recipes import serve_one_request_at_a_time as recipe
from tests.recipes.fake_meter import FakeMeter


def test_the_habit_is_the_baseline_of_batches_and_the_other_way_round() -> None:
    for arm, other in (("baseline", "tactic"), ("tactic", "baseline")):
        found, expected = (
            module.run(module.SMOKE, arm=name, seed=0, meter=FakeMeter())
            for module, name in ((recipe, arm), (batch_requests, other))
        )
        assert found.metrics == expected.metrics
    two = recipe.run(recipe.SMOKE, arm="two_at_a_time", seed=0, meter=FakeMeter()).metrics
    assert two["same_tokens"] == 1
