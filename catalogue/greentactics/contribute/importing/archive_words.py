"""The words of the Archive of Awesome and Dark Tactics, and the terms of ours that hold them.

Nothing is guessed: a word that is in none of these tables is reported.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from greentactics.models.vocabulary import (
    Artifact,
    Category,
    Group,
    Kind,
    Participant,
    Quality,
    TacticType,
    Tag,
    Term,
)

ARCHIVE = "aadt"
"""Name of the archive in `aliases` and `history`."""

Words = Mapping[str, tuple[Term, ...]]
"""A word of theirs and the terms of ours, each of which holds it; without terms it says nothing new."""

_BETWEEN = re.compile(r"[,;](?![^()]*\))|\.\s+(?![^()]*\))")

PARTICIPANTS: Words = {
    "5G-network-provider": (Participant.NETWORK_PROVIDER,),
    "AI engineers": (Participant.ML_ENGINEER,),
    "Cloud Platform Providers": (Participant.CLOUD_PROVIDER,),
    "Cloud consumer": (Participant.CLOUD_USER,),
    "Cloud consumers": (Participant.CLOUD_USER,),
    "Data Scientist": (Participant.DATA_SCIENTIST,),
    "Developers": (Participant.SOFTWARE_DEVELOPER,),
    "Machine Learning Practitioner": (Participant.DATA_SCIENTIST, Participant.ML_ENGINEER),
    "Machine Learning Practitioners": (Participant.DATA_SCIENTIST, Participant.ML_ENGINEER),
    "Scientific software developers": (Participant.SOFTWARE_DEVELOPER,),
    "Software Architects": (Participant.SOFTWARE_ARCHITECT,),
    "Software Designer": (Participant.SOFTWARE_ARCHITECT,),
    "Software application developers": (Participant.SOFTWARE_DEVELOPER,),
    "Software developers": (Participant.SOFTWARE_DEVELOPER,),
    "cloud-provider": (Participant.CLOUD_PROVIDER,),
    "cloud-user": (Participant.CLOUD_USER,),
    "edge-provider": (Participant.EDGE_PROVIDER,),
    "edge-user": (Participant.EDGE_USER,),
    "end-user": (Participant.END_USER,),
    "government": (Participant.POLICY_MAKER,),
    "hardware-producer": (Participant.HARDWARE_PRODUCER,),
    "policy makers": (Participant.POLICY_MAKER,),
    "society": (Participant.SOCIETY,),
}
ARTIFACTS: Words = {
    "Algorithm": (Artifact.ALGORITHM,),
    "Application running at the edge": (Artifact.SERVICE, Artifact.SOFTWARE),
    "Application/service": (Artifact.SERVICE,),
    "Cloud services": (Artifact.SERVICE,),
    "Cloud technology": (Artifact.TECHNOLOGY,),
    "Cloud workloads": (Artifact.WORKLOAD,),
    "Data": (Artifact.DATA,),
    "Data center": (Artifact.INFRASTRUCTURE,),
    "Decentralized Device": (Artifact.HARDWARE,),
    "End-user application": (Artifact.SERVICE, Artifact.SOFTWARE),
    "Hardware": (Artifact.HARDWARE,),
    "Infrastructure": (Artifact.INFRASTRUCTURE,),
    "ML Model": (Artifact.MODEL,),
    "Machine Learning Algorithm": (Artifact.ALGORITHM,),
    "Machine Learning Model": (Artifact.MODEL,),
    "Memory": (Artifact.MEMORY,),
    "Model": (Artifact.MODEL,),
    "Neural Networks": (Artifact.MODEL,),
    "Subscribed services": (Artifact.SERVICE,),
    "Technology": (Artifact.TECHNOLOGY,),
}
QUALITIES: Words = {
    "Accuracy": (Quality.FUNCTIONAL_CORRECTNESS,),
    "Carbon footprint": (Quality.CARBON_FOOTPRINT,),
    "Cost effectiveness": (Quality.COST_EFFICIENCY,),
    "Cost-efficiency": (Quality.COST_EFFICIENCY,),
    "Cost Optimization": (Quality.COST_EFFICIENCY,),
    "Cost-effiency": (Quality.COST_EFFICIENCY,),
    "Data Representativeness": (Quality.FUNCTIONAL_CORRECTNESS,),
    "Efficiency": (Quality.ENERGY_EFFICIENCY, Quality.TIME_BEHAVIOUR, Quality.RESOURCE_UTILIZATION),
    "Energy consumption": (Quality.ENERGY_EFFICIENCY,),
    "Energy-efficiency": (Quality.ENERGY_EFFICIENCY,),
    "Interoperability": (Quality.COMPATIBILITY,),
    "Latency": (Quality.TIME_BEHAVIOUR,),
    "Maintainability": (Quality.MAINTAINABILITY,),
    "Memory efficiency": (Quality.RESOURCE_UTILIZATION,),
    "Performance": (Quality.TIME_BEHAVIOUR,),
    "Performance efficiency": (Quality.TIME_BEHAVIOUR, Quality.RESOURCE_UTILIZATION, Quality.CAPACITY),
    "Portability": (Quality.FLEXIBILITY,),
    "Recoverability": (Quality.RECOVERABILITY,),
    "Reliability": (Quality.AVAILABILITY, Quality.FAULT_TOLERANCE, Quality.RECOVERABILITY),
    "Resource efficiency": (Quality.RESOURCE_UTILIZATION,),
    "Resource Utilization": (Quality.RESOURCE_UTILIZATION,),
    "Response time": (Quality.TIME_BEHAVIOUR,),
    "Scalability": (Quality.FLEXIBILITY,),
    "Throughput": (Quality.TIME_BEHAVIOUR,),
    "Usability": (Quality.INTERACTION_CAPABILITY,),
}
SORTS: Words = {"Awesome Tactic": (Kind.AWESOME,), "Dark Tactic": (Kind.DARK,)}
TYPES: Words = {
    "Architectural Tactic": (TacticType.ARCHITECTURAL_TACTIC,),
    "Architectural Tactic or Software Practice": (
        TacticType.ARCHITECTURAL_TACTIC,
        TacticType.SOFTWARE_PRACTICE,
    ),
    "Software Practice": (TacticType.SOFTWARE_PRACTICE,),
    "Unsustainable Pattern": (TacticType.UNSUSTAINABLE_PATTERN,),
}
CATEGORIES: Words = {category.value: (category,) for category in Category}
TAGS: Words = {group.value: (group,) for group in Group} | {
    "AWS": (Tag.CLOUD,),
    "ai": (),
    "cloud": (Tag.CLOUD,),
    "cloud-principles": (Tag.CLOUD,),
    "data-compression": (Tag.DATA_REDUCTION,),
    "edge-computing": (Tag.EDGE,),
    "energy-efficiency": (),
    "energy-footprint": (),
    "hardware": (Tag.HARDWARE_CHOICE, Tag.POWER_MANAGEMENT),
    "libraries": (),
    "machine-learning": (),
    "measured": (),
}
FIELDS: Mapping[str, tuple[str, Words]] = {
    "t-sort": ("kind", SORTS),
    "t-type": ("type", TYPES),
    "categories": ("category", CATEGORIES),
    "t-participant": ("participant", PARTICIPANTS),
    "t-artifact": ("artifact", ARTIFACTS),
    "t-targetQA": ("target_quality", QUALITIES),
    "t-relatedQA": ("effects", QUALITIES),
    "tags": ("tags", TAGS),
}
"""Fields of words, the field of a record that each belongs to, and the table of its words."""


def words_of(field: str, value: str) -> list[str]:
    """Return the words of a field that holds several."""
    if field == "tags":
        return value.split()
    return [word for part in _BETWEEN.split(value) if (word := part.strip().rstrip("."))]


def meanings_of(table: Words, word: str) -> tuple[Term, ...] | None:
    """Return the terms of a word, in capitals or not, with hyphens or not; None where it is in no table."""
    return {_spelling(known): terms for known, terms in table.items()}.get(_spelling(word))


def _spelling(word: str) -> str:
    return word.casefold().replace("-", " ")
