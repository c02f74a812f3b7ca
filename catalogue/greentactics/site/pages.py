"""The whole site as text: catalogue and results in, `{path: text}` out.

Rendering reads no file and writes none; the same input gives the same bytes. Paths are relative to the
docs folder of mkdocs. Each generated page is an `index.md` in a folder of its own, so that relative links
hold with and without directory addresses, over http and from disk.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import click
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from greentactics import __version__
from greentactics.api.addresses import edit_root, raw_path, site_root
from greentactics.api.files import api_documents, api_files, api_schemas, raw_files, tactic_files
from greentactics.api.json_ld import catalogue_script, page_script, tactic_script
from greentactics.api.models import TacticDocument
from greentactics.api.plain_text import text_environment
from greentactics.contribute.importing.archive_words import ARCHIVE
from greentactics.evidence.relations import Tie, by_group, stated_ties, ties_by_tactic
from greentactics.evidence.tactic import Tactic, join
from greentactics.evidence.terms import question, term_pages
from greentactics.evidence.wording import plain_label, sentence, typographic
from greentactics.models.results import Results
from greentactics.records.loading import Catalogue
from greentactics.site.browse import facet_pages
from greentactics.site.command_page import command_page
from greentactics.site.drawings.savings import frame
from greentactics.site.drawings.web import DRAWN_AT_MOST, LEGEND, drawn_groups, legend_line, relation_figure
from greentactics.site.drawings.wings import wings_svg
from greentactics.site.find import find_page
from greentactics.site.measurements import meter_words
from greentactics.site.overview import savings_panels
from greentactics.site.tactic_page import page_context, relation_groups
from greentactics.text.compiled_templates import CompiledTemplates
from greentactics.text.escaping import finalize, text_to_html
from greentactics.text.files import write_atomically
from greentactics.text.kept import Kept, digest
from greentactics.text.problems import UserError

WINGS = "assets/wings.svg"
"""Where the picture of the package lies."""


def render_site(
    catalogue: Catalogue,
    local: Mapping[str, tuple[Results, ...]],
    site_url: str | None = None,
    edit_url: str | None = None,
    *,
    commands: click.Group | None = None,
    kept: Kept | None = None,
) -> dict[str, str]:
    """Render all generated files, in the order of their paths; arguments and errors are `rendered_files`'."""
    return dict(sorted(rendered_files(catalogue, local, site_url, edit_url, commands=commands, kept=kept)))


def rendered_files(
    catalogue: Catalogue,
    local: Mapping[str, tuple[Results, ...]],
    site_url: str | None = None,
    edit_url: str | None = None,
    *,
    commands: click.Group | None = None,
    kept: Kept | None = None,
) -> Iterator[tuple[str, str]]:
    """Return an iterator that renders one file after the other, so that a large site need not lie in memory.

    Args:
        catalogue: Records, bibliography, committed results and recipes.
        local: Results of this machine by tactic; shown beside the committed ones, never counted as evidence.
        site_url: Address of the root of the site; without it all addresses are relative.
        edit_url: Address below which files of the repository are edited; without it pages say how instead.
        commands: The command line; without it there is no page of its commands.
        kept: Files of tactics that need not be rendered again, as nothing they show has changed.

    Returns:
        Path below the docs folder and text of each file; no path twice.

    Raises:
        UserError: `site_url` or `edit_url` is not an address of the web.
    """
    return _rendered(catalogue, local, site_root(site_url), edit_root(edit_url), commands, kept or Kept())


def _rendered(
    catalogue: Catalogue,
    local: Mapping[str, tuple[Results, ...]],
    site: str | None,
    edit: str | None,
    commands: click.Group | None,
    kept: Kept,
) -> Iterator[tuple[str, str]]:
    tactics = join(catalogue, local)
    current = _by_title({key: tactic for key, tactic in tactics.items() if tactic.record.withdrawn is None})
    digests = _digests(tactics, catalogue, site or "", edit or "")
    documents = api_documents(tactics, catalogue, kept, digests)
    terms = term_pages(current.values())
    environment, of_texts = template_environment(site, edit), text_environment()
    environment.bytecode_cache = of_texts.bytecode_cache = CompiledTemplates(kept)
    home = catalogue_script(documents.changes, __version__, site or "")
    withdrawn = [tactic for key, tactic in _by_title(tactics).items() if key not in current]
    yield from _front_pages(environment, current, withdrawn, home).items()
    yield from _redirects(environment, tactics).items()
    ties = stated_ties(current)
    seen, shared = ties_by_tactic(tactics, ties), set[str]()
    for identifier, tactic in tactics.items():
        document = documents.tactics[identifier]
        relations = relation_groups(seen[identifier])
        successor = tactic.record.withdrawn and tactic.record.withdrawn.successor
        others = [json.dumps(relations), digests.get(successor or "", "")]
        make = partial(_tactic_pages, environment, tactic, catalogue, relations, document, site)
        pages, modules = kept.made(make, "pages", digests[identifier], *others)
        yield from pages.items()
        shared.update(modules)
        make_texts = partial(tactic_files, of_texts, tactic, document, catalogue.bibliography, site)
        yield from kept.made(make_texts, "texts", digests[identifier]).items()
        yield from raw_files(tactic).items()
    yield from ((path, catalogue.modules[path]) for path in sorted(shared))
    yield from _overview_page(environment, current).items()
    yield from _corrections_page(environment, _by_title(tactics)).items()
    yield from _relations_page(environment, current, ties, seen).items()
    yield from facet_pages(environment, terms, current.values()).items()
    yield from find_page(environment, current.values(), catalogue.bibliography).items()
    yield WINGS, wings_svg(Path(__file__).parents[1])
    if commands is not None:
        yield from kept.made(partial(command_page, environment, commands), "commands").items()
    yield from kept.made(api_schemas, "schemas").items()
    yield from api_files(documents, catalogue, terms, site)


