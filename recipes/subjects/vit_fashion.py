"""A small vision transformer on Fashion-MNIST: 16 patches of 7x7 pixels, two blocks of width 64.

Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021 (arXiv 2010.11929), with the mean over patches
in place of a class token.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.subjects import images

QUALITY, BETTER, TOLERANCE = "accuracy", "higher", 0.01
EPOCHS = {"smoke": (0.1, 0.05), "default": (8.0, 4.0), "full": (24.0, 12.0)}
BATCH, RATE = 128, 0.002
IMAGES = images.LabelledImages("fashion-mnist")
evaluate, example_inputs = IMAGES.evaluate, IMAGES.example_inputs
labelled_training_examples = IMAGES.labelled_training_examples
labelled_test_examples, data_used = IMAGES.labelled_test_examples, IMAGES.data_used

WIDTH, HEAD_WIDTH, BLOCKS = 64, 16, 2


class Block(nn.Module):
    """Attention and a net of two layers, each behind a layer normalisation and beside a shortcut."""

    def __init__(self) -> None:
        """Build the block with PyTorch's default initial weights."""
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.joined = nn.Linear(WIDTH, WIDTH)
        self.up, self.act, self.down = nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, patches: Tensor) -> Tensor:
        """Map (batch, patches, WIDTH) to the same shape."""
        normed = self.norm1(patches)
        heads = (
            layer(normed)
            .unflatten(2, (-1, HEAD_WIDTH))
            .transpose(1, 2)  # (batch, heads, patches, HEAD_WIDTH)
            for layer in (self.query, self.key, self.value)
        )
        attended = (
            F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
        )  # (batch, patches, WIDTH)
        patches = patches + self.joined(attended)
        outputs: Tensor = patches + self.down(self.act(self.up(self.norm2(patches))))
        return outputs


class VisionTransformer(nn.Module):
    """(batch, 1, 28, 28) to (batch, 10) logits, from the mean of all patches."""

    def __init__(self) -> None:
        """Build the net with PyTorch's default initial weights."""
        super().__init__()
        self.patches = nn.Conv2d(1, WIDTH, 7, stride=7)
        self.positions = nn.Parameter(0.02 * torch.randn(1, 16, WIDTH))
        self.blocks, self.norm = nn.Sequential(*(Block() for _ in range(BLOCKS))), nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits."""
        patches = self.patches(inputs).flatten(2).transpose(1, 2) + self.positions  # (batch, 16, WIDTH)
        logits: Tensor = self.head(self.norm(self.blocks(patches)).mean(1))
        return logits


def build_model() -> nn.Module:
    """Build the net."""
    return VisionTransformer()


def train(model: nn.Module, epochs: float, *, examples: Tensor | None = None) -> None:
    """Train in place on all training images, or on those of the given numbers, (chosen,)."""
    inputs, labels = images.split(IMAGES.name, "train", like=model)
    pool = torch.arange(len(inputs)) if examples is None else examples
    steps = max(1, round(epochs * len(pool) / BATCH))
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, RATE, steps + 1, pct_start=0.2, cycle_momentum=False
    )
    order = images.epochs_of(pool, steps * BATCH)
    model.train()
    for step in range(steps):
        chosen = order[step * BATCH : (step + 1) * BATCH]
        optimizer.zero_grad()
        F.cross_entropy(model(inputs[chosen]), labels[chosen]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    model.eval()
