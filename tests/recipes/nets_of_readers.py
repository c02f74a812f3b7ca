"""Nets such as readers bring to the functions of the recipes: a factory each, which returns net and inputs.

Every net is tiny, seeded, and in evaluation mode unless its name says otherwise; inputs have the precision of
the net, and (16, 1, 8, 8) is their shape unless the net reads tokens.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

NetAndInputs = tuple[nn.Module, Tensor]
CHANNELS, CLASSES, IMAGES, SIZE, WORDS = 8, 10, 16, 8, 20


class Plain(nn.Module):
    """Two convolutions, each with its own ReLU, and a linear layer: (batch, 1, 8, 8) to (batch, 10)."""

    def __init__(self, **second: object) -> None:
        super().__init__()
        self.first, self.relu1 = nn.Conv2d(1, CHANNELS, 3, padding=1), nn.ReLU()
        self.second = nn.Conv2d(CHANNELS, CHANNELS, 3, **{"padding": 1, **second})
        self.relu2 = nn.ReLU()
        self.output = nn.Linear(CHANNELS, CLASSES)

    def features(self, x: Tensor) -> Tensor:
        return self.relu2(self.second(self.relu1(self.first(x)))).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.features(x))


class Chain(nn.Module):
    """Convolution, what a reader put behind it, convolution, linear layer."""

    def __init__(self, middle: nn.Module, width: int = CHANNELS) -> None:
        super().__init__()
        self.first, self.middle = nn.Conv2d(1, CHANNELS, 3, padding=1), middle
        self.last, self.output = nn.Conv2d(width, CHANNELS, 1), nn.Linear(CHANNELS, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.middle(F.relu(self.first(x))))
        return self.output(F.relu(self.last(x)).mean((2, 3)))


class NormalisedNet(nn.Module):
    """A convolution in front of a batch normalisation, and dropout: what training mode changes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, CHANNELS, 3, padding=1), nn.BatchNorm2d(CHANNELS)
        self.relu1, self.drop = nn.ReLU(), nn.Dropout(0.5)
        self.second, self.relu2 = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1), nn.ReLU()
        self.output = nn.Linear(CHANNELS, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.drop(self.relu1(self.norm(self.first(x))))
        return self.output(self.relu2(self.second(x)).mean((2, 3)))


class SharedNet(Plain):
    """The second convolution is called three times."""

    def features(self, x: Tensor) -> Tensor:
        x = self.relu1(self.first(x))
        for _ in range(3):
            x = self.relu2(self.second(x))
        return x.mean((2, 3))


class TiedNet(nn.Module):
    """Two convolutions share one parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, CHANNELS, 3, padding=1)
        self.second, self.third = (nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(2))
        self.third.weight = self.second.weight
        self.output = nn.Linear(CHANNELS, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.second(F.relu(self.first(x))))
        return self.output(F.relu(self.third(x)).mean((2, 3)))


class LayerNormNet(nn.Module):
    """A perceptron with LayerNorm, over 64 inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(SIZE * SIZE, 16), nn.LayerNorm(16)
        self.second, self.output = nn.Linear(16, 12), nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.first(x.flatten(1))))
        return self.output(F.relu(self.second(x)))


class AttentionNet(nn.Module):
    """Rows of the image as tokens, multi-head attention, and a hidden layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(SIZE, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.hidden, self.output = nn.Linear(8, 16), nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x.squeeze(1))
        x = x + self.attention(x, x, x, need_weights=False)[0]
        return self.output(F.relu(self.hidden(x)).mean(1))


class TokenNet(nn.Module):
    """An embedding of tokens, int64 (batch, 6), and a perceptron."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 8)
        self.hidden, self.output = nn.Linear(8, 16), nn.Linear(16, CLASSES)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.output(F.relu(self.hidden(self.words(tokens).mean(1))))


class UnusedLayerNet(Plain):
    """A layer that `forward` does not call."""

    def __init__(self) -> None:
        super().__init__()
        self.spare = nn.Linear(CHANNELS, 3)


class TwoHeads(Plain):
    """Returns a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.other = nn.Linear(CHANNELS, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.features(x)
        return self.output(hidden), self.other(hidden)


class DictNet(Plain):
    """Returns a dict."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"logits": super().forward(x)}


class ScalarNet(Plain):
    """Returns one number for the whole batch, such as a loss."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).square().mean()


class NoGradNet(Plain):
    """Runs its own forward pass under `no_grad`."""

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


class InPlaceNet(Plain):
    """Adds to the output of a ReLU in place."""

    def features(self, x: Tensor) -> Tensor:
        x = self.relu1(self.first(x))
        y = self.relu2(self.second(x))
        y += x
        return y.mean((2, 3))


class FunctionalNet(Plain):
    """Calls `F.relu` instead of modules."""

    def features(self, x: Tensor) -> Tensor:
        return F.relu(self.second(F.relu(self.first(x)))).mean((2, 3))


class WrittenOutSizes(Plain):
    """Shuffles channels by way of sizes that stand in `forward`."""

    def features(self, x: Tensor) -> Tensor:
        x = self.relu1(self.first(x)).view(-1, 2, CHANNELS // 2, SIZE, SIZE).transpose(1, 2)
        return self.relu2(self.second(x.reshape(-1, CHANNELS, SIZE, SIZE))).mean((2, 3))


class ResidualPlain(Plain):
    """Adds what the first convolution gives to what the second gives."""

    def features(self, x: Tensor) -> Tensor:
        x = self.relu1(self.first(x))
        return (x + self.relu2(self.second(x))).mean((2, 3))


class BasicBlock(nn.Module):
    """A residual block with the names of torchvision: one `relu`, called twice, and `downsample`."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride > 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(out)) + identity)


