"""What becomes of a record that is withdrawn or renamed: rules, pages and addresses."""

from __future__ import annotations

import re

import pytest

from greentactics.models.record import Record, Relation, Withdrawal
from greentactics.models.vocabulary import RelationType, Status
from greentactics.records.rules import life_cycle_findings
from greentactics.site.pages import render_site
from tests.examples.records import DARK, PRUNING, SPARSITY, catalogue


def withdrawn(record: Record, successor: str | None, reason: str = "Merged <b>there</b>.") -> Record:
    withdrawal = Withdrawal(reason=reason, successor=successor)
    return record.model_copy(update={"status": Status.WITHDRAWN, "withdrawn": withdrawal, "relations": ()})


def related(record: Record, target: str) -> Record:
    relation = Relation(type=RelationType.COMBINES_WITH, target=target, reason="Both.")
    return record.model_copy(update={"relations": (relation,)})


def messages(*records: Record) -> list[str]:
    by_id = {record.id: record for record in records}
    found = life_cycle_findings(by_id, frozenset(by_id))
    return [f"{tactic}: {finding.expected}, got {finding.found}; {finding.cure}" for tactic, finding in found]


def test_a_right_withdrawal_and_a_rename_are_accepted() -> None:
    renamed = PRUNING.model_copy(update={"former_ids": ("old-name",), "relations": ()})
    assert messages(renamed, withdrawn(SPARSITY, PRUNING.id), withdrawn(DARK, None)) == []


@pytest.mark.parametrize(
    ("records", "found"),
    [
        (
            [PRUNING.model_copy(update={"withdrawn": Withdrawal(reason="Merged.")})],
            "expected status withdrawn, as there is `withdrawn:`, got draft; change one of the two",
        ),
        (
            [withdrawn(PRUNING, PRUNING.id)],
            "expected another tactic, got this one; remove it where there is no successor",
        ),
        (
            [withdrawn(PRUNING, DARK.id), withdrawn(DARK, None)],
            (
                f'expected a tactic that is not withdrawn, got "{DARK.id}", which is; '
                "name its successor, or none"
            ),
        ),
        (
            [related(PRUNING, DARK.id), withdrawn(DARK, None)],
            f'expected a tactic that is not withdrawn, got "{DARK.id}", which is; remove the relation',
        ),
        (
            [
                DARK.model_copy(update={"former_ids": ("old-name",)}),
                PRUNING.model_copy(update={"former_ids": ("old-name",)}),
            ],
            (
                f'expected an identifier that no other record has or had, got "old-name", which {DARK.id} '
                "had before, too; identifiers are never used again"
            ),
        ),
    ],
)
def test_what_is_wrong_is_said(records: list[Record], found: str) -> None:
    assert [f"expected {message.split(': ', 1)[1]}" for message in messages(*records)] == [found]


def test_a_withdrawn_tactic_keeps_its_page_and_stands_in_no_list() -> None:
    gone = withdrawn(SPARSITY, PRUNING.id)
    files = render_site(catalogue(PRUNING, gone, DARK), {})
    page = files[f"tactics/{gone.id}/index.md"]
    assert "<strong>Withdrawn</strong> Merged &lt;b&gt;there&lt;/b&gt;." in page
    assert f'Read instead: <a href="../{PRUNING.id}/index.html">{PRUNING.title}</a>.' in page
    for name in ("find/index.md", "relations/index.md", "llms.txt"):
        assert PRUNING.title in files[name]
        assert gone.title not in files[name]
    assert gone.title not in files["index.md"]  # which lists what was reproduced
    assert [
        name for name in files if name.startswith("terms/") and f"tactics/{gone.id}/" in files[name]
    ] == []
    listed, kept = files["tactics/index.md"].split("Withdrawn, and kept for their addresses:")
    assert gone.title not in listed
    assert gone.title in kept
    assert f"api/v1/tactics/{gone.id}.json" in files


def test_without_a_successor_none_is_named() -> None:
    files = render_site(catalogue(PRUNING, withdrawn(DARK, None)), {})
    assert "Read instead" not in files[f"tactics/{DARK.id}/index.md"]
    assert "Withdrawn, and kept" not in render_site(catalogue(PRUNING), {})["tactics/index.md"]


RENAMED = PRUNING.model_copy(update={"title": "Less & <less>", "former_ids": ("old-name", "older-name")})


@pytest.mark.parametrize(
    ("site", "canonical"), [(None, "../../"), ("https://example.org/there", "https://example.org/there/")]
)
def test_a_former_identifier_leads_to_the_tactic(site: str | None, canonical: str) -> None:
    files = render_site(catalogue(RENAMED), {}, site)
    for former in RENAMED.former_ids:
        page = files[f"tactics/{former}/index.html"]
        refresh, link = re.findall(r'(?:url=|<a href=")\.\./([^"/]+)/index\.html"', page)
        assert refresh == link == RENAMED.id
        head = page.partition("</head>")[0]
        assert f'<link rel="canonical" href="{canonical}tactics/{RENAMED.id}/index.html">' in head
        assert '<meta name="robots" content="noindex">' in head
        assert "default-src 'none'" in head.partition("refresh")[0], "the policy comes first"
        assert "<title>Less &amp; &lt;less&gt;</title>" in head
        assert f"was <code>{former}</code>" in page
        assert "<script" not in page
        assert former not in files["tactics/index.md"]


def test_a_page_of_a_record_is_never_replaced_by_a_redirect() -> None:
    wrong = PRUNING.model_copy(update={"former_ids": (DARK.id,)})
    files = render_site(catalogue(wrong, DARK), {})
    assert f"tactics/{DARK.id}/index.md" in files
    assert f"tactics/{DARK.id}/index.html" not in files
