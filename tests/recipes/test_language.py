"""Writing with a language model, texts, quality, and the recipe that keeps keys and values."""

from __future__ import annotations

import io
import math
import tarfile

import pytest
import torch

from recipes import keep_keys_and_values as recipe
from recipes.language import quality, smollm2, texts
from recipes.language.llama import TINY
from tests.recipes.fake_meter import FakeMeter

NET = smollm2.tiny().net


def test_a_token_takes_two_vectors_a_layer_of_the_cache() -> None:
    # 2 layers, 2 heads of 8 entries, keys and values of 4 bytes
    assert recipe.cache_bytes_per_token(NET) == 256


def test_surprise_of_a_net_that_knows_nothing_is_the_log_of_its_vocabulary() -> None:
    def ignorant(tokens):
        return torch.zeros(*tokens.shape, TINY.vocabulary)

    found = quality.surprises(ignorant, [[1, 2, 3], [4, 5]])
    assert found.tolist() == pytest.approx([math.log(TINY.vocabulary)] * 2)


def test_an_answer_is_right_on_its_side_of_the_threshold() -> None:
    assert quality.right(torch.tensor([1.0, -1.0, 2.0]), torch.tensor([1, 1, 0])).tolist() == [1, 0, 0]


def test_parts_of_the_language_reference_share_no_paragraph() -> None:
    found = texts.language_reference()
    paragraphs = [
        {paragraph for text in part for paragraph in text.text.split("\n\n")}
        for part in (found.search, found.choice, found.test)
    ]
    assert all(len(part) > 100 for part in paragraphs)
    assert not (paragraphs[0] & paragraphs[1] | paragraphs[0] & paragraphs[2] | paragraphs[1] & paragraphs[2])
    assert found == texts.language_reference()
    assert len(found.test) == found.used.test_count


def test_e_mails_come_without_headers_and_once(tmp_path, monkeypatch) -> None:
    mail = "Subject: {}\nContent-Type: text/html\n\n<style>p {{}}</style><p>Buy &amp; sell " + "this " * 100
    path = tmp_path / "mails.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, subject in (
            ("spam-1/1.txt", "money"),
            ("spam-1/2.txt", "other"),
            ("easy-ham-1/3.txt", "hi"),
        ):
            content = mail.format(subject).replace("this", name[0]).encode()
            member = tarfile.TarInfo(f"package/data/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    found = [*texts._bodies(path)]
    assert [each.is_spam for each in found] == [True, True, False]
    assert found[0].text == found[1].text
    assert found[0].text.startswith("Buy & sell s s")


@pytest.mark.parametrize("arm", recipe.ARMS)
def test_the_recipe_counts_what_each_arm_puts_through_the_net(arm: str) -> None:
    outcome = recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=FakeMeter())
    assert set(outcome.metrics) == set(recipe.METRICS)
    # a text of 64 tokens; the 15 tokens after the first are written behind 65, 66, ... 79 tokens
    passed = {"baseline": sum(range(65, 80)) / 15, "tactic": 1, "recent_tokens": 16}
    assert outcome.metrics["passed_tokens"] == passed[arm]
    assert outcome.metrics["token_cpu_ms"] == pytest.approx(1000 * 1.5 / 15)
    assert outcome.metrics["cache_bytes"] == (256 * 79 if arm == "tactic" else 0)
    if arm != "recent_tokens":
        assert outcome.metrics["same_tokens"] == 1
