"""A recipe that is tried on subjects, without torch: it writes all arms of a seed, or misbehaves as told.

It stands beside `fake_recipe.py`, which writes its arms, in the `recipes/` of a checkout.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from recipes.fake_tactic import document, misbehave, read_told

TACTIC = "fake-trial"
SUBJECTS = {"smoke": "digits_cnn", "default": "lenet_fashion", "full": "lenet_fashion"}
COST = "energy"


def tactic(study):
    yield "one", study.copy()


def rival(study):
    yield "one", study.copy()


ARMS = (tactic, rival)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int)
    parser.add_argument("--preset")
    parser.add_argument("--subject")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--data-dir")
    parser.add_argument("--engine", action="append")
    parser.add_argument("--cap-s", type=float)
    parser.add_argument("--device", default="")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    sys.stdout.write("data: digits\n")
    with Path("started").open("a") as log:
        log.write(f"{options.seed} {options.subject} {options.cap_s:g} {options.device}".rstrip() + "\n")
    told = read_told("trial", options.seed)
    misbehave(told)
    left_out = told.get("left_out", {})
    runs = []
    for arm in ("baseline", "as_given", "tactic", "rival"):
        if arm not in left_out:
            options.arm = "magnitude" if arm in ("as_given", "rival") else arm
            run = document(options, told)
            scores = {"kind": "bits", "count": 4, "packed": "eNpzBAAAQgBC"}  # 0100 0001, of which 4 count
            subject = Path(options.subject or SUBJECTS[options.preset]).stem
            runs.append(run | {"arm": arm, "tactic": TACTIC, "subject": subject, "scores": scores})
    first = runs[0]
    made = {"timings": [], "not_timed": {"onnxruntime": "not asked for"}, "left_out": left_out}
    options.out.write_text(
        json.dumps({"runs": runs, "device": first["device"], "versions": first["versions"], **made})
    )


if __name__ == "__main__":
    main()
