"""The mistakes a user can make, in the form they are shown.

A problem names the place, the field, what was expected, what was found and the cure. Checks collect problems
and report all of them; a `CatalogueError` carries the collection to the command line, which exits with 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Rule(StrEnum):
    """Name of a rule."""

    UNREADABLE_FILE = "unreadable-file"
    NOT_A_FILE = "not-a-file"
    OUTSIDE_TREE = "outside-tree"
    FILE_TOO_LARGE = "file-too-large"
    ENCODING = "encoding"
    FORBIDDEN_CHARACTER = "forbidden-character"
    TAB = "tab"
    NOT_NORMALISED = "not-normalised"
    UNEXPECTED_FILE = "unexpected-file"
    MISSING_FILE = "missing-file"
    TOO_MANY_PROBLEMS = "too-many-problems"

    YAML_SYNTAX = "yaml-syntax"
    EMPTY_FILE = "empty-file"
    DUPLICATE_KEY = "duplicate-key"
    KEY_NOT_TEXT = "key-not-text"
    SILENT_CONVERSION = "silent-conversion"
    EMPTY_VALUE = "empty-value"
    ANCHOR = "anchor"
    ALIAS = "alias"
    YAML_TAG = "yaml-tag"
    MERGE_KEY = "merge-key"
    YAML_DIRECTIVE = "yaml-directive"
    SEVERAL_DOCUMENTS = "several-documents"
    NESTING_TOO_DEEP = "nesting-too-deep"
    TOO_MANY_VALUES = "too-many-values"
    JSON_SYNTAX = "json-syntax"
    JSON_DUPLICATE_KEY = "json-duplicate-key"

    UNKNOWN_KEY = "unknown-key"
    DRAFT_KEY = "draft-key"
    MISSING_KEY = "missing-key"
    WRONG_TYPE = "wrong-type"
    VOCABULARY = "vocabulary"
    BAD_ID = "bad-id"
    BAD_CITATION_KEY = "bad-citation-key"
    BAD_METRIC_NAME = "bad-metric-name"
    BAD_ADDRESS = "bad-address"
    BAD_CHECKSUM = "bad-checksum"
    BAD_DATE = "bad-date"
    BAD_DOI = "bad-doi"
    BAD_ARXIV = "bad-arxiv"
    AUTHOR_NAME = "author-name"
    ISSUED_DATE = "issued-date"
    EMPTY_TEXT = "empty-text"
    TEXT_TOO_LONG = "text-too-long"
    TOO_FEW = "too-few"
    TOO_MANY = "too-many"
    OUT_OF_RANGE = "out-of-range"
    CLAIM_FIGURE = "claim-figure"
    RANGE_ORDER = "range-order"
    REPEATED_RUN = "repeated-run"
    METRIC_DESCRIPTION = "metric-description"
    SCORES = "scores"
    TIMING_ROUNDS = "timing-rounds"

    ID_FILE_NAME = "id-file-name"
    KIND_TYPE = "kind-type"
    DARK_FIELDS = "dark-fields"
    AWESOME_FIELDS = "awesome-fields"
    TARGET_QUALITY = "target-quality"
    TARGET_EFFECT = "target-effect"
    TRADE_OFFS = "trade-offs"
    SOURCE_NOT_LISTED = "source-not-listed"
    DUPLICATE_ENTRY = "duplicate-entry"
    REPEAT_FROM = "repeat-from"
    UNTIL_ALONE = "until-alone"
    MODIFIED_BEFORE_CREATED = "modified-before-created"
    HISTORY_ORDER = "history-order"
    HISTORY_MODIFIED = "history-modified"

    MISSING_REFERENCE = "missing-reference"
    UNCITED_REFERENCE = "uncited-reference"
    DANGLING_RELATION = "dangling-relation"
    SELF_RELATION = "self-relation"
    CONTRADICTING_RELATIONS = "contradicting-relations"
    RELATION_CYCLE = "relation-cycle"
    COUNTERED_BY = "countered-by"

    WITHDRAWAL = "withdrawal"
    SUCCESSOR = "successor"
    WITHDRAWN_TARGET = "withdrawn-target"
    FORMER_ID = "former-id"
    PLACEHOLDER = "placeholder"

    RECIPE_MISSING = "recipe-missing"
    RECIPE_NOT_NAMED = "recipe-not-named"
    RECIPE_WITHOUT_RECORD = "recipe-without-record"
    RECIPE_SYNTAX = "recipe-syntax"
    RECIPE_DOCSTRING = "recipe-docstring"
    RECIPE_TACTIC = "recipe-tactic"
    RECIPE_ARMS = "recipe-arms"
    RECIPE_PRESETS = "recipe-presets"
    RECIPE_CONFIG = "recipe-config"
    RECIPE_RUN = "recipe-run"
    RECIPE_MAIN = "recipe-main"
    RECIPE_KEY_LINES = "recipe-key-lines"

    RESULTS_WITHOUT_RECORD = "results-without-record"
    RESULTS_WITHOUT_RECIPE = "results-without-recipe"
    RESULTS_FOLDER = "results-folder"
    RESULTS_FILE_NAME = "results-file-name"
    RESULTS_ARMS = "results-arms"
    RESULTS_METRIC = "results-metric"
    RESULTS_STALE = "results-stale"
    RESULTS_SMOKE = "results-smoke"
    RESULTS_DIRTY = "results-dirty"


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake at one place."""

    file: str
    """Path as the user gave it, or relative to the catalogue's root."""
    line: int
    """Line, counted from 1; 1 where the whole file is meant."""
    column: int
    """Column, counted from 1."""
    field: str
    """Dotted path of the field, such as `impact.claims.0.unit`; empty where the file as a whole is meant."""
    rule: str
    """Kebab-case name of the rule, the same for every record that breaks it."""
    expected: str
    """What the rule expects."""
    found: str
    """What stands there instead."""
    cure: str = ""
    """What to do about it, where it is not obvious."""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}: "
        field = f"{self.field}: " if self.field else ""
        cure = f"; {self.cure}" if self.cure else ""
        return f"{place}{field}expected {self.expected}, got {self.found}{cure}"


