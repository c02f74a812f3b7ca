"""The runs of the ML.ENERGY benchmark, version 2: language models and image models.

Energy is that of the GPUs, which the publishers metered with Zeus. Text was served to at most as many
requests at a time as a run names. There is one run of each kind, so that its noise is not known. Each model
counts tokens of its own vocabulary.

Data: the repository ml-energy/leaderboard-v2, Apache-2.0; `greentactics data fetch ml-energy`.
"""

from __future__ import annotations

import json
from pathlib import Path

from recipes.replays.pairs import Run

READING_S = 0.2
"""Time for a token that the publishers' page allows by default, about that of 240 words a minute."""


def language_runs(folder: Path) -> list[Run]:
    """Return the runs of language models for chat and code; energy and time are those of a token."""
    runs = []
    for path in sorted((folder / "data" / "llm_text_generation").rglob("bs*.json")):
        read = json.loads(path.read_text(encoding="utf-8"))
        tensor, pipeline = read["TP"], read["PP"]
        runs.append(
            Run(
                file=path.relative_to(folder).as_posix(),
                task=path.relative_to(folder).parts[2],
                model=read["Model"],
                accelerator=read["GPU"],
                accelerators=tensor * pipeline,
                layout=f"{tensor} x {pipeline}",
                batch=read["Max BS (reqs)"],
                energy_j=read["Energy/req (J)"] / read["Avg Output Tokens"],
                seconds=read["Avg TPOT (s)"],
            )
        )
    return runs


def image_runs(folder: Path) -> list[Run]:
    """Return the runs of models that make images of texts; energy is that of an image, time of a batch."""
    runs = []
    for path in sorted((folder / "data" / "diffusion" / "text-to-image").rglob("bs*.json")):
        read = json.loads(path.read_text(encoding="utf-8"))
        runs.append(
            Run(
                file=path.relative_to(folder).as_posix(),
                task=f"{read['Denoising steps']} steps",
                model=read["Model"],
                accelerator=read["GPU"],
                accelerators=1,
                layout="1",
                batch=read["Batch size"],
                energy_j=read["Energy/image (J)"],
                seconds=read["Batch latency (s)"],
            )
        )
    return runs


def parameters(folder: Path) -> dict[str, float]:
    """Return the billions of parameters of the language models, by model."""
    files = sorted((folder / "data" / "llm_text_generation").glob("*/models.json"))
    read = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    return {model: about["params"] for models in read for model, about in models.items()}
