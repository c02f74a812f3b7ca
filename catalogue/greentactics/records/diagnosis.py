"""What the models refuse, said in the words and at the place of the file."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from greentactics.models.bibliography import CitationKey, WebAddress
from greentactics.models.record import MetricName, Record, TacticId
from greentactics.models.results import DeviceSlug, Sha256
from greentactics.text.files import PROBLEMS_SHOWN
from greentactics.text.problems import FieldPath, Places, Problem, Rule, dotted, quoted, shown

Schema = Mapping[str, Any]


@functools.cache
def schema_tree(model: type[BaseModel]) -> SchemaTree:
    """Return the schema tree of a model; it is made once, as it takes longer than reading a record."""
    return SchemaTree(model)


class SchemaTree:
    """The JSON Schema of a model, walked by the path of a value."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._root: dict[str, Any] = model.model_json_schema(by_alias=True)
        self._definitions: dict[str, Any] = self._root.get("$defs", {})

    def at(self, path: FieldPath) -> Schema:
        """Return the schema of the value at a path; empty where the path leads nowhere."""
        schema: Schema = self._plain(self._root)
        for part in path:
            if isinstance(part, int):
                items = schema.get("items", {})
                schema = self._plain(items if isinstance(items, dict) else {})
            else:
                further = schema.get("additionalProperties")
                patterns = schema.get("patternProperties", {})
                loose = further if isinstance(further, dict) else next(iter(patterns.values()), {})
                schema = self._plain(schema.get("properties", {}).get(part, loose))
        return schema

    def keys(self, path: FieldPath) -> tuple[str, ...]:
        """Return the keys a mapping may have, in the order of the model."""
        return tuple(self.at(path).get("properties", {}))

    def terms(self, path: FieldPath) -> tuple[str, ...]:
        """Return the words a value may be, empty where it is free."""
        schema = self.at(path)
        return tuple(str(term) for term in schema.get("enum", [schema["const"]] if "const" in schema else []))

    def _plain(self, schema: Schema) -> Schema:
        """Return a schema without references and without the alternative of being absent."""
        while True:
            if "$ref" in schema:
                schema = {
                    **self._definitions[schema["$ref"].rsplit("/", 1)[1]],
                    **{key: value for key, value in schema.items() if key != "$ref"},
                }
                continue
            choices = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
            if len(choices) != 1:
                return schema
            schema = {**{key: value for key, value in schema.items() if key != "anyOf"}, **choices[0]}


_TERMS_SHOWN = 6

Said = tuple[Rule, str, str, str]
"""Rule, what was expected, what was found, and the cure."""


def _pattern(annotated: object) -> str:
    constraints = [part for part in get_args(annotated) if isinstance(part, StringConstraints)]
    return str(constraints[0].pattern)


_FORMS: Mapping[str, tuple[Rule, str]] = {
    _pattern(TacticId): (Rule.BAD_ID, "small letters, digits and single hyphens, such as early-exit"),
    _pattern(CitationKey): (
        Rule.BAD_CITATION_KEY,
        "first author and year in small letters, such as yang-2017",
    ),
    _pattern(MetricName): (
        Rule.BAD_METRIC_NAME,
        "small letters, digits and underscores, such as test_accuracy",
    ),
    _pattern(WebAddress): (Rule.BAD_ADDRESS, "an address that starts with https:// or http://"),
    _pattern(Sha256): (Rule.BAD_CHECKSUM, "64 hexadecimal digits"),
    _pattern(DeviceSlug): (Rule.BAD_ID, "small letters, digits and single hyphens, such as amd-epyc-7763"),
}

_TYPES: Mapping[str, str] = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping of keys",
    "finite_number": "a number",
    "datetime_type": "a date and time as text",
    "datetime_parsing": "a date and time such as 2026-01-31T12:00:00Z",
    "datetime_from_date_parsing": "a date and time such as 2026-01-31T12:00:00Z",
}

