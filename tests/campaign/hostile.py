"""Texts and values that have broken programs of this kind before."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

CANARY = "<x9y"
"""Start of a tag that stands unescaped in no page."""
MARKUP = (
    f'{CANARY} onload="alert(1)">', f'">{CANARY}>', f"'>{CANARY}>", f"</script>{CANARY}>",
    f"</title>{CANARY}>", "<!--", "-->", "<![CDATA[", "]]>", "<![foo[", "<!DOCTYPE [", "<?php", "<script>",
    "&amp;lt;", "&#0;", "&#xD800;", "&#99999999999;", f"&#{'1' * 5000};", "[x](javascript:alert(1))",
    "![x](https://example.org/x.png)", "`", "```", "~~~", "# x", "\n# x", "\n\n---\n\n", "- x", "1. x",
    "> x", "| x |", "{{ 7 * 7 }}", "{% include 'x' %}", "{## x", "{#id}", "{: .x }", '--8<-- "mkdocs.yml"',
    "$x$", "\\", "\\textbf{x}", "*[x]: y", "[^1]", "::: x", "!!! note",
)  # fmt: skip
CHARACTERS = (
    "\u202e", "\ufeff", "\x00", "\x07", "\x1c", "\x7f", "\x85", "\u00a0", "\u00ad", "\u200b", "\u200d",
    "\u2028", "\u2066", "\u3000", "\ufffe", "\U000e0041", "\U0001f600", "e\u0301", "\u0301" * 40, "\ufdfa",
    "\u0130", "\u212b", "\uff03", "\r", "\r\n", "\t", "\n", " ", "",
)  # fmt: skip
PATHS = (
    "../../../etc/passwd", "/etc/passwd", "..", ".", "a/b", "a\\b", "C:\\x", "con", "nul", "COM1",
    "aux.yaml", "LPT9.txt", "%2e%2e%2f", "%00", "~root", "-rf", "references", "withdrawn", "index",
    "a" * 80, "a" * 300, "a-" * 40, "file:///etc/passwd",
)  # fmt: skip
ADDRESSES = (
    "http://[x", "https://example.org\uff03@x", "javascript:alert(1)", "data:text/html,x", "https://",
    "http://x:99999999/", "https://x/%0d%0aSet-Cookie:a", "https://doi.org/https://doi.org/10.1234/x",
    "10.1234/%E2%80%AE", "10.1234/((((", "doi:10.1/", "arXiv:2005.05837v99999", "arXiv:",
    "10.48550/arXiv.2005.05837", "https://x/" + "a" * 3000,
)  # fmt: skip
NUMBERS = (
    "0", "-1", "-0", "1e999", "-1e999", "1e-320", "NaN", ".nan", ".inf", "0x10", "0o17", "010", "1_000",
    "12:30:45", "2026-02-30", "0001-01-01", "9999-12-31", "2026-01-31T12:00:00Z", "9" * 17, "9" * 40,
    "9" * 5000, "0.1", "yes", "~", "null", "true", "=1+1", "@SUM(A1)", "+1", "1800", "2023-01-45",
    "2023-13-01", "99999",
)  # fmt: skip
SENTENCES = (
    "a" * 5000, "a " * 2000, "vs. al. et. " * 30, "A. B. 2020. " * 40, "(" * 500, "[" * 500, "{" * 60,
    "\"" * 99, "*" * 300, "; A" * 300, " and A" * 300, ", A." * 300, "https://" * 60, "10.1234/" * 99,
    "Doe, A., & Poe, B. (2019). X. Y 1, 2 (2019), 3-4.",
)  # fmt: skip
TEXTS = st.sampled_from((*MARKUP, *CHARACTERS, *PATHS, *ADDRESSES, *NUMBERS, *SENTENCES)) | st.text(
    max_size=12
)
"""Texts that may stand in any file of UTF-8."""
VALUES = st.sampled_from(
    [None, True, False, 0, 1, -1, 2**31, 2**63, 10**30, 0.5, -0.0, 1e308, 5e-324, 1e-9, [], {}, [[]],
     [None], [{}], [""], {"": ""}, {"a": {"b": []}}, [1, "a"], "", " "]
)  # fmt: skip
"""Values of other types."""
POOLS: dict[str, tuple[Any, ...]] = {
    "address": (
        *ADDRESSES,
        "https://[::1]/",
        "https://example.org/a b",
        "HTTPS://EXAMPLE.ORG",
        "http://x/\u202ey",
        "https://x/?a=<b>",
    ),
    "date": (
        "0001-01-01",
        "9999-12-31",
        "2026-02-30",
        "2026-1-1",
        "2026-01-31T00:00:00",
        "1899-12-31",
        "2026-01-31",
    ),
    "doi": (
        "10.1234/\u00e9",
        "10.1234/a)",
        "10.1234/" + "a" * 400,
        "10.123/x",
        "10.1234/%20",
        "10.1234/a&b<c>",
    ),
    "id": ("con", "lpt1", "references", "a" * 80, "a" * 81, "x-1", "index", "smith-2020z", "../x"),
    "figure": (0, 1e308, 5e-324, 1e-9, 10**17, 2**53 + 1, 1e22, 0.30000000000000004, -1, 1e999, 100, 99.9999),
}
"""Odd values that a field of some sort may just take."""
_BOMB = "\n".join(
    ["a0: &a0 [x, x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))]
)
YAML_PIECES = st.sampled_from(
    ["&a [*a]", "&a x", "*a", "<<: *a", "<<: {id: x}", _BOMB,
     "!!python/object/apply:os.system ['touch hacked']", "!!python/name:os.system", "!!binary aGk=",
     "!!float 1", "!!timestamp 2001-01-01", "!!set {a}", "!!str x", "!x y", "!<tag:yaml.org,2002:int> 3",
     "? ", "? [a]\n: b", "- ", "{", "}", "[", "]", "[" * 50, "{a: " * 50, "- " * 50, "? " * 50,
     "%YAML 1.1\n---\n", "---\n", "...\n", "|", ">", "|2-", ">+9", "'", '"', '"\\uD800"', '"\\x00"',
     '"\\U0010ffff"', '"\\u202e"', '"\\N"', ": ", " #", "\t", "id: x\n", "\nid: x\n", "a: 1e999", "a: .nan",
     "a: 99999999999999999999", "created: 2026-02-30", "~", "no", "1:30", "x" * 1100 + ": y", "\n" * 200,
     "# x\n", "@", "`", ",", "\ufeff"]
)  # fmt: skip
"""What YAML makes more of than it seems."""
