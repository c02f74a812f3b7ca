"""The forms in which a net is shipped: eager PyTorch, ONNX Runtime in 32 bits, ONNX Runtime in 8 bits.

A net is exported for one batch size: ONNX Runtime plans its memory best for shapes that it knows, and some
nets can be exported for one batch size but not for all. Whether a form still is the same net is judged by its
outputs beside those of eager PyTorch.
"""

from __future__ import annotations

import contextlib
import io
import logging
import platform
import typing
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from greentactics.models.timings import Engine
from recipes.common.run.contract import Deployable, UserError

ENGINES: tuple[Engine, ...] = typing.get_args(Engine)
IntegerType = Literal["uint8", "int8"]
CURE = 'pip install -e ".[onnx]"'
INPUT = "inputs"
CPU_FLAGS = Path("/proc/cpuinfo")


class CannotRunError(Exception):
    """Raised where an engine does not take a net; the message is one line."""


@dataclass(frozen=True)
class Form:
    """A net in one engine."""

    outputs: Callable[[Tensor], Tensor]
    """Computes the outputs of one batch."""
    call: Callable[[], object]
    """Computes those of one batch given when the form was made, and does nothing else: what is timed."""
    stored_bytes: int
    """Size of the file that would be shipped: the weights for PyTorch, the `.onnx` file for ONNX Runtime."""


def missing_extra(engine: Engine) -> str | None:
    """Say in one line what has to be installed for an engine; None where nothing is missing."""
    if engine == "pytorch":
        return None
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        return f"the extra onnx is not installed ({error}); run: {CURE}"
    return None


def build(engine: Engine, deployable: Deployable, folder: Path, *, batch_size: int, threads: int) -> Form:
    """Make the form of a net that an engine runs.

    Args:
        engine: What executes the net; one that `missing_extra` has nothing to say of.
        deployable: The net in evaluation mode and its inputs; `batch_size` calibration inputs at least.
        folder: Folder of this net alone, for its files; an exported net that is there is used again.
        batch_size: Examples in every call.
        threads: Threads of ONNX Runtime; those of PyTorch belong to the process.

    Raises:
        CannotRunError: The net cannot be exported or quantised.
    """
    if engine == "onnxruntime_int8" and any(
        weight.dtype in (torch.float64, torch.bfloat16) for weight in deployable.model.parameters()
    ):
        raise CannotRunError(
            "has weights in float64 or bfloat16, which ONNX Runtime cannot turn into 8 bits; convert net and "
            "inputs with .float()"
        )
    inputs = deployable.calibration_inputs
    if engine == "pytorch":
        return _eager(deployable.model, inputs[:batch_size])
    path = folder / "net.onnx"
    if not path.exists():
        _export(deployable.model, inputs[:batch_size], path)
    if engine == "onnxruntime_int8":
        path = quantise(path, inputs, batch_size)
    return load(path, inputs[:batch_size], threads)


def _eager(model: nn.Module, inputs: Tensor) -> Form:
    @torch.inference_mode()
    def outputs(batch: Tensor) -> Tensor:
        found: Tensor = model(batch)
        return found

    weights = io.BytesIO()
    torch.save(model.state_dict(), weights)
    return Form(outputs, lambda: outputs(inputs), weights.tell())


