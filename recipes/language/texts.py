"""Texts for language models, cut once and for all into three parts that share no text.

Settings are sought on the *search* part, nets chosen on the *choice* part, figures reported on the *test*
part. The reference of the Python language comes with every Python, and differs between its versions: results
hold a checksum. The e-mails are those of the SpamAssassin project; they hold names and addresses of people:
print and commit none of them.

    greentactics data fetch spam
"""

from __future__ import annotations

import email
import hashlib
import html
import platform
import random
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from greentactics.models.datasets import SPAM
from recipes.common.run.contract import DataUsed
from recipes.language.files import published_file

LEAST_CHARACTERS = 400
"""Shorter texts are left out."""


@dataclass(frozen=True)
class Text:
    """One text."""

    name: str
    text: str
    is_spam: bool | None = None
    """None where the texts are no e-mails."""


@dataclass(frozen=True)
class Texts:
    """Texts in three parts."""

    search: tuple[Text, ...]
    choice: tuple[Text, ...]
    test: tuple[Text, ...]
    used: DataUsed
    """Name, checksum and sizes, for the record; those of `search` count as training examples."""


def language_reference() -> Texts:
    """Return the topics of Python's language reference; paragraphs of two topics stay in the shorter one."""
    from pydoc_data.topics import topics

    seen, texts = set[str](), list[Text]()
    for name, topic in sorted(topics.items(), key=lambda item: (len(item[1]), item[0])):
        paragraphs = [part for part in re.split(r"\n\s*\n", topic.strip()) if part not in seen]
        seen.update(paragraphs)
        texts.append(Text(name, "\n\n".join(paragraphs)))
    version = ".".join(platform.python_version_tuple()[:2])
    return in_parts(texts, f"language reference of Python {version}", checksum(topics.items()))


def e_mails(data_dir: Path | None = None) -> Texts:
    """Return the e-mails of SpamAssassin's public corpus, without headers, which tell what is spam.

    Raises:
        UserError: The file is not there or is not the published one.
    """
    path = published_file(SPAM, data_dir)
    unique = dict[str, Text]()  # a mail sent to many stands in the corpus more than once
    for each in _bodies(path):
        unique.setdefault(re.sub(r"\W+", "", each.text)[:1000], each)
    return in_parts(unique.values(), "SpamAssassin public corpus", SPAM.files[0].sha256)


def every_e_mail(data_dir: Path | None = None) -> Texts:
    """Return what `e_mails` does, with mails that begin alike, as those sent to many do.

    Raises:
        UserError: The file is not there or is not the published one.
    """
    mails = _bodies(published_file(SPAM, data_dir))
    return in_parts(mails, "SpamAssassin public corpus", SPAM.files[0].sha256)


def made_up_e_mails() -> Texts:
    """Return e-mails of drawn words, half of them spam, which shares half of its words; for tests."""
    draw = random.Random(0)  # noqa: S311 - not for secrets
    words = {kind: [f"word{number}" for number in range(20 * kind, 20 * kind + 40)] for kind in (False, True)}
    mails = [
        Text(f"{number}", " ".join(draw.choices(words[number % 2 == 1], k=90)), number % 2 == 1)
        for number in range(400)
    ]
    return in_parts(mails, "made-up e-mails", checksum((mail.name, mail.text) for mail in mails))


def in_parts(texts: Iterable[Text], name: str, sha256: str) -> Texts:
    """Put each text into the part that its name decides: a quarter, a quarter, half."""
    parts: tuple[list[Text], ...] = ([], [], [])
    for text in sorted(texts, key=lambda text: text.name):
        if len(text.text) >= LEAST_CHARACTERS:
            parts[(0, 1, 2, 2)[hashlib.sha256(text.name.encode()).digest()[0] % 4]].append(text)
    search, choice, test = map(tuple, parts)
    return Texts(search, choice, test, DataUsed(name, sha256, len(search), len(choice), len(test)))


def checksum(named: Iterable[tuple[str, str]]) -> str:
    """Return the SHA-256 of texts with their names, whatever their order."""
    return hashlib.sha256("\0".join(f"{name}\0{text}" for name, text in sorted(named)).encode()).hexdigest()


def _bodies(path: Path) -> Iterator[Text]:
    """Yield the e-mails of the package, each its text alone; ham comes in three folders, spam in two."""
    with tarfile.open(path) as archive:
        for member in archive:
            _, _, place = member.name.partition("data/")
            if place.endswith(".txt") and (content := archive.extractfile(member)) is not None:
                yield Text(place, body(content.read()), place.startswith("spam"))


def body(mail: bytes) -> str:
    """Return the text of an e-mail without headers, attachments and marks of HTML."""
    found = []
    for part in email.message_from_bytes(mail).walk():
        if part.get_content_maintype() == "text":
            payload = part.get_payload(decode=True)
            text = payload.decode("latin-1") if isinstance(payload, bytes) else ""
            if part.get_content_subtype() == "html":
                text = html.unescape(re.sub(r"(?is)<(style|script).*?</\1>|<[^>]*>", " ", text))
            found.append(text)
    return re.sub(r"[ \t\r]+", " ", "\n".join(found)).strip()
