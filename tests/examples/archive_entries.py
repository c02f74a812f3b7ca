"""Entries of another catalogue in all their forms, in words of our own, and what is made of them."""

from __future__ import annotations

from pathlib import Path

from greentactics.contribute.importing.aadt import draft_of
from greentactics.contribute.importing.archive_posts import parse_post
from greentactics.contribute.importing.drafts import ImportedDraft, draft_text
from greentactics.models.bibliography import Issued, Name, Reference
from greentactics.text.files import decode
from greentactics.text.yaml_source import tree_of_right_yaml

AWESOME = """---
layout: tactic

title: "Skip What Nobody Reads"
tags: machine-learning data-centric hardware measured shiny
t-sort: "Awesome Tactic"
t-type: "Architectural Tactic"
categories: green-ml-enabled-systems
t-description: "Leave out columns
that nobody reads: they cost. Note: a made-up text."
t-participant: "Data Scientist, Poet"
t-artifact: "Data, some columns that are not needed any more"
t-context: "Machine Learning"
t-feature:
t-intent: "Read less"
t-targetQA: "Energy Efficiency"
t-relatedQA: "Accuracy"
t-measuredimpact: "NA"
t-source:
"Ada Smith and Jan van der Berg. 2020. Reading Less. In Proceedings of Examples. Publisher, 1\u20139.
[DOI](https://doi.org/10.1234/less); Müller, A., & Poe, B. (2019, June). More vs. Less. Journal of Examples
12, 3 (2019), 45\u201350."
t-source-doi: "https://doi.org/doi.org/10.48550/arXiv.2005.05837"
t-diagram: "skip.png"
t-shoe-size: "44"
---
"""
DARK = """---
title:  "Show Everything"
tags:
t-sort: "Dark Tactic"
t-type: "Unsustainable Pattern"
categories: edge-computing
t-description: "All is shown at once."
t-participant: "end-user, edge-provider "
t-artifact: "Technology "
t-context: "Daily use"
t-feature: "Screen"
t-intent: "More is more"
t-intentmeasure: "Screens a day"
t-countermeasure: "Show less"
t-source: "*The Cost of Showing* by Ada Smith and Bo Poe"
t-source-doi: "https://doi.org/10.1234/show"
t-diagram: "NA"
---
"""
PAGE = """Awesome and Dark Tactics
Homepage Catalog
<- Back to category

Tactic: Skip What Nobody Reads

Tactic sort: Awesome Tactic
Type: Architectural Tactic
Category: green-ml-enabled-systems
Tags: data-centric \u00a0 machine-learning

Title

Skip What Nobody Reads

Description

Leave out columns
that nobody reads.

Participant

Data Scientist

Related software artifact

Data

Context

Machine Learning

Software feature

< unknown >

Tactic intent

Read less

Target quality attribute

Energy Efficiency

Other related quality attributes

Accuracy

Measured impact

< unknown >

Source

Ada Smith. 2020. Reading Less. (DOI: https://doi.org/doi.org/10.48550/arXiv.2005.05837)

Graphical representation

  \u2022 Contact
"""
HTML = """<!DOCTYPE html><html><head><title>x</title><style>p{}</style>
<link rel="canonical" href="https://s2group.example/AwesomeAndDarkTactics/tactics/2023-01-02-skip-what-nobody-reads">
</head><body><script>var Title = "no";</script><h1>Tactic: Skip What Nobody Reads</h1>
<div><strong>Tactic sort:</strong> <span>Awesome Tactic</span></div>
<div><span><strong>Type:</strong> Architectural Tactic</span></div>
<div><strong>Category:</strong> <!-- <h3>Title</h3> --><a href="c">green-ml-enabled-systems</a></div>
<div><strong>Tags:</strong> <a>data-centric</a>&nbsp;<a>machine-learning</a></div>
<p><h3>Title</h3><span>Skip What Nobody Reads</span></p>
<p><h3>Description</h3><span>Leave out columns that nobody reads &amp; <b>save</b>.</span></p>
<h3>Participant </h3><span>Data Scientist</span><h3>Related software artifact</h3><span>Data</span>
<h3>Software feature</h3><span> &lt; unknown &gt; </span>
<h3>Target quality attribute</h3><span>Energy Efficiency</span>
<h3>Source</h3><span>Ada Smith. 2020. Reading Less.</span> <span>(DOI:&nbsp;<a>https://doi.org/10.1234/less</a>)</span>
<h3>Graphical representation</h3><img src="/assets/logo.png">
<img src="/assets/diagrams/skip.png"></body></html>
"""
LONG_TITLE = "The Cost of Showing: a Long Subtitle"
THESIS = "Master Thesis \u201cOn Less\u201d by Ada Poe"
KNOWN = {
    "smith-2020": Reference(
        type="paper-conference",
        title="Reading less",
        author=(Name(family="Smith", given="Ada"),),
        issued=Issued(date_parts=((2020,),)),
        doi="10.1234/less",
    ),
    "smith-2022": Reference(
        type="article",
        title=LONG_TITLE,
        author=(Name(family="Smith", given="Ada"),),
        issued=Issued(date_parts=((2022,),)),
        doi="10.1234/show",
    ),
}


def imported(text: str, name: str = "2023-01-02-skip-what-nobody-reads.md", known=KNOWN) -> ImportedDraft:
    return draft_of(parse_post(text, name, Path(name)), known)


def read_back(draft: ImportedDraft) -> dict[str, object]:
    source = decode(draft_text(draft, "file.md").encode(), "draft.yaml")
    assert source.problems == ()
    tree = tree_of_right_yaml(source)
    assert tree is not None
    return tree
