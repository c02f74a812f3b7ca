"""A file as a subject: what tactics are tried on, and which of its examples an arm may see.

A subject is a module with `build_model()`, `train(model, epochs)` and `evaluate(model)`, which returns one
score for each held-out example. It may have more: see `load_subject`. A reader's file is tried on its
untrained net before an hour is spent on it: see `refuse_unfit`.
"""

from __future__ import annotations

import copy
import hashlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import torch
from torch import Tensor, nn

from recipes.common.run.contract import DataUsed, UserError

Part = Literal["search", "choice", "test"]
"""Held-out examples that do not meet: an arm searches with the first, the harness chooses with the second,
and reads the third once. A search fits what it searches with, by about a point of accuracy on hundreds."""

PACKAGE = "recipes.subjects"
EPOCHS = {"smoke": (2.0, 1.0), "default": (20.0, 10.0), "full": (40.0, 20.0)}
"""Epochs of the trained net, and on top of it, of a subject that does not say."""
WHOLE_ENOUGH = 0.01
"""Epochs that a loop of whole ones may take beyond what is left, for batches that do not divide an epoch."""
LARGEST_ROUNDING = 0.01
"""Share of the scores' deviation that may be lost where they are stored as 16-bit floats."""
_SEALED = "the {part} examples are sealed while an arm runs; judge with study.quality"
_NEEDED = ("build_model", "train", "evaluate")
_NO_ARRAY = (torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2)


