"""BibTeX."""

import pytest

from greentactics.citing.bibtex import bibtex, bibtex_entry
from greentactics.models.bibliography import Issued, Name, Reference
from tests.examples.records import REAL


def reference(**changes):
    values = {
        "type": "article-journal",
        "title": "Energy & Power: 50 % of #1_A {B} ~ ^ \\ $",
        "author": (Name(family="Toczé", given="Klervie"), Name(literal="Group & Co")),
        "issued": Issued(date_parts=((2022, 6),)),
    }
    return Reference(**(values | changes))


def test_entry_of_a_real_paper() -> None:
    entry = bibtex_entry("yang-2017", REAL.bibliography["yang-2017"])
    assert entry.startswith(
        "@inproceedings{yang-2017,\n  author = {Yang, Tien-Ju and Chen, Yu-Hsin and Sze, Vivienne},\n"
    )
    assert "  pages = {6071--6079},\n" in entry
    assert "  doi = {10.1109/CVPR.2017.643},\n" in entry
    assert "  eprint = {1611.05128},\n  archiveprefix = {arXiv},\n" in entry
    assert entry.endswith("}\n")


def test_special_signs_are_escaped() -> None:
    entry = bibtex_entry("x-2022", reference())
    assert (
        r"title = {{Energy \& Power: 50 \% of \#1\_A \{B\} \textasciitilde{} \textasciicircum{} "
        r"\textbackslash{} \$}}" in entry
    )
    assert r"author = {Toczé, Klervie and {Group \& Co}}" in entry


@pytest.mark.parametrize("text", ["}{", "a\n  b = {c}", "\\input{x}"])
def test_braces_stay_balanced_and_lines_single(text) -> None:
    entry = bibtex_entry("x-2022", reference(title=text, note=text, doi="10.1000/a}b{c"))
    plain = entry.replace(r"\{", "").replace(r"\}", "")
    assert plain.count("{") == plain.count("}")
    assert len(entry.splitlines()) == 8


def test_chosen_keys_stand_in_the_order_given_and_once() -> None:
    text = bibtex(REAL.bibliography, ["yang-2017", "chen-2017", "yang-2017", "missing-2000"])
    assert text.index("{yang-2017,") < text.index("{chen-2017,")
    assert text.count("@") == 2
    assert bibtex(REAL.bibliography).count("@") == len(REAL.bibliography)
