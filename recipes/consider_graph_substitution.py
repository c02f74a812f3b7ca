"""Graph substitution: pieces of a trained net give way to equivalent ones, as far as measured time falls.

Record: tactics/consider-graph-substitution.yaml. The baseline is a net of branches as it was written and
trained, traced. The tactic searches through graphs of the same outputs, and through kernels for each
convolution, by the measured processor time of their operations. The search goes through dearer graphs, too,
as in Jia et al., "MetaFlow", MLSys 2019; with kernels it is that of Wang, Ge, Qiu, "Energy-Aware DNN Graph
Optimization", 2020 (arXiv 2005.05837), whose cost is metered energy. Arms show what detours and measuring are
worth. The rivals: normalisations folded, and nothing else, as `torch.fx` offers it; TorchScript, frozen and
optimised; torch.compile, which needs a C++ compiler, and is left out where there is none; ONNX Runtime, whose
optimiser is off, basic or whole, and that on the tactic's net.

    python -m recipes.consider_graph_substitution --arm tactic --seed 0 --preset default

On one processor core DEFAULT, which needs Fashion-MNIST, trains the net of a seed once, and keeps it; an arm
then takes ten seconds. Seeds below 1000, with which the search was set, report accuracy on validation images.
"""

from __future__ import annotations

import copy
import heapq
import inspect
import itertools
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from greentactics.models.timings import CONTROL
from recipes.common.graphs.rules import KERNELS, RULES, Rule, fold_norm
from recipes.common.nets import branches
from recipes.common.nets.data import Images, load_images
from recipes.common.run import cli
from recipes.common.run.contract import CannotRun, Deployable, Meter, MetricTable, Outcome
from recipes.common.run.net_files import load_or_train
from recipes.common.timing.engines import INPUT, CannotRunError, build, missing_extra
from recipes.common.timing.protocol import BASELINE, interleave, ratios
from recipes.subjects.images import training_autocast
from recipes.use_built_in_library_functions import Compiled, forget_compiled_code

TACTIC = "consider-graph-substitution"
ARMS = (
    "baseline",
    "tactic",
    "tactic_with_no_detours",
    "tactic_with_rules_alone",
    "every_rule",
    "folding_alone",
    "torchscript",
    "compiled",
    "onnxruntime_off",
    "onnxruntime_basic",
    "onnxruntime_all",
    "tactic_and_onnxruntime",
)
METRICS: MetricTable = {
    "answer_cpu_ms": ("ms", "lower", "measured", "Processor time of one answer, one image at a time."),
    "answer_time_fraction": ("ratio", "lower", "measured",
        "The same over that of the net as it was written, in turns; of the baseline, two readings of it."),
    "preparation_cpu_s": ("s", "lower", "measured",
        "Processor time of searching, compiling or exporting, with that of the C++ compiler."),
    "break_even_count": ("count", "lower", "measured", "Answers that pay the preparation back, if any do."),
    "output_difference_fraction": ("fraction", "lower", "measured",
        "Largest difference of a logit from the net as it was written, over its largest logit."),
    "operations": ("count", "lower", "counted", "Operations of the graph, where PyTorch runs it as it is."),
    "test_accuracy": ("fraction", "higher", "measured", "Held-out images that are sorted rightly."),
}  # fmt: skip


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    data: str = "fashion-mnist"
    """`fashion-mnist` or `digits`."""
    data_dir: Path | None = None
    """Folder that holds the data; None searches the usual places."""
    width: int = 32
    """Channels of the stem; later blocks have up to four times as many."""
    images: int = 8_000
    """Training images, at most."""
    epochs: int = 2
    """Epochs of the net."""
    graphs: int = 1_000
    """Graphs whose price the search asks for, at most."""
    detour: float = 1.05
    """Price of the dearest graph that is searched from, as a multiple of the least found so far."""
    judged: int = 500
    """Held-out images that are answered."""
    compiler: str = "inductor"
    """Backend of torch.compile; `aot_eager` traces the net as `inductor` does, but compiles nothing."""
    timed_s: float = 2.0
    """Longest time of timing an arm in turns with the net as it was written."""


SMOKE = Config(
    data="digits", width=8, images=200, epochs=1, graphs=20, judged=20, compiler="aot_eager", timed_s=0.1
)
DEFAULT = Config()
FULL = Config(width=64, images=55_000, epochs=8, graphs=5_000, judged=10_000, timed_s=30.0)

