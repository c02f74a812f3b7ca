"""`python -m tests.campaign`: feed many hostile inputs to the readers and say what came of them."""

from __future__ import annotations

from tests.campaign.command import main

main(prog_name="python -m tests.campaign")
