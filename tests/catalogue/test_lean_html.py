"""Pages lose indentation and nothing that a reader sees."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from greentactics.lean_html import without_indentation


def test_listings_and_scripts_stay_as_they_are() -> None:
    kept = "<pre>a\n\n   b</pre>", "<script>\n  c\n</script>", "<style>\n  d\n</style>"
    page = "<p>\n\n   one\n  two</p>\n    ".join(("", *kept))
    lean = without_indentation(page)
    assert all(part in lean for part in kept)
    assert "<p>\none\ntwo</p>\n<pre>" in lean


def test_a_highlighted_space_is_a_space() -> None:
    listing = '<pre><code>make<span class="w"> </span>test<span class="c1"> #</span></code></pre>'
    assert without_indentation(listing) == '<pre><code>make test<span class="c1"> #</span></code></pre>'


@given(st.lists(st.sampled_from(["<p>", "</p>", "a", " ", "\n", "\t", "<pre>\n  x\n</pre>"]), max_size=20))
def test_words_and_their_gaps_stay(parts) -> None:
    page = "".join(parts)
    lean = without_indentation(page)
    assert lean.split() == page.split()
    assert len(lean) <= len(page)
    assert without_indentation(lean) == lean


def test_cells_and_rows_lose_the_end_tags_that_html_implies_outside_of_listings() -> None:
    table = "<table><tbody><tr><th>a</th><td>b</td></tr></tbody></table>"
    assert without_indentation(table) == "<table><tbody><tr><th>a<td>b</table>"
    assert without_indentation(f"<pre>{table}</pre>") == f"<pre>{table}</pre>"
