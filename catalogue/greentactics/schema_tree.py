"""What the schema says about a place in a file: the keys, terms and description that belong there."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from greentactics.places import FieldPath

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
