"""The addresses of all machine-readable files; the index and others are made from this list."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from greentactics.evidence.runs import TacticRun
from greentactics.models.replays import REPLAYS, Replay
from greentactics.text.escaping import safe_address
from greentactics.text.problems import UserError

API = "api/v1"
LICENCE_ADDRESS = "https://creativecommons.org/licenses/by/4.0/"
CATALOGUE_NAME = "Green Tactics"
CATALOGUE_DESCRIPTION = (
    "A catalogue of tactics for energy-efficient machine learning, built so that claims can be run."
)
JSON = "application/json"
SCHEMA = "application/schema+json"
YAML = "application/yaml"
CSV = "text/csv"
TEXT = "text/plain"
BIBTEX = "application/x-bibtex"
ATOM = "application/atom+xml"


@dataclass(frozen=True)
class Address:
    """A file of the API, or one for each of many."""

    path: str
    """Path from the root of the site; a name in braces stands for one of many."""
    title: str
    """What lies there."""
    media_type: str
    """Its media type."""
    schema: str | None = None
    """Name of its JSON Schema."""


ADDRESSES = (
    Address(f"{API}/index.json", "index: version, counts, addresses, tactics in short", JSON, "api-index"),
    Address(f"{API}/tactics.json", "all tactics with their figures", JSON, "api-tactics"),
    Address(f"{API}/tactics/{{id}}.json", "one tactic with its figures", JSON, "api-tactic"),
    Address(f"{API}/tactics/{{id}}.yaml", "one record as it is written", YAML, "record"),
    Address(f"{API}/tactics/{{id}}.txt", "one tactic as plain text in Markdown", TEXT),
    Address(f"{API}/tactics/{{id}}.bib", "the sources of one tactic in BibTeX", BIBTEX),
    Address(f"{API}/vocabularies.json", "list of the vocabularies, with counts", JSON, "api-vocabularies"),
    Address(f"{API}/vocabularies/{{name}}.json", "one vocabulary, with tactics", JSON, "api-vocabulary"),
    Address(f"{API}/tactics.csv", "table of the tactics, claimed and reproduced apart", CSV),
    Address(f"{API}/claims.csv", "table of the published claims", CSV),
    Address(f"{API}/measurements.csv", "table of the runs: one row a metric, arm and run", CSV),
    Address(f"{API}/latencies.csv", "table of the timing passes: one row an engine, arm and run", CSV),
    Address(f"{API}/sources.bib", "all sources in BibTeX", BIBTEX),
    Address(f"{API}/changes.json", "changes of substance, the latest first", JSON, "api-changes"),
    Address(f"{API}/changes.atom", "feed of the latest changes", ATOM),
    Address(f"{API}/schema/{{schema}}.schema.json", "one JSON Schema", SCHEMA),
    Address("results/{id}/{run}.json", "the raw repeats of one committed run", JSON, "results"),
    Address(
        f"results/{{id}}/{REPLAYS}/{{data}}.json", "pairs recomputed from published data", JSON, "replay"
    ),
    Address("llms.txt", "overview in plain text, with links", TEXT),
)


def site_root(address: str | None) -> str | None:
    """Return the address of the root of the site with its final slash; None where none is given.

    Raises:
        UserError: It is not the address of a folder on the web.
    """
    return _web_folder(address, "address of the site", "https://example.org/tactics/", "SITE_URL")


def edit_root(address: str | None) -> str | None:
    """Return the address below which files of the repository are edited; None where none is given.

    Raises:
        UserError: It is not the address of a folder on the web.
    """
    return _web_folder(address, "address for edits", "https://example.org/tactics/edit/main/", "EDIT_URL")


def repository_address(edit_url: str | None) -> str | None:
    """Return the address of the repository: the address for edits up to its part `edit`; None without one."""
    found = re.fullmatch(r"(https?://[^?#]+?)/(?:-/)?_?edit/[^?#]+", edit_url or "")
    return found[1] if found else None


def _web_folder(address: str | None, name: str, example: str, setting: str) -> str | None:
    if not address:
        return None
    if not safe_address(address) or urlsplit(address).query or urlsplit(address).fragment:
        raise UserError(
            f'{name}: expected one such as {example}, got "{address}"; '
            f"change {setting}, or leave it empty where the address is not known"
        )
    return f"{address.rstrip('/')}/"


def schema_path(name: str) -> str:
    """Return the address of a JSON Schema."""
    return f"{API}/schema/{name}.schema.json"


def document_path(tactic: str, ending: str = "json") -> str:
    """Return the address of a tactic's document."""
    return f"{API}/tactics/{tactic}.{ending}"


def page_path(tactic: str) -> str:
    """Return the address of a tactic's page."""
    return f"tactics/{tactic}/index.html"


def vocabulary_path(name: str) -> str:
    """Return the address of a vocabulary's document."""
    return f"{API}/vocabularies/{name}.json"


def raw_path(run: TacticRun) -> str:
    """Return where the raw JSON of a run lies, relative to the site's root."""
    return f"results/{run.record.id}/{'local/' if run.local else ''}{run.results.device_slug}.json"


def replay_path(replay: Replay) -> str:
    """Return where the pairs of a replay lie, relative to the site's root."""
    return f"results/{replay.tactic}/{REPLAYS}/{replay.data}.json"
