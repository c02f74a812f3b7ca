from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from recipes.common.run.contract import Deployable, UserError
from recipes.common.run.net_files import load_net, save_net
from tests.recipes.small_nets import deployable, residual_net


@pytest.mark.parametrize("labelled", [True, False])
def test_a_saved_net_is_read_back_whole_and_ready_for_inference(labelled: bool, tmp_path: Path) -> None:
    saved = deployable(residual_net(), labelled=labelled)
    saved.model.train()
    save_net(tmp_path / "net.pt", saved)
    assert [path.name for path in tmp_path.iterdir()] == ["net.pt"]
    read = load_net(tmp_path / "net.pt", "--net")
    assert torch.equal(read.calibration_inputs, saved.calibration_inputs)
    assert torch.equal(read.test_inputs, saved.test_inputs)
    assert (read.test_labels is not None) == labelled
    assert not read.model.training
    with torch.no_grad():
        torch.testing.assert_close(read.model(read.test_inputs), saved.model.eval()(saved.test_inputs))


def test_a_slice_is_saved_without_what_it_was_cut_from(tmp_path: Path) -> None:
    images = torch.zeros(100_000, 1, 8, 8)
    save_net(tmp_path / "net.pt", Deployable(nn.Flatten(), images[:2], images[2:4], torch.zeros(90_000)[:2]))
    assert (tmp_path / "net.pt").stat().st_size < 10_000


def test_a_net_whose_class_cannot_be_found_again_is_refused(tmp_path: Path) -> None:
    class Inner(nn.Flatten):
        pass

    with pytest.raises(UserError, match=r"--save-net .*: the net cannot be saved .* top level of a module"):
        save_net(tmp_path / "net.pt", deployable(Inner(), labelled=False))
    assert not list(tmp_path.iterdir())


def scripted() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return nn.Sequential(torch.jit.script(nn.Linear(2, 2)))


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (
            nn.Sequential(parametrizations.weight_norm(nn.Linear(2, 2))),
            r"0 \(.*\): expected a weight that is",
        ),
        (
            scripted(),
            r"0 \(.*\): expected a module of Python code, got TorchScript; pass the net from before",
        ),
    ],
)
def test_a_module_that_torch_cannot_save_is_named(net: nn.Module, words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"--save-net .*: the net cannot be saved; {words}"):
        save_net(tmp_path / "net.pt", deployable(net, labelled=False))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--save-net .*net\.pt: cannot be written"):
        save_net(Path("/dev/null/net.pt"), deployable(nn.Flatten(), labelled=False))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            None,
            r"--net .*net\.pt: cannot be read \(No such file or directory\); write one with: python",
        ),
        (b"damaged", r"--net .*net\.pt: expected a saved net, cannot be loaded \("),
        ({"weight": torch.zeros(1)}, r"--net .*net\.pt: expected a saved net, found dict; write one with"),
    ],
)
def test_a_file_that_is_no_saved_net_is_one_line(content: object, message: str, tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(UserError, match=message) as caught:
        load_net(path, "--net")
    assert "\n" not in str(caught.value)
