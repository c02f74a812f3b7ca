"""The whole site as text: catalogue and results in, `{path: text}` out.

`render_site` reads no file and writes none; the same input gives the same bytes. Paths are relative to the
docs folder of mkdocs. Each generated page is an `index.md` in a folder of its own, so that relative links
hold with and without directory addresses, over http and from disk.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from greentactics import __version__
from greentactics.archive_coverage import ARCHIVE
from greentactics.escaping import finalize, text_to_html
from greentactics.evidence import Level
from greentactics.export import LICENCE, bibtex, json_text, tactic_document
from greentactics.figures_graph import DRAWN_AT_MOST, LEGEND, drawn_groups, legend_line, relation_figure
from greentactics.loading import Catalogue
from greentactics.relation_graph import Tie, by_group, stated_ties, ties_by_tactic
from greentactics.results import SMOKE_PRESET, Results
from greentactics.run_views import raw_path
from greentactics.tactic_page import Tactic, join, page_context
from greentactics.term_pages import FURTHER, VOCABULARIES, question, term_pages
from greentactics.vocabulary import EffortLevel, Kind
from greentactics.wording import sentence, typographic


def render_site(catalogue: Catalogue, local: Mapping[str, tuple[Results, ...]]) -> dict[str, str]:
    """Render all generated files.

    Args:
        catalogue: Records, bibliography, committed results and recipes.
        local: Results of this machine by tactic; shown beside the committed ones, never counted as evidence.

    Returns:
        Text by path below the docs folder, in the order of the paths.
    """
    tactics = join(catalogue, local)
    environment = template_environment()
    files: dict[str, str] = {
        "index.md": environment.get_template("home.md.j2").render(tactics=tactics.values(), root=""),
        "tactics/index.md": environment.get_template("tactics.md.j2").render(
            tactics=tactics.values(), root="../"
        ),
        "sources.bib": bibtex(catalogue.bibliography),
    }
    template = environment.get_template("tactic.md.j2")
    ties = stated_ties(tactics)
    seen = ties_by_tactic(tactics, ties)
    for identifier, tactic in tactics.items():
        context = page_context(tactic, catalogue, seen[identifier])
        files[f"tactics/{identifier}/index.md"] = template.render(context, root="../../")
        files |= _tactic_files(tactic, catalogue)
    files |= _corrections_page(environment, tactics)
    files |= _relations_page(environment, tactics, ties, seen)
    files |= _glossary(environment, tactics)
    files["api/v1/index.json"] = json_text(_index(tactics))
    return dict(sorted(files.items()))


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


def _glossary(environment: Environment, tactics: Mapping[str, Tactic]) -> dict[str, str]:
    """Render the page of each term, and the index of all terms."""
    pages = term_pages(tactics.values())
    template = environment.get_template("term.md.j2")
    files = {f"{page.folder}/index.md": template.render(page=page, root="../../../") for page in pages}
    vocabularies = [
        (vocabulary, [page for page in pages if page.vocabulary is vocabulary]) for vocabulary in VOCABULARIES
    ]
    text = environment.get_template("terms.md.j2").render(
        vocabularies=vocabularies, further=FURTHER, root="../"
    )
    return files | {"terms/index.md": text}


def _tactic_files(tactic: Tactic, catalogue: Catalogue) -> dict[str, str]:
    """Return the machine-readable files of one tactic."""
    record = tactic.record
    committed, local = _shown(tactic.committed), _shown(tactic.local)
    document = tactic_document(
        record, tactic.evidence, tactic.verdict, committed, tactic.recipe_sha256, catalogue.timing_sha256
    )
    keys = [source.key for source in record.sources]
    files = {
        f"api/v1/tactics/{record.id}.json": json_text(document),
        f"api/v1/tactics/{record.id}.yaml": yaml.safe_dump(
            document["record"], allow_unicode=True, sort_keys=False, width=100
        ),
        f"api/v1/tactics/{record.id}.bib": bibtex(catalogue.bibliography, keys),
    }
    for results, is_local in [(entry, False) for entry in committed] + [(entry, True) for entry in local]:
        files[raw_path(record.id, results, is_local)] = results.model_dump_json(indent=1) + "\n"
    return files


def _shown(results: Iterable[Results]) -> tuple[Results, ...]:
    """Leave out smoke runs, which are no measurement."""
    return tuple(entry for entry in results if entry.preset != SMOKE_PRESET)


def _index(tactics: Mapping[str, Tactic]) -> dict[str, Any]:
    return {
        "version": __version__,
        "licence": LICENCE,
        "count": len(tactics),
        "tactics": [
            {
                "id": identifier,
                "title": tactic.record.title,
                "kind": tactic.record.kind.value,
                "evidence": tactic.evidence.level.value,
                "contested": tactic.evidence.contested,
                "verdict": tactic.verdict,
                "url": f"api/v1/tactics/{identifier}.json",
            }
            for identifier, tactic in tactics.items()
        ],
        "sources": "sources.bib",
    }


def template_environment() -> Environment:
    """Return the environment of the templates: strict, and everything escaped."""
    environment = Environment(
        loader=PackageLoader("greentactics"),
        undefined=StrictUndefined,
        autoescape=True,
        comment_start_string="{##",  # Markdown uses {# for the id of a heading
        comment_end_string="##}",
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["front_matter"] = front_matter_text
    environment.filters["typographic"] = typographic
    environment.filters["sentence"] = sentence
    environment.filters["question"] = question
    environment.globals.update(levels=list(Level), effort_levels=list(EffortLevel), kinds=Kind)
    return environment


def front_matter_text(text: str) -> Markup:
    """Return text for the front matter: the theme prints it unescaped, so it is escaped here, then quoted."""
    return Markup(json.dumps(str(escape(str(text_to_html(text).unescape())))))  # noqa: S704 - escaped on this line


def write_site(out: Path, files: Mapping[str, str], static: Path) -> None:
    """Write rendered files and hand-written pages to a folder that any generator can build.

    The folder's own files are replaced where their bytes differ; nothing else in it is touched.

    Args:
        out: Docs folder to write; made when missing.
        files: What `render_site` returned.
        static: Folder of hand-written pages and assets.
    """
    shutil.copytree(static, out, dirs_exist_ok=True)
    for path, text in files.items():
        target = out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        data = text.encode()
        if not target.is_file() or target.read_bytes() != data:
            target.write_bytes(data)
