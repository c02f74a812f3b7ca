"""Records for tests: the real ones, and copies with changes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from greentactics.models.bibliography import Issued, Name, Reference
from greentactics.models.record import Claim, Impact, Record
from greentactics.models.results import Results
from greentactics.models.vocabulary import Bound, ClaimDirection, ClaimKind, ClaimUnit, Quantity, ReadIn
from greentactics.records.loading import Catalogue, RecipeSource, load_catalogue
from tests.examples.synthetic import SHA, always

ROOT = Path(__file__).resolve().parents[2]
REAL = load_catalogue(ROOT)
_PRUNING = REAL.records["consider-energy-aware-pruning"]
_OF_SYNTHETIC_RESULTS = ("energy_batch_48", "nonzero_weights", "effective_macs")
PRUNING = _PRUNING.model_copy(
    update={"recipe": _PRUNING.recipe.model_copy(update={"also_metrics": _OF_SYNTHETIC_RESULTS})}
)
# Its recipe is taken away: some tests need a record of advice without one.
SPARSITY = REAL.records["enhance-model-sparsity"].model_copy(update={"recipe": None})
DARK = REAL.records["bloating"]
RECIPE_TEXT = '''"""A made-up recipe; ``` and <b>."""
# --8<-- [start:tactic]
def prune(model):
    """Do nothing; `<script>`."""
    return model
# --8<-- [end:tactic]
'''


def claim(**changes: Any) -> Claim:
    """Return a claim of 3.7 times less energy, with changes."""
    values: dict[str, Any] = {
        "quantity": Quantity.ENERGY,
        "value": 3.7,
        "unit": ClaimUnit.TIMES,
        "direction": ClaimDirection.DECREASE,
        "bound": Bound.EXACT,
        "baseline": "the dense network",
        "setting": "AlexNet, ImageNet",
        "kind": ClaimKind.MODELLED,
        "source": "yang-2017",
        "read_in": ReadIn.ABSTRACT,
    }
    return Claim(**(values | changes))


def reference(**changes: Any) -> Reference:
    """Return a made-up reference."""
    values = {
        "type": "article",
        "title": "A title of its own",
        "author": (Name(family="Müller", given="Ann"),),
        "issued": Issued(date_parts=((2021,),)),
    }
    return Reference(**(values | changes))


def with_claims(record: Record, *claims: Claim) -> Record:
    """Return the record with other claims."""
    return record.model_copy(update={"impact": Impact(claims=claims)})


def catalogue(
    *records: Record, results: Mapping[str, tuple[Results, ...]] | None = None, sha256: str = SHA
) -> Catalogue:
    """Return a catalogue in memory; records with a recipe section get a made-up recipe."""
    return Catalogue(
        root=ROOT,
        records={record.id: record for record in sorted(records, key=lambda record: record.id)},
        bibliography=REAL.bibliography,
        results=results or {},
        recipes={record.id: RecipeSource(RECIPE_TEXT, always(sha256)) for record in records if record.recipe},
    )
