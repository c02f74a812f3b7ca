"""A cascade: a small net answers the inputs that it is confident about, a large net answers the rest.

Record: tactics/answer-easy-inputs-with-a-small-model.yaml. Papers, of which abstracts were read: Streeter,
"Approximation Algorithms for Cascading Prediction Models", ICML 2018 (arXiv 1802.07697); Wang et al., "Wisdom
of Committees", ICLR 2022 (arXiv 2012.01988); Berestizshevsky and Even (arXiv 1805.10982), where the user
states the accuracy that may be lost and gets thresholds from it. So here, with two nets and one threshold.

The model in use is the large one, a ResNet-8. It is the baseline, the cascade's large net and the teacher of
the others: one net in all arms of a seed. What an arm trains beside it is charged to the arm, with what the
teacher answers; for the cascade, two convolutions and a linear layer. Rivals draw as many examples: `margin`,
a threshold on the distance of the two highest probabilities; `middle_distilled`, one net with about the MACs
that the cascade needs on average; `small_distilled`, the small net alone. Training passes forward in bfloat16
where the processor has it. Timed in float32, one image at a time.

    python -m recipes.answer_easy_inputs_with_a_small_model --arm tactic --seed 0 --preset default

On one processor core the arm that trains the large net takes 60 to 70 s with DEFAULT, the others 10 to 40 s;
with SMOKE 5 s.
"""

from __future__ import annotations

import inspect
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.common.nets import resnet
from recipes.common.nets.checkpoints import load_or_train
from recipes.common.nets.data import Images, load_images
from recipes.common.nets.distillation import distillation_loss, logits_of
from recipes.common.nets.precision import training_autocast
from recipes.common.nets.report import accuracy, accuracy_metric, macs_per_image
from recipes.common.run import cli
from recipes.common.run.contract import Json, Meter, Metric, Outcome
from recipes.common.timing.protocol import interleave, ratios

TACTIC = "answer-easy-inputs-with-a-small-model"
ARMS = ("baseline", "tactic", "margin", "middle_distilled", "small_distilled")
BATCH = 128
Confidence = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Config:
    """Settings of a run; training is counted in examples, so that it lasts as long on any data set."""

    data: tuple[str, ...] = ("fashion-mnist", "digits")
    """Data sets in order of preference; the first whose files are found is used."""
    data_dir: Path | None = None
    """Folder that holds the data; None searches the usual places."""
    large_widths: tuple[int, int, int] = (32, 64, 128)
    """Channels of the large net's blocks."""
    middle_widths: tuple[int, int, int] = (16, 32, 64)
    """Channels of the blocks of `middle_distilled`."""
    small_widths: tuple[int, int] = (16, 32)
    """Channels of the small net's convolutions."""
    large_examples: int = 110_000
    """Examples drawn to train the large net; 55,000 are one epoch of Fashion-MNIST."""
    second_examples: int = 55_000
    """Examples drawn to train the small or the middle net beside it."""
    learning_rate: float = 0.1
    """Peak of all trainings, at 128 examples a step."""
    largest_loss: float = 0.003
    """Validation accuracy that the cascade may lose against its large net, as a fraction."""
    curve_losses: tuple[float, ...] = (0.001, 0.002, 0.005, 0.01, 0.02)
    """Further losses whose cascades are shown in the curve."""
    timed_images: int = 200
    """Test images that are answered one at a time in a call that is timed."""
    timing_cap_s: float = 8.0
    """Time after which no further round of the timing starts."""


SMOKE = Config(
    data=("digits",),
    large_widths=(16, 32, 64),
    middle_widths=(8, 16, 32),
    small_widths=(4, 8),
    large_examples=6_000,
    second_examples=6_000,
    largest_loss=0.01,
    curve_losses=(0.02, 0.05),
    timed_images=20,
    timing_cap_s=0.2,
)
DEFAULT = Config()
FULL = Config(large_examples=1_100_000, second_examples=550_000, timed_images=500)

