"""Filters, counts and order of the page "Find a tactic"; what it shows is computed here a second time."""

from __future__ import annotations

import json
import re

import pytest

from greentactics.site.find import RANKS, rank
from tests.browser.large_page import write_large_page
from tests.browser.selector_page import (
    BUILT_IN,
    ENTRIES,
    PRUNING,
    SAVING,
    choose,
    ids,
    loses_at_most,
    number,
    saved,
    saves_energy,
    those,
)


def test_at_first_all_tactics_stand_in_the_order_of_the_page(opened) -> None:
    page = opened()
    assert ids(page) == [entry.id for entry in ENTRIES]
    assert page.locator("#found-count").inner_text() == f"{len(ENTRIES)} tactics"
    assert page.locator("#found-count").get_attribute("role") == "status"


def test_an_architect_who_wants_less_energy_for_less_than_a_point_without_gpu(opened) -> None:
    page = opened()
    choose(page, "improves", SAVING)
    page.locator("input[name=loss]").fill("1")
    choose(page, "devices", "cpu")
    expected = those(lambda one: saves_energy(one) and loses_at_most(one, 1) and "cpu" in one.devices)
    assert set(ids(page)) == expected
    assert page.locator("#found-count").inner_text() == f"{len(expected)} of {len(ENTRIES)} tactics"
    assert page.url.endswith(f"?improves={SAVING}&loss=1&devices=cpu")
    check_order(page, SAVING)


def check_order(page, quality: str) -> None:
    """Figures for the quality, for others, none; each kind apart, within it the largest first."""
    by_id = {entry.id: entry for entry in ENTRIES}
    shown = [by_id[name] for name in ids(page)]
    places = [
        (one.effect is None, quality not in one.effect_on, list(RANKS).index(rank(one)), -(one.effect or 0))
        for one in shown
    ]
    places = [(True, False, 0, 0) if place[0] else place for place in places]
    assert places == sorted(places)
    headings = page.locator("#found .gt-rank").all_inner_texts()
    parts = dict.fromkeys(
        ("Figures for another quality. " if place[1] else "") + RANKS[rank(one)]
        for one, place in zip(shown, places, strict=True)
    )
    assert headings == list(parts)
    assert len(headings) > 1


@pytest.mark.parametrize("quality", ["time-behaviour", "energy-efficiency", "resource-utilization"])
def test_figures_for_the_quality_chosen_come_before_other_figures_and_claims_last(opened, quality) -> None:
    check_order(opened(f"?improves={quality}"), quality)


def test_only_the_order_by_effect_has_headings(opened) -> None:
    page = opened("?sort=name")
    assert page.locator("#found .gt-rank").count() == 0
    page.locator("select[name=sort]").select_option("effect")
    assert page.locator("#found .gt-rank").all_inner_texts() == list(
        dict.fromkeys(RANKS[rank(one)] for one in ENTRIES)
    )


@pytest.mark.parametrize("limit", ["0", "0.5", "5", "100"])
def test_limit_on_the_loss(opened, limit) -> None:
    assert set(ids(opened(f"?loss={limit}"))) == those(lambda one: loses_at_most(one, float(limit)))


@pytest.mark.parametrize("limit", ["-1", "1e999", "much", ""])
def test_a_limit_that_is_none_limits_nothing(opened, limit) -> None:
    assert len(ids(opened(f"?loss={limit}"))) == len(ENTRIES)


def test_counts_ignore_their_own_group_only(opened) -> None:
    page = opened()
    choose(page, "improves", SAVING)
    choose(page, "stages", "serving")
    for word in ("training", "serving", "compression"):
        expected = sum(saves_energy(one) and word in one.stages for one in ENTRIES)
        assert number(page, "stages", word) == expected > 0
    expected = sum(saves_energy(one) and "serving" in one.stages and one.effort == "M" for one in ENTRIES)
    choose(page, "effort", "M")
    choose(page, "effort", "M")
    assert number(page, "effort", "M") == expected > 0


def test_counts_of_what_must_not_get_worse_say_what_would_be_left(opened) -> None:
    page = opened(f"?improves={SAVING}")
    left = those(lambda one: saves_energy(one) and "time-behaviour" not in one.worsens)
    assert number(page, "keeps", "time-behaviour") == len(left)
    choose(page, "keeps", "time-behaviour")
    assert set(ids(page)) == left
    expected = sum(one.id in left and "maintainability" not in one.worsens for one in ENTRIES)
    assert number(page, "keeps", "maintainability") == expected


def test_choices_without_a_tactic_are_disabled_not_removed(opened) -> None:
    page = opened("?kind=dark")
    for choice in page.locator("input[name=improves]:not([value=''])").all():
        assert choice.is_disabled()
    assert page.locator("input[name=kind][value=dark]").is_enabled()


