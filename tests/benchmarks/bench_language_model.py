"""What a token costs in recipes, against llama.cpp and transformers, from the same file in the same run.

Both are wanted for this alone and installed by hand: `pip install xllamacpp transformers accelerate`. The
first is llama.cpp in wheels that need no compiler; a build for the very machine may be faster. All take as
many threads as PyTorch does, see OMP_NUM_THREADS.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable

import pytest
import torch

from greentactics.models.datasets import SMOLLM2
from recipes.language import smollm2
from recipes.language.files import published_file
from recipes.language.llama import Cache
from recipes.language.texts import language_reference
from recipes.weights_in_few_bits import in_few_bits

PROMPT, NEW, BATCH = 128, 32, 8
ROUNDS = 3
DECODING_LIMIT = 1.5
READING_LIMIT = BATCH_LIMIT = 1

pytestmark = pytest.mark.filterwarnings("ignore")  # of the packages that are compared with

Engine = Callable[[torch.Tensor, int], list[list[int]]]
"""Writes so many tokens behind each prompt (batch, tokens), the likeliest ones."""


@pytest.fixture(scope="module")
def model():
    return smollm2.load()


@pytest.fixture(scope="module")
def file():
    return published_file(SMOLLM2)  # for the module: each test hides the data folders


@pytest.fixture(scope="module")
def prompts(model):
    texts = (model.encode(text.text) for text in language_reference().search)
    long_enough = (text[:PROMPT] for text in texts if len(text) >= PROMPT)
    return torch.tensor(list(itertools.islice(long_enough, BATCH)))


def test_against_llama_cpp(report, model, file, prompts):
    xllamacpp = pytest.importorskip("xllamacpp")
    own = engines(model)
    reading, decoding, written = in_turns({"llama.cpp": llama_cpp(xllamacpp, file, model)} | own, prompts[:1])
    for name in reading:
        report(f"{name}: CPU of a token read", reading[name], "ms")
        report(f"{name}: CPU of a new token", decoding[name], "ms")
    same = [ours == theirs for ours, theirs in zip(written["4 bits"], written["llama.cpp"], strict=False)]
    report("tokens that 4 bits and llama.cpp both write", 100 * statistics.mean(same), "%")
    _, in_batch, _ = in_turns({"4 bits": own["4 bits"]}, prompts)
    report(f"4 bits: CPU of a new token, {BATCH} requests", in_batch["4 bits"], "ms")
    theirs = decoding["llama.cpp"]
    report("reading against llama.cpp", reading["4 bits"] / reading["llama.cpp"], "x", READING_LIMIT)
    report("new tokens against llama.cpp", decoding["4 bits"] / theirs, "x", DECODING_LIMIT)
    report(f"those of {BATCH} requests against one by one", in_batch["4 bits"] / theirs, "x", BATCH_LIMIT)


def test_against_transformers(report, model, file, prompts):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")  # reads the file
    reading, decoding, _ = in_turns(
        {"transformers": generate(transformers, file)} | engines(model), prompts[:1]
    )
    for name in reading:
        report(f"{name}: CPU of a token read", reading[name], "ms")
        report(f"{name}: CPU of a new token", decoding[name], "ms")


def engines(model) -> dict[str, Engine]:
    """Return those of the recipes: the net as it is, and with its weights in few bits."""

    def engine(net) -> Engine:
        def write(prompts, count):
            cache = Cache(net.config, len(prompts), PROMPT + count, model.net.embedding.weight)
            new, written = prompts, []
            for _ in range(count):
                new = net(new, cache=cache, last_only=True).argmax(-1)
                written.append(new)
            return torch.cat(written, dim=1).tolist()

        return torch.inference_mode()(write)

    return {"float32": engine(model.net), "4 bits": engine(in_few_bits(model.net))}


def llama_cpp(xllamacpp, file, model) -> Engine:
    settings = xllamacpp.CommonParams()
    settings.model.path = str(file)
    settings.n_ctx, settings.n_parallel, settings.verbosity = PROMPT + NEW + 64, 1, 0
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = torch.get_num_threads()
    server = xllamacpp.Server(settings)

    def write(prompts, count):
        (prompt,) = prompts.tolist()
        wanted = {"prompt": prompt, "n_predict": count, "temperature": 0, "ignore_eos": True}
        answer = server.handle_completions(wanted | {"cache_prompt": False})
        assert (answer["timings"]["prompt_n"], answer["timings"]["predicted_n"]) == (len(prompt), count)
        return [model.encode(answer["choices"][0]["text"])]

    return write


def generate(transformers, file) -> Engine:
    net = transformers.AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=torch.float32
    )

    def write(prompts, count):
        written = net.generate(
            prompts,
            attention_mask=torch.ones_like(prompts),
            min_new_tokens=count,
            max_new_tokens=count,
            do_sample=False,
        )
        return written[:, prompts.shape[1] :].tolist()

    return write


def in_turns(all_engines, prompts) -> tuple[dict[str, float], dict[str, float], dict[str, list[int]]]:
    """Return ms of a token read and of a new one, medians over rounds, and what the first request gets."""
    reading, decoding, written = {}, {}, {}
    for number in range(1 + ROUNDS):
        for name, write in all_engines.items():
            began_s = time.process_time()
            write(prompts, 1)
            read_s = time.process_time()
            written[name] = write(prompts, 1 + NEW)[0]
            took_s, ended_s = read_s - began_s, time.process_time()
            if number:  # the first round sets up memory
                reading.setdefault(name, []).append(1000 * took_s / prompts.numel())
                of_new_s = ended_s - read_s - took_s
                decoding.setdefault(name, []).append(1000 * of_new_s / (NEW * len(prompts)))
    medians = [{name: statistics.median(ms[name]) for name in ms} for ms in (reading, decoding)]
    return *medians, written
