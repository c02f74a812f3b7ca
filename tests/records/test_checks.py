"""What a check reports, and rules that one wrong file cannot show."""

from __future__ import annotations

from pathlib import Path

import pytest

from greentactics.records import checks
from greentactics.text.problems import Rule, UserError
from tests.examples.example_files import REPOSITORY, copy_valid, record_text


def _add(root: Path, name: str, relations: list[tuple[str, str]], base: str = "base-awesome") -> None:
    lines = "".join(
        f"  - {{type: {kind}, target: {target}, reason: Made up.}}\n" for kind, target in relations
    )
    text = record_text(base).replace(f"id: {base}", f"id: {name}")
    if lines:
        text = text.replace("status: draft", f"relations:\n{lines}status: draft")
    (root / "tactics" / f"{name}.yaml").write_text(text, encoding="utf-8")


def _found(root: Path) -> list[tuple[str, str]]:
    return [(Path(problem.file).stem, str(problem.rule)) for problem in checks.check(root).problems]


def test_the_real_records_are_right() -> None:
    report = checks.check(REPOSITORY, [REPOSITORY / "tactics"])
    assert [str(problem) for problem in report.problems] == []
    assert report.records >= 3
    assert report.references >= 5


def test_the_summary_counts() -> None:
    assert checks.CheckReport((), 3, 5, 1).summary == "3 records, 5 references, 1 result file: no problems"
    assert (
        checks.CheckReport((), 3000, 1, 0).summary
        == "3,000 records, 1 reference, 0 result files: no problems"
    )


def test_a_path_restricts_the_report_but_not_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copy_valid(tmp_path)
    _add(root, "one", [("requires", "nowhere")])
    _add(root, "two", [("requires", "one"), ("requires", "two")])
    assert len(checks.check(root).problems) == 2
    report = checks.check(root, [root / "tactics" / "one.yaml"])
    assert [problem.file for problem in report.problems] == ["tactics/one.yaml"]
    assert (report.records, report.references, report.results) == (1, 0, 0)
    assert len(checks.check(root, [Path("tactics")]).problems) == 2
    assert checks.check(root, [Path("recipes")]).problems == ()
    monkeypatch.chdir(root / "tactics")
    assert len(checks.check(Path(".."), [Path("two.yaml"), Path("base-dark.yaml")]).problems) == 1


def test_paths_that_are_wrong(tmp_path: Path) -> None:
    root = copy_valid(tmp_path)
    with pytest.raises(UserError, match=r"no such file or folder: tactics/none\.yaml"):
        checks.check(root, [Path("tactics/none.yaml")])
    with pytest.raises(UserError, match="lies outside the catalogue"):
        checks.check(root, [tmp_path])
    with pytest.raises(UserError, match="no folder tactics/"):
        checks.check(tmp_path)


def test_a_path_that_holds_nothing_to_check_is_no_clean_bill(tmp_path: Path) -> None:
    root = copy_valid(tmp_path)
    (root / "notes").mkdir()
    with pytest.raises(UserError, match=r"notes: expected records, .* got none; name one, such as"):
        checks.check(root, [root / "notes"])
    assert checks.check(root, [root / "notes", root / "tactics"]).records


def test_relations_contradict_in_either_direction(tmp_path: Path) -> None:
    root = copy_valid(tmp_path)
    pairs = [
        ("combines_with", "conflicts_with"),
        ("conflicts_with", "combines_with"),
        ("requires", "conflicts_with"),
        ("specialises", "conflicts_with"),
        ("alternative_to", "requires"),
        ("alternative_to", "specialises"),
    ]
    for number, (first, second) in enumerate(pairs):
        _add(root, f"a{number}", [(first, f"b{number}")])
        _add(root, f"b{number}", [(second, f"a{number}")])
    assert _found(root) == [(f"b{number}", Rule.CONTRADICTING_RELATIONS) for number in range(len(pairs))]


