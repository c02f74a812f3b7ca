"""LaTeX as it stands in bibliographies to plain text, and what of it has none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from pylatexenc.latex2text import LatexNodes2Text, MacroTextSpec, get_default_latex_context_db
from pylatexenc.latexwalker import LatexMacroNode, LatexWalker
from pylatexenc.latexwalker import get_default_latex_context_db as get_default_walker_db
from pylatexenc.macrospec import MacroSpec

_WORDS = {
    **{name: name for name in ("BibTeX", "ConTeXt", "LaTeX", "LuaLaTeX", "LuaTeX", "TeX", "XeLaTeX")},
    "AmS": "AMS", "LaTeXe": "LaTeX2e", "XeTeX": "XeTeX",
    "EUR": "\u20ac", "P": "\u00b6", "S": "\u00a7", "checkmark": "\u2713", "copyright": "\u00a9",
    "ddag": "\u2021", "degree": "\u00b0", "euro": "\u20ac", "pounds": "\u00a3", "textgreater": ">",
    "textless": "<", "hyphen": "-", "slash": "/", "linebreak": " ", "newline": " ", "par": " ", "-": "",
    "enquote": "\u201c%s\u201d", "mkbibquote": "\u201c%s\u201d", "href": "%(2)s <%(1)s>",
    "noopsort": "", "SortNoop": "",
}  # fmt: skip
"""Macros that the parser does not know, or of which it makes something else than what is printed."""
_ARGUMENTS = {"mkbibquote": "{", "enquote": "{", "href": "{{", "noopsort": "{", "SortNoop": "{"}
_THEIR_ARGUMENT = ("mbox", "textmd", "textsf", "texttt", "textup", "verb")
"""Macros whose argument the parser knows and leaves out of the text."""
_WITHOUT_TEXT = frozenset(re.findall(r"\S+", r"""
    em bf it rm sf sl tt sc bfseries itshape mdseries normalfont rmfamily scshape sffamily slshape ttfamily
    upshape boldmath tiny scriptsize footnotesize small normalsize large Large LARGE huge Huge
    relax protect bgroup egroup begingroup endgroup allowbreak break nobreak noindent hfill hskip vskip hspace
    smallskip medskip bigskip displaystyle textstyle limits nolimits left right big Big bigl bigr Bigl Bigr
    color label pagecolor selectlanguage hphantom vphantom noopsort SortNoop ! - / @ * ' ` ^ " ~ = .
