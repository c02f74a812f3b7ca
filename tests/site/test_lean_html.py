"""Pages lose indentation and nothing that a reader sees."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from greentactics.site.page_html import without_indentation


def test_listings_and_scripts_stay_as_they_are() -> None:
    kept = "<pre>a\n\n   b</pre>", "<script>\n  c\n</script>", "<style>\n  d\n</style>"
    page = "<p>\n\n   one\n  two</p>\n    ".join(("", *kept))
    lean = without_indentation(page)
    assert all(part in lean for part in kept)
    assert "<p>\none\ntwo</p>\n<pre>" in lean


def test_items_lose_the_end_tags_that_html_implies() -> None:
    assert without_indentation("<ul><li>a</li><li>b</li></ul>") == "<ul><li>a<li>b</ul>"
    assert without_indentation("<dl><dt>a</dt><dd>b</dd></dl>") == "<dl><dt>a<dd>b</dl>"
    assert without_indentation("<ul>\n<li>\na\n</li>\n\n</ul>") == "<ul>\n<li>\na\n</ul>"


def test_the_words_of_a_link_of_the_navigation_are_not_wrapped() -> None:
    link = '<a href="x.html" class="md-nav__link">\n  <span class="md-ellipsis">\n    Home\n  </span>\n</a>'
    assert without_indentation(link) == '<a href="x.html" class=md-nav__link>Home</a>'


def test_a_hidden_list_of_tags_goes() -> None:
    assert without_indentation('<p>a<nav class="md-tags" hidden>\n<span>b</span>\n</nav>c') == "<p>ac"


def test_marks_that_no_browser_needs_go() -> None:
    drawing = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"></svg><p data-search-exclude>a</p>'
    assert without_indentation(drawing) == '<svg viewBox="0 0 1 1"></svg><p>a</p>'


def test_a_highlighted_space_is_a_space() -> None:
    listing = (
        '<pre><span></span><code>make<span class="w"> </span>test<span class="c1"> #</span></code></pre>'
    )
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