# --- The tactic ------------------------------------------------------------------------------------------


# --8<-- [start:tactic]
def top_probability(logits: Tensor) -> Tensor:
    """Return the highest probability of each row: (inputs, classes) to (inputs,)."""
    return logits.softmax(1).amax(1)


class Cascade(nn.Module):
    """Answers with a small net, and asks a large one where the small one is not confident.

    Where the confidence is not a number, the large net answers. What a net returns is not written into.

    Attributes:
        threshold: Confidence from which on the small net's answer stands.
    """

    def __init__(
        self, small: nn.Module, large: nn.Module, threshold: float, confidence: Confidence = top_probability
    ) -> None:
        """Join two nets in evaluation mode; both take (inputs, ...) and return (inputs, classes) logits."""
        super().__init__()
        self.small, self.large = small, large
        self.threshold, self.confidence = threshold, confidence

    def forward(self, inputs: Tensor) -> Tensor:
        """Return for each input the logits of the net that answers it, in float32 or what is wider.

        Raises:
            ValueError: The inputs or what a net returns is not one tensor of a row an input, the nets have
                different classes, or one of them is in training mode.
        """
        if not isinstance(inputs, Tensor):
            kind = type(inputs).__name__
            raise ValueError(
                f"inputs: expected one tensor, (inputs, ...), got {kind}; wrap nets that take more"
            )
        answers = self._ask("small", inputs)
        sure = self.confidence(answers) >= self.threshold  # NaN is not, whatever the threshold
        if not sure.all():
            second = self._ask("large", inputs[~sure])
            if second.shape[1] != answers.shape[1]:
                what = f"{second.shape[1]} classes, and the small one {answers.shape[1]}"
                raise ValueError(f"the large net gives {what}: expected the same classes in the same order")
            answers = answers.clone()  # the small net may keep the tensor that it returned
            answers[~sure] = second.to(answers.dtype)
        return answers

    def _ask(self, name: str, inputs: Tensor) -> Tensor:
        """Return the logits of one net, (inputs, classes), in float32 or what is wider."""
        net = self.get_submodule(name)
        which = f"the {name} net, {type(net).__name__},"
        if net.training:
            raise ValueError(f"{which} is in training mode, expected evaluation mode: call eval() on it")
        logits = net(inputs)
        if not isinstance(logits, Tensor):
            raise ValueError(
                f"{which} returns {type(logits).__name__}, expected one tensor of logits, (inputs, classes); "
                "wrap it in a module whose forward returns that tensor alone"
            )
        if logits.ndim != 2 or len(logits) != len(inputs) or not logits.is_floating_point():
            raise ValueError(
                f"{which} returns {logits.dtype} of shape {tuple(logits.shape)} for {len(inputs)} inputs, "
                "expected logits, (inputs, classes), as the confidence is in one answer to one input; where "
                "a net answers each token or pixel, let a wrapper return one row an input"
            )
        return logits.to(torch.promote_types(logits.dtype, torch.float32))


def choose_threshold(
    confidence: Tensor, small_is_right: Tensor, large_is_right: Tensor, *, largest_loss: float
) -> float:
    """Return the lowest threshold at which the cascade is accurate enough; use data held out of training.

    Args:
        confidence: Of the small net in its answers, (inputs,); one that is not a number counts as none.
        small_is_right: Whether its answers are right, (inputs,), of truth values.
        large_is_right: Whether those of the large net are, (inputs,), of truth values.
        largest_loss: Accuracy that may be lost against the large net alone, as a fraction, such as 0.01.

    Raises:
        ValueError: An argument is of another form; or the small net would answer nothing: the cascade would
            be the large net.
    """
    _check_answers(confidence, small_is_right, large_is_right, largest_loss)
    unknown = confidence.isnan()
    ordered, order = confidence.masked_fill(unknown, -torch.inf).sort(descending=True)
    lost = (large_is_right[order].long() - small_is_right[order].long()).cumsum(0)
    accurate = lost <= largest_loss * len(lost) + 1e-9
    last = torch.ones_like(unknown)
    last[:-1] = ordered[1:] < ordered[:-1]  # equal ones stay together
    possible = (accurate & last & ~unknown[order]).nonzero()
    if len(possible) == 0:
        raise ValueError(f"nothing was changed: no input can be left to the small net at {largest_loss:g}")
    return float(ordered[possible[-1]])


