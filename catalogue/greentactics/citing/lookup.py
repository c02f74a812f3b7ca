"""Bibliographic data from the network: Crossref's for a DOI, DataCite's for an arXiv identifier.

Both registries answer at the DOI's own address, in CSL-JSON, when they are asked for it.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from http import HTTPStatus

from greentactics import __version__
from greentactics.bibliography import Reference
from greentactics.citing.csl_json import read_csl_json
from greentactics.citing.identifiers import Identifier
from greentactics.citing.raw_entries import references_of
from greentactics.errors import UserError

_RESOLVER = "https://doi.org/"
_ACCEPT = "application/vnd.citationstyles.csl+json"
_TIMEOUT_S = 20.0
_MOST_BYTES = 2_000_000
_OFFLINE = (
    "without a network, save the entry from the publisher's page as BibTeX, RIS or CSL-JSON and run "
    "`greentactics cite --file FILE`"
)

Fetch = Callable[[str, str], bytes]
"""Returns what an address answers, asked for a media type."""


def fetch(url: str, media_type: str) -> bytes:
    """Ask the network; the only place of citing that does.

    Raises:
        UserError: There is no connection, or the answer is a refusal, too large or too late.
    """
    headers = {"Accept": media_type, "User-Agent": f"greentactics/{__version__}"}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the address is ours
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
            data: bytes = response.read(_MOST_BYTES + 1)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == HTTPStatus.NOT_FOUND:
                cure = "compare it with the first page of the paper"
                raise UserError(f"{url}: expected a registered work, got none of this name; {cure}") from None
            raise UserError(f"{url}: the server answered {error.code} {error.reason}; {_OFFLINE}") from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise UserError(f"{url}: no connection or a broken one ({reason}); {_OFFLINE}") from None
    if len(data) > _MOST_BYTES:
        raise UserError(f"{url}: expected at most {_MOST_BYTES:,} bytes, got more; {_OFFLINE}")
    return data


def look_up(identifier: Identifier, ask: Fetch = fetch) -> Reference:
    """Return the work that an identifier names.

    Raises:
        UserError: It cannot be had, or is another one than was asked for.
        CatalogueError: What is registered is no complete reference.
    """
    url = _RESOLVER + urllib.parse.quote(identifier.doi, safe="/()")
    text = ask(url, _ACCEPT).decode("utf-8", "replace")
    (reference, *_) = references_of(read_csl_json(text, url), url)
    known = {own.lower() for own in (reference.doi, reference.arxiv) if own}
    if known and not known & {identifier.value.lower(), identifier.doi.lower()} and identifier.kind == "DOI":
        raise UserError(f"{url}: expected the work {identifier}, got {', '.join(sorted(known))}; {_OFFLINE}")
    change = {"arxiv": identifier.value} if identifier.kind == "arXiv" else {"doi": identifier.value}
    return reference.model_copy(update=change | ({"type": "article"} if identifier.kind == "arXiv" else {}))
