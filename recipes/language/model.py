"""A language model as recipes use it: a net, and what turns texts into its tokens and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recipes.language.llama import Llama

END = "<|im_end|>"
"""Ends a turn of a conversation, and with it an answer."""


@dataclass(frozen=True)
class LanguageModel:
    """A net with the tokens it knows."""

    name: str
    sha256: str
    """Checksum of the file with the weights; empty for random ones."""
    net: Llama
    encode: Callable[[str], list[int]]
    """Cuts a text into tokens; marks such as `<|im_end|>` become one each."""
    decode: Callable[[Sequence[int]], str]
    """Puts a text together again, marks included."""
    end: int
    """Token that ends an answer."""


def conversation(*, question: str, system: str = "You are a helpful AI assistant.") -> str:
    """Return the text after which the model answers a question."""
    turns = f"<|im_start|>system\n{system}{END}\n<|im_start|>user\n{question}{END}\n"
    return f"{turns}<|im_start|>assistant\n"