def _check_answers(confidence: Tensor, small: Tensor, large: Tensor, largest_loss: float) -> None:
    """Raise where the arguments of `choose_threshold` do not fit together."""
    tensors = {"confidence": confidence, "small_is_right": small, "large_is_right": large}
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            cure = "torch.as_tensor makes one of an array or a list"
            raise ValueError(f"{name}: expected a tensor, got {type(tensor).__name__}; {cure}")
        if tensor.ndim != 1 or len(tensor) != len(confidence) or len(tensor) == 0:
            shapes = f"{tuple(tensor.shape)} beside {tuple(confidence.shape)} of confidence"
            raise ValueError(f"{name}: expected one value an input, (inputs,), at least one, got {shapes}")
    if not confidence.is_floating_point():
        raise ValueError(f"confidence: expected real numbers, got {confidence.dtype}")
    if not small.dtype == large.dtype == torch.bool:
        cure = "compare what the nets answer with the labels first"
        raise ValueError(f"expected truth values of both nets, got {small.dtype} and {large.dtype}; {cure}")
    if not 0 <= largest_loss < 1:
        raise ValueError(f"largest_loss: expected a fraction from 0 to below 1, got {largest_loss:g}")


# --8<-- [end:tactic]
# --- Nets and training -----------------------------------------------------------------------------------


def margin(logits: Tensor) -> Tensor:
    """Return the distance of the two highest probabilities of each row, (inputs,)."""
    top = logits.softmax(1).topk(2, dim=1).values
    return top[:, 0] - top[:, 1]


