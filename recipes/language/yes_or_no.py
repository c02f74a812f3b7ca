"""Asking a language model the same yes-or-no question about one text after the other.

It reads what all texts share once and keeps it. The answer is the one of two
tokens that it rather expects; it writes none.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from recipes.language.llama import Cache
from recipes.language.model import END, LanguageModel
from recipes.language.quality import best_threshold

Labelled = Sequence[tuple[str, bool]]
"""Texts, and whether the answer is yes."""

_USER, _ASSISTANT = "<|im_start|>user\n", f"{END}\n<|im_start|>assistant\n"


class YesOrNo:
    """Answers a question; the threshold between yes and no is 0 until it is set."""

    def __init__(self, model: LanguageModel, question: str, *, longest: int) -> None:
        """Read what all texts share.

        Args:
            model: Answers.
            question: Follows each text.
            longest: Tokens of the longest text.
        """
        self.model, self.ending, self.threshold = model, f"\n\n{question}{_ASSISTANT}", 0.0
        shared = f"<|im_start|>system\nYou are a helpful AI assistant.{END}\n{_USER}"
        tokens = torch.tensor([model.encode(shared)])  # (1, tokens)
        self.shared = tokens.shape[1]
        # a text that was cut between two tokens may take a few more when it is read again
        room = self.shared + 2 * longest + len(model.encode(self.ending))
        self.cache = Cache(model.net.config, 1, room, model.net.embedding.weight)
        with torch.inference_mode():
            model.net(tokens, cache=self.cache, last_only=True)

    @torch.inference_mode()
    def preference(self, text: str) -> float:
        """Return the logit of "Yes" less that of "No" behind a text and the question."""
        self.cache.length = self.shared  # forget the text before
        tokens = torch.tensor([self.model.encode(text + self.ending)])  # (1, tokens)
        logits: Tensor = self.model.net(tokens, cache=self.cache, last_only=True)[0, -1]  # (vocabulary,)
        return float(logits[self.model.encode("Yes")[0]] - logits[self.model.encode("No")[0]])

    def set_threshold(self, labelled: Labelled) -> None:
        """Set the threshold that answers most of these rightly."""
        preferences = torch.tensor([self.preference(text) for text, _ in labelled])
        self.threshold = best_threshold(preferences, torch.tensor([yes for _, yes in labelled]))

    def __call__(self, text: str) -> bool:
        """Return whether the answer is yes."""
        return self.preference(text) > self.threshold
