"""Six published image classifiers as lists of layer shapes: no weights, no data, nothing to download.

Shapes are those of the papers, at 1000 classes: AlexNet (Krizhevsky, Sutskever, Hinton, NIPS 2012; two
groups, 227 x 227 pixels as on the Eyeriss chip), VGG-16 (Simonyan, Zisserman, ICLR 2015), GoogLeNet
(Szegedy et al., CVPR 2015; without the auxiliary classifiers), SqueezeNet 1.0 (Iandola et al.,
arXiv:1602.07360), ResNet-50 (He et al., CVPR 2016; stride in the 3 x 3 convolutions as in torchvision) and
MobileNetV2 (Sandler et al., CVPR 2018). All but AlexNet read 224 x 224 pixels.

Every value is dense here: no weight and no activation is zero. `with_densities` thins them out.
"""

from __future__ import annotations

from dataclasses import replace

from recipes.common.energy.layers import LayerShape

Shapes = tuple[LayerShape, ...]


def convolution(
    name: str,
    size: int,
    channels: int,
    filters: int,
    filter_size: int,
    *,
    stride: int = 1,
    padding: int = 0,
    groups: int = 1,
) -> LayerShape:
    """Describe a dense square convolution.

    Args:
        name: Name of the layer.
        size: Height and width of the input map.
        channels: Channels of the input map.
        filters: Filters, which are the channels of the output map.
        filter_size: Height and width of the filter.
        stride: Stride along both axes.
        padding: Rows and columns of zeros on every side.
        groups: Groups of channels that do not see each other.
    """
    outputs = (size + 2 * padding - filter_size) // stride + 1
    met = sum(
        0 <= row * stride + tap - padding < size for row in range(outputs) for tap in range(filter_size)
    )
    return LayerShape(
        name=name,
        input_size=(size, size),
        input_channels=channels,
        filter_size=(filter_size, filter_size),
        filters=filters,
        output_size=(outputs, outputs),
        stride=(stride, stride),
        dilation=(1, 1),
        padding=(padding, padding, padding, padding),
        groups=groups,
        weight_nonzeros=filters * channels // groups * filter_size**2,
        input_nonzeros=float(channels * size**2),
        output_nonzeros=float(filters * outputs**2),
        macs=float(met**2 * filters * channels // groups),
    )


def linear(name: str, inputs: int, outputs: int) -> LayerShape:
    """Describe a dense linear layer as a convolution over one position."""
    return convolution(name, 1, inputs, outputs, 1)


def with_densities(
    layer: LayerShape, *, weights: float = 1.0, inputs: float = 1.0, outputs: float = 1.0
) -> LayerShape:
    """Set fractions of a dense layer's values to zero, spread evenly.

    Args:
        layer: A dense layer.
        weights: Fraction of weights that are not zero.
        inputs: Fraction of input activations that are not zero.
        outputs: Fraction of stored output activations that are not zero.
    """
    return replace(
        layer,
        weight_nonzeros=round(layer.weights * weights),
        input_nonzeros=layer.inputs * inputs,
        output_nonzeros=layer.outputs * outputs,
        macs=layer.macs * weights * inputs,
    )


def alexnet(sizes: tuple[int, int, int] = (227, 27, 13)) -> Shapes:
    """List AlexNet's five convolutions and three linear layers.

    Args:
        sizes: Height and width of the input of conv1, of conv2, and of conv3 to conv5.
    """
    first, second, rest = sizes
    return (
        convolution("conv1", first, 3, 96, 11, stride=4),
        convolution("conv2", second, 96, 256, 5, padding=2, groups=2),
        convolution("conv3", rest, 256, 384, 3, padding=1),
        convolution("conv4", rest, 384, 384, 3, padding=1, groups=2),
        convolution("conv5", rest, 384, 256, 3, padding=1, groups=2),
        *classifier(256 * 6 * 6),
    )


def classifier(features: int) -> Shapes:
    """List the three linear layers that AlexNet and VGG-16 end with."""
    return (linear("fc6", features, 4096), linear("fc7", 4096, 4096), linear("fc8", 4096, 1000))


def vgg16() -> Shapes:
    """List configuration D: thirteen 3 x 3 convolutions in five blocks, and three linear layers."""
    layers, channels = [], 3
    for block, (filters, depth) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))):
        for index in range(depth):
            name = f"conv{block + 1}-{index + 1}"
            layers.append(convolution(name, 224 >> block, channels, filters, 3, padding=1))
            channels = filters
    return (*layers, *classifier(512 * 7 * 7))


