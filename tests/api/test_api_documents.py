"""The JSON documents: what they hold, that they fit their schemas, and that all addresses are described."""

from __future__ import annotations

import datetime
import json
import re

import jsonschema
import pytest
import yaml

from greentactics.api.addresses import ADDRESSES, JSON, document_path, site_root
from greentactics.api.documents import tactic_document
from greentactics.api.schemas import schema_files
from greentactics.evidence.tactic import join
from greentactics.evidence.terms import VOCABULARIES
from greentactics.models.record import Change
from greentactics.models.timings import CONTROL
from greentactics.site.pages import render_site
from greentactics.text.problems import UserError
from tests.examples.records import DARK, PRUNING, REAL, SPARSITY, catalogue
from tests.examples.synthetic import results, timing

ID = PRUNING.id
MADE_UP = catalogue(
    PRUNING,
    SPARSITY,
    DARK,
    results={ID: (results(timings=tuple(timing(seed, 2.0) for seed in range(3)), timing_sha256="e" * 64),)},
)
SITES = {
    "real": render_site(REAL, {}),
    "made up": render_site(MADE_UP, {}),
    "empty": render_site(catalogue(), {}),
}
SCHEMAS = {path.name.split(".")[0]: json.loads(text) for path, text in schema_files().items()}
PATTERNS = {
    address.path: re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(address.path)))
    for address in ADDRESSES
}


def described_by(path):
    return [address for address in ADDRESSES if PATTERNS[address.path].fullmatch(path)]


def document(*committed, record=PRUNING):
    made_up = catalogue(record, results={record.id: committed})
    return tactic_document(join(made_up, {})[record.id], made_up.bibliography)


def machine_readable(files):
    pages = {
        path
        for path in files
        if path.endswith(".md") or path.startswith(("recipes/", "greentactics/", "assets/"))
    }
    return {path: text for path, text in files.items() if path not in pages}


@pytest.mark.parametrize("name", SITES)
def test_each_json_document_fits_its_schema(name) -> None:
    checked = 0
    for path, text in machine_readable(SITES[name]).items():
        (address,) = described_by(path)
        if address.media_type != JSON:
            continue
        validator = jsonschema.Draft202012Validator(SCHEMAS[address.schema])
        problems = [
            f"{path}: {error.json_path}: {error.message}" for error in validator.iter_errors(json.loads(text))
        ]
        assert problems == []
        checked += 1
    assert checked > 10


def test_the_schemas_are_schemas_and_take_no_word_too_many() -> None:
    for schema in SCHEMAS.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    found = json.loads(SITES["made up"][document_path(ID)]) | {"extra": 1}
    with pytest.raises(jsonschema.ValidationError, match="extra"):
        jsonschema.validate(found, SCHEMAS["api-tactic"])


def test_every_file_has_one_address_and_every_address_a_file() -> None:
    described = {path: described_by(path) for path in machine_readable(SITES["real"])}
    assert [path for path, addresses in described.items() if len(addresses) != 1] == []
    assert {address.path for (address,) in described.values()} == {address.path for address in ADDRESSES}


def test_a_tactic_carries_evidence_and_figures() -> None:
    made = document(results())
    assert made.evidence.level == "E3"
    first = made.results[0].comparisons[0]
    assert (first.metric, first.provenance) == ("energy_batch_1", "modelled")
    low, high = first.against_baseline.interval_95
    assert low < first.against_baseline.value < high
    assert first.against_baseline.n == 5
    assert made.headline_claim == 0
    assert made.reproduced.cost == first
    assert made.reproduced.quality.metric == "test_accuracy"
    assert made.reproduced.difference_shown
    assert made.results[0].counts_as_evidence


def test_a_value_that_gives_no_ratio_keeps_its_mean_and_the_control_is_an_arm() -> None:
    entry = results(arms=("baseline", "tactic"))
    without = [
        repeat.model_copy(update={"values": {**repeat.values, "effective_macs": 0.0}})
        for repeat in entry.repeats
        if repeat.arm == "tactic"
    ]
    baseline = [repeat for repeat in entry.repeats if repeat.arm == "baseline"]
    again = [repeat.model_copy(update={"arm": CONTROL}) for repeat in baseline]
    made = document(entry.model_copy(update={"repeats": (*baseline, *without, *again)})).results[0]
    assert [found.arm for found in made.comparisons][:2] == ["tactic", CONTROL]
    found, _ = (found for found in made.comparisons if found.metric == "effective_macs")
    assert found.against_baseline is None
    assert found.not_comparable_because == "a ratio needs positive values"
    assert found.treated.value == 0.0


def test_stale_and_missing_results_reproduce_nothing() -> None:
    stale = document(results(recipe_sha256="c" * 64))
    assert stale.reproduced is None
    assert stale.results[0].not_counted_because == ("stale: the recipe has changed since",)
    assert document().results == document(results(preset="smoke")).results == ()