# --- The tactic ------------------------------------------------------------------------------------------


# --8<-- [start:tactic]
def substitute(
    model: nn.Module,
    inputs: Tensor,
    *,
    detour: float = 1.05,
    most_graphs: int = 1_000,
    rules: Sequence[Rule] = RULES,
    kernels: Sequence[Rule] = KERNELS,
) -> fx.GraphModule:
    """Return a net of the same outputs whose operations take the least processor time that was found.

    Args:
        model: Net in evaluation mode that `torch.fx` can trace; not changed.
        inputs: Of the shape and kind that will be asked, (batch, ...): prices hold for these alone.
        detour: Price of the dearest graph that is searched from, as a multiple of the least one found so far.
        most_graphs: Graphs whose price is asked for.
        rules: What may rewrite a graph.
        kernels: What else may carry out an operation, chosen for the cheapest graph.

    Raises:
        ValueError: No cheaper graph was found, or its outputs differ.
    """
    root = fx.symbolic_trace(copy.deepcopy(model))
    known_s = dict[object, float]()

    def price_s(graph: fx.Graph) -> float:
        prices = Prices(root, graph, known_s)
        prices.run(inputs)
        return prices.total_s

    with torch.no_grad():
        best, least_s = root.graph, price_s(root.graph)
        queue, seen = [(least_s, 0, neighbours(root, best, rules))], {wording(root, best)}
        while queue and queue[0][0] <= detour * least_s and len(seen) < most_graphs:
            graph = next(queue[0][2], None)  # of the cheapest graph that has any left
            if graph is None:
                heapq.heappop(queue)
            elif (words := wording(root, graph)) not in seen:
                seen.add(words)
                found_s = price_s(graph)
                heapq.heappush(queue, (found_s, len(seen), neighbours(root, graph, rules)))
                if found_s < least_s:
                    best, least_s = graph, found_s
        for start in (best, *(everywhere(root, best, [kernel]) for kernel in kernels)):
            for place, kernel in itertools.product(range(len(best.nodes)), (None, *kernels)):
                graph = rewritten(root, start, place, kernel) if kernel else start
                if graph and (found_s := price_s(graph)) < least_s:
                    start, best, least_s = graph, graph, found_s
        found = fx.GraphModule(root, best)
        wanted = model(inputs)
        difference = float((found(inputs) - wanted).abs().max() / wanted.abs().max())
    if best is root.graph:
        raise ValueError("no cheaper graph was found; its operations may be as few as they can be")
    if not difference <= 1e-3:
        raise ValueError(f"outputs differ by {difference:.2g} of the largest one; leave out the wrong rule")
    return found


def neighbours(root: nn.Module, graph: fx.Graph, rules: Sequence[Rule]) -> Iterator[fx.Graph]:
    """Yield all graphs that one rule makes of a graph at one node."""
    for rule, place in itertools.product(rules, range(len(graph.nodes))):
        if new := rewritten(root, graph, place, rule):
            yield new


def everywhere(root: nn.Module, graph: fx.Graph, rules: Sequence[Rule]) -> fx.Graph:
    """Rewrite a graph until no rule applies."""
    while new := next(neighbours(root, graph, rules), None):
        graph = new
    return graph


def rewritten(root: nn.Module, graph: fx.Graph, place: int, rule: Rule) -> fx.Graph | None:
    """Return a copy of a graph in which a rule is applied to the node at a place, or None."""
    node = next(itertools.islice(graph.nodes, place, None))
    if not node.op.startswith("call_") or rule(root, node) is None:
        return None
    new, copies = fx.Graph(), dict[fx.Node, fx.Node]()
    new.output(new.graph_copy(graph, copies))
    edit = rule(root, copies[node])
    assert edit is not None, f"{rule.__name__} sees another graph in a copy"
    edit()
    new.eliminate_dead_code(lambda each: each.op in ("placeholder", "output"))
    return new


# --8<-- [end:tactic]
# --- Prices of graphs -------------------------------------------------------------------------------------


