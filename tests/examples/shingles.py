"""Fingerprints of the archive's sentences: records can be compared with them where the archive is not.

    python -m tests.examples.shingles FOLDER_OF_THE_ARCHIVE

writes `archive_shingles.txt` anew: one line for each run of eight words in the prose of the archive's
entries, the first ten hexadecimal digits of its SHA-256, in order. Titles and sources are left out, as names
may be the same.
"""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

from greentactics.contribute.importing.archive_posts import read_posts

LENGTH = 8
STORED = Path(__file__).with_name("archive_shingles.txt")
PROSE = (
    "t-description",
    "t-context",
    "t-feature",
    "t-intent",
    "t-intentmeasure",
    "t-countermeasure",
    "t-measuredimpact",
)


def runs_of_words(text: str) -> list[str]:
    """Return all runs of eight words, in lower case and without punctuation."""
    words = re.findall(r"[^\W_]+", text.lower())
    return [" ".join(words[start : start + LENGTH]) for start in range(len(words) - LENGTH + 1)]


def fingerprint(run: str) -> str:
    """Return what is stored of one run."""
    return hashlib.sha256(run.encode()).hexdigest()[:10]


def archive_fingerprints(archive: Path) -> list[str]:
    """Return the fingerprints of all entries of a copy of the archive, in order."""
    folders = [path for path in (archive / "_posts").iterdir() if path.is_dir()]
    posts = [post for folder in folders for post in read_posts(archive, folder.name)]
    texts = [post.fields[name].value for post in posts for name in PROSE if name in post.fields]
    return sorted({fingerprint(run) for text in texts for run in runs_of_words(text)})


if __name__ == "__main__":
    STORED.write_text("\n".join(archive_fingerprints(Path(sys.argv[1]))) + "\n", encoding="ascii")
