"""Whether a form of a net still is the same net: its outputs beside those of eager PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from greentactics.models.timings import Engine
from recipes.common.contract import Deployable
from recipes.common.engines import CannotRunError, Form, whole_batches
from recipes.common.errors import UserError

ALLOWED_DIFFERENCE = 1e-3
"""Largest difference of an output in 32 bits, as a share of the largest output of eager PyTorch."""
SHARE_COMPARED = 0.99
"""Share of the test inputs that this holds for: activation functions that jump may turn a rounding error of a
few inputs into another output, and an export that computes something else does so for most."""
LEAST_AGREEMENT = 0.9
"""Share of the test inputs that a net in 8 bits puts into the same class."""
ALLOWED_RMS_DIFFERENCE = 0.5
"""The same where there are no classes: root mean square of the difference over that of the outputs."""
CURE = "time without this engine: name the others with --engine"


@dataclass(frozen=True)
class Agreement:
    """How the outputs of a form compare."""

    difference: float
    """Largest difference from eager PyTorch, as a share of its largest output."""
    accuracy_fraction: float | None
    """Share of the test inputs that are classified correctly; None without labels."""
    count: int
    """Test inputs compared."""


def outputs_of(form: Form, deployable: Deployable, batch_size: int) -> Tensor:
    """Return the outputs for all test inputs that fill whole batches, (examples, ...)."""
    return torch.cat([form.outputs(batch) for batch in whole_batches(deployable.test_inputs, batch_size)])


def require_usable(arm: str, deployable: Deployable, form: Form, batch_size: int) -> None:
    """Check a net and its inputs before the work.

    Raises:
        UserError: Fewer inputs than a batch, outputs that are not one tensor of finite numbers, or others
            when the net is called again.
    """
    for name in ("calibration_inputs", "test_inputs"):
        if (count := len(getattr(deployable, name))) < batch_size:
            raise UserError(f"--batch-size {batch_size}: expected at most {count}, the {name} of arm {arm}")
    found = form.outputs(deployable.test_inputs[:batch_size])
    if isinstance(found, Tensor) and found.ndim < 2:
        raise UserError(
            f"arm {arm}: expected a net that returns one tensor, a row for each example; got "
            f"{tuple(found.shape)}, so take a loss out of forward, or return outputs.unsqueeze(1)"
        )
    if not isinstance(found, Tensor) or len(found) != batch_size or not torch.isfinite(found).all():
        got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        wanted = "one tensor of finite numbers, a row for each example"
        raise UserError(f"arm {arm}: expected a net that returns {wanted}; got {got}")
    if not torch.allclose(
        form.outputs(deployable.test_inputs[:batch_size]),
        found,
        rtol=0,
        atol=ALLOWED_DIFFERENCE * float(found.abs().max()),
    ):
        raise UserError(
            f"arm {arm}: expected the same outputs each time that eager PyTorch gets the same inputs, got "
            "others when it was called again; take what is random out of forward, such as F.dropout without "
            "training=self.training, and what changes the inputs in place, such as x.sub_(mean)"
        )


def agreement(arm: str, engine: Engine, found: Tensor, wanted: Tensor, labels: Tensor | None) -> Agreement:
    """Compare the outputs of a form with those of eager PyTorch.

    Args:
        arm: Name of the arm, for messages.
        engine: What computed `found`.
        found: Outputs of the form, (examples, ...).
        wanted: Outputs of eager PyTorch for the same inputs.
        labels: Classes of these inputs, (examples,), or None.

    Raises:
        UserError: They differ so much that the form is another net.
        CannotRunError: They are in 16 bits, in which the share of them that may differ cannot be told.
    """
    if engine != "onnxruntime_int8" and found.dtype in (torch.float16, torch.bfloat16):
        raise CannotRunError(
            f"arm {arm}: expected outputs in 32 or 64 bits to compare, got {found.dtype}; end forward with "
            ".float(), which leaves all else in 16 bits"
        )
    differences = (found - wanted).abs().flatten(1).amax(1) / wanted.abs().max().clamp_min(1e-30)
    difference = float(differences.max())
    if engine == "onnxruntime_int8":
        _require_similar(f"arm {arm}, {engine}", found, wanted, labels)
    elif (
        not (got := float(differences.quantile(SHARE_COMPARED, interpolation="higher"))) <= ALLOWED_DIFFERENCE
    ):
        raise UserError(
            f"arm {arm}, {engine}: outputs expected within {ALLOWED_DIFFERENCE:g} of the largest one of "
            f"eager PyTorch for {SHARE_COMPARED:.0%} of the test inputs, got {got:.2g}; "
            f"the exported net computes something else, {CURE}"
        )
    if labels is None:
        return Agreement(difference, None, len(found))
    right = found.argmax(1) == labels[: len(found)]
    return Agreement(difference, float(right.double().mean()), len(found))


def _require_similar(where: str, found: Tensor, wanted: Tensor, labels: Tensor | None) -> None:
    """Refuse a net in 8 bits that has become another one."""
    cure = f"calibrate with inputs like those of use, or {CURE}"
    if labels is None:
        difference = float((found - wanted).square().mean().sqrt() / wanted.square().mean().sqrt())
        if not difference <= ALLOWED_RMS_DIFFERENCE:
            raise UserError(
                f"{where}: difference from the outputs of eager PyTorch expected within "
                f"{ALLOWED_RMS_DIFFERENCE:g} of their root mean square, got {difference:.2g}; {cure}"
            )
        return
    same = float((found.argmax(1) == wanted.argmax(1)).double().mean())
    if same < LEAST_AGREEMENT:
        raise UserError(
            f"{where}: the class that eager PyTorch gives expected for at least {LEAST_AGREEMENT:.0%} of the "
            f"test inputs, got {same:.1%}; {cure}"
        )