def load(path: Path, inputs: Tensor, threads: int) -> Form:
    """Make the form of an `.onnx` file in ONNX Runtime.

    Args:
        path: The file, of a net whose one input is called `INPUT`.
        inputs: The batch that is timed.
        threads: Threads of ONNX Runtime.

    Raises:
        CannotRunError: ONNX Runtime refuses the file.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # threads that spin burn time while they wait for one that has lost its core
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its many classes of exception have no common one
        raise CannotRunError(f"cannot be loaded by ONNX Runtime ({_first_line(error)})") from error
    feed = {INPUT: inputs.contiguous().numpy()}
    return Form(
        lambda batch: torch.from_numpy(session.run(None, {INPUT: batch.contiguous().numpy()})[0]),
        lambda: session.run(None, feed),
        path.stat().st_size,
    )


def _export(model: nn.Module, inputs: Tensor, path: Path) -> None:
    export = partial(torch.onnx.export, dynamo=True, external_data=False, verbose=False)
    try:
        with _quiet():
            export(model, (inputs,), path, input_names=[INPUT])
    except Exception as error:  # the exporter runs the net's own code, which may raise anything
        raise CannotRunError(
            f"cannot be exported to ONNX ({_first_line(error.__cause__ or error)})"
        ) from error


def quantise(
    path: Path,
    inputs: Tensor,
    batch_size: int,
    *,
    activations: IntegerType = "uint8",
    weights: IntegerType = "int8",
) -> Path:
    """Quantise an exported net: static ranges, QDQ, one scale a channel of the weights.

    The net is optimised first, as ONNX Runtime asks for. With signed activations, its default, it leaves
    convolutions next to the sums of residual nets in 32 bits on x86 processors; with unsigned ones it does
    not. As it advises, weights get 7 bits on x86 processors without VNNI, where sums of 8-bit products
    saturate. https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html

    Args:
        path: The exported net; the quantised one is written beside it.
        inputs: Inputs that the ranges are read from; `batch_size` of them at least.
        batch_size: The one that the net was exported for.
        activations: Type of the activations.
        weights: Type of the weights.

    Returns:
        The file with the quantised net.

    Raises:
        CannotRunError: The net cannot be quantised.
    """
    from onnxruntime.quantization import QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    types = {"uint8": QuantType.QUInt8, "int8": QuantType.QInt8}
    prepared, quantised = path.with_name("prepared.onnx"), path.with_name(f"{activations}-{weights}.onnx")
    try:
        quant_pre_process(path, prepared, skip_symbolic_shape=True)  # all shapes are known
        quantize_static(
            prepared,
            quantised,
            _calibration(inputs, batch_size),
            per_channel=True,
            reduce_range=eight_bit_sums_saturate(),
            activation_type=types[activations],
            weight_type=types[weights],
        )
    except Exception as error:  # the quantiser documents none of what it raises
        raise CannotRunError(f"cannot be quantised ({_first_line(error)})") from error
    return quantised


def _calibration(inputs: Tensor, batch_size: int) -> Any:  # noqa: ANN401 - a class of an optional package
    """Return the inputs in whole batches, in the shape that the quantiser reads."""
    from onnxruntime.quantization import CalibrationDataReader

    class Batches(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = whole_batches(inputs, batch_size)

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self.left, None)
            return None if batch is None else {INPUT: batch.contiguous().numpy()}

    return Batches()


def whole_batches(inputs: Tensor, batch_size: int) -> Iterator[Tensor]:
    """Yield the inputs in batches of one size; those that do not fill a batch are left out."""
    return (
        inputs[first : first + batch_size] for first in range(0, len(inputs) - batch_size + 1, batch_size)
    )


def eight_bit_sums_saturate() -> bool:
    """Tell whether sums of 8-bit products may saturate here; where the processor does not tell, they may."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    try:
        return "vnni" not in CPU_FLAGS.read_text()
    except OSError:
        return True


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what the exporter says of itself, and of a net that it then refuses with an exception."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)  # its loggers have handlers of their own, made before any redirection
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            # raised within torch by its own use of torch.utils._pytree
            warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)`", FutureWarning)
            yield
    finally:
        logging.disable(disabled)


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


ALLOWED_DIFFERENCE = 1e-3
"""Largest difference of an output in 32 bits, as a share of the largest output of eager PyTorch."""
SHARE_COMPARED = 0.99
"""Share of the test inputs that this holds for: activation functions that jump may turn a rounding error of a
few inputs into another output, and an export that computes something else does so for most."""
LEAST_AGREEMENT = 0.9
"""Share of the test inputs that a net in 8 bits puts into the same class."""
ALLOWED_RMS_DIFFERENCE = 0.5
"""The same where there are no classes: root mean square of the difference over that of the outputs."""
OTHER_ENGINES = "time without this engine: name the others with --engine"


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
            f"the exported net computes something else, {OTHER_ENGINES}"
        )
    if labels is None:
        return Agreement(difference, None, len(found))
    right = found.argmax(1) == labels[: len(found)]
    return Agreement(difference, float(right.double().mean()), len(found))


def _require_similar(where: str, found: Tensor, wanted: Tensor, labels: Tensor | None) -> None:
    """Refuse a net in 8 bits that has become another one."""
    cure = f"calibrate with inputs like those of use, or {OTHER_ENGINES}"
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
