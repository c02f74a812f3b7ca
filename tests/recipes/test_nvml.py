from __future__ import annotations

import importlib

import pytest

from recipes.common.meters import nvml
from recipes.common.meters.source import Unavailable
from recipes.common.run.contract import UserError
from tests.recipes.fake_machine import FakeNvml

ALIKE = ("H200", "H200", "H200")
MIXED = ("A100", "T4")


def gpus_measured(fake: FakeNvml, **environment: str) -> list[int]:
    """Return the NVML numbers of the GPUs measured, in the order of their domains."""
    source = nvml.find_source(environment, fake)
    with source.measure() as energy_j:
        for index in range(len(fake.models)):
            fake.energy_mj[index] += 1000 * (index + 1)
    assert tuple(energy_j) == source.domains == tuple(f"gpu-{n}" for n in range(len(energy_j)))
    return [round(energy) - 1 for energy in energy_j.values()]


def reason_and_cure(fake: FakeNvml | None, **environment: str) -> tuple[str, str]:
    with pytest.raises(Unavailable) as caught:
        nvml.find_source(environment, fake)
    return caught.value.reason, caught.value.cure


def test_energy_is_the_difference_of_the_counters_in_joules() -> None:
    fake = FakeNvml("H200")
    with nvml.find_source({}, fake).measure() as energy_j:
        assert energy_j == {}
        fake.energy_mj[0] += 2_500
    assert energy_j == {"gpu-0": 2.5}


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        ("0", [0]),
        ("2,0", [2, 0]),
        (" 1 , 2 ", [1, 2]),
        ("0,7,1", [0]),
        ("1,-1,2", [1]),
        ("1,1", [1]),
        ("GPU-2a2b-0000", [2]),
        ("GPU-1,GPU-0", [1, 0]),
        ("0,1,2", [0, 1, 2]),
    ],
)
def test_gpus_are_those_cuda_may_use(visible: str, expected: list[int]) -> None:
    assert gpus_measured(FakeNvml(*ALIKE), CUDA_VISIBLE_DEVICES=visible) == expected


def test_all_gpus_without_the_variable() -> None:
    assert gpus_measured(FakeNvml(*MIXED)) == [0, 1]


@pytest.mark.parametrize("visible", ["", "-1", "9", "none", "GPU-", "GPU-9"])
def test_all_gpus_may_be_hidden(visible: str) -> None:
    reason, _ = reason_and_cure(FakeNvml(*ALIKE), CUDA_VISIBLE_DEVICES=visible)
    assert reason == f"CUDA_VISIBLE_DEVICES={visible!r} hides all GPUs"


def test_no_gpu() -> None:
    assert reason_and_cure(FakeNvml())[0] == "there is no GPU"


def test_a_choice_among_models_must_be_certain() -> None:
    reason, cure = reason_and_cure(FakeNvml(*MIXED), CUDA_VISIBLE_DEVICES="0")
    assert "picks from several models of GPU" in reason
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in cure
    in_order = {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert gpus_measured(FakeNvml(*MIXED), **in_order) == [1]
    assert gpus_measured(FakeNvml(*MIXED), CUDA_VISIBLE_DEVICES="GPU-1") == [1]


def test_part_of_a_gpu_has_no_counter() -> None:
    reason, cure = reason_and_cure(FakeNvml(*ALIKE), CUDA_VISIBLE_DEVICES="MIG-12ab")
    assert (
        reason == "CUDA_VISIBLE_DEVICES names a part of a GPU (MIG), and the counter covers the whole of it"
    )
    assert cure == "measure on a whole GPU"


def test_no_driver() -> None:
    reason, cure = reason_and_cure(FakeNvml(start_error="NVML Shared Library Not Found"))
    assert reason == "NVML does not answer (NVML Shared Library Not Found)"
    assert "driver" in cure


def test_no_package(monkeypatch) -> None:
    def refuse(name: str):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", refuse)
    reason, cure = reason_and_cure(None)
    assert reason == "the package nvidia-ml-py is not installed"
    assert cure == "install it with `pip install nvidia-ml-py`"


def test_old_gpus_have_no_counter() -> None:
    fake = FakeNvml("P100")
    fake.broken.add(0)
    reason, cure = reason_and_cure(fake)
    assert reason == "P100 does not tell its energy (Not Supported); GPUs do from Volta on"
    assert "GREENTACTICS_METER=zeus" in cure


def test_a_gpu_that_is_lost_gives_no_number() -> None:
    fake = FakeNvml("H200")
    lost = pytest.raises(
        UserError, match=r"NVML: a counter could no longer be read \(Not Supported\), so the"
    )
    with lost, nvml.find_source({}, fake).measure() as energy_j:
        fake.broken.add(0)
    assert energy_j == {}


def test_a_counter_that_goes_backwards_gives_no_number() -> None:
    fake = FakeNvml("H200")
    lost = pytest.raises(UserError, match=r"NVML: gpu-0 counted -999\.99 J in 0\.0 s, which cannot be")
    with lost, nvml.find_source({}, fake).measure() as energy_j:
        fake.energy_mj[0] = 10
    assert energy_j == {}


def test_a_name_that_is_no_text_is_left_out() -> None:
    fake = FakeNvml("A100", "A100")
    fake.nameless.add(0)
    assert gpus_measured(fake) == [0, 1]
    assert gpus_measured(fake, CUDA_VISIBLE_DEVICES="0", CUDA_DEVICE_ORDER="PCI_BUS_ID") == [0]
    reason, _ = reason_and_cure(fake, CUDA_VISIBLE_DEVICES="0")
    assert "picks from several models of GPU" in reason, "they may be of one model, but nothing tells"
    fake.broken.add(0)
    assert reason_and_cure(fake)[0].startswith("GPU 0 does not tell its energy (Not Supported)")


def test_a_gpu_that_is_lost_is_missed_only_where_it_is_meant() -> None:
    fake = FakeNvml(*ALIKE)
    fake.lost.add(1)
    assert gpus_measured(fake, CUDA_VISIBLE_DEVICES="0") == [0]
    assert gpus_measured(fake, CUDA_VISIBLE_DEVICES="GPU-2a2b-0000") == [2]
    for visible in ("1", "0,1", "2"):  # the number of a GPU behind it may have changed for CUDA
        reason, cure = reason_and_cure(fake, CUDA_VISIBLE_DEVICES=visible)
        assert reason == "GPU 1 does not answer (GPU is lost)"
        assert "CUDA_VISIBLE_DEVICES by their UUID" in cure
    assert reason_and_cure(fake)[0] == "GPU 1 does not answer (GPU is lost)"


def test_a_gpu_that_is_divided_counts_for_others_too() -> None:
    fake = FakeNvml("H200", "H200")
    fake.divided.add(1)
    assert gpus_measured(fake, CUDA_VISIBLE_DEVICES="0") == [0]
    assert reason_and_cure(fake)[0].startswith("CUDA uses a part of a GPU (MIG)")