def test_chips_take_filters_away_one_by_one(opened) -> None:
    page = opened(f"?improves={SAVING}&loss=1&stages=serving,training")
    chips = page.locator("#find-chips button")
    assert chips.all_inner_texts() == [
        "Improves: Energy efficiency \u00d7",
        "Quality lost: at most 1 point \u00d7",
        "Stage: Training \u00d7",
        "Stage: Serving \u00d7",
        "Reset",
    ]
    page.get_by_role("button", name="Remove Improves: Energy efficiency").click()
    assert page.locator("input[name=improves]").first.is_checked()
    assert page.evaluate("document.activeElement.textContent").startswith("Quality lost")
    page.get_by_role("button", name="Remove Stage: Serving").click()
    page.get_by_role("button", name="Remove Quality lost").click()
    assert page.url.endswith("?stages=training")
    page.get_by_role("button", name="Reset").click()
    assert page.url.endswith("/find/index.html")
    assert len(ids(page)) == len(ENTRIES)


def test_an_empty_result_says_which_filter_to_drop(opened) -> None:
    page = opened(f"?improves={SAVING}&kind=dark")
    empty = page.locator("#find-empty")
    dark = sum(one.kind == "dark" for one in ENTRIES)
    savings = sum(saves_energy(one) for one in ENTRIES)
    assert set(empty.locator("button").all_inner_texts()) == {
        f"Drop “Improves”: {dark} tactics",
        f"Drop “Kind”: {savings} tactics",
    }
    assert page.locator("#found").is_hidden()
    assert page.locator("#find-downloads").is_hidden()
    empty.get_by_role("button", name="Drop “Kind”").click()
    assert set(ids(page)) == those(saves_energy)
    assert empty.is_hidden()


def test_two_pairs_of_filters_that_exclude_each_other(opened) -> None:
    page = opened(f"?improves={SAVING}&kind=dark&evidence=E3&provenance=none")
    assert "More than one filter has to go." in page.locator("#find-empty").inner_text()
    assert page.locator("#find-empty button").count() == 0


def test_the_address_restores_the_page(opened) -> None:
    page = opened()
    choose(page, "improves", SAVING)
    choose(page, "keeps", "time-behaviour")
    choose(page, "evidence", "E2")
    page.locator("input[name=loss]").fill("2.5")
    page.locator("select[name=sort]").select_option("name")
    page.get_by_role("checkbox", name=re.compile("^Compare ")).first.check()
    before, address = ids(page), page.url
    page.reload()
    assert ids(page) == before
    assert page.url == address
    assert page.locator("input.gt-tick:checked").count() == 1
    assert page.locator("input[name=loss]").input_value() == "2.5"


def test_words_nobody_knows_are_passed_over(opened) -> None:
    page = opened("?improves=beauty&stages=__proto__&sort=toString&ticked=no-such&nonsense=1")
    assert len(ids(page)) == len(ENTRIES)
    assert page.url.endswith("/find/index.html")


ORDERS = {
    "name": lambda one: one.title.casefold(),
    "evidence": lambda one: -int(one.evidence[1:]),
    "loss": lambda one: 1000 if one.loss_points is None else one.loss_points,
    "effort": lambda one: "SML".index(one.effort),
}


@pytest.mark.parametrize("order", ORDERS)
def test_sorting(opened, order) -> None:
    page = opened()
    page.locator("select[name=sort]").select_option(order)
    expected = sorted(sorted(ENTRIES, key=ORDERS["name"]), key=ORDERS[order])
    assert ids(page) == [entry.id for entry in expected]


def test_keyboard_alone_is_enough(opened) -> None:
    page = opened()
    first = page.locator("input[name=improves]").first
    for _ in range(40):
        page.keyboard.press("Tab")
        if first.evaluate("node => node === document.activeElement"):
            break
    page.keyboard.press("ArrowRight")
    assert page.locator(f"input[name=improves][value={SAVING}]").is_checked()
    page.keyboard.press("Tab")
    page.keyboard.type("1")
    page.keyboard.press("Enter")
    assert set(ids(page)) == those(lambda one: saves_energy(one) and loses_at_most(one, 1))
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.locator("input.gt-tick").first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("Space")
    page.keyboard.press("Space")
    assert page.evaluate("document.activeElement.checked")


def test_without_javascript_the_table_holds_all(opened) -> None:
    page = opened(java_script_enabled=False)
    assert ids(page) == [entry.id for entry in ENTRIES]
    headings = page.locator("#found .gt-rank").all_inner_texts()
    assert headings == list(dict.fromkeys(RANKS[rank(one)] for one in ENTRIES))
    assert page.locator("#find-form").is_hidden()
    assert page.locator("#find-sort").is_hidden()
    assert page.get_by_text("Filters and comparison need JavaScript.").is_visible()
    assert page.locator("#find-hint").is_hidden()


@pytest.mark.parametrize("width", [320, 375, 760, 1280, 1920])
def test_nothing_is_wider_than_the_window(opened, width) -> None:
    page = opened(viewport={"width": width, "height": 800})
    for folded in page.locator(".gt-facets summary").all():
        folded.click()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.goto(page.url.partition("?")[0] + f"?compare={PRUNING},{BUILT_IN}")
    assert page.locator("#comparison table").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_more_rows_than_seventy_are_shown_on_demand(new_page, tmp_path) -> None:
    page = new_page(f"file://{write_large_page(tmp_path, 90)}")
    assert len(ids(page)) == 70
    page.get_by_role("button", name="Show 20 more").click()
    assert len(ids(page)) == 90
    assert len(json.loads(saved(page, "JSON"))["tactics"]) == 90