def test_one_pair_has_no_interval() -> None:
    found = document(results(seeds=1)).results[0].comparisons[0].against_baseline
    assert (found.interval_95, found.n) == (None, 1)


def test_the_index_counts_and_links() -> None:
    index = json.loads(SITES["made up"]["api/v1/index.json"])
    assert index["counts"]["tactics"] == len(index["tactics"]) == 3
    assert index["counts"]["with_results"] == 1
    assert index["counts"]["claims"] == sum(len(record.impact.claims) for record in (PRUNING, SPARSITY, DARK))
    assert index["site"] is None
    for entry in index["tactics"]:
        assert entry["document"] in SITES["made up"]
        assert entry["page"].replace(".html", ".md") in SITES["made up"]


def test_all_tactics_are_the_same_documents() -> None:
    files = SITES["real"]
    everything = json.loads(files["api/v1/tactics.json"])
    assert everything["count"] == len(REAL.records)
    for entry in everything["tactics"]:
        assert entry == json.loads(files[document_path(entry["id"])])
        assert entry["record"] == yaml.safe_load(files[document_path(entry["id"], "yaml")])


def test_the_vocabularies_count_the_tactics_that_carry_a_term() -> None:
    files = SITES["real"]
    listed = json.loads(files["api/v1/vocabularies.json"])["vocabularies"]
    assert [entry["name"] for entry in listed] == [vocabulary.name for vocabulary in VOCABULARIES]
    for entry in listed:
        terms = json.loads(files[entry["address"]])["terms"]
        assert entry["counts"] == {term["term"]: len(term["tactics"]) for term in terms}
        for term in terms:
            assert term["page"].replace(".html", ".md") in files
            assert {carrier["id"] for carrier in term["tactics"]} <= set(REAL.records)
    kinds = next(entry["counts"] for entry in listed if entry["name"] == "kind")
    assert sum(kinds.values()) == len(REAL.records)


def test_a_quality_says_what_a_tactic_does_to_it() -> None:
    terms = json.loads(SITES["made up"]["api/v1/vocabularies/quality.json"])["terms"]
    carriers = {term["term"]: {one["id"]: one["effect"] for one in term["tactics"]} for term in terms}
    assert carriers["energy-efficiency"][ID] == "improves"
    assert carriers["functional-correctness"][ID] == "worsens"
    tags = json.loads(SITES["made up"]["api/v1/vocabularies/tag.json"])["terms"]
    assert {one["effect"] for term in tags for one in term["tactics"]} == {None}


def dated(record, *days):
    history = tuple(Change(date=datetime.date(2026, 1, day), change=f"Change of day {day}.") for day in days)
    return record.model_copy(update={"history": history})


def test_changes_are_listed_the_latest_first_and_keep_their_identifiers() -> None:
    records = dated(PRUNING, 2, 4, 4), dated(DARK, 3)
    changes = json.loads(render_site(catalogue(*records), {})["api/v1/changes.json"])
    assert [entry["date"][-1] for entry in changes["changes"]] == ["4", "4", "3", "2"]
    assert changes["updated"] == "2026-01-04"
    longer = json.loads(
        render_site(catalogue(dated(PRUNING, 2, 4, 4, 5), records[1]), {})["api/v1/changes.json"]
    )
    assert longer["changes"][1:] == changes["changes"]
    assert len({entry["id"] for entry in longer["changes"]}) == 5


def test_the_address_of_the_site_ends_in_a_slash() -> None:
    assert site_root(None) is site_root("") is None
    for given in ("http://example.org/a/b", "http://example.org/a/b/"):
        assert site_root(given) == "http://example.org/a/b/"


@pytest.mark.parametrize(
    "address", ["example.org", "ftp://x.org", "https://", "https://x.org/?a=1", "javascript:1", "http://[x"]
)
def test_an_address_that_is_none_of_the_web_is_refused(address) -> None:
    with pytest.raises(UserError, match="address of the site: expected one such as"):
        render_site(catalogue(), {}, address)


def test_with_an_address_of_the_site_what_must_be_absolute_is() -> None:
    files = render_site(catalogue(DARK), {}, "https://example.org/tactics")
    root = "https://example.org/tactics/"
    assert json.loads(files["api/v1/index.json"])["site"] == root
    assert f"]({root}api/v1/tactics/{DARK.id}.txt)" in files["llms.txt"]
    assert f'href="{root}tactics/{DARK.id}/index.html"' in files["api/v1/changes.atom"]
    assert f'"url":"{root}tactics/{DARK.id}/index.html"' in files[f"tactics/{DARK.id}/index.md"]
    assert f'"contentUrl":"{root}api/v1/tactics.json"' in files["index.md"]
