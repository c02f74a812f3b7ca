"""A trial of a model recipe on the digits, which takes seconds."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import torch

from recipes.common.trial.harness import Trial, run_trial
from recipes.common.trial.subject import load_subject
from tests.recipes.fake_meter import FakeMeter


def digits_trial(recipe: ModuleType, cache: Path) -> Trial:
    """Run all arms with seed 0 and the preset `smoke`; trained nets are kept in a folder of the test."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GREENTACTICS_CACHE", str(cache))
        return run_trial(recipe, load_subject("digits_cnn"), 0, "smoke", FakeMeter())
