"""The language model: against plain loops, against itself without a cache, and against another library."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from greentactics.models.datasets import DATA_SETS, find_data
from recipes.common.run.contract import UserError
from recipes.language import smollm2
from recipes.language.files import published_file
from recipes.language.llama import TINY, Attention, Cache, Llama, rotary_turns, rotate, visible
from recipes.language.model import conversation

FOLDER = find_data(DATA_SETS["smollm2"], None)  # when this file is read: tests see no data of the user's
has_weights = pytest.mark.skipif(
    FOLDER is None or not all(importlib.util.find_spec(name) for name in ("gguf", "tokenizers")),
    reason="needs greentactics[language] and `greentactics data fetch smollm2`",
)
has_transformers = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="needs transformers, which is not installed"
)


@pytest.fixture
def net() -> Iterator[Llama]:
    with torch.inference_mode():
        yield smollm2.tiny().net


def some_tokens(batch: int, count: int) -> Tensor:
    return torch.randint(TINY.vocabulary, (batch, count), generator=torch.Generator().manual_seed(1))


def test_grouped_queries_answer_as_a_loop_over_heads_and_tokens_does() -> None:
    torch.manual_seed(0)
    attention, x = Attention(TINY), torch.randn(1, 5, TINY.width)
    turns = rotary_turns(torch.arange(5)[None], TINY)
    mask = visible(0, 5, None, x.device)
    with torch.inference_mode():
        found = attention(x, turns, mask, 0, None)[0]
        mixed = torch.zeros(5, TINY.width)
        size, group = TINY.head_size, TINY.heads // TINY.key_value_heads
        for head in range(TINY.heads):
            own, shared = slice(head * size, (head + 1) * size), head // group
            answers = slice(shared * size, (shared + 1) * size)
            query = turned_by_hand(attention.query(x)[0][:, own])
            key = turned_by_hand(attention.key(x)[0][:, answers])
            value = attention.value(x)[0][:, answers]
            for token in range(5):
                scores = torch.tensor([float(query[token] @ key[past]) for past in range(token + 1)])
                weights = (scores / math.sqrt(size)).softmax(0)
                mixed[token, own] = sum(weights[past] * value[past] for past in range(token + 1))
        assert torch.allclose(found, attention.output(mixed), atol=1e-5)


def turned_by_hand(rows: Tensor) -> Tensor:
    """Turn neighbouring entries of (tokens, head_size) by position times base ** (-entry / head_size)."""
    turned = rows.clone()
    for position in range(len(rows)):
        for entry in range(0, rows.shape[1], 2):
            angle = position * TINY.rotary_base ** (-entry / rows.shape[1])
            x, y = float(rows[position, entry]), float(rows[position, entry + 1])
            turned[position, entry] = x * math.cos(angle) - y * math.sin(angle)
            turned[position, entry + 1] = x * math.sin(angle) + y * math.cos(angle)
    return turned


def test_what_a_query_finds_in_a_key_depends_on_their_distance_alone() -> None:
    torch.manual_seed(0)
    query, key = torch.randn(2, 1, 1, 1, TINY.head_size)

    def product(at_query: int, at_key: int) -> float:
        turned = (
            rotate(x, rotary_turns(torch.tensor([[at]]), TINY))
            for x, at in ((query, at_query), (key, at_key))
        )
        return float((next(turned) * next(turned)).sum())

    assert product(7, 3) == pytest.approx(product(104, 100), abs=1e-4)
    assert product(7, 3) != pytest.approx(product(8, 3), abs=1e-2)


def test_with_a_cache_the_logits_are_those_of_the_whole_text(net: Llama) -> None:
    tokens = some_tokens(2, 12)
    cache = Cache(TINY, batch=2, room=12, like=net.embedding.weight)
    parts = [net(part, cache=cache) for part in tokens.split([5, 1, 4, 1, 1], dim=1)]
    assert cache.length == 12
    assert torch.allclose(torch.cat(parts, dim=1), net(tokens), atol=1e-5)
    assert torch.allclose(net(tokens, last_only=True)[:, 0], parts[-1][:, -1], atol=1e-5)
    with pytest.raises(ValueError, match="room for 12 tokens, got 13; make it larger"):
        net(tokens[:, :1], cache=cache)


def test_a_batch_filled_up_on_the_left_gives_each_text_the_logits_it_has_alone(net: Llama) -> None:
    short, long = some_tokens(2, 9)[0, :4], some_tokens(2, 9)[1]
    rows = torch.stack((torch.cat((torch.zeros(5, dtype=torch.int64), short)), long))
    padding = torch.tensor([5, 0])
    found = net(rows, padding=padding)
    assert torch.allclose(found[0, 5:], net(short[None])[0], atol=1e-5)
    assert torch.allclose(found[1], net(long[None])[0], atol=1e-5)
    cache = Cache(TINY, batch=2, room=9, like=net.embedding.weight)
    parts = [net(part, cache=cache, padding=padding) for part in rows.split([6, 3], dim=1)]
    assert torch.allclose(torch.cat(parts, dim=1), found, atol=1e-5)


def test_no_token_knows_those_after_it(net: Llama) -> None:
    tokens = some_tokens(1, 8)
    other = tokens.clone()
    other[0, 5] += 1
    before, after = net(tokens)[0], net(other)[0]
    assert torch.equal(before[:5], after[:5])
    assert not torch.allclose(before[5:], after[5:], atol=1e-3)


def test_absent_and_damaged_weights_are_told_with_the_cure(tmp_path) -> None:
    with pytest.raises(UserError, match="run `greentactics data fetch smollm2`, or name a folder"):
        published_file(DATA_SETS["smollm2"], tmp_path)
    path = tmp_path / DATA_SETS["smollm2"].files[0].name
    path.write_bytes(b"GGUF")
    with pytest.raises(UserError, match="not the published file: expected SHA-256 b179c9"):
        published_file(DATA_SETS["smollm2"], tmp_path)


@has_weights
def test_texts_come_back_from_the_tokens_of_the_real_vocabulary() -> None:
    model = smollm2.load(FOLDER)
    for text in (
        "",
        "Grüne Taktiken,  12345 of them\n\n\tdef f(x): return x",
        conversation(question="Why?"),
    ):
        assert model.decode(model.encode(text)) == text
    assert model.encode("2026") == [34, 32, 34, 38]  # digits stand alone
    assert model.encode("<|im_end|>") == [model.end]


@pytest.mark.slow
@has_weights
@has_transformers
def test_logits_are_those_of_another_library() -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    model = smollm2.load(FOLDER)
    ours, config = model.net, model.net.config
    theirs = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=config.vocabulary,
            hidden_size=config.width,
            intermediate_size=config.hidden,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.key_value_heads,
            rms_norm_eps=config.norm_epsilon,
            rope_parameters={"rope_type": "default", "rope_theta": config.rotary_base},
            tie_word_embeddings=True,
            max_position_embeddings=8192,
        )
    ).eval()
    weights = {"model.embed_tokens.weight": ours.embedding.weight, "model.norm.weight": ours.norm.weight}
    names = {
        "attention_norm": "input_layernorm",
        "attention.query": "self_attn.q_proj",
        "attention.key": "self_attn.k_proj",
        "attention.value": "self_attn.v_proj",
        "attention.output": "self_attn.o_proj",
        "unit_norm": "post_attention_layernorm",
        "gate": "mlp.gate_proj",
        "up": "mlp.up_proj",
        "down": "mlp.down_proj",
    }
    for number, layer in enumerate(ours.layers):
        for name, their_name in names.items():
            weight = layer.get_submodule(name).weight
            if name in (
                "attention.query",
                "attention.key",
            ):  # pairs: neighbours here, half a head apart there
                weight = weight.view(-1, config.head_size // 2, 2, config.width).transpose(1, 2)
            weights[f"model.layers.{number}.{their_name}.weight"] = weight.reshape(
                layer.get_submodule(name).weight.shape
            )
    missing = theirs.load_state_dict(weights, strict=False)
    assert (missing.missing_keys, missing.unexpected_keys) == (["lm_head.weight"], [])
    theirs.tie_weights()
    assert isinstance(theirs.lm_head, nn.Linear)
    text = "The with statement wraps a block with methods of a context manager, 3 or 4 of them."
    tokens = torch.tensor([model.encode(text)])
    with torch.inference_mode():
        expected, found = theirs(tokens).logits, ours(tokens)
    assert float((found - expected).abs().max()) < 1e-4