class Prices(fx.Interpreter):
    """Adds up processor time of the operations of a graph; each is timed once for inputs of one layout."""

    def __init__(self, root: nn.Module, graph: fx.Graph, known_s: dict[object, float]) -> None:
        """Look prices up, and add new ones."""
        super().__init__(root, graph=graph)
        self.known_s, self.total_s = known_s, 0.0

    def run_node(self, node: fx.Node) -> Any:  # noqa: ANN401
        """Run an operation, and time it if it is new."""
        if node.op.startswith("call_"):
            args, kwargs = self.fetch_args_kwargs_from_env(node)
            given = (layout_of(self.env[each]) for each in node.all_input_nodes)
            key = (operation(self.module, node), *given)
            if key not in self.known_s:
                self.known_s[key] = least_cpu_s(partial(getattr(self, node.op), node.target, args, kwargs))
            self.total_s += self.known_s[key]
        return super().run_node(node)


def least_cpu_s(call: Callable[[], object], readings: int = 15, reading_s: float = 3e-4) -> float:
    """Return the least processor time of a call: others that use the machine only add to it."""

    def read(calls: int) -> float:
        started_s = time.process_time()
        for _ in range(calls):
            call()
        return (time.process_time() - started_s) / calls

    read(1)
    calls = 1 + int(reading_s / max(read(1), 1e-6))
    return min(read(calls) for _ in range(readings))


def layout_of(value: Tensor) -> tuple[object, ...]:
    """Return what the time of an operation depends on in a tensor."""
    return tuple(value.shape), value.stride(), value.dtype


def operation(root: nn.Module, node: fx.Node) -> str:
    """Return what an operation does, but for the values of weights and inputs; kept at the node."""
    if "does" not in node.meta:
        constants = fx.map_arg((node.args, node.kwargs), lambda _: None)
        layer = root.get_submodule(str(node.target)) if node.op == "call_module" else None
        weights = [layout_of(weight) for weight in layer.parameters()] if layer else []
        node.meta["does"] = f"{node.op} {layer or node.target} {weights} {constants}"
    return str(node.meta["does"])


def wording(root: nn.Module, graph: fx.Graph) -> int:
    """Return a number that graphs of the same operations in the same places share."""
    words = dict[fx.Node, int]()
    for node in graph.nodes:
        words[node] = hash((operation(root, node), *(words[each] for each in node.all_input_nodes)))
    return words[next(reversed(graph.nodes))]


# --- Rivals: each returns what answers one image, (1, 1, height, width) to (1, 10) --------------------------

Answer = Callable[[Tensor], Tensor]