@dataclass
class Subject:
    """A net with its data, its training and its figure of merit."""

    module: ModuleType
    name: str
    quality: str
    """What a score is, such as `accuracy`."""
    own_unit: str
    """Unit that the file gives a score; empty where it gives none."""
    sign: int
    """1 where more is better, -1 where less is; scores below are times this, so that more is better."""
    tolerance: float | None
    """Quality that may be lost; None leaves it at 1 % of what training gains."""
    epochs: Mapping[str, tuple[float, float]]
    """By preset, epochs of the trained net, and on top of it; 0 where the net comes trained."""
    not_timed: str
    """Why its nets are not timed; empty where they are."""
    device: torch.device
    """Where nets and example inputs are; `train` and `evaluate` follow the net that they are given."""
    _evaluate: Callable[..., Any]
    _takes_part: bool
    _takes_examples: bool
    takes_whole_epochs: bool
    """Whether its loop takes no parts of an epoch."""
    _parts: dict[str, Tensor]
    """By part the numbers of its examples among those that `evaluate` judges, as far as they are known."""
    _sealed: bool = False

    @property
    def unit(self) -> str:
        """Unit of a score."""
        return self.own_unit or ("fraction" if self.quality == "accuracy" else self.quality)

    def build_model(self) -> nn.Module:
        """Return the net with random weights from torch's global state, or as it comes trained."""
        net: nn.Module = self.module.build_model()
        return net.to(self.device)

    def train(self, net: nn.Module, epochs: float, examples: Tensor | None) -> None:
        """Train in place.

        Raises:
            UserError: The loop cannot choose among its examples.
        """
        if examples is not None and not self._takes_examples:
            raise UserError(
                f"{self.name}: expected train(model, epochs, *, examples=None), which trains on examples of "
                "these numbers alone, got a train without it; this recipe chooses training examples"
            )
        chosen = {} if examples is None else {"examples": examples}
        whole = max(1, int(epochs + WHOLE_ENOUGH))
        self.module.train(net, whole if self.takes_whole_epochs else epochs, **chosen)

    def scores(self, net: nn.Module, part: Part) -> Tensor:
        """Return one score for each example of a part, (examples,) in float64, more is better.

        Raises:
            PermissionError: The part is sealed while an arm runs.
        """
        if self._sealed and part != "search":
            raise PermissionError(_SEALED.format(part=part))
        if self._takes_part:
            return as_scores(self._evaluate(net, part), self.name) * self.sign
        return as_scores(self._evaluate(net), self.name)[self._parts[part]] * self.sign

    def answers(self, net: nn.Module) -> tuple[Tensor, Tensor]:
        """Return outputs, (examples, ...), and scores, (examples,), on those to search with, in one order.

        Raises:
            UserError: `evaluate` does not put each example through the net once, or gives no score for each.
        """
        kept = list[Tensor]()
        handle = net.register_forward_hook(lambda _, __, outputs: kept.append(outputs.detach()))
        try:
            found = self._evaluate(net, "search") if self._takes_part else self._evaluate(net)
        finally:
            handle.remove()
        outputs, scores = torch.cat(kept), as_scores(found, self.name) * self.sign
        if len(outputs) != len(scores):
            raise UserError(
                f"{self.name}: expected evaluate(model) to put each example through the model once and to "
                f"return a score for each, got {len(outputs):,} outputs and {len(scores):,} scores; return "
                "one an example"
            )
        rows = slice(None) if self._takes_part else self._parts["search"]
        return outputs[rows], scores[rows]

    def count(self, part: Part) -> int:
        """Return the number of examples of a part."""
        if part not in self._parts:  # the file has own parts, whose sizes only a judgement tells
            with torch.random.fork_rng(devices=[]):
                self._parts[part] = torch.arange(len(self.scores(self.build_model().eval(), part)))
        return len(self._parts[part])

    def example_inputs(self, seed: int = 0) -> Tensor:
        """Return training inputs, (examples, ...): those that the file draws with a seed, where it draws."""
        drawn = inspect.signature(self.module.example_inputs).parameters
        inputs: Tensor = self.module.example_inputs(**({"seed": seed} if "seed" in drawn else {}))
        return inputs.to(self.device)

    def data_used(self) -> DataUsed:
        """Describe the data; those of a reader's file by its name and a checksum of its example inputs."""
        if hasattr(self.module, "data_used"):
            used: DataUsed = self.module.data_used()
            return used
        inputs = self.example_inputs()
        digest = hashlib.sha256(inputs.detach().cpu().contiguous().numpy().tobytes()).hexdigest()
        held = self.count("search") + self.count("choice")
        return DataUsed(self.name, digest, len(inputs), held, self.count("test"))

    def labelled_test_examples(self) -> tuple[Tensor, Tensor] | None:
        """Return test inputs and their classes, where the file has them, for the accuracy in each engine."""
        if not hasattr(self.module, "labelled_test_examples"):
            return None
        found: tuple[Tensor, Tensor] = self.module.labelled_test_examples()
        return found

    def training_key(self, seed: int, epochs: float, net: nn.Module) -> tuple[object, ...]:
        """Return all that decides the trained net and can be seen from outside.

        Args:
            seed: Of the trial.
            epochs: Of the training.
            net: A holder of the untrained net.
        """
        source = hashlib.sha256(Path(str(self.module.__file__)).read_bytes()).hexdigest()
        tensors = [*net.state_dict().values(), self.example_inputs(seed)]
        digest = hashlib.sha256()
        for tensor in tensors:
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return source, seed, epochs, digest.hexdigest(), torch.get_num_threads(), self.device.type

    @property
    def is_readers(self) -> bool:
        """Whether it is a file of a reader, not of this project."""
        return not self.module.__name__.startswith(f"{PACKAGE}.")

    @contextmanager
    def sealed(self) -> Iterator[None]:
        """Show the examples to search with and no others, to whoever asks, while the block runs."""
        images = sys.modules.get(f"{PACKAGE}.images")

        def search_part(model: nn.Module, part: str = "search") -> Any:  # noqa: ANN401 - as the file returns it
            if part != "search":
                raise PermissionError(_SEALED.format(part=part))
            if self._takes_part:
                return self._evaluate(model, part)
            return as_scores(self._evaluate(model), self.name)[self._parts["search"]]

        self._sealed, self.module.evaluate = True, search_part  # type: ignore[attr-defined]
        if images is not None:
            images.SEALED = True  # type: ignore[attr-defined]
        try:
            yield
        finally:
            self._sealed, self.module.evaluate = False, self._evaluate  # type: ignore[attr-defined]
            if images is not None:
                images.SEALED = False  # type: ignore[attr-defined]


