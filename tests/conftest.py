from __future__ import annotations

import signal

import pytest
from hypothesis import settings

from tests.built_site import real_site, site_with_local_results

__all__ = ["real_site", "site_with_local_results"]

# A deadline would assert timing, and fail on a machine that does something else at that moment.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# `nohup make test &` has everything below it ignore Ctrl-C, which some tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_energy_meter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test read the machine's energy counters: it would take seconds and depend on the machine."""
    monkeypatch.setenv("GREENTACTICS_METER", "none")
