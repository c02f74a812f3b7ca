"""Leave out work: a made-up recipe for tests, which computes nothing."""

from dataclasses import dataclass

TACTIC = "base-measured"
ARMS = ("baseline", "tactic")


@dataclass(frozen=True)
class Config:
    """Settings."""

    count: int = 10
    """How much work there is."""


SMOKE = Config(count=1)
DEFAULT = Config()
FULL = Config(count=100)


# --8<-- [start:tactic]
def leave_out(count):
    """Return half of the work."""
    return count // 2


# --8<-- [end:tactic]


def run(config, *, arm, seed, meter):
    """Count the work of one arm."""
    with meter.window("work"):
        return leave_out(config.count) if arm == "tactic" else config.count


def main():
    """Run the tactic."""
    run(DEFAULT, arm="tactic", seed=0, meter=None)


if __name__ == "__main__":
    main()