def test_relations_that_do_not_contradict(tmp_path: Path) -> None:
    root = copy_valid(tmp_path)
    _add(root, "aa", [("combines_with", "bb"), ("alternative_to", "bb"), ("requires", "cc")])
    _add(root, "bb", [("combines_with", "aa"), ("specialises", "cc")])
    _add(root, "cc", [("conflicts_with", "base-awesome")])
    assert _found(root) == []


def test_each_cycle_is_reported_once_at_its_first_record(tmp_path: Path) -> None:
    root = copy_valid(tmp_path)
    _add(root, "tail", [("requires", "cc")])
    _add(root, "cc", [("requires", "bb")])
    _add(root, "bb", [("requires", "dd")])
    _add(root, "dd", [("requires", "cc"), ("requires", "base-awesome")])
    _add(root, "xx", [("specialises", "yy")])
    _add(root, "yy", [("specialises", "xx")])
    report = checks.check(root)
    assert [(problem.file, problem.found) for problem in report.problems] == [
        ("tactics/bb.yaml", "bb -> dd -> cc -> bb"),
        ("tactics/xx.yaml", "xx -> yy -> xx"),
    ]


def test_a_long_chain_of_relations_is_no_cycle(tmp_path: Path) -> None:
    root = copy_valid(tmp_path)
    for number in range(1200):
        target = f"t{number + 1}" if number < 1199 else "base-awesome"
        _add(root, f"t{number}", [("requires", target)])
    assert _found(root) == []


def test_a_remedy_must_be_awesome(tmp_path: Path) -> None:
    root = copy_valid(tmp_path)
    text = record_text("base-dark").replace("id: base-dark", "id: darker")
    text = text.replace("target: base-awesome", "target: base-dark")
    (root / "tactics" / "darker.yaml").write_text(text, encoding="utf-8")
    assert _found(root) == [("darker", Rule.COUNTERED_BY)]


def test_a_broken_record_causes_no_further_problems(tmp_path: Path) -> None:
    root = copy_valid(tmp_path)
    _add(root, "aa", [("requires", "bb")])
    references = root / "tactics" / "references.yaml"
    text = references.read_text(encoding="utf-8")
    references.write_text(
        text + text.replace("smith-2020", "smith-2021").replace(".1", ".2"), encoding="utf-8"
    )
    broken = record_text().replace("smith-2020", "smith-2021").replace("kind: awesome", "kind: good")
    (root / "tactics" / "bb.yaml").write_text(broken, encoding="utf-8")
    assert _found(root) == [("bb", Rule.VOCABULARY)]


def test_a_broken_bibliography_causes_no_missing_references(tmp_path: Path) -> None:
    root = copy_valid(tmp_path)
    path = root / "tactics" / "references.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("title:", "titel:"), encoding="utf-8")
    assert {rule for _, rule in _found(root)} == {Rule.UNKNOWN_KEY, Rule.MISSING_KEY}
    path.write_text("[", encoding="utf-8")
    assert _found(root) == [("references", Rule.YAML_SYNTAX)]


def test_the_same_work_under_two_keys(tmp_path: Path) -> None:
    root = copy_valid(tmp_path)
    path = root / "tactics" / "references.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text + text.replace("smith-2020", "smith-2020b"), encoding="utf-8")
    record = root / "tactics" / "base-awesome.yaml"
    record.write_text(
        record.read_text(encoding="utf-8").replace("smith-2020", "smith-2020b"), encoding="utf-8"
    )
    assert _found(root) == [("references", Rule.DUPLICATE_ENTRY)]


def test_a_mistake_in_a_shared_module_is_reported_once(tmp_path: Path) -> None:
    root = copy_valid(tmp_path)
    recipe = root / "recipes" / "base_measured.py"
    text = recipe.read_text(encoding="utf-8").replace("count // 2", "data.half(count)")
    recipe.write_text(f"from recipes.common import data\n{text}", encoding="utf-8")
    (root / "recipes" / "common").mkdir()
    (root / "recipes" / "common" / "data.py").write_text("def (", encoding="utf-8")
    report = checks.check(root)
    assert [problem.file for problem in report.problems] == ["recipes/common/data.py"]
