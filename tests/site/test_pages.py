"""The renderer: every state of a record, escaping, and the same bytes each time."""

import json
import re
from pathlib import Path

import pytest
import yaml

from greentactics.models.record import Alias, Change, Step
from greentactics.site import pages
from greentactics.site.measurements import detail_tables
from greentactics.site.pages import render_site
from greentactics.text.escaping import safe_address
from tests.examples.records import DARK, PRUNING, SPARSITY, catalogue
from tests.examples.synthetic import SHA, results

TEMPLATES = Path(pages.__file__).parent / "templates"

ID = PRUNING.id
PAGE = f"tactics/{ID}/index.md"


def page(*committed, local=(), record=PRUNING, others=(SPARSITY, DARK), sha256=SHA, below=""):
    made = catalogue(record, *others, results={record.id: committed}, sha256=sha256)
    return render_site(made, {record.id: tuple(local)})[f"tactics/{record.id}/{below}index.md"]


def test_the_same_input_gives_the_same_bytes() -> None:
    made = catalogue(PRUNING, SPARSITY, DARK, results={ID: (results(), results(device_slug="other"))})
    turned = catalogue(DARK, SPARSITY, PRUNING, results={ID: (results(device_slug="other"), results())})
    assert render_site(made, {}) == render_site(turned, {})
    assert list(render_site(made, {})) == sorted(render_site(made, {}))


def test_files_of_a_site() -> None:
    files = render_site(catalogue(PRUNING, DARK, results={ID: (results(),)}), {ID: (results(),)})
    assert {
        "index.md",
        "tactics/index.md",
        PAGE,
        "llms.txt",
        "api/v1/sources.bib",
        "api/v1/index.json",
        f"api/v1/tactics/{ID}.json",
        f"api/v1/tactics/{ID}.yaml",
        f"api/v1/tactics/{ID}.bib",
        f"results/{ID}/example-processor-9000.json",
        f"results/{ID}/local/example-processor-9000.json",
    } <= set(files)
    for path, text in files.items():
        if path.endswith(".json"):
            json.loads(text)
    assert yaml.safe_load(files[f"api/v1/tactics/{ID}.yaml"])["id"] == ID


def test_sections_stand_in_order() -> None:
    headings = re.findall(r"^## .*\{#([a-z-]+)\}$", page(results()), re.MULTILINE)
    assert headings == [
        "problem", "conditions", "mechanism", "impact", "run", "recipe", "trade-offs", "related", "sources",
        "record",
    ]  # fmt: skip


def test_committed_results_are_shown_with_interval_and_raw_json() -> None:
    text = page(results())
    assert "Modelled energy 7.4\u00d7 lower [7.3, 7.5] at \u22120.6 points of accuracy" in text
    assert f'href="../../results/{ID}/example-processor-9000.json"' in text
    assert "Why ours may differ" in text
    assert "this machine" not in text
    assert text.count('<table class="gt-forest"') == 2
    assert page(results(), below="measurements/").count('<table class="gt-forest') == 5 + 2


def test_claims_and_reproduction_share_no_axis_with_points() -> None:
    text = page(results())
    for drawing in re.findall(r"<figure.*?</figure>", text, re.DOTALL):
        assert not ("percentage points" in drawing and "logarithmic" in drawing)


def test_local_results_stand_beside_committed_ones() -> None:
    text = page(results(), local=[results(dirty=True)])
    assert "<strong>This machine</strong>" in text
    assert '<th scope="row">accuracy, this machine' in text
    assert f"results/{ID}/local/" in text


def test_local_results_alone_do_not_raise_the_level() -> None:
    text = page(local=[results()])
    assert "<strong>This machine</strong> Modelled energy 7.4\u00d7 lower" in text
    assert "<strong>Verdict</strong> No reproduction yet" in text
    assert "gt-level-e1" in text
    assert "rival: magnitude, this machine" in text


def test_stale_results_are_marked_and_not_drawn() -> None:
    text = page(results(recipe_sha256="c" * 64))
    assert "No current reproduction" in text
    assert 'class="gt-stale"' in text
    assert "gt-forest" not in text


def test_smoke_results_are_not_shown_at_all() -> None:
    made = catalogue(PRUNING, results={ID: (results(preset="smoke"),)})
    files = render_site(made, {ID: (results(preset="smoke"),)})
    assert not [path for path in files if path.startswith("results/")]
    assert "No results yet" in files[PAGE]
    assert json.loads(files[f"api/v1/tactics/{ID}.json"])["results"] == []
    assert "7.4" not in files[PAGE]


def test_contested_is_said_in_words() -> None:
    smaller = results(arms=("baseline", "tactic"), factors={"tactic": (2.5, 2.0, 0.0, 1.0, 1.0)})
    text = page(smaller)
    assert "<strong>Verdict</strong> Contested: modelled" in text
    assert '<strong class="gt-mark gt-mark-contested">contested</strong>' in text
    assert '<div class="gt-verdict gt-verdict-contested">' in text


def test_a_metric_that_an_arm_lacks_is_a_dash_with_the_reason() -> None:
    entry = results()
    repeats = tuple(
        repeat.model_copy(update={"values": {**repeat.values, "effective_macs": 0.0}})
        if repeat.arm == "magnitude"
        else repeat
        for repeat in entry.repeats
    )
    text = page(entry.model_copy(update={"repeats": repeats}), below="measurements/")
    assert "\u2013 (a ratio needs positive values)" in text


