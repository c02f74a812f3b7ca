"""The API described in OpenAPI 3.1, made from the list of addresses."""

from __future__ import annotations

import re
from typing import Any

import yaml

from greentactics import __version__
from greentactics.api.addresses import ADDRESSES, CATALOGUE_NAME, JSON, LICENCE_ADDRESS, Address
from greentactics.citing.bibtex import LICENCE

_DESCRIPTION = (
    "Files that are made anew with each build of the site; no server stands behind them and no key is asked. "
    "Addresses in the documents are relative to the root of the site. Fields may be added within v1; none "
    "is removed and none changes its meaning. Identifiers of tactics are permanent."
)
_PARAMETERS = {
    "id": "identifier of a tactic, from the index",
    "name": "name of a vocabulary, from the list of them",
    "run": "name of a run, from the tactic's document",
    "schema": "name of a schema, from the addresses in the index",
}


def openapi_text(site_url: str | None) -> str:
    """Return the description as YAML; without a `site_url` the server's address is relative to it."""
    server = site_url.rstrip("/") if site_url else "../.."
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": CATALOGUE_NAME,
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": LICENCE, "url": LICENCE_ADDRESS},
        },
        "servers": [{"url": server, "description": "root of the site"}],
        "paths": {f"/{address.path}": {"get": _operation(address)} for address in ADDRESSES},
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)


def _operation(address: Address) -> dict[str, Any]:
    parameters = re.findall(r"\{(\w+)\}", address.path)
    content: dict[str, Any] = {}
    if address.schema and address.media_type == JSON:
        content = {"schema": {"$ref": f"schema/{address.schema}.schema.json"}}
    return {
        "operationId": _operation_id(address.path),
        "summary": address.title[:1].upper() + address.title[1:],
        "parameters": [
            {
                "name": name,
                "in": "path",
                "required": True,
                "description": _PARAMETERS[name],
                "schema": {"type": "string"},
            }
            for name in parameters
        ],
        "responses": {
            "200": {"description": address.title, "content": {address.media_type: content}},
            **({"404": {"description": "there is none of this name"}} if parameters else {}),
        },
    }


def _operation_id(path: str) -> str:
    """Return a name such as `tactics_id_json`, so that generated clients have a method for each address."""
    return "_".join(re.findall(r"\w+", path.removeprefix("api/v1/")))
