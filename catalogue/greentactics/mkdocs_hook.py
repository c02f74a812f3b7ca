"""Adds the generated pages to a build of mkdocs as virtual files; the logic is in the wing `site`."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Literal

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import Abort
from mkdocs.livereload import LiveReloadServer
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from greentactics.api.addresses import repository_address
from greentactics.cli.main import main
from greentactics.records.loading import load_catalogue, load_results_folder
from greentactics.site.page_html import with_both_spellings, with_policy, with_skip_link, without_indentation
from greentactics.site.pages import render_site
from greentactics.site.recipe_files import recipe_archives
from greentactics.text.problems import CatalogueError, UserError

ASKS_THE_HOST = ' data-md-component="source"'
_serving = False


def on_startup(*, command: Literal["build", "gh-deploy", "serve"], **_: object) -> None:
    """Note whether the site is only shown here, for live reload puts a script of its own into each page."""
    global _serving
    _serving = command == "serve"


def on_config(config: MkDocsConfig, **_: object) -> MkDocsConfig:
    """Let the header lead to the repository, where the address for edits tells which it is."""
    if address := repository_address(config.extra.get("edit_url")):
        config.repo_url, config.repo_name = address, "Repository"
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add what the renderer returns; a catalogue with mistakes ends the build with all of them.

    Raises:
        Abort: The catalogue has mistakes, or an address in the settings is none.
    """
    root = Path(config.config_file_path).parent
    try:
        catalogue = load_catalogue(root)
        folder = _local_results(config)
        local = load_results_folder(folder) if folder else {}
    except CatalogueError as error:
        raise Abort(f"The catalogue has mistakes:\n{error}") from error
    try:
        rendered = render_site(catalogue, local, config.site_url, config.extra.get("edit_url"), commands=main)
    except UserError as error:
        raise Abort(str(error)) from error
    for path, content in chain[tuple[str, str | bytes]](rendered.items(), recipe_archives(catalogue)):
        file = File.generated(config, path, content=content)
        file.edit_uri = _edited_in(path)
        files.append(file)
    return files


def on_post_page(output: str, /, *, page: Page, **_: object) -> str:
    """Take out the theme's indentation and its question to the host; add the skip link, and the policy."""
    output = with_skip_link(without_indentation(output).replace(ASKS_THE_HOST, ""))
    return output if _serving else with_policy(output, page.content or "")


def on_post_template(output: str, /, *, template_name: str, **_: object) -> str:
    """Do the same with the page of addresses that are not found."""
    if not template_name.endswith(".html"):
        return output
    output = with_skip_link(output.replace(ASKS_THE_HOST, ""))
    return output if _serving else with_policy(output)


def on_post_build(*, config: MkDocsConfig, **_: object) -> None:
    """Let the search find words in either spelling."""
    index = Path(config.site_dir, "search", "search_index.json")
    if index.is_file():
        index.write_text(with_both_spellings(index.read_text(encoding="utf-8")), encoding="utf-8")


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


def _edited_in(path: str) -> str | None:
    """Return the file a reader would change, relative to the repository's root."""
    parts = Path(path).parts
    return f"tactics/{parts[1]}.yaml" if len(parts) == 3 and parts[0] == "tactics" else None
