"""The page of a tactic names the devices its figures were reproduced on, and says when none was a GPU."""

from __future__ import annotations

import re

import pytest

from greentactics.site.pages import render_site
from tests.examples.records import PRUNING, catalogue
from tests.examples.synthetic import results


def on(kind: str, name: str, cores: int = 2, *, model: str | None = None, **changes):
    made = results(**changes)
    device = made.device.model_copy(update={"kind": kind, "name": name, "cores": cores, "model": model})
    return made.model_copy(update={"device": device, "device_slug": name.lower()})


CPU = on("cpu", "Example")
GPU = on("cuda", "Fast")


@pytest.mark.parametrize(
    ("committed", "said"),
    [
        ((), "no device yet"),
        ((on("cpu", "Example", dirty=True),), "no device yet"),
        ((CPU,), "Example, 2 cores; no accelerator was used"),
        ((on("cpu", "Example", cores=1), CPU), "Example, 1 core; Example, 2 cores; no accelerator was used"),
        (
            (on("cpu", "Brand", model="family 25"), on("cpu", "Brand", model="family 26")),
            "Brand (family 25), 2 cores; Brand (family 26), 2 cores; no accelerator was used",
        ),
        ((CPU, CPU), "Example, 2 cores; no accelerator was used"),
        ((CPU, GPU), "Example, 2 cores; Fast (accelerator)"),
        ((CPU, on("cuda", "Fast", seeds=1)), "Example, 2 cores; no accelerator was used"),
    ],
)
def test_what_the_page_says_beside_the_level(committed, said) -> None:
    made = catalogue(PRUNING, results={PRUNING.id: committed})
    text = render_site(made, {PRUNING.id: (GPU,)})[f"tactics/{PRUNING.id}/index.md"]
    assert re.findall(r"<dt>Reproduced on</dt> <dd>(.*)</dd>", text) == [said]
