"""Filled forms become drafts, and every mistake in one is named with its line."""

from __future__ import annotations

import datetime
import shutil
from pathlib import Path

import pytest
from click.testing import Result
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from greentactics.contribute.issue import NEW_TACTIC, draft_of, read_fields
from greentactics.records.loading import load_catalogue
from greentactics.text.files import decode
from greentactics.text.yaml_source import tree_of_right_yaml
from tests.examples.command_line import call
from tests.examples.example_files import REPOSITORY, copy_valid

FEW = settings(max_examples=30)
TODAY = datetime.date(2026, 1, 31)
FIELDS = {"__".join(map(str, field.path)): field for field in read_fields(REPOSITORY)}
CLAIM = {
    "quantity": "energy",
    "value": "20 to 30",
    "unit": "percent",
    "direction": "decrease",
    "baseline": "a fixed number of epochs",
    "setting": "a made-up network",
    "kind": "measured",
    "source": "doe-1998",
    "read_in": "abstract",
}
ANSWERS = {
    "title": "Stop when nothing is gained",
    "summary": "Stop training once the loss no longer falls.",
    "kind": "awesome",
    "type": "software-practice",
    "category": "green-ml-enabled-systems",
    "group": "model-training",
    "tags": "training, monitoring",
    "participant": "data-scientist, ml-engineer",
    "artifact": "training-pipeline",
    "context": "Machine learning, training",
    "intent": "Spend nothing on what does not help.",
    "target_quality": "energy-efficiency",
    "effects": "- energy-efficiency | improves | Epochs | without gain are left out.",
    "problem": "The number of epochs is a guess.\r\n\r\n### Of mine\r\nIt is often too large.",
    "solution": "no",
    "steps": "1. Train one epoch\n2. Compare the loss",
    "applies_when": "There is a validation set.\n\n* Training takes long.",
    "avoid_when": "2026-01-31",
    "trade_offs": "maintainability | One more setting. | doe-1998\nsafety | None known.",
    "effort__level": "S",
    "effort__reason": "A few lines.",
    "stages": "training",
    "sources": "doe-1998 | 10.1000/example.2 | The claim.\nsmith-2020 | 10.1000/example.1 | The idea.",
    "relations": "combines_with | base-awesome | Both leave work out.",
} | {f"impact__claims__0__{name}": value for name, value in CLAIM.items()}


def filled(**changes: str | None) -> str:
    """Return the Markdown that GitHub makes of answers; None leaves a heading out."""
    answers: dict[str, str | None] = ANSWERS | changes
    parts = [
        f"### {field.label}\r\n\r\n{answers.get(name) or '_No response_'}"
        for name, field in FIELDS.items()
        if answers.get(name, "") is not None
    ]
    return "\r\n\r\n".join(parts) + "\r\n"


def with_form(root: Path) -> Path:
    """Return a checkout after it has got the form of this one."""
    (root / NEW_TACTIC.parent).mkdir(parents=True)
    shutil.copy(REPOSITORY / NEW_TACTIC, root / NEW_TACTIC)
    return root


@pytest.fixture
def root(root: Path) -> Path:
    return with_form(root)


def from_issue(root: Path, text: str) -> Result:
    (root / "issue.md").write_text(text, encoding="utf-8", newline="")
    return call(root, "from-issue", root / "issue.md")


def line_of(text: str, words: str) -> int:
    return text[: text.index(words)].count("\n") + 1


def test_a_filled_form_becomes_a_record(root):
    result = from_issue(root, filled())
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("drafts/stop-when-nothing-is-gained.yaml: written\n")
    assert "to do: add with greentactics cite: doe-1998 (10.1000/example.2)\n" in result.stdout
    assert "smith-2020" not in result.stdout
    draft = root / "drafts" / "stop-when-nothing-is-gained.yaml"
    assert "# To do: add with greentactics cite: doe-1998 (10.1000/example.2)" in draft.read_text()
    checked = call(root, "check")
    assert checked.exit_code == 0, "a draft is no part of the catalogue"
    draft.rename(root / "tactics" / draft.name)
    record = load_catalogue(root).records["stop-when-nothing-is-gained"]
    assert record.tags == ("training", "monitoring")
    assert record.effects[0].reason == "Epochs | without gain are left out."
    assert record.problem == "The number of epochs is a guess.\n\n### Of mine\nIt is often too large."
    assert record.solution == "no"
    assert [step.text for step in record.steps] == ["Train one epoch", "Compare the loss"]
    assert record.applies_when == ("There is a validation set.", "Training takes long.")
    assert record.avoid_when == ("2026-01-31",)
    assert [trade_off.source for trade_off in record.trade_offs] == ["doe-1998", None]
    assert record.effort.level == "S"
    assert record.impact.claims[0].range.high == 30
    assert record.created == record.modified == record.history[-1].date
    problems = call(root, "check").stdout
    assert problems.count("expected a key of tactics/references.yaml") == problems.count("expected") == 1


def test_standard_input_is_read_too(root):
    given_text = filled().encode()
    result = call(root, "from-issue", "-", typed=given_text)
    assert result.exit_code == 0, result.stderr
    assert (root / "drafts" / "stop-when-nothing-is-gained.yaml").is_file()


def test_a_form_without_a_claim_and_without_tags(root):
    bare = {f"impact__claims__0__{name}": "" for name in CLAIM}
    bare |= {"tags": "", "sources": "smith-2020 | x | All.", "trade_offs": "safety | Bad."}
    result = from_issue(root, filled(**bare))
    assert result.exit_code == 0, result.stderr
    assert "to do" not in result.stdout