"""))  # fmt: skip
"""Macros that change how text looks or sorts, and print nothing themselves."""
_REFERRING = frozenset({"cite", "citet", "citep", "ref", "eqref", "pageref", "includegraphics"})
"""Macros that point to something outside of the entry."""
_TEXT_BEHIND = re.compile(r"\s*\{[^{}]")
_ADDRESS = re.compile(
    r"\\(?:url|path|nolinkurl)\s*\{((?:[^{}]|\{[^{}]*\})*)\}|(?<=\\href\{)((?:[^{}]|\{[^{}]*\})*)"
    r"|\b(https?://(?:[^\s{}<>\"]|\{\\?[_%&#~]\})+)"
)
_BARE = re.compile(r"(?<!\\)[%&]")
_DOLLAR = re.compile(r"(?<!\\)\$")
_SUBSCRIPT = re.compile(r"\$_(?:\{([0-9]{1,4})\}|([0-9]))\$")
_FIRST_STAND_IN = 0xF0000
_STAND_INS = 0xFFFD
_STAND_IN = re.compile("[\U000f0000-\U000ffffc]")
_NAMED_SIGNS = {"textless": "<", "textgreater": ">", "textasciitilde": "~", "textunderscore": "_", "sim": "~",
                "textbar": "|", "textbackslash": "\\", "textasciicircum": "^"}  # fmt: skip
_NAMED_SIGN = re.compile(rf"\$?\{{?\\({'|'.join(_NAMED_SIGNS)})(?![a-zA-Z])(?:\{{\}})?\}}?\$?")
_ESCAPED = re.compile(r"\\(?=[_&%#$~{}])")


@dataclass(frozen=True)
class PlainText:
    """What a LaTeX text says."""

    text: str
    """Its plain text."""
    lost: tuple[str, ...]
    """Macros that have no plain text, such as `\\foo`."""
    addresses: tuple[str, ...]
    """Addresses of the web in it, letter by letter."""


def plain(latex: str) -> PlainText:
    """Return LaTeX as plain text, with what could not be carried over."""
    addresses: list[str] = []

    def stand_in(match: re.Match[str]) -> str:
        address = next(part for part in match.groups() if part is not None)
        closing = ""
        if match[3]:
            address = address.rstrip(".,;:!?')]")
            closing = match[3][len(address) :]
        addresses.append(verbatim(address))
        return chr(_FIRST_STAND_IN + len(addresses) - 1) + closing

    # An address is no LaTeX: a sign of no script stands in for it while the parser reads.
    if max(latex, default="") < chr(_FIRST_STAND_IN):
        latex = _ADDRESS.sub(
            lambda match: stand_in(match) if len(addresses) < _STAND_INS else match[0], latex
        )
    if not any(sign in latex for sign in "\\{}$~%&-`'"):
        return PlainText(_with_addresses(latex, addresses), (), tuple(addresses))
    latex = _SUBSCRIPT.sub(lambda match: match[1] or match[2], latex)
    # In BibTeX these are the signs themselves; only LaTeX would take them for a comment and a column.
    latex = _BARE.sub(r"\\\g<0>", latex)
    if len(_DOLLAR.findall(latex)) % 2:
        latex = _DOLLAR.sub(r"\\$", latex)
    text, lost = _read(latex)
    return PlainText(
        _with_addresses(text.replace("\u02c6", "^"), addresses), tuple(dict.fromkeys(lost)), tuple(addresses)
    )


def verbatim(value: str) -> str:
    """Return an identifier or an address without the LaTeX that some programs write into it."""
    value = _NAMED_SIGN.sub(lambda match: _NAMED_SIGNS[match[1]], value.replace(r"\~{}", "~"))
    value = re.sub(r"\$([<>])\$", r"\1", value)
    if match := re.fullmatch(r"\s*\\url\s*\{(.*)\}\s*", value, re.DOTALL):
        value = match[1]
    return re.sub(r"(?<!\\)[{}]", "", _ESCAPED.sub("", re.sub(r"\{\\?([_&%#$~])\}", r"\1", value))).strip()


def _with_addresses(text: str, addresses: list[str]) -> str:
    if not addresses:
        return text
    return _STAND_IN.sub(lambda sign: addresses[ord(sign[0]) - _FIRST_STAND_IN], text)


def _read(latex: str) -> tuple[str, list[str]]:
    """Return the text of LaTeX, and its macros that have none and no braces with text behind them."""
    walker_context, text_context, known = _contexts()
    nodes = LatexWalker(latex, latex_context=walker_context).get_latex_nodes()[0]
    reader = LatexNodes2Text(
        latex_context=text_context, math_mode="text", keep_comments=False, strict_latex_spaces=False
    )
    lost = []
    waiting = list(reversed(nodes))
    while waiting:
        node = waiting.pop()
        if node is None:
            continue
        inner = [*(getattr(node, "nodelist", None) or ()), *(node.nodeargd.argnlist or () if
                 getattr(node, "nodeargd", None) else ())]  # fmt: skip
        waiting.extend(reversed(inner))
        if not node.isNodeType(LatexMacroNode):
            continue
        says_nothing = node.macroname not in known and not _TEXT_BEHIND.match(latex, node.pos + node.len)
        if says_nothing or node.macroname in _REFERRING:
            lost.append(node.latex_verbatim().strip())
    return reader.nodelist_to_text(nodes), lost


@cache
def _contexts() -> tuple[object, object, frozenset[str]]:
    """Return the parser's macros, the text of each, and the names of those that say something or nothing."""
    walker, texts = get_default_walker_db(), get_default_latex_context_db()
    specs = [MacroTextSpec(name, discard=False) for name in _THEIR_ARGUMENT]
    specs += [MacroTextSpec(name, simplify_repl=text) for name, text in _WORDS.items()]
    specs += [MacroTextSpec(name, simplify_repl="") for name in _REFERRING]
    texts.add_context_category("bibliographies", macros=specs, prepend=True)
    macros = [MacroSpec(name, arguments) for name, arguments in _ARGUMENTS.items()]
    walker.add_context_category("bibliographies", macros=macros, prepend=True)
    known = frozenset(spec.macroname for spec in texts.iter_macro_specs())
    return walker, texts, known | _WITHOUT_TEXT
