"""Makes `python -m greentactics` the same as `greentactics`."""

from greentactics.cli.main import main

main(prog_name="greentactics")
