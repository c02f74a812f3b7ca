"""The words of the Archive of Awesome and Dark Tactics, and the terms of ours that hold them.

Nothing is guessed: a word that is in none of these tables is reported.
"""

from __future__ import annotations

from collections.abc import Mapping

from greentactics.vocabulary import (
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

PARTICIPANTS: Words = {
    "5G-network-provider": (Participant.NETWORK_PROVIDER,),
    "Cloud consumer": (Participant.CLOUD_USER,),
    "Cloud consumers": (Participant.CLOUD_USER,),
    "Data Scientist": (Participant.DATA_SCIENTIST,),
    "Software Designer": (Participant.SOFTWARE_ARCHITECT,),
    "Software application developers": (Participant.SOFTWARE_DEVELOPER,),
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
    "cloud services": (Artifact.SERVICE,),
}
QUALITIES: Words = {
    "Accuracy": (Quality.FUNCTIONAL_CORRECTNESS,),
    "Carbon footprint": (Quality.CARBON_FOOTPRINT,),
    "Cost-efficiency": (Quality.COST_EFFICIENCY,),
    "Cost-effiency": (Quality.COST_EFFICIENCY,),
    "Data Representativeness": (Quality.FUNCTIONAL_CORRECTNESS,),
    "Efficiency": (Quality.ENERGY_EFFICIENCY, Quality.TIME_BEHAVIOUR, Quality.RESOURCE_UTILIZATION),
    "Energy Efficiency": (Quality.ENERGY_EFFICIENCY,),
    "Energy-efficiency": (Quality.ENERGY_EFFICIENCY,),
    "Performance": (Quality.TIME_BEHAVIOUR,),
    "Recoverability": (Quality.RECOVERABILITY,),
    "Resource Utilization": (Quality.RESOURCE_UTILIZATION,),
    "cost-efficiency": (Quality.COST_EFFICIENCY,),
    "energy-efficiency": (Quality.ENERGY_EFFICIENCY,),
    "performance": (Quality.TIME_BEHAVIOUR,),
}
SORTS: Words = {"Awesome Tactic": (Kind.AWESOME,), "Dark Tactic": (Kind.DARK,)}
TYPES: Words = {
    "Architectural Tactic": (TacticType.ARCHITECTURAL_TACTIC,),
    "Software Practice": (TacticType.SOFTWARE_PRACTICE,),
    "Unsustainable Pattern": (TacticType.UNSUSTAINABLE_PATTERN,),
}
CATEGORIES: Words = {category.value: (category,) for category in Category}
TAGS: Words = {group.value: (group,) for group in Group} | {
    "AWS": (Tag.CLOUD,),
    "cloud-principles": (Tag.CLOUD,),
    "data-compression": (Tag.DATA_REDUCTION,),
    "edge-computing": (Tag.EDGE,),
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
    return value.split() if field == "tags" else [word.strip() for word in value.split(",") if word.strip()]