_DRAFT_KEYS: Mapping[str, str] = {
    "quarantine": "write the record in your own words, then remove the key",
    "references": "add them with `greentactics cite --file`, then remove the key",
    "to_clarify": "settle each point, then remove the key",
}

_LIMITS: Mapping[str, tuple[str, str]] = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


def did_you_mean(word: str, words: Sequence[str]) -> str:
    """Return a question that names the closest of some words, empty where none is close."""
    if len(word) > 100:
        return ""
    lowered = word.strip().lower().replace(" ", "-")
    close = difflib.get_close_matches(lowered, words, n=1, cutoff=0.6)
    if not close and lowered:
        close = [candidate for candidate in words if candidate.startswith(lowered)][:1]
    return f'did you mean "{close[0]}"?' if close else ""


def one_of(words: Sequence[str], word: str = "") -> str:
    """Return a list of allowed words, the closest first, cut where it is long."""
    if len(words) <= _TERMS_SHOWN:
        return f"one of {', '.join(words)}" if len(words) > 1 else words[0]
    near = difflib.get_close_matches(word[:100].lower(), words, n=2, cutoff=0.4)
    listed = [*near, *(candidate for candidate in words if candidate not in near)][:_TERMS_SHOWN]
    return f"one of {', '.join(listed)}, ... ({len(words)} in all)"


def diagnose(
    error: ValidationError,
    *,
    file: str,
    model: type[BaseModel],
    places: Callable[[Sequence[FieldPath]], Places],
    refused: frozenset[FieldPath] = frozenset(),
) -> list[Problem]:
    """Turn what a model refused into problems.

    Args:
        error: What pydantic says.
        file: Name of the file.
        model: The model that was asked for.
        places: Finds the places of the given paths in the file.
        refused: Paths that were refused before, so that nothing is said twice.
    """
    details = [detail for detail in error.errors(include_url=False) if not _follows_from_items(detail)]
    found = [
        (path, detail)
        for path, detail in zip(map(_path, details), details, strict=True)
        if refused.isdisjoint(path[:end] for end in range(len(path) + 1))
    ][: PROBLEMS_SHOWN + 1]
    tree = schema_tree(model)
    where = places([path for path, _ in found])
    problems = []
    for path, detail in found:
        at_key = detail["type"] == "extra_forbidden" or "[key]" in detail["loc"]
        place = where.key(path) if at_key else where.value(path)
        raw = where.values[path].raw if path in where.values else None
        if model is Record and detail["type"] == "extra_forbidden" and path[-1] in _DRAFT_KEYS:
            rule, expected = Rule.DRAFT_KEY, "a record without the keys of a draft"
            got, cure = f"the key {quoted(str(path[-1]))}", _DRAFT_KEYS[str(path[-1])]
        else:
            rule, expected, got, cure = _say(detail, path, raw, tree)
        problems.append(Problem(file, place.line, place.column, dotted(path), rule, expected, got, cure))
    return problems


def _follows_from_items(detail: ErrorDetails) -> bool:
    """Return whether a list is called too short only because its items were refused one by one."""
    items = detail["input"]
    return (
        detail["type"] == "too_short"
        and isinstance(items, list)
        and len(items) >= detail["ctx"]["min_length"]
    )


def _path(detail: ErrorDetails) -> FieldPath:
    return tuple(part for part in detail["loc"] if part != "[key]")


