"""A made-up extract in the form of the ML.ENERGY data, small enough to work with by hand."""

from __future__ import annotations

import json
from pathlib import Path

A100, H100 = "NVIDIA A100-SXM4-40GB", "NVIDIA H100 80GB HBM3"


def write_text_run(
    folder: Path, model: str, batch: int, joules: float, seconds: float, gpu: str = A100, tensor: int = 1
) -> None:
    """Write a run of a language model whose answers have ten tokens, of so many joules each."""
    place = folder / "data" / "llm_text_generation" / "chat" / gpu.removeprefix("NVIDIA ") / model
    content = {
        "Model": model,
        "GPU": gpu,
        "TP": tensor,
        "PP": 1,
        "Energy/req (J)": 10 * joules,
        "Avg TPOT (s)": seconds,
        "Token tput (tok/s)": 1.0,
        "Avg Output Tokens": 10.0,
        "Avg BS (reqs)": float(batch),
        "Max BS (reqs)": batch,
    }
    _write(place / f"bs{batch}+tp{tensor}+pp1.json", content)


def write_image_run(folder: Path, model: str, batch: int, joules: float, seconds: float) -> None:
    """Write a run of an image model."""
    content = {
        "Model": model,
        "GPU": A100,
        "Energy/image (J)": joules,
        "Batch latency (s)": seconds,
        "Batch size": batch,
        "Denoising steps": 25,
    }
    place = folder / "data" / "diffusion" / "text-to-image" / A100.removeprefix("NVIDIA ") / model
    _write(place / f"bs{batch}+steps25.json", content)


def write_parameters(folder: Path, **billions: float) -> None:
    """Write how many parameters the models of a maker `m` have."""
    content = {f"m/{name.replace('_', '-')}": {"params": count} for name, count in billions.items()}
    _write(folder / "data" / "llm_text_generation" / "chat" / "models.json", content)


def _write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
