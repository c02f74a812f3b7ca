"""Bibliographic data from the network: Crossref's for a DOI, DataCite's for an arXiv identifier.

Both registries answer at the DOI's own address, in CSL-JSON, when they are asked for it.
"""

from __future__ import annotations

import http.client
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import replace
from http import HTTPStatus

from greentactics import __version__
from greentactics.citing.csl_json import read_csl_json
from greentactics.citing.entries import identifiers_of
from greentactics.citing.identifiers import Identifier
from greentactics.citing.raw_entries import ReadReference, references_of
from greentactics.text.problems import CatalogueError, UserError, why_broken

RESOLVER = "https://doi.org/"
"""Address that leads to the registry of a DOI."""
TIMEOUT_S = 20.0
"""Longest wait for a sign of the server."""
DEADLINE_S = 60.0
"""Longest time for a whole answer."""
_ACCEPT = "application/vnd.citationstyles.csl+json"
_MOST_BYTES = 2_000_000
_CHUNK_BYTES = 1 << 16
_OFFLINE = (
    "without a network, save the entry from the publisher's page as BibTeX, RIS or CSL-JSON and run "
    "`greentactics cite --file FILE`"
)
_BY_HAND = (
    "save the entry from the publisher's page as BibTeX, RIS or CSL-JSON, put it right and run "
    "`greentactics cite --file FILE`"
)


def look_up(identifier: Identifier) -> ReadReference:
    """Return the work that an identifier names.

    Raises:
        UserError: It cannot be had, is no complete reference, or another one than was asked for.
    """
    url = RESOLVER + urllib.parse.quote(identifier.doi, safe="/()")
    text = _fetch(url).decode("utf-8", "replace")
    try:
        entries = read_csl_json(text, url)
    except CatalogueError:
        found = "a page of HTML" if text.lstrip().startswith("<") else "something else"
        raise UserError(f"{url}: expected the entry as CSL-JSON, got {found}; {_OFFLINE}") from None
    try:
        (read, *_) = references_of(entries, url)
    except CatalogueError as error:
        wrong = ", ".join(f"{each.field.rpartition('.')[2]} {each.found}" for each in error.problems)
        raise UserError(f"{url}: expected a complete entry, got {wrong}; {_BY_HAND}") from None
    own = identifiers_of(read.reference)
    if own and identifier.comparable not in {each.comparable for each in own}:
        known = map(str, own)
        raise UserError(f"{url}: expected the work {identifier}, got {', '.join(known)}; {_OFFLINE}")
    change = {"arxiv": identifier.value} if identifier.kind == "arXiv" else {"doi": identifier.value}
    change |= {"type": "article"} if identifier.kind == "arXiv" else {}
    return replace(read, reference=read.reference.model_copy(update=change), label=str(identifier))


def _fetch(url: str) -> bytes:
    """Ask the network; the only place of citing that does."""
    headers = {"Accept": _ACCEPT, "User-Agent": f"greentactics/{__version__}"}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the address is ours
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
            return _received(response, url)
    except urllib.error.HTTPError as error:
        with error:
            raise _refusal(error, url) from None
    except (OSError, ValueError, http.client.HTTPException) as error:  # ValueError: a redirect to no address
        raise UserError(f"{url}: {why_broken(error)}; {_OFFLINE}") from None


def _received(response: http.client.HTTPResponse, url: str) -> bytes:
    end = time.monotonic() + DEADLINE_S
    data = b""
    while chunk := response.read1(_CHUNK_BYTES):
        data += chunk
        if len(data) > _MOST_BYTES:
            raise UserError(f"{url}: expected at most {_MOST_BYTES:,} bytes, got more; {_OFFLINE}")
        if time.monotonic() > end:
            raise UserError(f"{url}: expected an answer within {DEADLINE_S:g} s, got part of one; {_OFFLINE}")
    return data


def _refusal(error: urllib.error.HTTPError, url: str) -> UserError:
    """Return what a refusal means and what to do about it."""
    if error.code == HTTPStatus.NOT_FOUND:
        cure = "compare it with the first page of the paper"
        return UserError(f"{url}: expected a registered work, got none of this name; {cure}")
    if error.code == HTTPStatus.TOO_MANY_REQUESTS:
        wait = re.fullmatch(r"\s*([0-9]{1,6})\s*", error.headers.get("Retry-After", ""))
        when = f"in {wait[1]} s" if wait else "later"
        return UserError(f"{url}: the server has answered too many questions of late; ask again {when}")
    known = error.code in HTTPStatus.__members__.values()
    phrase = f" {HTTPStatus(error.code).phrase}" if known else ""
    return UserError(f"{url}: the server answered {error.code}{phrase}; {_OFFLINE}")
