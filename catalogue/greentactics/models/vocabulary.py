"""The closed vocabularies of the catalogue: one spelling and one definition a term.

Product qualities carry the names of ISO/IEC 25010:2023; the three that the standard does not have say so.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Self


class Term(StrEnum):
    """A word with a definition; in YAML and JSON it is the plain word."""

    definition: str
    label: str
    """The word as it is shown: hyphens become spaces, the first letter is a capital, and so is ML."""

    def __new__(cls, word: str, definition: str) -> Self:
        """Make a member from its word and its definition."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.definition = definition
        text = " ".join("ML" if part == "ml" else part for part in re.split("[-_]", word))
        member.label = text[:1].upper() + text[1:]
        return member


class Kind(Term):
    """Whether the record advises or warns."""

    AWESOME = "awesome", "a design decision that improves a quality"
    DARK = "dark", "a common habit that harms sustainability, with a way to measure and to counter it"


class TacticType(Term):
    """What sort of decision the record describes."""

    ARCHITECTURAL_TACTIC = "architectural-tactic", "a design decision that influences a quality of the system"
    SOFTWARE_PRACTICE = "software-practice", "a way of programming or of working"
    UNSUSTAINABLE_PATTERN = "unsustainable-pattern", "a recurring decision with a lasting harmful effect"


class Category(Term):
    """The field of engineering, as in the Archive of Awesome and Dark Tactics."""

    GREEN_ML_ENABLED_SYSTEMS = "green-ml-enabled-systems", "systems with a machine-learned part"
    GREEN_SOFTWARE_PRACTICE = "green-software-practice", "programming practices of any software"
    CLOUD_COMPUTING = "cloud-computing", "use and provision of cloud services"
    EDGE_COMPUTING = "edge-computing", "computation close to where data arise"
    RESOURCE_ALLOCATION = "resource-allocation", "which resources a workload is given"
    RESOURCE_ADAPTATION = "resource-adaptation", "how a workload fits itself to resources"
    RESOURCE_MONITORING = "resource-monitoring", "how the use of resources is observed"


class Group(Term):
    """The part of a machine-learning system a tactic acts on."""

    DATA_CENTRIC = "data-centric", "acts on the data: how many, how large, how represented"
    ALGORITHM_DESIGN = "algorithm-design", "acts on the choice and set-up of the learning algorithm"
    MODEL_OPTIMIZATION = "model-optimization", "acts on a model so that the same task costs less"
    MODEL_TRAINING = "model-training", "acts on how a model is trained"
    DEPLOYMENT = "deployment", "acts on where and how a model is served"
    MANAGEMENT = "management", "acts on decisions around the system: monitoring, retraining, adaptation"


class Stage(Term):
    """The stage of a system's life in which the decision is taken."""

    REQUIREMENTS = "requirements", "deciding what the system must do and how well"
    DATA = "data", "collecting, selecting and preparing data"
    ARCHITECTURE = "architecture", "choosing components, algorithms and model structure"
    TRAINING = "training", "fitting a model"
    COMPRESSION = "compression", "making a trained model cheaper"
    SERVING = "serving", "running a model for its users"
    MONITORING = "monitoring", "observing a system in use"
    DECOMMISSIONING = "decommissioning", "taking a system or model out of use"


class Participant(Term):
    """Who takes the decision or bears it."""

    DATA_SCIENTIST = "data-scientist", "prepares data and builds models"
    ML_ENGINEER = "ml-engineer", "brings models into production"
    SOFTWARE_ARCHITECT = "software-architect", "takes decisions that shape the system"
    SOFTWARE_DEVELOPER = "software-developer", "writes the software around the model"
    OPERATOR = "operator", "runs the system and its infrastructure"
    CLOUD_USER = "cloud-user", "rents cloud services"
    CLOUD_PROVIDER = "cloud-provider", "offers cloud services"
    EDGE_USER = "edge-user", "builds on edge infrastructure"
    EDGE_PROVIDER = "edge-provider", "offers edge infrastructure"
    NETWORK_PROVIDER = "network-provider", "offers the network between the parts"
    HARDWARE_PRODUCER = "hardware-producer", "makes the devices"
    END_USER = "end-user", "uses the service"
    POLICY_MAKER = "policy-maker", "sets rules for an organisation or a country"
    SOCIETY = "society", "bears effects without taking part"