def test_every_mistake_is_named_at_once_with_its_line(root):
    text = filled(
        group="model-traning",
        effects="energy-efficiency improves",
        stages="training, never",
        effort__level="XL",
        impact__claims__0__value="a lot",
        intent="",
        summary="word " * 60,
        context=None,
        tags="training,\ttraining",
    )
    result = from_issue(root, text)
    assert result.exit_code == 1
    assert not (root / "drafts").exists()
    for where, message in (
        ("model-traning", "group: expected one of"),
        ("model-traning", 'did you mean "model-training"?'),
        ("energy-efficiency improves", 'effects: expected "quality | direction | reason", got "energy'),
        ("training, never", "stages.1: expected one of"),
        ("XL", 'effort.level: expected one of S, M, L, got "XL"'),
        ("a lot", 'impact.claims.0.value: expected a number, got "a lot"'),
        ("_No response_\r\n\r\n### Quality to improve", "intent: expected a value, got nothing"),
        ("word word", "summary: expected at most 240 characters, got"),
    ):
        found = [line for line in result.stderr.splitlines() if message in line]
        assert found, message
        assert f"issue.md:{line_of(text, where)}:" in found[0]
    assert 'expected the heading "### Context", got none' in result.stderr
    assert "expected spaces, got a tab" in result.stderr


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"title": "123"}, 'title: expected a title with letters, to make an identifier of, got "123"'),
        ({"title": "../../etc/passwd"}, None),
        ({"relations": "combines_with | no-such | Why."}, "relations.0.target: expected the identifier of"),
        ({"impact__claims__0__source": "roe-2001"}, "impact.claims.0.source: expected a key from this"),
        ({"impact__claims__0__unit": ""}, "impact.claims.0: expected either a value or a range"),
        ({"impact__claims__0__quantity": ""}, "impact.claims.0.quantity: expected a value, got nothing"),
        ({"target_quality": "safety"}, "target_quality: expected a quality that one of the effects improves"),
        ({"kind": "dark"}, "type: expected unsustainable-pattern for a dark tactic"),
        ({"trade_offs": ""}, "expected either `trade_offs:` or `no_trade_offs_reason:`, got neither"),
        ({"sources": "doe-1998 | | The claim."}, 'sources: expected "key | identifier | supports", got'),
        ({"sources": "Doe | x | y"}, "sources.0.key: expected first author and year in small letters"),
        ({"problem": "x\r\n\r\n### Solution\r\n\r\ny"}, 'each heading once, got "### Solution" again'),
        ({"steps": "s" * 61}, "steps.0.text: expected at most 60 characters, got 61 characters"),
        ({"intent": "a\u202eb"}, "expected visible text, got U+202E"),
    ],
)  # fmt: skip
def test_a_wrong_answer_is_refused(root, changes, message):
    result = from_issue(root, filled(**changes))
    if message is None:
        assert "drafts/etc-passwd.yaml: written" in result.stdout
    else:
        assert result.exit_code == 1
        assert message in result.stderr
        assert not (root / "drafts").exists()


@pytest.mark.parametrize("text", ["", "Hello", "### Another form\n\nText", "id: x\ntitle: y\n"])
def test_a_text_that_is_no_form_says_what_one_looks_like(root, text):
    result = from_issue(root, text)
    assert result.exit_code == 1
    expected = (
        'issue.md:1:1: expected the headings of .github/ISSUE_TEMPLATE/new-tactic.yml, such as "### Title"'
    )
    assert expected in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_nothing_is_overwritten(root):
    drafts = root / "drafts"
    drafts.mkdir()
    mine = drafts / "stop-when-nothing-is-gained.yaml"
    mine.write_text("mine")
    refused = from_issue(root, filled())
    assert refused.exit_code == 1
    assert "as it is; finish it, or move it away" in refused.stderr
    assert mine.read_text() == "mine"
    mine.unlink()
    mine.symlink_to(root / "elsewhere")
    assert "finish it, or move it away" in from_issue(root, filled()).stderr
    mine.unlink()
    drafts.rmdir()
    drafts.symlink_to(root / "tactics")
    assert "drafts: expected a folder, got a link or a file; remove it" in from_issue(root, filled()).stderr
    assert not (root / "tactics" / mine.name).exists()


def test_a_checkout_without_the_form(root):
    (root / NEW_TACTIC).write_text("body: 3")
    assert "expected the form for a new tactic; bring it back with git" in from_issue(root, filled()).stderr


@pytest.fixture(scope="module")
def shared_root(tmp_path_factory) -> Path:
    return with_form(copy_valid(tmp_path_factory.mktemp("issue")))


TRAPS = ["y", "no", "null", "~", "0x1F", "1e3", "12:30", "2026-01-31", "- a", "a: b", "a #b", "|"]


@FEW
@given(
    st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1, max_size=150)
    | st.sampled_from(TRAPS)
)
def test_text_comes_back_from_the_draft_as_it_was_written(shared_root, text):
    form = decode(filled(solution=text, problem=f"{text}\r\n\r\n  {text}").encode(), "issue.md")
    assume(not form.problems and text.strip() not in ("", "_No response_"))
    written = draft_of(shared_root, form, TODAY).text
    tree = tree_of_right_yaml(decode(written.encode(), "draft.yaml"))
    assert tree is not None
    assert tree["solution"] == text.strip()
    assert tree["problem"].splitlines()[0] == text.strip()
