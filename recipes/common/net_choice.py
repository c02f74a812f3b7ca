"""Which of the small reference nets suits the images at hand."""

from __future__ import annotations

from torch import nn

from recipes.common.models import lenet, mini_alexnet, small_lenet


def for_images(name: str, channels: int, size: int) -> nn.Sequential:
    """Build `lenet` or `mini_alexnet` for square images; a small LeNet where they are below 28 pixels.

    Args:
        name: The net for images of 28 pixels or more.
        channels: 1 for grey images, 3 for colour.
        size: Height and width in pixels.

    Raises:
        ValueError: Another name, or images that the net cannot take.
    """
    if size < 28 and channels == 1:
        return small_lenet()
    if name == "mini_alexnet":
        return mini_alexnet(channels, size)
    if name == "lenet" and (channels, size) == (1, 28):
        return lenet()
    raise ValueError(f"no net {name!r} for images of {channels} x {size} x {size}; use mini_alexnet")