def load_subject(name: str, device: str = "cpu") -> Subject:
    """Import a subject by its name in `recipes.subjects`, or by the path of a reader's file.

    Beside the three functions a file may have:

    - `example_inputs()`: training inputs, (examples, ...); else those that `train` draws first. With a
      parameter `seed` others for each seed: all that differs between the seeds of a net that comes trained;
    - `evaluate(model, part)`, with `part` one of `search`, `choice`, `test`, where it has own parts; else
      fixed parts are cut from the scores that `evaluate(model)` returns: a quarter, a quarter, half;
    - `train(model, epochs, *, examples=None)`: numbers of the training examples to use, (chosen,);
    - `labelled_training_examples()`: all training inputs, (examples, ...), and their classes, (examples,), in
      the order in which `train` numbers them;
    - `QUALITY`, what a score is, where it is not just right or wrong, and its unit where it has one, such as
      `"loss in nats"`; `BETTER`, `"higher"` or `"lower"`; `TOLERANCE`, in the unit of a score;
    - `EPOCHS`, by preset (epochs of the trained net, epochs on top of it); (0, 0) where `build_model` returns
      a trained net, for recipes that train nothing;
    - `NOT_TIMED`, why timing its nets would tell nothing, or take too long.

    Args:
        name: Name of a module, or path of a file that ends in .py.
        device: Where nets are trained, as torch names it.

    Raises:
        UserError: There is no such file, it cannot be imported, or lacks one of the three functions.
    """
    module = _imported(name)
    missing = [function for function in _NEEDED if not callable(getattr(module, function, None))]
    if missing:
        raise UserError(
            f"--subject {name}: expected the functions {', '.join(_NEEDED)}, got none called "
            f"{', '.join(missing)}; write them at the top level of the file"
        )
    if told := _unreadable(module):
        raise UserError(f"--subject {name}: {told}")
    parameters = inspect.signature(module.train).parameters
    if not hasattr(module, "example_inputs"):
        module.example_inputs = lambda: first_batches(module)  # type: ignore[attr-defined]
    quality, _, unit = getattr(module, "QUALITY", "quality").partition(" in ")
    subject = Subject(
        module=module,
        name=Path(name).stem,
        quality=quality,
        own_unit=unit,
        sign=-1 if getattr(module, "BETTER", "higher") == "lower" else 1,
        tolerance=getattr(module, "TOLERANCE", None),
        epochs=EPOCHS | dict(getattr(module, "EPOCHS", {})),
        not_timed=getattr(module, "NOT_TIMED", ""),
        device=torch.device(device),
        _evaluate=module.evaluate,
        _takes_part=len(inspect.signature(module.evaluate).parameters) > 1,
        _takes_examples="examples" in parameters,
        takes_whole_epochs=list(parameters.values())[1].annotation not in ("float", float),
        _parts={},
    )
    subject._parts = _parts(subject)
    return subject


def refuse_unfit(subject: Subject) -> None:
    """Refuse a file whose figures would be wrong, or whose run would end in the middle.

    Raises:
        UserError: Saying what of it, what was expected and the cure.
    """
    with torch.random.fork_rng(devices=[]):
        net = subject.build_model().eval()
        _refuse_net(subject, net)
        _refuse_inputs(subject, net)
        _refuse_evaluation(subject, net)


def keeps_apart(subject: Subject) -> bool:
    """Return whether the examples to search with are others than those to test."""
    parts = subject._parts
    return subject._takes_part or not torch.equal(parts["search"], parts["test"])


def first_line(error: BaseException) -> str:
    """Return kind and first line of an error."""
    told = str(error).splitlines()
    return f"{type(error).__name__}: {told[0]}" if told else type(error).__name__


def told_in(path: str, error: BaseException) -> str | None:
    """Return where in a reader's file an error was met, and what it was; None where it was not in there."""
    inside = [frame for frame in traceback.extract_tb(error.__traceback__)
              if Path(frame.filename).resolve() == Path(path).resolve()]  # fmt: skip
    if not inside:
        return None
    return f"{path}, line {inside[-1].lineno}, in {inside[-1].name}: {first_line(error)}"


def _unreadable(module: ModuleType) -> str:
    """Return what of a file's signatures and constants cannot be understood; empty where all can be."""
    taken = {name: list(inspect.signature(getattr(module, name)).parameters) for name in _NEEDED}
    asked = inspect.signature(module.build_model).parameters.values()
    if any(
        each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
        for each in asked
    ):
        return f"expected build_model(), got build_model({', '.join(taken['build_model'])}); give defaults"
    if len(taken["train"]) < 2:
        return f"expected train(model, epochs), got train({', '.join(taken['train'])}); take epochs as well"
    if len(taken["evaluate"]) > 1 and taken["evaluate"][1] != "part":
        return (
            f"expected evaluate(model), or evaluate(model, part) with part one of search, choice, test, got "
            f"evaluate({', '.join(taken['evaluate'])}); take the model alone"
        )
    better, quality = getattr(module, "BETTER", "higher"), getattr(module, "QUALITY", "quality")
    if better not in ("higher", "lower"):
        return f'BETTER: expected "higher" or "lower", got {better!r}'
    if not isinstance(quality, str) or not quality:
        return f'QUALITY: expected a name, such as "accuracy", got {quality!r}'
    tolerance = getattr(module, "TOLERANCE", None)
    if tolerance is not None and not (isinstance(tolerance, int | float) and 0 <= tolerance < float("inf")):
        return f"TOLERANCE: expected a number from 0, in the unit of a score, got {tolerance!r}"
    epochs = getattr(module, "EPOCHS", {})
    if not isinstance(epochs, Mapping) or not all(
        isinstance(pair, tuple | list)
        and len(pair) == 2
        and all(isinstance(each, int | float) for each in pair)
        and (pair[0] > 0 <= pair[1] or pair[0] == pair[1] == 0)
        for pair in epochs.values()
    ):
        return (
            'EPOCHS: expected by preset the epochs of the trained net and those on top, such as {"smoke": '
            f"(2, 1)}}, or (0, 0) for a net that comes trained, got {epochs!r}"
        )
    return ""


