"""The processor as results name it, on machines that tests lay out."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from greentactics.measure.measuring import device_slug
from greentactics.models.results import DeviceInfo
from recipes.common.run import environment
from recipes.common.run.contract import UserError

NEOVERSE = (
    "processor\t: 0\nBogoMIPS\t: 243.75\nCPU implementer\t: 0x41\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\n"
)
BIG = NEOVERSE.replace("0xd0c", "0xd09")
LITTLE = NEOVERSE.replace("0xd0c", "0xd03")
EPYC = "vendor_id\t: AuthenticAMD\ncpu family\t: 26\nmodel\t\t: 2\nmodel name\t: AMD EPYC\ncpu cores\t: 2\n"


@pytest.fixture(autouse=True)
def plain_machine(monkeypatch) -> None:
    """Four cores, of which the interpreter knows no more than the instruction set."""
    plain = SimpleNamespace(system=lambda: "Linux", processor=lambda: "", machine=lambda: "aarch64")
    monkeypatch.setattr(environment, "platform", plain)
    monkeypatch.setattr(environment, "_usable_cores", lambda: 4)


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("information", "name"),
    [
        (NEOVERSE + NEOVERSE, "aarch64 (implementer 0x41, part 0xd0c)"),
        (BIG + LITTLE + BIG, "aarch64 (implementer 0x41, part 0xd03; implementer 0x41, part 0xd09)"),
        (f"{LITTLE}model name\t: ARMv7 Processor rev 4 (v7l)\n", "aarch64 (implementer 0x41, part 0xd03)"),
        (f"{LITTLE}Serial\t: 10000000abcdef\n", "aarch64 (implementer 0x41, part 0xd03)"),
        (EPYC, "AMD EPYC"),
        ("cpu\t\t: POWER9, altivec supported\n", "POWER9, altivec supported"),
        ("isa\t: rv64imafdc\nuarch\t: sifive,u74-mc\n", "sifive,u74-mc"),
        ("Model Name\t: Loongson-3A5000\n", "Loongson-3A5000"),
        ("", "aarch64"),
    ],
)
def test_a_processor_has_the_name_that_tells_it_from_others(tmp_path: Path, information, name) -> None:
    write(tmp_path, {"proc/cpuinfo": information})
    assert environment.device(tmp_path)["name"] == name


def test_different_arm_processors_have_different_files(tmp_path: Path) -> None:
    slugs = set()
    for information in (NEOVERSE, BIG, LITTLE):
        write(tmp_path, {"proc/cpuinfo": information})
        slugs.add(device_slug(DeviceInfo.model_validate(environment.device(tmp_path))))
    assert len(slugs) == 3


def accelerator(memory_bytes: int, *, is_there: bool = True) -> SimpleNamespace:
    """Return what stands for `torch.cuda`."""
    told = SimpleNamespace(name="NVIDIA H200", total_memory=memory_bytes, major=9, minor=0)
    return SimpleNamespace(
        is_available=lambda: is_there, current_device=lambda: 0, get_device_properties=lambda _: told
    )


def test_accelerators_are_told_apart_by_their_memory(tmp_path: Path) -> None:
    found = [
        DeviceInfo.model_validate(environment.device(tmp_path, kind="cuda", cuda=accelerator(gib * 2**30)))
        for gib in (139, 69)
    ]
    assert [device_slug(device) for device in found] == ["gpu-nvidia-h200-139-gib", "gpu-nvidia-h200-69-gib"]
    assert found[0].model == "139 GiB, compute capability 9.0"


def test_nets_are_trained_where_the_user_says() -> None:
    there, missing = accelerator(1), accelerator(1, is_there=False)
    found = [environment.where_to_train(wanted, there) for wanted in environment.DEVICES]
    assert found == [
        "cuda",
        "cpu",
        "cuda",
    ]
    assert environment.where_to_train("auto", missing) == "cpu"
    with pytest.raises(UserError, match="--device cuda: expected an accelerator"):
        environment.where_to_train("cuda", missing)


def test_apple_tells_its_processor_elsewhere(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(environment.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(environment.platform, "processor", lambda: "arm")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(stdout="Apple M2\n"))
    assert environment.device(tmp_path)["name"] == "Apple M2"

    def refuse(*_: object, **__: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(subprocess, "run", refuse)
    assert environment.device(tmp_path)["name"] == "arm"


@pytest.mark.parametrize(
    ("files", "model"),
    [
        ({"proc/cpuinfo": EPYC}, "family 26, model 2"),
        ({"proc/device-tree/compatible": "raspberrypi,4-model-b\0brcm,bcm2711\0"}, "brcm,bcm2711"),
        ({}, None),
    ],
)
def test_processors_of_one_name_are_told_apart(tmp_path: Path, files, model) -> None:
    write(tmp_path, files)
    assert environment.device(tmp_path)["model"] == model


@pytest.mark.parametrize(
    ("groups", "limits", "quota"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2.0),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", {"cpu.max": "800000 100000\n"}, None),  # the four cores are less
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000", "cpu.max": "max 1"}, 3.0),
        ("0::/a/b\n", {"a/b/cpu.max": "100000 50000", "a/cpu.max": "300000 100000"}, 2.0),
        ("0::/docker/1f\n", {"cpu.max": "50000 100000\n"}, 0.5),  # the group is told, and is the root here
        (
            "5:memory:/\n4:cpu,cpuacct:/docker/1f\n",
            {"cpu,cpuacct/docker/1f/cpu.cfs_quota_us": "250000\n",
             "cpu,cpuacct/docker/1f/cpu.cfs_period_us": "100000\n"},
            2.5,
        ),
        ("4:cpu:/\n0::/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ("4:cpuset:/a\n", {"cpu/a/cpu.cfs_quota_us": "100\n", "cpu/a/cpu.cfs_period_us": "100\n"}, None),
        ("broken\n", {"cpu.max": ""}, None),
        ("", {}, None),
    ],
)  # fmt: skip
def test_what_a_container_may_take_stands_beside_the_cores(tmp_path: Path, groups, limits, quota) -> None:
    write(tmp_path, {f"sys/fs/cgroup/{name}": text for name, text in limits.items()})
    write(tmp_path, {"proc/self/cgroup": groups})
    described = environment.device(tmp_path)
    assert (described["cores"], described["quota_cores"]) == (4, quota)
