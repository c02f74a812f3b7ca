from __future__ import annotations

import logging
import platform
import re
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from recipes.common.nets.resnet import resnet8
from recipes.common.run.contract import Deployable, UserError
from recipes.common.timing import engines
from recipes.common.timing.engines import (
    ENGINES,
    CannotRunError,
    Form,
    agreement,
    build,
    missing_extra,
    outputs_of,
    require_usable,
)
from tests.recipes.small_nets import BranchingNet, PairNet, deployable, residual_net


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("forms")


@pytest.fixture(scope="module")
def net() -> Deployable:
    return deployable(residual_net())


@pytest.fixture(scope="module")
def forms(net: Deployable, folder: Path) -> dict[str, Form]:
    return {engine: build(engine, net, folder, batch_size=2, threads=1) for engine in ENGINES}


def test_each_engine_computes_what_eager_pytorch_does(net: Deployable, forms: dict[str, Form]) -> None:
    with torch.no_grad():
        wanted = net.model(net.test_inputs)
    for engine, form in forms.items():
        found = outputs_of(form, net, batch_size=2)
        assert found.shape == (40, 10)
        got = agreement("tactic", engine, found, wanted, net.test_labels)
        assert got.count == 40
        assert got.accuracy_fraction == pytest.approx(0.5, abs=0.1)
        assert got.difference < (0.1 if engine == "onnxruntime_int8" else 1e-5)
        assert (got.difference > 1e-4) == (engine == "onnxruntime_int8"), "it really has fewer bits"


def test_what_is_timed_is_one_batch_of_calibration_inputs(net: Deployable, forms: dict[str, Form]) -> None:
    with torch.no_grad():
        wanted = net.model(net.calibration_inputs[:2])
    torch.testing.assert_close(forms["pytorch"].call(), wanted)
    torch.testing.assert_close(torch.from_numpy(forms["onnxruntime"].call()[0]), wanted)


def test_the_size_is_that_of_the_file_shipped(
    forms: dict[str, Form], folder: Path, tmp_path: Path, net
) -> None:
    torch.save(net.model.state_dict(), tmp_path / "weights.pt")
    sizes = [forms[engine].stored_bytes for engine in ENGINES]
    files = [tmp_path / "weights.pt", folder / "net.onnx", folder / "uint8-int8.onnx"]
    assert sizes[1:] == [file.stat().st_size for file in files[1:]]
    assert sizes[0] == pytest.approx(files[0].stat().st_size, rel=0.05), "the archive holds its own name"


