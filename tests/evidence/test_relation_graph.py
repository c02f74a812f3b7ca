"""Relations seen from both ends, and their drawing."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from greentactics.evidence.relations import by_group, stated_ties, ties_by_tactic
from greentactics.evidence.tactic import join
from greentactics.models.record import Relation
from greentactics.models.vocabulary import Group, Kind, RelationType
from greentactics.site.drawings.svg import text_width
from greentactics.site.drawings.web import BOX_LEFT, BOX_WIDTH, SIZE, WIDTH, drawn_groups, relation_figure
from tests.examples.records import PRUNING, catalogue

DATA, MODEL = Group.DATA_CENTRIC, Group.MODEL_OPTIMIZATION
A, B, C, D = "a-tactic", "b-tactic", "c-tactic", "d-tactic"


def record(identifier, group=MODEL, kind=Kind.AWESOME, **ties):
    """Return a record with relations; `requires="x"` is one of that type."""
    relations = tuple(
        Relation(type=RelationType(name), target=target, reason=f"{name} reason.")
        for name, target in ties.items()
    )
    changes = {
        "id": identifier,
        "title": f"Do {identifier}",
        "group": group,
        "kind": kind,
        "relations": relations,
    }
    return PRUNING.model_copy(update=changes | {"recipe": None})


RECORDS = (
    record(A, DATA, requires=C, combines_with=B),
    record(B, combines_with=A, countered_by="gone"),
    record(C),
    record(D, DATA, Kind.DARK, countered_by=A),
)


@pytest.fixture
def tactics():
    return join(catalogue(*RECORDS), {})


def seen(tactics):
    return {
        identifier: [(tie.label, tie.target.record.id, tie.reason) for tie in ties]
        for identifier, ties in ties_by_tactic(tactics, stated_ties(tactics)).items()
    }


def test_each_relation_is_seen_from_both_ends(tactics) -> None:
    assert seen(tactics) == {
        A: [
            ("Requires", C, "requires reason."),
            ("Combines with", B, "combines_with reason."),
            ("Counters", D, "countered_by reason."),
        ],
        B: [("Combines with", A, "combines_with reason.")],
        C: [("Required by", A, "requires reason.")],
        D: [("Countered by", A, "countered_by reason.")],
    }


def test_groups_stand_in_the_order_of_the_vocabulary(tactics) -> None:
    groups = {group: [tactic.record.id for tactic in members] for group, members in by_group(tactics).items()}
    assert groups == {DATA: [A, D], MODEL: [B, C]}
    assert list(groups) == [DATA, MODEL]


def drawing(*records):
    tactics = join(catalogue(*records), {})
    ties = stated_ties(tactics)
    return ET.fromstring(str(relation_figure(drawn_groups(by_group(tactics), ties), ties, "../")))


def local(element):
    return element.tag.rpartition("}")[2]


def test_the_drawing_links_every_tactic_and_draws_every_relation() -> None:
    root = drawing(*RECORDS, record("e-alone"))
    links = [element.get("href") for element in root.iter() if local(element) == "a"]
    assert sorted(links) == [f"../tactics/{name}/index.html" for name in (A, B, C, D)]
    ties = [element for element in root.iter() if (element.get("class") or "").startswith("gt-tie ")]
    assert len(ties) == 4
    used = [element.get("href") for element in root.iter() if local(element) == "use"]
    assert sorted(used) == sorted(2 * [f"#{tie.get('id')}" for tie in ties])
    assert "4 tactics and 4 relations" in root.findtext("desc", "")
    assert root.findtext("title")


def test_directed_relations_run_on_the_left_with_a_head_and_all_stay_inside() -> None:
    root = drawing(*RECORDS)
    for element in root.iter():
        css = element.get("class") or ""
        if not css.startswith("gt-tie "):
            continue
        path = element.get("d") or ""
        xs = [float(x) for x in re.findall(r"[MCL ](-?\d+) -?\d+", path)]
        start, controls = xs[0], xs[1:3]
        reach = start + 0.75 * (controls[0] - start)
        assert 0 <= reach <= WIDTH
        if css.endswith(("requires", "countered-by", "specialises")):
            assert path.count("M") == 2
            assert (start, reach < start) == (BOX_LEFT - 1, True)
        else:
            assert path.count("M") == 1
            assert (start, reach > start) == (BOX_LEFT + BOX_WIDTH + 1, True)


def test_dark_tactics_are_marked_in_words() -> None:
    root = drawing(*RECORDS)
    dark = [element for element in root.iter() if element.get("class") == "gt-node gt-dark"]
    assert len(dark) == 1
    words = " ".join("".join(text.itertext()) for text in dark[0].iter() if local(text) == "text")
    assert words == f"Do {D} dark"


def test_tactics_tied_to_one_another_stand_close() -> None:
    names = [f"t{number}" for number in range(6)]
    records = [record(name) for name in names[1:]] + [record("t0", combines_with="t5")]
    records += [record("x", DATA, combines_with="t5")]
    tactics = join(catalogue(*records), {})
    drawn = drawn_groups(by_group(tactics), stated_ties(tactics))
    assert [tactic.record.id for tactic in drawn[MODEL]] == ["t5", "t0"]
    assert [tactic.record.id for tactic in drawn[DATA]] == ["x"]


def test_long_titles_and_signs_of_markup_stay_inside_their_box() -> None:
    hostile = record(A, combines_with=B).model_copy(update={"title": '</svg><script>"&' + "w" * 60})
    root = drawing(hostile, record(B))
    assert not [element for element in root.iter() if local(element) == "script"]
    spans = [element.text or "" for element in root.iter() if local(element) == "tspan"]
    assert max(text_width(span, SIZE) for span in spans) <= BOX_WIDTH - 20