class Artifact(Term):
    """What the tactic changes."""

    DATA = "data", "the data a model is trained on or applied to"
    ALGORITHM = "algorithm", "the learning algorithm, before training"
    MODEL = "model", "a trained model"
    TRAINING_PIPELINE = "training-pipeline", "the software that trains models"
    SERVICE = "service", "software that offers a function to its users"
    SOFTWARE = "software", "source code or an application as a whole"
    WORKLOAD = "workload", "a unit of work that is given resources"
    INFRASTRUCTURE = "infrastructure", "machines, network and the software that runs them"
    HARDWARE = "hardware", "a device or chip"
    MEMORY = "memory", "main memory or storage"
    TECHNOLOGY = "technology", "a technology as such, across products"


class Quality(Term):
    """A quality of the system that a decision can improve or worsen."""

    ENERGY_EFFICIENCY = (
        "energy-efficiency",
        "energy used for a given result (not in ISO/IEC 25010)",
    )
    CARBON_FOOTPRINT = (
        "carbon-footprint",
        "greenhouse gases over the life cycle (not in ISO/IEC 25010)",
    )
    COST_EFFICIENCY = "cost-efficiency", "money spent for a given result (not in ISO/IEC 25010)"
    FUNCTIONAL_COMPLETENESS = "functional-completeness", "how much of the needed function is covered"
    FUNCTIONAL_CORRECTNESS = (
        "functional-correctness",
        "how often results are right; of a model, its accuracy",
    )
    FUNCTIONAL_APPROPRIATENESS = "functional-appropriateness", "how well the function serves the task"
    TIME_BEHAVIOUR = "time-behaviour", "response time, processing time and throughput"
    RESOURCE_UTILIZATION = (
        "resource-utilization",
        "resources used: memory, storage, processor",
    )
    CAPACITY = "capacity", "the largest load that still meets the requirements"
    COMPATIBILITY = "compatibility", "exchange of information with other systems, sharing of resources"
    INTERACTION_CAPABILITY = "interaction-capability", "how well people can work with the system"
    AVAILABILITY = "availability", "operational when it is needed"
    FAULT_TOLERANCE = "fault-tolerance", "works as intended in spite of faults"
    RECOVERABILITY = "recoverability", "restores data and state after an interruption"
    SECURITY = "security", "protects data and functions against those without a right to them"
    MAINTAINABILITY = "maintainability", "effort to understand, change and test"
    FLEXIBILITY = "flexibility", "fits new hardware, scale or use"
    SAFETY = "safety", "avoids states that endanger life, health, property or environment"


class Direction(Term):
    """What a decision does to a quality."""

    IMPROVES = "improves", "the quality gets better"
    WORSENS = "worsens", "the quality gets worse"
    NEUTRAL = "neutral", "shown not to change"
    DEPENDS = "depends", "better or worse depending on a stated condition"


class EffortLevel(Term):
    """What it takes to apply the tactic."""

    S = "S", "a setting or a few lines, done the same day"
    M = "M", "code and retraining, done in days"
    L = "L", "a change of architecture or organisation, done in weeks"


class Status(Term):
    """Where the record stands in its life."""

    DRAFT = "draft", "being written; not yet reviewed"
    REVIEWED = "reviewed", "read and accepted by a second person"
    WITHDRAWN = "withdrawn", "kept for its address only; the record says why"


class RelationType(Term):
    """How one tactic stands to another."""

    REQUIRES = "requires", "does not work without the other"
    CONFLICTS_WITH = "conflicts_with", "the two get in each other's way"
    ALTERNATIVE_TO = "alternative_to", "solves the same problem in another way"
    SPECIALISES = "specialises", "is a special case of the other"
    COMBINES_WITH = "combines_with", "the two add up or help each other"
    COUNTERED_BY = "countered_by", "the other is a remedy for this one (dark tactics only)"


class ClaimKind(Term):
    """How a published figure came about."""

    MEASURED = "measured", "read from a meter or clock, or counted in an experiment"
    SIMULATED = "simulated", "from a simulation of the system"
    MODELLED = "modelled", "from an analytical model"
    ARGUED = "argued", "reasoned without a figure"


class ReadIn(Term):
    """Where the claim was read."""

    FULL_TEXT = "full-text", "in the full text of the source"
    ABSTRACT = "abstract", "in the abstract of the source"
    SECONDARY = "secondary", "in another text that cites the source"