def test_a_metric_without_baseline_is_shown_with_its_own_interval() -> None:
    entry = results()
    repeats = tuple(
        repeat.model_copy(update={"values": {**repeat.values, "before": 0.8 + repeat.seed / 100}})
        if repeat.arm == "tactic"
        else repeat
        for repeat in entry.repeats
    )
    metrics = {**entry.metrics, "before": entry.metrics["test_accuracy"]}
    recipe = PRUNING.recipe.model_copy(update={"also_metrics": ("before",)})
    text = page(
        entry.model_copy(update={"repeats": repeats, "metrics": metrics}),
        record=PRUNING.model_copy(update={"recipe": recipe}),
    )
    assert "(baseline lacks it)" in text
    assert "82.00 % [80.04 %, 83.96 %]" in text.replace("\u00a0", " ")


def test_a_record_without_recipe_invites_one() -> None:
    text = page(record=SPARSITY, others=(PRUNING, DARK))
    assert text.count("No recipe yet") == 2
    assert "Specialised by" in text


def test_a_dark_tactic_has_its_own_words() -> None:
    text = page(record=DARK, others=(PRUNING, SPARSITY))
    for words in (
        "## The harm",
        "Signs that it is at work",
        "How to measure it",
        "What to do instead",
        "Countered by",
    ):
        assert words in text
    assert "Use it when" not in text


HOSTILE = (
    '</p><script>alert(1)</script> [x](javascript:alert(1)) "><img src=x onerror=alert(1)> '
    "``` ~~~ {{ 7 * 7 }} {% raw %} | a | --- \u202egnol\u202c <!-- " + "w" * 300
)


def hostile():
    short = "<script>alert(1)</script>[x](javascript:alert(1))"
    return PRUNING.model_copy(
        update={
            "title": short,
            "summary": HOSTILE,
            "context": HOSTILE,
            "feature": HOSTILE,
            "intent": HOSTILE,
            "problem": f"{HOSTILE}\n\n```\n# heading\n\n- [x](javascript:alert(1))\n\n    code",
            "solution": f"---\n\n## {HOSTILE}\n\n--8<-- \"/etc/passwd\"",
            "artifact_note": HOSTILE,
            "steps": (Step(text=short), Step(text="</svg>" + short, repeat_from=1, until=short)),
            "applies_when": (HOSTILE,),
            "avoid_when": (HOSTILE,),
            "recipe": PRUNING.recipe.model_copy(update={"cost_label": short, "why_different": HOSTILE}),
            "aliases": (
                Alias.model_construct(catalogue=short, title=short, url="javascript:alert(1)", diagram=None),
            ),
            "history": (Change(date=PRUNING.created, change=HOSTILE),),
        }
    )  # fmt: skip


def test_a_hostile_record_stays_text() -> None:
    record = hostile()
    files = render_site(catalogue(record, DARK, results={ID: (results(),)}), {})
    for path in [path for path in files if path.endswith(".md") and path != "find/index.md"]:
        text = re.sub(r'<script type="application/ld\+json">[^<>]*</script>', "", files[path])
        assert "<script" not in text.lower()
        assert "<img" not in text
        assert 'href="javascript:' not in text
        assert "\u202e" not in text
        body = text.split("\n---\n", 1)[1]
        outside = re.sub(
            r"<(p|dl|table|figure|ul|ol|div|h[1-4]|nav|pre)\b.*?</\1>", "", body, flags=re.DOTALL
        )
        assert "javascript" not in outside
    front = yaml.safe_load(files[PAGE].split("\n---\n")[0])
    assert "<" not in front["title"]
    assert '"' not in front["description"]


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "data:text/html,x", "//host/x", "http:", "http://[x", "http://a\uff03@b", None],
)
def test_addresses_that_are_not_of_the_web_are_no_links(address) -> None:
    assert safe_address(address) is None


def test_no_template_puts_out_a_literal_whose_outer_space_would_be_lost() -> None:
    literal = re.compile(r'"([^"]*)"(?= if )|(?<= else )"([^"]*)"(?! ~)')
    found = {
        (path.name, text)
        for path in TEMPLATES.glob("*.j2")
        for shown in re.findall(r"{{(.*?)}}", path.read_text(encoding="utf-8"))
        for text in map("".join, literal.findall(shown))
    }
    assert found
    assert {(name, text) for name, text in found if text != text.strip()} == set()


def test_details_become_tables_of_baseline_and_tactic() -> None:
    tables = detail_tables(results())
    assert [table.title for table in tables] == [
        "Layers: baseline, seed 0",
        "Layers: tactic, seed 0",
    ]
    assert tables[1].columns[:3] == ("layer", "batch size", "non-zero weights")
    assert tables[1].rows[0][:4] == ("conv1", "1", "150", "0.167")
    assert tables[1].numeric


def test_details_of_other_shapes_are_left_to_the_raw_json() -> None:
    rows = [{"round": number, "ok": True, "loss": None} for number in range(50)]
    shapes = {"words": "text", "empty": [], "nested": [{"a": [1]}], "numbers": [1, 2], "curve": rows}
    (table, _) = detail_tables(results(details=shapes))
    assert table.title == "Curve: baseline, seed 0"
    assert (len(table.rows), table.left_out) == (40, 10)
    assert table.rows[0] == ("yes", "0", "\u2013")
