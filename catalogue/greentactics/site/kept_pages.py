"""Pages that mkdocs need not build again, as their text and all that shapes them are what they were.

A page that was kept still takes part in the build: it stands in navigation, site map and search, and its
links and anchors are checked with those of new pages. Each build writes the whole site anew.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import CountHandler, meta

from greentactics.text.kept import Kept, digest, digest_of_files

TEMPLATE = "kept.html"
_LOG = logging.getLogger("mkdocs")
_NAMED_PAGE = re.compile(r"[^\"]+\.md(?=\")")


class KeptPage(Page):
    """A page as an earlier build made it."""

    def __init__(self, kept: Mapping[str, Any], file: File, config: MkDocsConfig) -> None:
        super().__init__(kept["title"], file, config)
        self._kept = kept
        self.html: str = kept["html"]
        self.entries: list[Any] = kept["entries"]  # of the search

    def read_source(self, config: MkDocsConfig) -> None:  # noqa: ARG002 - as mkdocs calls it
        """Read nothing; the template prints the page, and the search does not look into it again."""
        self.markdown = ""
        self.meta = {**self._kept["meta"], "template": TEMPLATE, "search": {"exclude": True}}

    def render(self, config: MkDocsConfig, files: Files) -> None:  # noqa: ARG002 - as mkdocs calls it
        """Render nothing, but tell the anchors and links, which mkdocs checks once all pages are read."""
        self.content = ""
        self.present_anchor_ids = set(self._kept["anchors"])
        self.links_to_anchors = {files.src_uris[uri]: links for uri, links in self._kept["links"].items()}


class KeptPages:
    """The pages of one build: those that were kept, and those that will be."""

    def __init__(self, kept: Kept, files: Files, config: MkDocsConfig) -> None:
        """Put pages that are kept into the site; to be called when all files are known.

        Args:
            kept: Where they are.
            files: All files of the site.
            config: The settings.
        """
        self.kept = kept
        self._warnings = CountHandler(level=logging.WARNING)
        _LOG.addHandler(self._warnings)
        self._files = files.documentation_pages()
        self._made: dict[str, dict[str, Any]] = {}
        shared = digest(*_settings(config), *_shared_by_pages(files, config))
        self._keys = {file.src_uri: digest(shared, file.src_uri, file.content_bytes) for file in self._files}
        for file in self._files:
            if found := kept.get("page", self._keys[file.src_uri]):
                KeptPage(found, file, config)

    def keep(self, page: Page, html: str) -> None:
        """Keep a page as it was built."""
        links = page.links_to_anchors or {}
        self._made[page.file.src_uri] = {
            "html": html,
            "title": page.title,
            "meta": page.meta,
            "anchors": sorted(page.present_anchor_ids or ()),
            "links": {file.src_uri: anchors for file, anchors in links.items()},
            "entries": [],
        }

    def with_all_entries(self, index: str) -> str:
        """Return the index of the search with the entries of kept pages, in the order of the pages."""
        content = json.loads(index)
        new: dict[str, list[Any]] = {}
        for entry in content["docs"]:
            new.setdefault(entry["location"].partition("#")[0], []).append(entry)
        content["docs"] = []
        for file in self._files:
            if isinstance(file.page, KeptPage):
                content["docs"] += file.page.entries
            elif file.page:
                self._made[file.src_uri]["entries"] = entries = new.get(file.page.url, [])
                content["docs"] += entries
        return json.dumps(content)

    def write(self) -> None:
        """Keep the pages for the next build, but none where mkdocs has warned: it is to warn again."""
        _LOG.removeHandler(self._warnings)
        for uri, made in self._made.items():
            self.kept.put(made, "page", self._keys[uri])
        if not self._warnings.counts:
            self.kept.write()


def _settings(config: MkDocsConfig) -> Iterator[str]:
    """Yield what is set, whether in the file, in the environment or for the command."""
    yield Path(config.config_file_path).read_text(encoding="utf-8")
    yield digest_of_files(Path(config.theme.custom_dir)) if config.theme.custom_dir else ""
    yield repr([*config.theme.items()])
    yield repr(_LOG.isEnabledFor(logging.WARNING))  # what is not warned of is not known to be right
    for name, value in config.items():
        if name not in {"theme", "plugins", "hooks", "site_dir"}:
            yield f"{name}: {value!r}"


def _shared_by_pages(files: Files, config: MkDocsConfig) -> Iterator[str]:
    """Yield which files there are, for links; and what pages in the navigation say of themselves there."""
    named = set(_NAMED_PAGE.findall(json.dumps(config.nav)))
    for file in files:
        yield file.src_uri
        if file.src_uri in named:
            yield repr(meta.get_data(file.content_string)[1])
