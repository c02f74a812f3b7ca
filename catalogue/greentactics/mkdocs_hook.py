"""Adds the generated pages to a build of mkdocs as virtual files; the logic is in the wing `site`."""

from __future__ import annotations

import gc
from itertools import chain
from pathlib import Path
from typing import Literal

from jinja2 import Environment
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import Abort
from mkdocs.livereload import LiveReloadServer
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.structure.toc import AnchorLink, TableOfContents

from greentactics.api.addresses import repository_address
from greentactics.cli.main import main
from greentactics.records.loading import load_catalogue, load_results_folder
from greentactics.site.content_security import with_policy
from greentactics.site.kept_pages import KeptPage, KeptPages
from greentactics.site.pages import render_site
from greentactics.site.recipe_files import recipe_archives
from greentactics.site.search_spelling import with_both_spellings
from greentactics.text.compiled_templates import CompiledTemplates
from greentactics.text.kept import Kept, digest_of_program
from greentactics.text.problems import CatalogueError, UserError

MAIN_HEADING = '<h1 id="top">'
"""What the main heading of a rendered page starts with; it is HTML, which no list of headings knows."""
_serving = False
_pages: KeptPages | None = None


def on_startup(*, command: Literal["build", "gh-deploy", "serve"], **_: object) -> None:
    """Note whether the site is only shown here, for live reload puts a script of its own into each page."""
    global _serving
    _serving = command == "serve"
    digest_of_program()  # of the program that was started
    gc.set_threshold(200_000)  # as for the command line


def on_config(config: MkDocsConfig, **_: object) -> MkDocsConfig:
    """Let the header lead to the repository, where the address for edits tells which it is."""
    if address := repository_address(config.extra.get("edit_url")):
        config.repo_url, config.repo_name = address, "Repository"
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add what the renderer returns, and pages of the last build where nothing in them can have changed.

    Raises:
        Abort: The catalogue has mistakes, all of which it names, or an address in the settings is none.
    """
    root = Path(config.config_file_path).parent
    try:
        catalogue = load_catalogue(root)
        folder = _local_results(config)
        local = load_results_folder(folder) if folder else {}
    except CatalogueError as error:
        raise Abort(f"The catalogue has mistakes:\n{error}") from error
    try:
        kept = Kept(_kept_file(config))
        edit_url = config.extra.get("edit_url")
        rendered = render_site(catalogue, local, config.site_url, edit_url, commands=main, kept=kept)
    except UserError as error:
        raise Abort(str(error)) from error
    for path, content in chain[tuple[str, str | bytes]](rendered.items(), recipe_archives(catalogue, kept)):
        file = File.generated(config, path, content=content)
        file.edit_uri = _edited_in(path)
        files.append(file)
    global _pages
    _pages = KeptPages(kept, files, config)
    return files


def on_env(environment: Environment, **_: object) -> Environment:
    """Let the theme's templates leave no lines behind where they only decide."""
    environment.trim_blocks = environment.lstrip_blocks = True
    if _pages:
        environment.bytecode_cache = CompiledTemplates(_pages.kept)
    return environment


def on_page_content(html: str, /, *, page: Page, **_: object) -> str:
    """Let the theme's first link lead to the main heading, and not past what stands before the second one."""
    if MAIN_HEADING in html:
        heading = AnchorLink(str(page.title), "top", 1)
        heading.children = list(page.toc)
        page.toc = TableOfContents([heading])
    return html


def on_post_page(output: str, /, *, page: Page, **_: object) -> str:
    """Add the policy, but where live reload puts a script of its own into the page."""
    if isinstance(page, KeptPage):
        return output
    html = output if _serving else with_policy(output, page.content or "")
    if _pages:
        _pages.keep(page, html)
    return html


def on_post_template(output: str, /, *, template_name: str, **_: object) -> str:
    """Do the same with the page of addresses that are not found."""
    return with_policy(output) if template_name.endswith(".html") and not _serving else output


def on_post_build(*, config: MkDocsConfig, **_: object) -> None:
    """Let the search find words in either spelling, also on kept pages; keep the new ones."""
    index = Path(config.site_dir, "search", "search_index.json")
    if index.is_file():
        text = index.read_text(encoding="utf-8")
        text = _pages.with_all_entries(text) if _pages else text
        index.write_text(with_both_spellings(text), encoding="utf-8")
    if _pages:
        _pages.write()


def on_serve(server: LiveReloadServer, *, config: MkDocsConfig, **_: object) -> LiveReloadServer:
    """Watch the results of this machine too; mkdocs refuses folders to watch that do not exist."""
    folder = _local_results(config)
    if folder and folder.is_dir():
        server.watch(str(folder))
    return server


def _local_results(config: MkDocsConfig) -> Path | None:
    """Return the folder of this machine's results, or None where the settings name none."""
    named = config.extra.get("local_results")
    return Path(config.config_file_path).parent / named if named else None


def _kept_file(config: MkDocsConfig) -> Path | None:
    """Return where pages are kept, or None where the settings name no folder for them."""
    named = config.extra.get("kept")
    name = f"pages-{'serve' if _serving else 'build'}.pickle"
    return Path(config.config_file_path).parent / named / name if named else None


def _edited_in(path: str) -> str | None:
    """Return the file a reader would change, relative to the repository's root."""
    parts = Path(path).parts
    return f"tactics/{parts[1]}.yaml" if len(parts) == 3 and parts[0] == "tactics" else None
