"""What registries of works answer."""

from __future__ import annotations

CSL = "application/vnd.citationstyles.csl+json"
ANSWER = {
    "type": "journal-article",
    "title": "Looked up",
    "author": [{"given": "Jane", "family": "Doe", "sequence": "first", "affiliation": []}],
    "container-title": "Journal of Examples",
    "publisher": "Publisher",
    "volume": "7",
    "page": "11-19",
    "ISSN": ["1234-5678"],
    "issued": {"date-parts": [[2019, 6]]},
    "DOI": "10.1234/abc",
    "URL": "https://doi.org/10.1234/abc",
    "reference-count": 20,
    "relation": {},
}
"""An answer laid out as Crossref's."""
ARXIV_ANSWER = {
    "type": "article",
    "id": "https://doi.org/10.48550/arxiv.1611.05128",
    "categories": ["Computer Vision and Pattern Recognition (cs.CV)"],
    "author": [{"family": "Doe", "given": "Jane"}],
    "issued": {"date-parts": [[2016]]},
    "abstract": "Words.",
    "DOI": "10.48550/ARXIV.1611.05128",
    "publisher": "arXiv",
    "title": "Looked up at another place",
}
"""An answer laid out as DataCite's, which registers the works at arXiv."""