class Quantity(Term):
    """What a published figure counts."""

    ENERGY = "energy", "energy for a stated piece of work"
    POWER = "power", "energy for a stated time"
    CARBON = "carbon", "greenhouse gases"
    DURATION = "duration", "time for a stated piece of work"
    LATENCY = "latency", "time for one request"
    THROUGHPUT = "throughput", "work for a stated time"
    MEMORY = "memory", "main memory or storage"
    WEIGHTS = "weights", "number of non-zero parameters"
    OPERATIONS = "operations", "arithmetic operations"
    COMPUTE = "compute", "total computation spent, such as on training"
    TRAFFIC = "traffic", "data moved over a network"
    QUALITY = "quality", "accuracy or another measure of the result's quality"
    MONEY = "money", "money spent"


class ClaimUnit(Term):
    """The unit of a published figure."""

    TIMES = "times", "a ratio: the larger of the two is this many times the smaller"
    PERCENT = "percent", "a relative change against the baseline"
    PERCENTAGE_POINTS = "percentage-points", "an absolute change of a quantity that is itself a percentage"
    JOULE = "J", "joule"
    WATT_HOUR = "Wh", "watt-hour"
    WATT = "W", "watt"
    SECOND = "s", "second"
    GRAM_CO2E = "gCO2e", "gram of carbon-dioxide equivalent"
    BYTE = "bytes", "byte"
    COUNT = "count", "a number of things"


class ClaimDirection(Term):
    """Which way the quantity moves against the baseline."""

    DECREASE = "decrease", "the quantity becomes smaller"
    INCREASE = "increase", "the quantity becomes larger"
    NONE = "none", "the quantity stays the same"


class Bound(Term):
    """How the published figure is qualified."""

    EXACT = "exact", "the figure as given"
    AT_MOST = "at-most", "published as an upper limit: up to, less than"
    AT_LEAST = "at-least", "published as a lower limit"
    ABOUT = "about", "published as approximate"


class Tag(Term):
    """A subject that cuts across groups."""

    ACCELERATOR = "accelerator", "special hardware such as a GPU, a TPU or a neural-network chip"
    ADAPTATION = "adaptation", "changing a system or its settings while it runs"
    CLOUD = "cloud", "computation in rented data centres"
    COMMUNICATION = "communication", "sending data over a network as a cost of its own"
    COMPUTER_VISION = "computer-vision", "images and video"
    CONVOLUTIONAL_NETWORK = "convolutional-network", "networks made of convolutions"
    DATA_MOVEMENT = "data-movement", "reading and writing data as a cost of its own"
    DATA_REDUCTION = "data-reduction", "fewer or smaller examples"
    DISTILLATION = "distillation", "a small model learns from a large one"
    EDGE = "edge", "small devices, close to where data arise"
    FAULT_TOLERANCE = "fault-tolerance", "going on after failures without losing work"
    FEDERATED_LEARNING = "federated-learning", "training on devices that keep their data"
    GRAPH_OPTIMISATION = (
        "graph-optimisation",
        "rewriting a model's operations without changing its outputs",
    )
    HARDWARE_CHOICE = "hardware-choice", "which device does the work"
    HYPER_PARAMETER_SEARCH = "hyper-parameter-search", "trying settings to find good ones"
    INFERENCE = "inference", "applying a trained model"
    LANGUAGE_MODEL = "language-model", "models that write text token by token"
    MEMORY = "memory", "main memory as a limit or a cost"
    MODEL_SELECTION = "model-selection", "choosing among kinds of models or algorithms"
    MODEL_SIZE = "model-size", "the number of parameters of a model"
    MONITORING = "monitoring", "observing what a system uses and does"
    POWER_MANAGEMENT = "power-management", "limits and states of power that hardware offers"
    PRUNING = "pruning", "removing weights or structures from a model"
    QUANTISATION = "quantisation", "numbers with fewer bits"
    REBOUND = "rebound", "savings that invite more use"
    RETRAINING = "retraining", "training again when data or needs have changed"
    SCHEDULING = "scheduling", "which work runs where and when"
    SPARSITY = "sparsity", "values that are zero"
    TRAINING = "training", "fitting a model"
    TRANSFER_LEARNING = "transfer-learning", "starting from a model that was trained for something else"
