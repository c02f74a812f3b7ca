"""A small transformer that tells two kinds of texts apart, trained on nothing but labelled ones.

Vaswani et al., "Attention Is All You Need", NIPS 2017 (arXiv 1706.03762), the encoder alone. It knows words
that stand in two of the texts or more, and reads out the largest of what the words of a text become.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.language.training import steps_of

_WORD = re.compile(r"\w\w+")
_FILL, _UNKNOWN = 0, 1
_WIDTH, _HEADS, _DROPOUT = 64, 4, 0.3


class WordTransformer(nn.Module):
    """Gives a text the log odds of being of the one kind."""

    def __init__(self, texts: Sequence[str]) -> None:
        super().__init__()
        words = [_WORD.findall(text.lower()) for text in texts]
        found_in = Counter(word for text in words for word in set(text))
        known = sorted(word for word, count in found_in.items() if count > 1)
        self.numbers = {word: number for number, word in enumerate(known, start=2)}
        self.longest = 1 + max(map(len, words))
        self.embedding = nn.Embedding(2 + len(known), _WIDTH)
        self.positions = nn.Parameter(torch.zeros(self.longest, _WIDTH))
        self.dropout = nn.Dropout(_DROPOUT)
        self.layer = nn.TransformerEncoderLayer(
            _WIDTH, _HEADS, 2 * _WIDTH, _DROPOUT, batch_first=True, norm_first=True
        )
        self.read_out = nn.Linear(_WIDTH, 1)
        nn.init.normal_(self.embedding.weight, std=0.1)  # of the default size, few steps hardly move it

    def rows(self, texts: Sequence[str]) -> Tensor:
        """Return the numbers of words, (texts, longest of them), behind one that stands before each text."""
        numbers = [
            [_UNKNOWN, *(self.numbers.get(word, _UNKNOWN) for word in _WORD.findall(text.lower()))]
            for text in texts
        ]
        longest = min(max(map(len, numbers)), self.longest)
        return torch.tensor([(row + [_FILL] * longest)[:longest] for row in numbers])

    def forward(self, rows: Tensor) -> Tensor:
        """Return log odds, (texts,)."""
        fill = rows == _FILL
        x = self.dropout(self.embedding(rows) + self.positions[: rows.shape[1]])  # (texts, words, width)
        x = self.layer(x, src_key_padding_mask=fill if fill.any() else None)
        odds: Tensor = self.read_out(x.masked_fill(fill[..., None], -torch.inf).amax(1))
        return odds[:, 0]

    @torch.inference_mode()
    def predict(self, text: str) -> bool:
        """Return whether a text is of that kind."""
        return bool(self(self.rows([text]))[0] > 0)


def train(
    labelled: Sequence[tuple[str, bool]],
    seed: int,
    *,
    rate: float = 3e-3,
    batch: int = 32,
    most_epochs: int = 60,
    patience: int = 8,
) -> WordTransformer:
    """Train until a tenth that is held out gains no more, and return the best net on the way."""
    torch.manual_seed(seed)
    tenth = max(len(labelled) // 10, 1)
    net = WordTransformer([text for text, _ in labelled[tenth:]])
    (held_out, wanted), (rows, targets) = (
        (net.rows([text for text, _ in part]), torch.tensor([float(label) for _, label in part]))
        for part in (labelled[:tenth], labelled[tenth:])
    )
    optimiser = torch.optim.AdamW(net.parameters(), rate)
    best, least, worse = copy.deepcopy(net.state_dict()), torch.inf, 0
    for _ in range(most_epochs):
        net.train()
        for chosen in steps_of(torch.randperm(len(rows)).tolist(), batch):
            loss = F.binary_cross_entropy_with_logits(net(rows[chosen]), targets[chosen])
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            optimiser.zero_grad()
        net.eval()
        with torch.inference_mode():
            now = F.binary_cross_entropy_with_logits(net(held_out), wanted).item()
        if now < least:
            best, least, worse = copy.deepcopy(net.state_dict()), now, 0
            continue
        worse += 1
        if worse == patience:
            break
    net.load_state_dict(best)
    return net
