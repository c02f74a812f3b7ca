"""Whoever writes quantization finds what whoever writes quantisation does."""

from __future__ import annotations

import json

import pytest

from greentactics.site.search_spelling import with_both_spellings
from tests.site.test_build import found_by_search


def spelt(*texts: str) -> list[str]:
    """Return texts as the search looks through them."""
    docs = [{"location": f"{number}.html", "title": "", "text": text} for number, text in enumerate(texts)]
    return [entry["text"] for entry in json.loads(with_both_spellings(json.dumps({"docs": docs})))["docs"]]


def test_a_text_with_one_spelling_gets_the_other() -> None:
    assert spelt("Quantised nets", "By quantization", "quantise or quantize") == [
        "Quantised nets<p>quantized</p>",
        "By quantization<p>quantisation</p>",
        "quantise or quantize",
    ]


def test_words_with_one_spelling_only_are_left_alone() -> None:
    texts = ["likewise, otherwise and noise", "the size of a prize", "revised, exercised"]
    assert spelt(*texts) == texts


@pytest.mark.parametrize("words", [("quantization", "quantisation"), ("optimize", "optimise")])
def test_both_spellings_find_the_same_pages_of_the_site(real_site, words) -> None:
    pages = found_by_search(real_site)
    one, other = ({path for path, text in pages.items() if word in text.lower()} for word in words)
    assert one == other
    assert len(one) > 5