class TorchvisionNames(nn.Module):
    """A residual net with the names of torchvision's."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, 1, 1, bias=False)
        self.bn1, self.relu = nn.BatchNorm2d(8), nn.ReLU(inplace=True)
        self.layer1 = nn.Sequential(BasicBlock(8, 8, 1))
        self.layer2 = nn.Sequential(BasicBlock(8, 16, 2))
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer2(self.layer1(self.relu(self.bn1(self.conv1(x)))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def weight_norm_net(*, parametrised: bool) -> nn.Module:
    """Return a net whose second convolution is under weight normalisation, of the new kind or the old."""
    net = Plain()
    if parametrised:
        net.second = parametrizations.weight_norm(net.second)
        return net
    with warnings.catch_warnings():  # the old kind is deprecated, and in use
        warnings.simplefilter("ignore", FutureWarning)
        net.second = nn.utils.weight_norm(net.second)
    return net


def frozen(net: nn.Module, *names: str) -> nn.Module:
    """Freeze the named parts, or all where none is named."""
    for part in [net.get_submodule(name) for name in names] or [net]:
        part.requires_grad_(requires_grad=False)
    return net


def in_place_relu_net() -> nn.Module:
    """Return a net whose ReLUs overwrite what the convolutions give, as in AlexNet and VGG."""
    net = Plain()
    net.relu1, net.relu2 = nn.ReLU(inplace=True), nn.ReLU(inplace=True)
    return net


def scripted() -> nn.Module:
    """Return a net compiled with TorchScript."""
    with warnings.catch_warnings():  # deprecated, and in use
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.script(nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10)))


NETS: dict[str, Callable[[], nn.Module]] = {
    "plain": Plain,
    "normalised": NormalisedNet,
    "depthwise": lambda: Chain(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=CHANNELS)),
    "grouped": lambda: Chain(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=4)),
    "grouped wide": lambda: Chain(nn.Conv2d(CHANNELS, 4 * CHANNELS, 3, padding=1, groups=8), 4 * CHANNELS),
    "shared": SharedNet,
    "tied": TiedNet,
    "group norm": lambda: Chain(nn.GroupNorm(4, CHANNELS)),
    "layer norm": LayerNormNet,
    "weight norm": lambda: weight_norm_net(parametrised=True),
    "old weight norm": lambda: weight_norm_net(parametrised=False),
    "attention": AttentionNet,
    "tokens": TokenNet,
    "unused layer": UnusedLayerNet,
    "all frozen": lambda: frozen(Plain()),
    "frozen trunk": lambda: frozen(Plain(), "first"),
    "frozen path of a sum": lambda: frozen(ResidualPlain(), "first"),
    "no grad": NoGradNet,
    "train mode": lambda: NormalisedNet().train(),
    "float64": lambda: Plain().double(),
    "bfloat16": lambda: Plain().bfloat16(),
    "half": lambda: Plain().half(),
    "tuple": TwoHeads,
    "dict": DictNet,
    "scalar": ScalarNet,
    "written-out sizes": WrittenOutSizes,
    "padding same": lambda: Plain(padding="same"),
    "padding reflect": lambda: Plain(padding_mode="reflect"),
    "compiled": lambda: torch.compile(Plain(), backend="eager"),
    "scripted": scripted,
    "data parallel": lambda: nn.DataParallel(Plain()),
    "in-place addition": InPlaceNet,
    "in-place ReLU": in_place_relu_net,
    "functional ReLU": FunctionalNet,
    "torchvision names": TorchvisionNames,
}
"""Nets by name; `net_and_inputs` builds one."""


def net_and_inputs(name: str) -> NetAndInputs:
    """Build a net, seeded, and inputs for it; in evaluation mode, all but "train mode"."""
    torch.manual_seed(0)
    net = NETS[name]()
    if name != "train mode":
        net.eval()
    if name == "tokens":
        return net, torch.randint(WORDS, (IMAGES, 6))
    return net, torch.rand(IMAGES, 1, SIZE, SIZE).to(next(net.parameters()).dtype)


def first_tensor(outputs: object) -> Tensor:
    """Return the one tensor, or the first of a tuple or dict of them."""
    if isinstance(outputs, dict):
        outputs = list(outputs.values())
    if isinstance(outputs, tuple | list):
        outputs = outputs[0]
    assert isinstance(outputs, Tensor)
    return outputs
