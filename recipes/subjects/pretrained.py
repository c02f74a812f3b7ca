"""What subjects share whose net is a language model that comes trained: texts, and the loss of a token."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.common.run.contract import DataUsed
from recipes.language.model import LanguageModel
from recipes.language.texts import Texts, language_reference
from recipes.language.training import padded, steps_of
from recipes.subjects import images

BATCH = 8
"""Texts that are judged at once."""
EPOCHS = {"smoke": (0.0, 0.0), "default": (0.0, 0.0), "full": (0.0, 0.0)}


@dataclass(frozen=True)
class OnTexts:
    """A language model on Python's language reference."""

    load: Callable[[], LanguageModel]
    """Reads the net."""
    longest: int
    """Tokens of a text, or of a piece to calibrate on, that are read."""
    pieces: int
    """Pieces to calibrate on."""

    def build_model(self) -> nn.Module:
        """Return the trained net: tokens, (batch, length), to logits, (batch, length, vocabulary)."""
        return self.load().net

    def train(self, model: nn.Module, epochs: float) -> None:
        """Leave the net as it is: it comes trained."""

    def evaluate(self, model: nn.Module, part: str = "search") -> Tensor:
        """Return the mean loss of a token of each text of a part, in nats, (texts,).

        Raises:
            PermissionError: The part is sealed while an arm runs.
        """
        if images.SEALED and part != "search":
            raise PermissionError(f"the {part} texts are sealed while an arm runs; judge with study.quality")
        return torch.cat([self._losses(model, texts) for texts in steps_of(self._cut(part), BATCH)])

    @torch.inference_mode()
    def _losses(self, model: nn.Module, texts: Sequence[list[int]]) -> Tensor:
        """Return the mean loss of a token of each text, (texts,)."""
        batch = padded(texts)
        logits = model(batch.tokens).transpose(1, 2)  # (texts, vocabulary, length)
        losses = F.cross_entropy(logits, batch.targets, reduction="none")  # 0 where there is no target
        return losses.sum(1) / (batch.targets >= 0).sum(1)

    def _cut(self, part: str) -> list[list[int]]:
        return [text[: self.longest] for text in _encoded(self.load)[part]]

    def example_inputs(self, seed: int = 0) -> Tensor:
        """Draw pieces of the texts to search with, (pieces, longest)."""
        tokens = torch.tensor([token for text in _encoded(self.load)["search"] for token in text])
        cut = tokens[: len(tokens) // self.longest * self.longest].view(-1, self.longest)
        return cut[torch.randperm(len(cut), generator=torch.Generator().manual_seed(seed))[: self.pieces]]

    def data_used(self) -> DataUsed:
        """Return name, checksum and sizes of the texts."""
        return _texts().used


@functools.cache
def _texts() -> Texts:
    return language_reference()


@functools.cache
def _encoded(load: Callable[[], LanguageModel]) -> dict[str, list[list[int]]]:
    """Return the tokens of each text by part."""
    encode, texts = load().encode, _texts()
    parts = {"search": texts.search, "choice": texts.choice, "test": texts.test}
    return {part: [encode(text.text) for text in held] for part, held in parts.items()}