def test_sums_of_a_residual_net_leave_no_convolution_in_32_bits(tmp_path: Path) -> None:
    import onnx
    import onnxruntime

    generator = torch.Generator().manual_seed(0)
    images = torch.randn(64, 1, 28, 28, generator=generator)
    build(
        "onnxruntime_int8", Deployable(resnet8().eval(), images, images), tmp_path, batch_size=64, threads=1
    )
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(tmp_path / "uint8-int8.onnx", options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert not {"Conv", "FusedConv", "NchwcConv"} & {kind.rpartition(".")[2] for kind in kinds}, kinds
    assert kinds.count("QLinearConv") == 9


def test_the_net_is_exported_once_and_nothing_is_said(net, tmp_path: Path, monkeypatch, capfd) -> None:
    exported = []
    real = torch.onnx.export
    monkeypatch.setattr(
        torch.onnx, "export", lambda *args, **kwargs: exported.append(1) or real(*args, **kwargs)
    )
    for engine in ENGINES:
        build(engine, net, tmp_path, batch_size=1, threads=1)
    assert exported == [1]
    assert capfd.readouterr() == ("", "")
    assert logging.root.manager.disable == logging.NOTSET


def test_a_net_that_cannot_be_exported_is_refused_in_one_line(tmp_path: Path, capfd) -> None:
    branching = deployable(BranchingNet().eval(), labelled=False)
    with pytest.raises(CannotRunError, match=r"cannot be exported to ONNX .*data-dependent") as caught:
        build("onnxruntime", branching, tmp_path, batch_size=1, threads=1)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_net_that_cannot_be_quantised_is_refused_in_one_line(net, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"damaged")
    with pytest.raises(CannotRunError, match="cannot be quantised") as caught:
        build("onnxruntime_int8", net, tmp_path, batch_size=1, threads=1)
    assert "\n" not in str(caught.value)


def test_a_net_that_onnx_runtime_does_not_load_is_refused_in_one_line(net, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"damaged")
    with pytest.raises(CannotRunError, match="cannot be loaded by ONNX Runtime") as caught:
        build("onnxruntime", net, tmp_path, batch_size=1, threads=1)
    assert "\n" not in str(caught.value)


def test_a_missing_extra_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {engine: missing_extra(engine) for engine in ENGINES} == dict.fromkeys(ENGINES)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert missing_extra("pytorch") is None
    for engine in ("onnxruntime", "onnxruntime_int8"):
        reason = missing_extra(engine)
        assert reason.startswith("the extra onnx is not installed (")
        assert reason.endswith('run: pip install -e ".[onnx]"')


@pytest.mark.parametrize(
    ("machine", "flags", "saturates"),
    [
        ("x86_64", "avx2 avx512_vnni", False),
        ("AMD64", "avx2", True),
        ("x86_64", None, True),
        ("arm64", "", False),
    ],
)
def test_weights_get_7_bits_where_sums_of_8_bit_products_saturate(
    machine: str, flags: str | None, saturates: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    if flags is not None:
        cpuinfo.write_text(f"flags: {flags}\n")
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(engines, "CPU_FLAGS", cpuinfo)
    assert engines.eight_bit_sums_saturate() == saturates


WANTED = torch.tensor([[1.0, 4.0], [3.0, 0.0]] * 5)


@pytest.mark.parametrize("found", [WANTED + 0.008, WANTED * float("nan")])
def test_an_export_that_computes_something_else_is_refused(found: torch.Tensor) -> None:
    with pytest.raises(UserError) as caught:
        agreement("tactic", "onnxruntime", found, WANTED, None)
    message = str(caught.value)
    assert message.startswith(
        "arm tactic, onnxruntime: outputs expected within 0.001 of the largest one of eager"
    )
    assert message.partition(", got ")[2].split(";")[0] in ("0.002", "nan")
    assert message.endswith("time without this engine: name the others with --engine")


def test_an_activation_that_jumps_may_change_the_outputs_of_few_inputs() -> None:
    wanted = WANTED.repeat(20, 1)
    found = wanted.clone()
    found[7] += 1
    assert agreement("tactic", "onnxruntime", found, wanted, None).difference == 0.25
    found[5:8] += 1
    with pytest.raises(UserError, match=r"for 99% of the test inputs, got 0\.25"):
        agreement("tactic", "onnxruntime", found, wanted, None)


def test_the_difference_is_a_share_of_the_largest_output() -> None:
    found = WANTED.clone()
    found[3, 1] -= 0.002
    labels = torch.tensor([1, 0] * 4 + [0, 1])
    got = agreement("tactic", "onnxruntime", found, WANTED, labels)
    assert got.difference == pytest.approx(0.0005, rel=1e-3)
    assert got.accuracy_fraction == 0.8


def test_8_bits_that_change_many_classes_are_refused() -> None:
    labels, found = torch.zeros(10, dtype=torch.int64), WANTED.clone()
    found[0] = found[0].flip(0)
    assert agreement("tactic", "onnxruntime_int8", found, WANTED, labels).accuracy_fraction == 0.6
    found[1] = found[1].flip(0)
    message = (
        "arm tactic, onnxruntime_int8: the class that eager PyTorch gives expected for at least 90% of the "
        "test inputs, got 80.0%; calibrate with inputs like those of use, or time without this engine: name"
    )
    with pytest.raises(UserError, match=re.escape(message)):
        agreement("tactic", "onnxruntime_int8", found, WANTED, labels)


def test_8_bits_without_classes_are_judged_by_the_root_mean_square() -> None:
    assert agreement("tactic", "onnxruntime_int8", WANTED * 1.4, WANTED, None).accuracy_fraction is None
    with pytest.raises(UserError, match=r"within 0\.5 of their root mean square, got 0\.6; calibrate"):
        agreement("tactic", "onnxruntime_int8", WANTED * 1.6, WANTED, None)


class SumNet(nn.Module):
    """Returns one number for a batch, as a loss does."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.sum()


class RandomNet(nn.Module):
    """Draws at random in evaluation mode too."""

    def forward(self, inputs: Tensor) -> Tensor:
        return nn.functional.dropout(inputs, 0.5)


class InPlaceInputNet(nn.Module):
    """Standardises what it was given in place."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.sub_(0.5).flatten(1) * 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_outputs_in_16_bits_are_refused_with_the_cure(dtype: torch.dtype) -> None:
    outputs = WANTED.to(dtype)
    with pytest.raises(CannotRunError, match=rf"arm tactic: .* got {dtype}; end forward with \.float\(\)"):
        agreement("tactic", "pytorch", outputs, outputs, None)
    assert agreement("tactic", "pytorch", outputs.float(), outputs.float(), None).difference == 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_weights_that_8_bits_are_not_made_of_are_refused_without_a_word_on_stderr(
    dtype: torch.dtype, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    inputs = torch.zeros(4, 64, dtype=dtype)
    net = Deployable(nn.Linear(64, 10, dtype=dtype).eval(), inputs, inputs)
    with pytest.raises(CannotRunError, match=r"has weights in float64 or bfloat16.*convert net and inputs"):
        build("onnxruntime_int8", net, tmp_path, batch_size=2, threads=1)
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("net", "batch_size", "message"),
    [
        (nn.Flatten(), 257, "--batch-size 257: expected at most 256, the calibration_inputs of arm tactic"),
        (nn.Flatten(), 9, "--batch-size 9: expected at most 8, the test_inputs of arm tactic"),
        (PairNet(), 1, "arm tactic: expected a net that returns one tensor of finite numbers.* got tuple"),
        (nn.Flatten(0), 2, r"a row for each example; got \(128,\)"),
        (nn.Threshold(1e9, float("inf")), 1, r"got \(1, 1, 8, 8\)"),
        (
            SumNet(),
            2,
            r"arm tactic: expected .* a row for each example; got \(\), so take a loss out of forward",
        ),
        (nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(0)), 2, r"or return outputs\.unsqueeze\(1\)"),
        (RandomNet(), 2, r"got others when it was called again; .* such as F\.dropout without"),
        (InPlaceInputNet(), 2, "got others when it was called again"),
    ],
)
def test_a_net_that_cannot_be_timed_is_named(net: nn.Module, batch_size: int, message: str) -> None:
    unusable = deployable(net, test_count=8, labelled=False)
    form = build("pytorch", unusable, Path(), batch_size=batch_size, threads=1)
    with pytest.raises(UserError, match=message):
        require_usable("tactic", unusable, form, batch_size)
