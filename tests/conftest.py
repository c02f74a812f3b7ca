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
def nothing_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Let no test read the machine's energy counters, which takes seconds, nor data its user has fetched."""
    monkeypatch.setenv("GREENTACTICS_METER", "none")
    monkeypatch.delenv("GREENTACTICS_DATA", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.getbasetemp() / "no-data"))