def _digests(tactics: Mapping[str, Tactic], catalogue: Catalogue, *shared: str) -> dict[str, str]:
    """Return a digest by tactic of all that its own files show, less what they show of other tactics."""
    bibliography = (reference.model_dump_json() for reference in catalogue.bibliography.values())
    recipes = (part for file in catalogue.modules.items() for part in file)
    for_all = digest(*shared, *catalogue.bibliography, *bibliography, catalogue.timing_sha256 or "", *recipes)
    return {
        identifier: digest(
            for_all,
            tactic.record.model_dump_json(),
            getattr(catalogue.recipes.get(identifier), "text", ""),
            *(f"{run.local} {run.results.model_dump_json()}" for run in (*tactic.committed, *tactic.local)),
            *(entry.replay.model_dump_json() for entry in tactic.replays),
        )
        for identifier, tactic in tactics.items()
    }


def _by_title(tactics: Mapping[str, Tactic]) -> dict[str, Tactic]:
    """Return tactics in the order in which a reader looks for them; identifiers are not shown."""
    return dict(sorted(tactics.items(), key=lambda item: (item[1].record.title.casefold(), item[0])))


def _tactic_pages(
    environment: Environment,
    tactic: Tactic,
    catalogue: Catalogue,
    relations: Mapping[str, list[dict[str, str]]],
    document: TacticDocument,
    site: str | None,
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Render the page of a tactic, of what was measured, and of its recipe with the file itself.

    Returns:
        The pages by path, and the files of the repository that they link to.
    """
    record, context = tactic.record, page_context(tactic, catalogue, relations)
    context["json_ld"] = tactic_script(document, catalogue, site or "../../")

    def page(template: str, root: str) -> str:
        return environment.get_template(template).render(context, root=root)

    files = {f"tactics/{record.id}/index.md": page("tactic.md.j2", "../../")}
    if context["runs"]:
        files[f"tactics/{record.id}/measurements/index.md"] = page("measurements.md.j2", "../../../")
    if context["source"]:
        files[f"recipes/{record.id}/index.md"] = page("recipe.md.j2", "../../")
        files[f"recipes/{record.id}/{record.module}.py"] = context["source"].text
    shown = context["usage"].modules if context.get("usage") else ()
    return files, (*shown, *(row.program for row in context["replays"] if row.program))


def _front_pages(
    environment: Environment, tactics: Mapping[str, Tactic], withdrawn: Sequence[Tactic], json_ld: Markup
) -> dict[str, str]:
    home, table = (environment.get_template(name) for name in ("home.md.j2", "tactics.md.j2"))
    return {
        "index.md": home.render(tactics=tactics.values(), root="", json_ld=json_ld),
        "tactics/index.md": table.render(tactics=tactics.values(), withdrawn=withdrawn, root="../"),
    }


def _overview_page(environment: Environment, tactics: Mapping[str, Tactic]) -> dict[str, str]:
    panels = savings_panels(tactics.values())
    text = environment.get_template("overview.md.j2").render(
        panels=panels,
        axes=frame(panels),
        records=[point.tactic.record for panel in panels for point in panel.points if not point.published],
        tactic_count=len(tactics),
        root="../",
    )
    return {"overview/index.md": text}


def _redirects(environment: Environment, tactics: Mapping[str, Tactic]) -> dict[str, str]:
    """Render a page at each former identifier that leads to the tactic.

    They are whole pages of HTML: only in a head can search engines be told what to index, and generators hand
    them on as they are, without navigation, search and site map.
    """
    template = environment.get_template("renamed.html.j2")
    return {
        f"tactics/{former}/index.html": template.render(record=tactic.record, former=former)
        for tactic in tactics.values()
        for former in tactic.record.former_ids
        if former not in tactics
    }


def _corrections_page(environment: Environment, tactics: Mapping[str, Tactic]) -> dict[str, str]:
    corrected = [
        (tactic, change)
        for tactic in tactics.values()
        for change in tactic.record.history
        if change.corrections
    ]
    text = environment.get_template("corrections.md.j2").render(
        corrected=corrected,
        count=sum(len(change.corrections) for _, change in corrected),
        tactic_count=len({tactic.record.id for tactic, _ in corrected}),
        archive=ARCHIVE,
        root="../",
    )
    return {"corrections/index.md": text}


def _relations_page(
    environment: Environment,
    tactics: Mapping[str, Tactic],
    ties: Sequence[Tie],
    seen: Mapping[str, list[Tie]],
) -> dict[str, str]:
    groups = by_group(tactics)
    drawn = drawn_groups(groups, ties)
    count = sum(len(members) for members in drawn.values())
    text = environment.get_template("relations.md.j2").render(
        ties=ties,
        tactic_count=count,
        groups=groups,
        seen=seen,
        figure=relation_figure(drawn, ties, "../") if 0 < count <= DRAWN_AT_MOST else None,
        legend=[(relation_type, legend_line(relation_type)) for relation_type in LEGEND],
        root="../",
    )
    return {"relations/index.md": text}


def template_environment(site: str | None = None, edit: str | None = None) -> Environment:
    """Return the environment of the templates: strict, and everything escaped.

    Args:
        site: Address of the root of the site with its final slash; None where it is not known.
        edit: Address below which files of the repository are edited, likewise.
    """
    environment = Environment(
        loader=PackageLoader("greentactics.site"),
        undefined=StrictUndefined,
        autoescape=True,
        comment_start_string="{##",  # Markdown uses {# for the id of a heading
        comment_end_string="##}",
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,  # an environment lives for one rendering
    )
    environment.filters["front_matter"] = front_matter_text
    environment.filters["typographic"] = typographic
    environment.filters["sentence"] = sentence
    environment.filters["question"] = question
    environment.filters["label"] = plain_label
    environment.globals.update(
        described=page_script, meter_words=meter_words, raw_path=raw_path, site=site or "", edit=edit or ""
    )
    return environment


def front_matter_text(text: str) -> Markup:
    """Return text for the front matter: the theme prints it unescaped, so it is escaped here, then quoted."""
    return Markup(json.dumps(str(escape(str(text_to_html(text).unescape())))))  # noqa: S704 - escaped on this line


def write_site(
    out: Path, files: Iterable[tuple[str, str | bytes]], static: Path, *, replace: bool = False
) -> int:
    """Write rendered files and hand-written pages to a folder that any generator can build.

    Files are written where their bytes differ. Nothing is removed, and nothing is written outside the folder.

    Args:
        out: Docs folder to write; made when missing.
        files: What `rendered_files` and `recipe_archives` yield.
        static: Folder of hand-written pages and assets.
        replace: Whether the folder may hold something, of which files of the same names are replaced.

    Returns:
        How many rendered files there were.

    Raises:
        UserError: The folder holds something and `replace` is not given, or it lies among the hand-written
            pages, or a link in it leads out of it. Then nothing has been written.
    """
    try:
        root = out.resolve()
    except (OSError, RuntimeError):  # RuntimeError: what Python before 3.13 says of a link to itself
        raise UserError(f"{out}: expected a folder, got a link that leads to none; name another") from None
    if root.is_relative_to(static.resolve()):
        raise UserError(f"{out}: expected a folder outside the hand-written pages in {static}; name another")
    if not replace and out.is_dir() and any(out.iterdir()):
        raise UserError(
            f"{out}: expected an empty folder, got one that holds files; empty it or add --replace"
        )
    for path in sorted(out.rglob("*")):
        if path.is_symlink():
            _require_inside(root, path)
    for path in sorted(static.rglob("*")):
        if path.is_file():
            _write_inside(root, root / path.relative_to(static), path.read_bytes())
    count = 0
    for name, content in files:
        _write_inside(root, root / name, content.encode() if isinstance(content, str) else content)
        count += 1
    return count


def _write_inside(root: Path, path: Path, data: bytes) -> None:
    _require_inside(root, path)
    if not path.is_file() or path.read_bytes() != data:
        write_atomically(path, data, flush_to_disk=False)


def _require_inside(root: Path, path: Path) -> None:
    if not path.resolve().is_relative_to(root):
        raise UserError(f"{path}: expected a file inside {root}, got a link that leads out; remove it")
