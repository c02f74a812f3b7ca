from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_energy_meter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test read the machine's energy counters: it would take seconds and depend on the machine."""
    monkeypatch.setenv("GREENTACTICS_METER", "none")