INCEPTIONS = {
    "3a": (28, 192, 64, 96, 128, 16, 32, 32),
    "3b": (28, 256, 128, 128, 192, 32, 96, 64),
    "4a": (14, 480, 192, 96, 208, 16, 48, 64),
    "4b": (14, 512, 160, 112, 224, 24, 64, 64),
    "4c": (14, 512, 128, 128, 256, 24, 64, 64),
    "4d": (14, 512, 112, 144, 288, 32, 64, 64),
    "4e": (14, 528, 256, 160, 320, 32, 128, 128),
    "5a": (7, 832, 256, 160, 320, 32, 128, 128),
    "5b": (7, 832, 384, 192, 384, 48, 128, 128),
}
"""Map size, channels, then filters: 1 x 1, 3 x 3 reduced, 3 x 3, 5 x 5 reduced, 5 x 5, behind pooling."""


def googlenet() -> Shapes:
    """List the stem, nine inception modules and the linear layer."""
    layers = [
        convolution("conv1", 224, 3, 64, 7, stride=2, padding=3),
        convolution("conv2-reduce", 56, 64, 64, 1),
        convolution("conv2", 56, 64, 192, 3, padding=1),
    ]
    for name, (size, channels, one, reduce3, three, reduce5, five, pooled) in INCEPTIONS.items():
        layers += [
            convolution(f"{name}-1x1", size, channels, one, 1),
            convolution(f"{name}-3x3-reduce", size, channels, reduce3, 1),
            convolution(f"{name}-3x3", size, reduce3, three, 3, padding=1),
            convolution(f"{name}-5x5-reduce", size, channels, reduce5, 1),
            convolution(f"{name}-5x5", size, reduce5, five, 5, padding=2),
            convolution(f"{name}-pool-proj", size, channels, pooled, 1),
        ]
    return (*layers, linear("fc", 1024, 1000))


def squeezenet() -> Shapes:
    """List version 1.0: a 7 x 7 convolution, eight fire modules and a 1 x 1 convolution."""
    layers, channels = [convolution("conv1", 224, 3, 96, 7, stride=2)], 96
    fires = ((54, 16), (54, 16), (54, 32), (27, 32), (27, 48), (27, 48), (27, 64), (13, 64))
    for index, (size, squeezed) in enumerate(fires, start=2):
        layers += [
            convolution(f"fire{index}-squeeze", size, channels, squeezed, 1),
            convolution(f"fire{index}-1x1", size, squeezed, 4 * squeezed, 1),
            convolution(f"fire{index}-3x3", size, squeezed, 4 * squeezed, 3, padding=1),
        ]
        channels = 8 * squeezed
    return (*layers, convolution("conv10", 13, 512, 1000, 1))


def resnet50() -> Shapes:
    """List the stem, sixteen bottleneck blocks in four stages and the linear layer."""
    layers, channels = [convolution("conv1", 224, 3, 64, 7, stride=2, padding=3)], 64
    size = 56
    for stage, (width, depth) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), start=2):
        for index in range(depth):
            stride = 2 if index == 0 and stage > 2 else 1
            name = f"{stage}-{index + 1}"
            layers += [
                convolution(f"{name}-reduce", size, channels, width, 1),
                convolution(f"{name}-3x3", size, width, width, 3, stride=stride, padding=1),
                convolution(f"{name}-expand", size // stride, width, 4 * width, 1),
            ]
            if index == 0:
                layers.append(convolution(f"{name}-shortcut", size, channels, 4 * width, 1, stride=stride))
            size, channels = size // stride, 4 * width
    return (*layers, linear("fc", 2048, 1000))


def mobilenet_v2() -> Shapes:
    """List the stem, seventeen inverted residual blocks, a 1 x 1 convolution and the linear layer."""
    layers, channels, size = [convolution("conv1", 224, 3, 32, 3, stride=2, padding=1)], 32, 112
    blocks = (
        *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
        *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
    )
    for number, (expansion, filters, depth, first_stride) in enumerate(blocks, start=1):
        for index in range(depth):
            stride = first_stride if index == 0 else 1
            name, width = f"{number}-{index + 1}", expansion * channels
            if expansion > 1:
                layers.append(convolution(f"{name}-expand", size, channels, width, 1))
            layers += [
                convolution(f"{name}-3x3", size, width, width, 3, stride=stride, padding=1, groups=width),
                convolution(f"{name}-project", size // stride, width, filters, 1),
            ]
            size, channels = size // stride, filters
    return (*layers, convolution("conv2", 7, 320, 1280, 1), linear("fc", 1280, 1000))


NETWORKS: dict[str, Shapes] = {
    "AlexNet": alexnet(),
    "VGG-16": vgg16(),
    "GoogLeNet": googlenet(),
    "SqueezeNet 1.0": squeezenet(),
    "ResNet-50": resnet50(),
    "MobileNetV2": mobilenet_v2(),
}
"""The networks by name."""