def small_net(widths: tuple[int, int], image: Tensor) -> nn.Sequential:
    """Build the small net for images like this one, (1, height, width): two strided convolutions."""
    first, second = widths
    side = -(-image.shape[-1] // 4)
    return nn.Sequential(
        nn.Conv2d(len(image), first, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv2d(first, second, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(second * side**2, 10),
    )


class Timed(nn.Module):
    """A net with the processor time of its training beside its weights, so that a stored net keeps it."""

    cpu_s: Tensor

    def __init__(self, net: nn.Module) -> None:
        """Hold an untrained net."""
        super().__init__()
        self.net = net
        self.register_buffer("cpu_s", torch.zeros((), dtype=torch.float64))


def train(
    net: nn.Module, images: Images, examples: int, rate: float, seed: int, teacher: nn.Module | None
) -> None:
    """Train in place; the rate rises over a fifth of the steps, then falls."""
    optimizer = torch.optim.SGD(net.parameters(), rate, momentum=0.9, nesterov=True, weight_decay=5e-4)
    teacher_logits = logits_of(teacher, images.train_images) if teacher else None
    generator = torch.Generator().manual_seed(seed)
    count, steps = len(images.train_images), examples // BATCH
    order = torch.cat([torch.randperm(count, generator=generator) for _ in range(1 + examples // count)])
    net.train()
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * min(
            (step + 1) / (0.2 * steps), (steps - step) / (0.8 * steps)
        )
        chosen = order[BATCH * step : BATCH * (step + 1)]
        with training_autocast():
            logits = net(images.train_images[chosen]).float()
        labels = images.train_labels[chosen]
        if teacher_logits is None:
            loss = F.cross_entropy(logits, labels)
        else:
            loss = distillation_loss(logits, teacher_logits[chosen], labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)  # soft targets have steep gradients
        optimizer.step()
    net.eval()


def trained(
    name: str, config: Config, images: Images, seed: int, meter: Meter, teacher: nn.Module | None = None
) -> Timed:
    """Return a net of this seed, `large`, `middle` or `small`; the last two have a teacher."""
    torch.manual_seed(seed)
    channels = images.train_images.shape[1]
    if name == "small":
        net = small_net(config.small_widths, images.train_images[0])
    else:
        widths = config.middle_widths if name == "middle" else config.large_widths
        net = resnet.resnet8(widths, in_channels=channels)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    examples = config.second_examples if teacher else config.large_examples

    def fit(timed: nn.Module) -> None:
        with meter.window(name) as window:
            train(timed.net, images, examples, config.learning_rate, seed, teacher)  # type: ignore[arg-type]
        timed.cpu_s.fill_(window.cpu_s)  # type: ignore[operator]

    source = [inspect.getsource(part) for part in (train, trained, small_net, resnet, distillation_loss)]
    key = [source, images.used.sha256, name, seed, examples, config.large_examples, config.learning_rate]
    timed = Timed(net)
    load_or_train(timed, [*key, config.large_widths, config.middle_widths, config.small_widths], fit)
    timed.eval()
    return timed


# --- What an arm is judged by ----------------------------------------------------------------------------
# What a net or a cascade of two costs when it answers one image at a time.


def measured_metrics(
    net: nn.Module,
    large: nn.Module,
    images: Sequence[Tensor],
    extra_training_cpu_s: float,
    *,
    order_seed: int,
    cap_s: float,
) -> dict[str, Metric]:
    """Time a net in turns with the large one, in eager PyTorch; one call answers all images, one by one.

    A net that treats images differently has no one time: so each reading goes through all of them.

    Args:
        net: What is timed, in evaluation mode.
        large: What it is compared with, in evaluation mode; where it is `net` itself, the ratio is a control.
        images: Batches of one image.
        extra_training_cpu_s: What was trained beside the large net, in processor time; 0 where nothing was.
        order_seed: Seed of the order within each round.
        cap_s: Time after which no further round starts.
    """

    @torch.inference_mode()
    def answer(model: nn.Module) -> None:
        for image in images:
            model(image)

    cells = {"baseline": partial(answer, large), "arm": partial(answer, net)}
    cpu_ms = interleave(cells, order_seed=order_seed, cap_s=cap_s).cpu_ms
    ratio = 1 / ratios(cpu_ms)["arm"].value
    time_ms = statistics.median(cpu_ms["arm"]) / len(images)
    large_ms = statistics.median((*cpu_ms["baseline"], *cpu_ms["baseline_again"])) / len(images)
    what = "Processor time of one answer, images one at a time, eager PyTorch, float32, one thread"
    turns = f"{what}; over that of the large net, read in turns with it."
    extra = (
        "Processor time of training beside the large net in use, which is there already, with its answers as "
        "a teacher."
    )
    metrics = {
        "inference_cpu_ratio": Metric(ratio, "ratio", "lower", "measured", turns),
        "inference_cpu_ms": Metric(time_ms, "ms", "lower", "measured", f"{what}."),
        "large_inference_cpu_ms": Metric(
            large_ms, "ms", "lower", "measured", f"{what}; of the large net alone."
        ),
        "extra_training_cpu_s": Metric(extra_training_cpu_s, "s", "lower", "measured", extra),
    }
    if extra_training_cpu_s and ratio < 1:
        answers = extra_training_cpu_s * 1000 / (large_ms * (1 - ratio))
        paid = "Answers after which the processor time saved is that of the extra training."
        metrics["answers_until_paid_back"] = Metric(answers, "count", "lower", "measured", paid)
    return metrics


def counted_metrics(macs: float, large_macs: float, small_share: float, net: nn.Module) -> dict[str, Metric]:
    """Return what can be counted as metrics.

    Args:
        macs: Multiply-accumulates of one answer, mean over the test images.
        large_macs: Those of the large net alone.
        small_share: Share of the test images that a small net answers without the large one.
        net: What has to be kept, all nets of a cascade together.
    """
    weights = sum(parameter.numel() for parameter in net.parameters())
    mean = (
        "Multiply-accumulates of one answer, mean over the test images; of both nets where both were asked."
    )
    alone = "Multiply-accumulates of one answer of the large net alone."
    share = "Share of the test images that the small net of a cascade answers without the large one."
    return {
        "macs": Metric(macs, "count", "lower", "counted", mean),
        "large_macs": Metric(large_macs, "count", "lower", "counted", alone),
        "parameters": Metric(
            float(weights), "count", "lower", "counted", "Trainable numbers of all nets kept."
        ),
        "small_share": Metric(small_share, "fraction", "neither", "counted", share),
    }


# --- Run -------------------------------------------------------------------------------------------------


def cascades(
    small: nn.Module, large: nn.Module, confidence: Confidence, config: Config, images: Images
) -> tuple[Cascade, list[dict[str, Json]]]:
    """Return the cascade with its threshold from the validation images, and those of other losses as rows."""
    inputs, labels = images.validation_images, images.validation_labels
    logits, large_is_right = logits_of(small, inputs), logits_of(large, inputs).argmax(1) == labels
    known, small_is_right = confidence(logits), logits.argmax(1) == labels
    choose = partial(choose_threshold, known, small_is_right, large_is_right)
    costs = [macs_per_image(net, inputs) for net in (small, large)]
    rows: list[dict[str, Json]] = []
    for loss in sorted({*config.curve_losses, config.largest_loss}):
        kept = known >= choose(largest_loss=loss)
        right = torch.where(kept, small_is_right, large_is_right).double().mean()
        macs = costs[0] + costs[1] * (1 - float(kept.double().mean()))
        rows.append({"largest_loss": loss, "validation_accuracy": float(right), "macs": macs})
    return Cascade(small, large, choose(largest_loss=config.largest_loss), confidence), rows


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Run one arm with one seed; the test images are read only after every choice has been made."""
    images = load_images(config.data, config.data_dir)
    get = partial(trained, config=config, images=images, seed=seed, meter=meter)
    in_use = get("large")
    large = net = in_use.net
    extra_cpu_s, small_share, rows = 0.0, 0.0, list[dict[str, Json]]()
    ledger = [ledger_row("large, in use", in_use, config.large_examples, charged=False)]
    if arm != "baseline":
        name = "middle" if arm == "middle_distilled" else "small"
        second = get(name, teacher=large)
        net, extra_cpu_s = second.net, float(second.cpu_s)
        ledger.append(ledger_row(name, second, config.second_examples, charged=True))
    large_macs, macs = (macs_per_image(one, images.train_images) for one in (large, net))
    if arm in ("tactic", "margin"):
        confidence = top_probability if arm == "tactic" else margin
        net, rows = cascades(net, large, confidence, config, images)
        answers = confidence(logits_of(net.small, images.test_images)) >= net.threshold
        small_share = float(answers.double().mean())
        macs += (1 - small_share) * large_macs
    validation = accuracy(net, images.validation_images, images.validation_labels)
    curve = rows or [{"validation_accuracy": validation, "macs": macs}]
    singles = images.test_images[: config.timed_images].unsqueeze(1).unbind()
    test = images.test_images, images.test_labels
    metrics = {
        "test_accuracy": accuracy_metric(accuracy(net, *test)),
        "large_test_accuracy": accuracy_metric(accuracy(large, *test), of="the large net alone"),
        **counted_metrics(macs, large_macs, small_share, net),
        **measured_metrics(net, large, singles, extra_cpu_s, order_seed=seed, cap_s=config.timing_cap_s),
    }
    return Outcome(metrics, images.used, {"curve": curve, "trainings": ledger})


def ledger_row(net: str, trained_net: Timed, examples: int, *, charged: bool) -> dict[str, Json]:
    """Return one training, what it took, and whether the arm pays for it."""
    paid = "yes" if charged else "no, the net is there already"
    return {"net": net, "charged": paid, "examples": examples, "cpu_s": float(trained_net.cpu_s)}


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
