"""A habit to avoid: requests wait while a language model answers one of them.

Record: tactics/serve-one-request-at-a-time.yaml. The requests are those of `recipes/batch_requests.py`, which
shows the other side. The baseline answers them in batches, the habit one by one; a further arm two at a time,
to show how much of the harm even a low limit takes away. All write the same tokens.

    python -m recipes.serve_one_request_at_a_time --arm tactic --seed 0 --preset default

On one processor core an arm takes under a minute with DEFAULT, a second with SMOKE. DEFAULT needs
`greentactics data fetch smollm2`. Published seeds, from 1000, read other texts than those below.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from recipes import batch_requests
from recipes.common.run import cli
from recipes.common.run.contract import Meter, Outcome

TACTIC = "serve-one-request-at-a-time"
ARMS = ("baseline", "tactic", "two_at_a_time")
METRICS = batch_requests.METRICS


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    net: str = "smollm2"
    """`smollm2`, or `tiny`: random weights, and bytes for tokens."""
    data_dir: Path | None = None
    """Folder that holds the weights; None searches the usual places."""
    requests: int = 24
    """Requests in the queue."""
    lengths: tuple[int, int] = (16, 192)
    """Tokens of the shortest and of the longest request there may be; all lengths between are as likely."""
    batch: int = 8
    """Requests that the baseline writes for together."""
    new_tokens: int = 12
    """Tokens written for each."""


SMOKE = Config(net="tiny", requests=8, lengths=(4, 32), batch=4, new_tokens=5)
DEFAULT = Config()
FULL = Config(requests=96, lengths=(16, 512), batch=16, new_tokens=64)


# --8<-- [start:tactic]
def requests_together(arm: str, batch: int) -> int:
    """Return how many requests an arm answers together; the habit is one, whatever the engine could hold."""
    return {"baseline": batch, "tactic": 1, "two_at_a_time": 2}[arm]


# --8<-- [end:tactic]


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Answer all requests of a queue in batches as they come, those of the habit of one request."""
    same = batch_requests.Config(**vars(config) | {"batch": requests_together(arm, config.batch)})
    return batch_requests.run(same, arm="tactic", seed=seed, meter=meter)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