class CatalogueError(Exception):
    """One or more mistakes a user can repair."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @classmethod
    def of_file(
        cls,
        file: str,
        rule: str,
        expected: str,
        found: str,
        cure: str = "",
        *,
        line: int = 1,
        column: int = 1,
    ) -> CatalogueError:
        """Return the error with the one mistake that keeps a file from being read; see `Problem`."""
        return cls([Problem(file, line, column, "", rule, expected, found, cure)])


class UserError(Exception):
    """A mistake that is not tied to a place in a file; the message says what to do."""


FieldPath = tuple[str | int, ...]
"""Keys and list positions from the root of a file to a value."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands and what stands there."""

    line: int
    """Line, counted from 1."""
    column: int
    """Column, counted from 1."""
    raw: str | None = None
    """The scalar as it is written; None for lists and mappings."""


START = Place(1, 1)


@dataclass(frozen=True)
class Finding:
    """A broken rule inside one file, before its place has been looked up."""

    path: FieldPath
    """The field that is wrong."""
    rule: str
    """The rule."""
    expected: str
    """What the rule expects."""
    found: str
    """What stands there instead."""
    cure: str = ""
    """What to do about it."""
    at_key: bool = False
    """Whether the key is meant and not its value."""


@dataclass(frozen=True)
class Places:
    """The places of the keys and values of one file."""

    values: Mapping[FieldPath, Place]
    """Places of values."""
    keys: Mapping[FieldPath, Place]
    """Places of the keys that lead to them."""

    def value(self, path: FieldPath) -> Place:
        """Return the place of a value, or of the closest thing around it."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.values:
                return self.values[path[:end]]
        return START

    def key(self, path: FieldPath) -> Place:
        """Return the place of a key, or of the closest value around it."""
        return self.keys.get(path) or self.value(path)

    def problem(self, file: str, finding: Finding) -> Problem:
        """Return a finding with its place."""
        place = self.key(finding.path) if finding.at_key else self.value(finding.path)
        return Problem(file, place.line, place.column, dotted(finding.path), finding.rule, finding.expected,
                       finding.found, finding.cure)  # fmt: skip


def dotted(path: FieldPath) -> str:
    """Return a path as it is shown: `impact.claims.0.unit`."""
    return ".".join(shown(part, 40) if isinstance(part, str) else str(part) for part in path)


def shown(text: str, length: int = 60) -> str:
    """Return text on one line, without unprintable characters, cut to a length."""
    return printable(text if len(text) <= length else text[: length - 3] + "...")


def printable(text: str) -> str:
    """Return text with escapes for line ends, marks of direction and other signs that no terminal shows."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def quoted(text: str) -> str:
    """Return text as a problem shows it."""
    return f'"{shown(text)}"'


def why_broken(error: Exception) -> str:
    """Return why a connection failed, in words."""
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
    if isinstance(reason, OSError):
        reason = reason.strerror or reason
    return f"no connection or a broken one ({shown(str(reason))})"
