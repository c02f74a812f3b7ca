"""SmolLM2-135M-Instruct, a small language model, and the tokens it reads and writes.

Allal et al., "SmolLM2: When Smol Goes Big", 2025 (arXiv 2502.02737); weights under Apache-2.0. They come
from a GGUF file in a Python package, where nearly all have 4 bits (Q4_1) and the embedding 8 (Q8_0). The
float32 weights here are those turned back: no more is in them than in 4 bits. So the net is not the published
one, what its quality loses by a lower precision says nothing of others, and its figures hold for it alone.

    greentactics data fetch smollm2
    pip install "greentactics[language]"
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from greentactics.models.datasets import SMOLLM2
from recipes.common.run.contract import UserError
from recipes.language.files import published_file
from recipes.language.llama import TINY, Config, Llama
from recipes.language.model import END, LanguageModel

if TYPE_CHECKING:
    from gguf import GGUFReader

_NAMES = {
    "token_embd": "embedding",
    "output_norm": "norm",
    "attn_norm": "attention_norm",
    "attn_q": "attention.query",
    "attn_k": "attention.key",
    "attn_v": "attention.value",
    "attn_output": "attention.output",
    "ffn_norm": "unit_norm",
    "ffn_gate": "gate",
    "ffn_up": "up",
    "ffn_down": "down",
}
"""What GGUF files call the tensors, and what `Llama` does."""


def load(data_dir: Path | None = None) -> LanguageModel:
    """Return SmolLM2-135M-Instruct in float32, in evaluation mode; takes about 3 s and 0.6 GB.

    Raises:
        UserError: The file of the weights is not there or is not the published one, or a package is missing.
    """
    path = published_file(SMOLLM2, data_dir)
    try:
        from gguf import GGUFReader
    except ModuleNotFoundError as error:
        raise UserError(
            f"the language model needs the package {error.name}; run `pip install gguf tokenizers`"
        ) from None
    reader = GGUFReader(path)
    encode, decode = _tokens(reader)
    return LanguageModel(
        "SmolLM2-135M-Instruct", SMOLLM2.files[0].sha256, _net(reader), encode, decode, encode(END)[0]
    )


def tiny(seed: int = 0) -> LanguageModel:
    """Return a random net of the same code, whose tokens are bytes and three marks; for tests."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Llama(TINY)
        for parameter in net.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)

    def decode(tokens: Sequence[int]) -> str:
        return bytes(token for token in tokens if token < 256).decode("utf-8", errors="replace")

    return LanguageModel("tiny", "", net.eval(), lambda text: list(text.encode()), decode, end=258)


def _net(reader: GGUFReader) -> Llama:
    """Return the net with its weights turned back into float32."""
    from gguf import dequantize

    with torch.device("meta"):
        net = Llama(_config(reader))
    weights = dict[str, Tensor]()
    for tensor in reader.tensors:
        *layer, name, kind = tensor.name.split(".")  # such as blk.0.attn_q.weight
        prefix = f"layers.{layer[1]}." if layer else ""
        weights[f"{prefix}{_NAMES[name]}.{kind}"] = torch.from_numpy(
            dequantize(tensor.data, tensor.tensor_type).copy()
        )
    net.load_state_dict(weights, assign=True)
    return net.eval()


def _config(reader: GGUFReader) -> Config:
    def entry(name: str) -> Any:  # noqa: ANN401 - a number of the file
        return reader.fields[f"llama.{name}"].contents()

    return Config(
        vocabulary=entry("vocab_size"),
        width=entry("embedding_length"),
        layers=entry("block_count"),
        heads=entry("attention.head_count"),
        key_value_heads=entry("attention.head_count_kv"),
        hidden=entry("feed_forward_length"),
        rotary_base=entry("rope.freq_base"),
        norm_epsilon=entry("attention.layer_norm_rms_epsilon"),
    )


def _tokens(reader: GGUFReader) -> tuple[Callable[[str], list[int]], Callable[[Sequence[int]], str]]:
    """Return what cuts texts into tokens and what puts them together, by the file's vocabulary and merges."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    def entry(name: str) -> Any:  # noqa: ANN401 - a list of the file
        return reader.fields[f"tokenizer.ggml.{name}"].contents()

    tokens: list[str] = entry("tokens")
    merges = [(first, second) for first, second in (merge.split(" ") for merge in entry("merges"))]
    tokenizer = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    marks = [token for token, kind in zip(tokens, entry("token_type"), strict=True) if kind == 3]
    tokenizer.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in marks])
    return (
        lambda text: tokenizer.encode(text).ids,
        lambda numbers: tokenizer.decode(list(numbers), skip_special_tokens=False),
    )