def _say(detail: ErrorDetails, path: FieldPath, raw: str | None, tree: SchemaTree) -> Said:
    kind, context, value = detail["type"], detail.get("ctx", {}), detail["input"]
    found, name = _found(value, raw), str(path[-1]) if path else ""
    if kind in list(Rule):
        return Rule(kind), detail["msg"], str(context.get("found", found)), ""
    match kind:
        case "json_invalid":
            return Rule.JSON_SYNTAX, "JSON in Unicode", str(context["error"]), "measure again"
        case "missing":
            description = str(tree.at(path).get("description", "")).split("\n")[0].rstrip(".")
            cure = f"add `{name}:`" + (f" ({description})" if description else "")
            return Rule.MISSING_KEY, "a value", "nothing", cure
        case "extra_forbidden":
            keys = tree.keys(path[:-1])
            cure = did_you_mean(name.lower().replace("-", "_"), keys) or did_you_mean(name, keys)
            return Rule.UNKNOWN_KEY, one_of(keys, name), f"the key {quoted(name)}", cure or "remove it"
        case "enum" | "literal_error":
            terms, word = tree.terms(path), value if isinstance(value, str) else ""
            return Rule.VOCABULARY, one_of(terms, word), found, did_you_mean(word, terms) if word else ""
        case "date_type":
            return Rule.BAD_DATE, "a date such as 2026-01-31", found, ""
        case "string_pattern_mismatch":
            pattern = str(context["pattern"])
            rule, expected = _FORMS.get(pattern, (Rule.BAD_CHECKSUM, f"text of the form {pattern}"))
            return _say_address(pattern, value) or (rule, expected, found, "")
        case "string_too_short":
            return Rule.EMPTY_TEXT, "text", found, "write it, or remove the key"
        case "string_too_long":
            expected = f"at most {context['max_length']} characters"
            return Rule.TEXT_TOO_LONG, expected, f"{len(value)} characters", "shorten it"
        case "too_short":
            found = str(context["actual_length"] or "none")
            return Rule.TOO_FEW, f"at least {context['min_length']}", found, "add what is missing"
        case "too_long":
            found = str(context.get("actual_length") or "more")
            return Rule.TOO_MANY, f"at most {context['max_length']}", found, ""
        case "model_type" | "model_attributes_type":
            cure = f"write its keys: {', '.join(tree.keys(path)[:8])}"
            return Rule.WRONG_TYPE, "a mapping of keys", found, cure
    if kind in _LIMITS:
        limit_key, words = _LIMITS[kind]
        return Rule.OUT_OF_RANGE, f"{words} {context[limit_key]:g}", found, ""
    return _say_type(kind, detail["msg"], value, raw, found)


def _say_address(pattern: str, value: object) -> Said | None:
    """Say what is wrong with an address that begins as it should."""
    text = str(value)
    wrong = re.search(r"[\s\"<>]", text)
    if pattern != _pattern(WebAddress) or not text.startswith(("https://", "http://")) or wrong is None:
        return None
    number = f"%{ord(wrong[0]):02X}"
    sign = "a blank" if wrong[0].isspace() else f"the sign {wrong[0]}"
    found = f"{sign} after {quoted(text[max(0, wrong.start() - 50) : wrong.start()])}"
    cure = "keep one address" if wrong[0].isspace() else "remove it"
    return (
        Rule.BAD_ADDRESS,
        "an address without blanks, quotes and angle brackets",
        found,
        (f"write {'%20' if wrong[0].isspace() else number} for it, or {cure}"),
    )


def _say_type(kind: str, message: str, value: object, raw: str | None, found: str) -> Said:
    expected = _TYPES.get(kind)
    if expected is None:
        expected = message.removeprefix("Input should be ").removeprefix("Value error, ")
        return Rule.WRONG_TYPE, expected, found, ""
    cure = ""
    if expected == "text" and raw is not None and not isinstance(value, str):
        cure = f'write "{shown(raw)}"'
    elif expected in ("a number", "a whole number") and isinstance(value, str):
        cure = "write plain digits without quotes or unit"
    elif expected == "a list" and isinstance(value, str):
        cure = f"write [{shown(value, 30)}]"
    return Rule.WRONG_TYPE, expected, found, cure


def _found(value: object, raw: str | None) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping of keys"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, str):
        return quoted(value)
    kind = "the truth value" if isinstance(value, bool) else "the number"
    return f"{kind} {shown(raw if raw is not None else str(value).lower())}"