def first_batches(module: ModuleType, batches: int = 4) -> Tensor:
    """Return what a file's training draws first, (examples, ...)."""
    seen = list[Tensor]()

    class Enough(Exception):  # noqa: N818
        pass

    def keep(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        if not arguments or not isinstance(arguments[0], Tensor):
            got = type(arguments[0]).__name__ if arguments else "keywords alone"
            raise UserError(
                f"{module.__name__.removeprefix('subject_')}: expected train to call model(inputs) with one "
                f"tensor in first place, got {got}; wrap the net in a module that takes it so"
            )
        seen.append(arguments[0].detach().clone())
        if len(seen) == batches:
            raise Enough

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net: nn.Module = module.build_model()
        handle = net.register_forward_pre_hook(keep)
        try:
            module.train(net, 1)
        except Enough:
            pass
        finally:
            handle.remove()
    if not seen:
        raise UserError(
            f"{module.__name__.removeprefix('subject_')}: expected train(model, epochs) to call "
            "model(inputs), got no call of it; train the model that is handed in, and call it as a whole"
        )
    return torch.cat(seen)


def as_scores(found: Tensor | float, name: str) -> Tensor:
    """Return what an `evaluate` gave as (examples,) in float64.

    Raises:
        UserError: It is no number for each example, or not finite.
    """
    if found is None or isinstance(found, tuple | dict | str):
        raise UserError(
            f"{name}: expected evaluate(model) to return a tensor of one score for each example, "
            f"(examples,), got {type(found).__name__}; return a row, such as "
            "predictions.argmax(1) == labels"
        )
    scores = torch.as_tensor(found, dtype=torch.float64).detach().cpu()
    if scores.ndim > 1 or scores.numel() == 0 or not bool(scores.isfinite().all()):
        raise UserError(
            f"{name}: expected evaluate(model) to return one finite score for each example, (examples,), got "
            f"shape {tuple(scores.shape)} with {int((~scores.isfinite()).sum())} that are not finite; "
            "return a row of numbers, such as predictions.argmax(1) == labels"
        )
    return scores.reshape(-1)


def _imported(name: str) -> ModuleType:
    """Import by path or by name.

    Raises:
        UserError: It cannot be imported.
    """
    if not name.endswith(".py"):
        folder = Path(__file__).parents[2] / "subjects"
        known = sorted(path.stem for path in folder.glob("*_*.py") if path.stem != "__init__")
        if name not in known:
            raise UserError(
                f"--subject {name}: expected a file that ends in .py, or one of {', '.join(known)}"
            )
        return importlib.import_module(f"{PACKAGE}.{name}")
    path = Path(name)
    if not path.is_file():
        raise UserError(f"--subject {name}: expected a file, found none there")
    if (Path(__file__).parents[2] / "subjects" / path.name).exists():
        raise UserError(
            f"--subject {name}: expected a name that no subject of recipes/subjects has, as results tell "
            f"subjects by it, got {path.stem}; rename the file"
        )
    own_name = f"subject_{path.stem}"  # so that a file called random.py stands in nobody's way
    spec = importlib.util.spec_from_file_location(own_name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"--subject {name}: expected a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[own_name] = module  # classes of the file are found again by their module's name
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(
            f"--subject {name}: cannot be imported ({type(error).__name__}: {error}); it "
            "runs in the folder of the checkout: name files by Path(__file__).parent, and folders of modules "
            "in PYTHONPATH"
        ) from error
    return module


def _parts(subject: Subject) -> dict[str, Tensor]:
    """Return by part the numbers of its examples among those that `evaluate` judges, and look what they are.

    Raises:
        UserError: Two evaluations of one net differ.
    """
    if subject._takes_part:
        return {}
    with torch.random.fork_rng(devices=[]):
        net = subject.build_model().eval()
    first, second = (as_scores(subject._evaluate(net), subject.name) for _ in range(2))
    if not torch.equal(first, second):
        raise UserError(
            f"{subject.name}: expected equal scores of evaluate(model) called twice, got other ones; do not "
            "shuffle or draw in it, and call model.eval() first"
        )
    if not hasattr(subject.module, "QUALITY") and bool(torch.isin(first, torch.tensor([0.0, 1.0])).all()):
        subject.quality = "accuracy"  # right or wrong, each
    if len(first) < 4:
        whole = torch.arange(len(first))
        return {"search": whole, "choice": whole, "test": whole}
    shuffled = torch.randperm(len(first), generator=torch.Generator().manual_seed(0))
    search, choice, test = shuffled.tensor_split((len(first) // 4, len(first) // 2))
    return {"search": search, "choice": choice, "test": test}


def _refuse_net(subject: Subject, net: nn.Module) -> None:
    if not list(net.parameters()):
        raise UserError(f"{subject.name}: expected build_model() to return a net with parameters, got none")
    for name, tensor in net.state_dict(keep_vars=True).items():
        if nn.parameter.is_lazy(tensor):
            raise UserError(
                f"{subject.name}: expected build_model() to return weights of known shapes, got {name}, "
                "which waits for a first batch; put one through the net in build_model"
            )
        if isinstance(tensor, Tensor) and tensor.dtype in _NO_ARRAY:
            raise UserError(
                f"{subject.name}: expected weights in float32, got {name} in {tensor.dtype}; build the net "
                "in float32, and let train compute under torch.autocast"
            )
    with torch.no_grad():
        try:
            copy.deepcopy(net)
        except Exception as error:
            raise UserError(
                f"{subject.name}: expected a net that copy.deepcopy can copy ({first_line(error)}); keep "
                "weights as parameters, and use torch.nn.utils.parametrizations to compute others of them"
            ) from error


def _refuse_inputs(subject: Subject, net: nn.Module) -> None:
    """Refuse example inputs that are no tensor, or whose examples do not stand in the first axis."""
    name, inputs = subject.name, subject.module.example_inputs()
    if not isinstance(inputs, Tensor) or inputs.ndim == 0 or len(inputs) < 2:
        got = f"shape {tuple(inputs.shape)}" if isinstance(inputs, Tensor) else type(inputs).__name__
        raise UserError(
            f"{name}: expected example_inputs() to return a tensor of two training inputs or more, "
            f"(examples, ...), got {got}; return some hundred"
        )
    rows = []
    for count in (1, 2):
        try:
            with torch.no_grad():
                outputs = net(inputs[:count].to(subject.device))
        except Exception as error:
            raise UserError(
                f"{name}: expected model(inputs) to take {count} of the example inputs, of shape "
                f"{tuple(inputs[:count].shape)}, in evaluation mode, got {first_line(error)}; wrap a net "
                "that takes more than one tensor in one that takes one, with the examples in the first axis"
            ) from error
        rows.append(len(outputs) if isinstance(outputs, Tensor) and outputs.ndim else 0)
    if rows[0] == rows[1] > 0:
        raise UserError(
            f"{name}: expected the examples in the first axis, got {rows[0]} rows of outputs for one example "
            "input and for two; wrap the net in a module that takes (examples, ...), as batch_first does"
        )


def _refuse_evaluation(subject: Subject, net: nn.Module) -> None:
    """Refuse an evaluation that does not use the net, changes it, or gives scores that cannot be stored."""
    name, before, calls = subject.name, copy.deepcopy(net.state_dict()), list[Any]()
    handle = net.register_forward_pre_hook(lambda _, arguments: calls.append(arguments))
    try:
        scores = subject.scores(net, "search")
    finally:
        handle.remove()
    if not calls or not all(given and isinstance(given[0], Tensor) for given in calls):
        got = "no call of it" if not calls else "one without a tensor in first place"
        raise UserError(
            f"{name}: expected evaluate(model) to call model(inputs) with one tensor, got {got}; its work is "
            "counted there"
        )
    changed = [key for key, value in net.state_dict().items() if not torch.equal(value, before[key])]
    if net.training or changed:
        got = f"other {changed[0]}" if changed else "it in training mode"
        raise UserError(
            f"{name}: expected evaluate(model) to leave the net as it was, got {got} afterwards; call "
            "model.eval() first in evaluate and leave it so, and model.train() in train"
        )
    lost = (scores - scores.half().double()).abs().max()
    spread = scores.std() if len(scores) > 1 and scores.std() > 0 else scores.abs().max()
    if lost > LARGEST_ROUNDING * spread:
        raise UserError(
            f"{name}: expected scores that 16-bit floats tell apart, got some from {float(scores.min()):.4g} "
            f"to {float(scores.max()):.4g}; scale or shift them in evaluate"
        )