def torchscript(net: nn.Module, image: Tensor) -> Answer:
    """Trace, freeze and optimise a net."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that TorchScript is on its way out
        frozen = torch.jit.freeze(torch.jit.trace(net, image))  # type: ignore[no-untyped-call]
        return torch.jit.optimize_for_inference(frozen)


def compiled(net: nn.Module, image: Tensor, compiler: str) -> Answer:
    """Compile a net, in a cache of its own; with frozen weights it was slower.

    Raises:
        CannotRun: There is no C++ compiler.
    """
    forget_compiled_code()
    call = Compiled(net, compiler).eval()
    with torch.inference_mode():  # what is compiled with gradients in mind is another code
        call(image)
    return call


def onnxruntime(net: nn.Module, image: Tensor, level: str) -> Answer:
    """Export a net, and open it with the optimiser at a level: off, basic or all.

    Raises:
        CannotRun: A package is missing, or the net cannot be exported.
    """
    if missing := missing_extra("onnxruntime"):
        raise CannotRun(missing)
    import onnxruntime as runtime

    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    levels = runtime.GraphOptimizationLevel
    options.graph_optimization_level = {
        "off": levels.ORT_DISABLE_ALL, "basic": levels.ORT_ENABLE_BASIC, "all": levels.ORT_ENABLE_ALL
    }[level]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        try:
            build("onnxruntime", Deployable(net, image, image), Path(folder), batch_size=1, threads=1)
        except CannotRunError as error:
            raise CannotRun(str(error)) from error
        content = (Path(folder) / "net.onnx").read_bytes()
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda image: torch.from_numpy(session.run(None, {INPUT: image.numpy()})[0])


# --- Run -------------------------------------------------------------------------------------------------


def prepared(arm: str, config: Config, net: fx.GraphModule, image: Tensor) -> Answer:
    """Return what answers an image in an arm, and do all that this takes."""
    search = partial(substitute, net, image, detour=config.detour, most_graphs=config.graphs)
    if arm in ("every_rule", "folding_alone"):
        root = fx.symbolic_trace(copy.deepcopy(net))
        rules = RULES if arm == "every_rule" else [fold_norm]
        return fx.GraphModule(root, everywhere(root, root.graph, rules))
    if arm == "torchscript":
        return torchscript(net, image)
    if arm == "compiled":
        return compiled(net, image, config.compiler)
    if arm.startswith("onnxruntime"):
        return onnxruntime(net, image, arm.removeprefix("onnxruntime_"))
    if arm == "tactic_and_onnxruntime":
        return onnxruntime(search(), image, "all")
    searches = {
        "tactic": search,
        "tactic_with_no_detours": partial(search, detour=1.0),
        "tactic_with_rules_alone": partial(search, kernels=()),
    }
    return searches[arm]() if arm in searches else net


def train(net: nn.Module, images: Tensor, labels: Tensor, epochs: int) -> None:
    """Train in place, in the memory format and precision that are fastest; return to those of the net."""
    steps = epochs * -(-len(images) // 128)
    optimiser = torch.optim.SGD(net.parameters(), 0.2, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.2, steps + 1, cycle_momentum=False)
    net.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for _ in range(epochs):
        for chosen in torch.split(torch.randperm(len(images)), 128):  # (128,)
            with training_autocast():
                logits = net(images[chosen]).float()  # (128, 10)
            optimiser.zero_grad()
            F.cross_entropy(logits, labels[chosen]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    net.eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]


def trained_net(config: Config, data: Images, seed: int) -> tuple[nn.Module, int]:
    """Return the net of a seed, which all arms share and the first one trains, and its training images."""
    torch.manual_seed(seed)
    chosen = torch.randperm(len(data.train_images))[: config.images]
    images, labels = data.train_images[chosen], data.train_labels[chosen]
    key = (seed, config.width, config.images, config.epochs, data.used.sha256, inspect.getsource(branches))
    net = branches.branched_net(config.width)
    fill = partial(train, images=images, labels=labels, epochs=config.epochs)
    return load_or_train(net, (key, inspect.getsource(train)), fill).eval(), len(chosen)


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Prepare a trained net as an arm does, and let both answer in turns."""
    data = load_images((config.data,), config.data_dir)
    net, count = trained_net(config, data, seed)
    held_out, labels = data.validation_images, data.validation_labels
    if seed >= 1000:
        held_out, labels = data.test_images, data.test_labels
    held_out, labels = held_out[: config.judged], labels[: config.judged]
    net, image = fx.symbolic_trace(net), data.train_images[:1]  # (1, 1, height, width)
    children_s = sum(os.times()[2:4])
    with meter.window("preparation") as preparing:
        answer = prepared(arm, config, net, image)
    preparation_cpu_s = preparing.cpu_s + sum(os.times()[2:4]) - children_s
    with torch.inference_mode():
        cells = {BASELINE: partial(net, image), "arm": partial(answer, image)}
        readings = interleave(cells, order_seed=seed, cell_s=0.02, half_width=0.005, cap_s=config.timed_s)
        wanted = net(held_out)  # (judged, 10)
        found = torch.cat([answer(one) for one in torch.split(held_out, 1)])
    faster = ratios(readings.cpu_ms)[CONTROL if arm == BASELINE else "arm"].value
    metrics = {
        "answer_cpu_ms": statistics.median(readings.cpu_ms["arm"]),
        "answer_time_fraction": 1 / faster,
        "preparation_cpu_s": 0.0 if arm == BASELINE else preparation_cpu_s,
        "output_difference_fraction": float((found - wanted).abs().max() / wanted.abs().max()),
        "test_accuracy": float((found.argmax(1) == labels).double().mean()),
    }
    saved_s = (statistics.median(readings.cpu_ms[BASELINE]) - metrics["answer_cpu_ms"]) / 1000
    if arm != BASELINE and saved_s > 0:
        metrics["break_even_count"] = preparation_cpu_s / saved_s
    if isinstance(answer, fx.GraphModule):
        metrics["operations"] = float(sum(node.op.startswith("call_") for node in answer.graph.nodes))
    return Outcome(metrics, replace(data.used, train_count=count, test_count=len(labels)))


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
