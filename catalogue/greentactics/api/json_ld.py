"""Pages described for search engines: schema.org in JSON-LD, as a script element without code."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from markupsafe import Markup

from greentactics.api.addresses import (
    ADDRESSES,
    CATALOGUE_DESCRIPTION,
    CATALOGUE_NAME,
    LICENCE_ADDRESS,
    page_path,
)
from greentactics.api.models import ChangesDocument, SourceDocument, TacticDocument
from greentactics.models.record import Record
from greentactics.models.vocabulary import Term
from greentactics.records.loading import Catalogue
from greentactics.text.escaping import one_line

CODE_LICENCE = "https://spdx.org/licenses/MIT.html"
_CONTRIBUTORS = {"@type": "Organization", "name": f"The {CATALOGUE_NAME} contributors"}
_WORK_TYPES = {
    "article": "ScholarlyArticle",
    "article-journal": "ScholarlyArticle",
    "paper-conference": "ScholarlyArticle",
    "software": "SoftwareApplication",
    "standard": "CreativeWork",
    "webpage": "WebPage",
}
"""Types of works whose name differs in schema.org by more than its capital."""
# Signs that would end the element, or that Markdown's preprocessors look for before HTML is recognised.
_ESCAPES = str.maketrans({sign: f"\\u{ord(sign):04x}" for sign in "<>&`~"})


def tactic_script(document: TacticDocument, catalogue: Catalogue, root: str) -> Markup:
    """Return the element of a tactic's page.

    Args:
        document: The tactic.
        catalogue: Tells whether there is a recipe.
        root: The root of the site: its address where it is known, else relative to the page.
    """
    record = document.record
    page = root + document.page
    recipe = _thing(
        "SoftwareSourceCode",
        name=f"recipes/{record.module}.py",
        programmingLanguage="Python",
        license=CODE_LICENCE,
        url=f"{page}#recipe",
    )
    return _script(
        _thing(
            "TechArticle",
            headline=record.title,
            description=record.summary,
            url=page,
            inLanguage="en",
            datePublished=record.created,
            dateModified=record.modified,
            keywords=[tag.label for tag in record.tags] or None,
            license=LICENCE_ADDRESS,
            author=_CONTRIBUTORS,
            isPartOf=_dataset(root),
            citation=[_work(source) for source in document.sources] or None,
            hasPart=[recipe] if record.recipe and record.id in catalogue.recipes else None,
        )
    )


def catalogue_script(changes: ChangesDocument, version: str, root: str) -> Markup:
    """Return the element of the home page: the catalogue as a data set with its downloads."""
    downloads = [
        _thing(
            "DataDownload",
            name=address.title,
            encodingFormat=address.media_type,
            contentUrl=root + address.path,
        )
        for address in ADDRESSES
        if "{" not in address.path
    ]
    return _script(
        _dataset(
            root,
            description=CATALOGUE_DESCRIPTION,
            version=version,
            dateModified=changes.updated,
            isAccessibleForFree=True,
            license=LICENCE_ADDRESS,
            creator=_CONTRIBUTORS,
            distribution=downloads,
        )
    )


def page_script(
    title: str,
    description: str,
    root: str,
    page: str,
    tactics: Iterable[Record] | None = None,
    term: Term | None = None,
) -> Markup:
    """Return the element of a page about several tactics, or about none.

    Args:
        title: Title of the page.
        description: What stands on it.
        root: The root of the site: its address where it is known, else relative to the page.
        page: Address of the page from the root of the site.
        tactics: Records of the tactics it lists, in order; None for a page that is no list of tactics.
        term: The word of the vocabularies that the page is about.
    """
    items = [
        _thing("ListItem", position=position, name=record.title, url=root + page_path(record.id))
        for position, record in enumerate(tactics or (), start=1)
    ]
    about = term and _thing(
        "DefinedTerm",
        name=term.label,
        description=term.definition,
        termCode=term.value,
        inDefinedTermSet=f"{root}terms/index.html",
    )
    listed = None if tactics is None else _thing("ItemList", numberOfItems=len(items), itemListElement=items)
    return _script(
        _thing(
            "WebPage" if tactics is None else "CollectionPage",
            name=title,
            description=description,
            url=root + page,
            inLanguage="en",
            isPartOf=_dataset(root),
            about=about,
            mainEntity=listed,
        )
    )


def _dataset(root: str, **facts: object) -> dict[str, Any]:
    return _thing("Dataset", name=CATALOGUE_NAME, url=f"{root}index.html", **facts)


def _work(source: SourceDocument) -> dict[str, Any]:
    return _thing(
        _WORK_TYPES.get(source.type, source.type.capitalize()),
        name=source.title,
        author=[
            _thing("Organization" if name.literal else "Person", name=str(name)) for name in source.authors
        ],
        datePublished=str(source.year),
        url=source.address,
    )


def _thing(kind: str, **facts: object) -> dict[str, Any]:
    """Return what is known of a thing; texts are one line each, without signs that nobody sees."""
    return {"@type": kind} | {
        name: one_line(value) if isinstance(value, str) else value
        for name, value in facts.items()
        if value is not None
    }


def _script(thing: dict[str, Any]) -> Markup:
    described = {"@context": "https://schema.org", **thing}
    text = json.dumps(described, ensure_ascii=False, separators=(",", ":"), default=str).translate(_ESCAPES)
    return Markup(f'<script type="application/ld+json">{text}</script>')  # noqa: S704 - escaped on the line above
