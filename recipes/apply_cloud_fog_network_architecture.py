"""Placement over tiers: each stream of requests on its device, an access or metro fog, or the cloud.

Record: tactics/apply-cloud-fog-network-architecture.yaml. After Yosuf et al., "Energy-Efficient AI over a
Virtualized Cloud Fog Network", 2021, of which the abstract was read: a mixed-integer program places nets so
that the power of processing, network and open servers is least. All powers and delays are modelled; nothing
is metered. Real are the nets, of which operations and bytes are counted, and the time of the solver.

The baseline serves all streams in the cloud. `greedy_nearest` takes the nearest tier with room that is in
time, `cheapest_next` what adds least power, one stream after the other; `nearest_fog` and `on_device` use
one tier. Arms `tactic_with_...` split nets, forget idle power, or change the conditions that decide most:
each is then set against the cloud under the same conditions, and its details hold the rivals there.

    python -m recipes.apply_cloud_fog_network_architecture --arm tactic --seed 0 --preset default

On one processor core an arm takes three seconds with DEFAULT, ten with four times the streams, and one with
SMOKE. Seeds draw the streams.
"""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp
from torch import Tensor, nn

from recipes.common.nets.resnet import resnet8
from recipes.common.run import cli
from recipes.common.run.contract import DataUsed, Json, Meter, MetricTable, Outcome
from recipes.common.trial.costs import MacsCounter
from recipes.language.llama import Config as LlamaConfig
from recipes.language.llama import Llama
from recipes.subjects import digits_cnn

TACTIC = "apply-cloud-fog-network-architecture"
ARMS = (
    "baseline",
    "tactic",
    "tactic_with_split_nets",
    "tactic_with_idle_power_forgotten",
    "tactic_with_core_at_23400_nj_a_bit",
    "tactic_with_core_at_666_nj_a_bit",
    "tactic_with_shared_cloud",
    "tactic_with_shared_cloud_and_core_at_666_nj_a_bit",
    "tactic_with_shared_fog",
    "tactic_with_a_quarter_of_the_streams",
    "tactic_with_four_times_the_streams",
    "greedy_nearest",
    "cheapest_next",
    "nearest_fog",
    "on_device",
)
TIERS = ("device", "access fog", "metro fog", "cloud")
CONDITIONS: dict[str, dict[str, Any]] = {
    "tactic_with_split_nets": {"split": True},
    "tactic_with_core_at_23400_nj_a_bit": {"core_j_per_bit": 23.4e-6},
    "tactic_with_core_at_666_nj_a_bit": {"core_j_per_bit": 0.666e-6},
    "tactic_with_shared_cloud": {"idle_caused": (0.0, 1.0, 1.0, 0.0)},
    "tactic_with_shared_cloud_and_core_at_666_nj_a_bit": {
        "idle_caused": (0.0, 1.0, 1.0, 0.0), "core_j_per_bit": 0.666e-6,
    },
    "tactic_with_shared_fog": {"idle_caused": (0.0, 0.0, 0.0, 1.0)},
}  # fmt: skip
"""What arms change of the settings."""
STREAMS = {"tactic_with_a_quarter_of_the_streams": 0.25, "tactic_with_four_times_the_streams": 4}
"""How many times the streams of the settings arms have."""
METRICS: MetricTable = {
    "power_fraction": ("ratio", "lower", "modelled", "Power over that of all in the cloud, same conditions."),
    "power_w": ("W", "lower", "modelled", "Power that the streams cause in all, mean over draws."),
    "processing_power_w": ("W", "lower", "modelled", "Part of it: computing, above idle."),
    "idle_power_w": ("W", "lower", "modelled", "Part of it: servers that are open, at rest."),
    "network_power_w": ("W", "lower", "modelled", "Part of it: radio, metro and core network."),
    "open_servers": ("count", "lower", "modelled", "Servers that are open beside the devices, mean."),
    "longest_delay_ms": ("ms", "lower", "modelled", "Longest delay of what is served, without queues."),
    "in_time_fraction": ("fraction", "higher", "modelled", "Streams that are served within their deadline."),
    "placing_cpu_s": ("s", "lower", "measured", "Processor time of choosing the places of all streams."),
}


@dataclass(frozen=True)
class Config:
    """Settings of a run; tuples hold device, access fog, metro fog and cloud."""

    draws: int = 5
    """Draws of all streams."""
    streams: int = 60
    """Devices, each with one stream of requests to one net; assumed and swept."""
    access_fogs: int = 12
    """Access fogs, at each of which a device may be; assumed."""
    metro_fogs: int = 3
    """Metro fogs, which serve the access fogs in turn; assumed."""
    servers: tuple[int, ...] = (1, 1, 1, 100)
    """Most servers that a node can open; assumed."""
    split: bool = False
    """Whether a net may be cut between two tiers."""
    macs_per_s: tuple[float, ...] = (4.0e9, 35.4e9, 1.22e12, 4.88e12)
    """Multiply-accumulates a second of a server. A Raspberry Pi 4 at 8 GFLOPS of Linpack (Feiereisen 2022,
    feiereisen.net); a Jetson Nano at 921.6 MHz (NVIDIA's manual), 128 lanes: assumed; one T4 and four, each
    of 8.14 TFLOPS (sysrqmts.com). That accelerators reach 0.3 of this is assumed."""
    idle_w: tuple[float, ...] = (2.1, 2.0, 100.0, 100.0)
    """Power of an open server at rest. Raspberry Pi 4 with the firmware of late 2019 (zeusbtc.com); a Jetson:
    assumed; a server of a fog or cloud: fog node of the simulator LEAF (github.com/dos-group/leaf)."""
    busy_w: tuple[float, ...] = (6.41, 10.0, 170.0, 380.0)
    """Power of it under full load: the Pi from the same source, the Jetson's budget (NVIDIA), and 70 W more
    for each T4 (PNY's manual)."""
    overhead: tuple[float, ...] = (1.0, 1.0, 1.5, 1.2)
    """Power drawn from the grid over that of the server; assumed."""
    idle_caused: tuple[float, ...] = (0.0, 1.0, 1.0, 1.0)
    """Share of the idle power that is there for these streams: devices run anyway; assumed and swept."""
    room: float = 0.7
    """Load that a server may have, so that queues stay short; assumed."""
    radio_j_per_bit: float = 300e-9
    """Energy of a bit from a device to its access fog: Wi-Fi of LEAF."""
    core_j_per_bit: float = 6_658e-9
    """Energy of a bit from the access fog to the cloud: wide area network of LEAF, upwards. Swept: 23,400 nJ,
    the 0.052 kWh/GB of edge and core networks (Schien et al. 2015, abstract); and a tenth, assumed."""
    metro_share: float = 0.2
    """Share of that energy between access and metro fog; assumed."""
    round_trip_s: tuple[float, ...] = (0.0, 0.005, 0.01, 0.04)
    """Time there and back between the device and a tier; assumed."""
    link_bits_per_s: float = 10e6
    """Rate at which a device, or the head of a split net, sends; assumed."""
    side: int = 224
    """Pixels of the side of a camera's image; assumed."""
    bits_per_pixel: float = 1.0
    """Of an image as it is sent; assumed."""
    tokens: int = 128
    """Tokens of a text that is asked about; assumed."""
    token_bytes: float = 4.0
    """Of a token as it is sent; assumed."""
    activation_bytes: int = 4
    """Bytes of a value between the layers of a split net: float32."""
    answer_bytes: int = 100
    """Bytes of an answer; assumed."""
    images_per_s: tuple[float, float] = (1.0, 30.0)
    """Least and most images a second of a stream, drawn evenly on a logarithmic scale; assumed."""
    texts_per_s: tuple[float, float] = (0.05, 0.5)
    """The same for texts; assumed."""
    deadlines_s: tuple[float, float] = (0.1, 1.0)
    """Delay that is allowed for an image and for a text; assumed."""
    data_dir: Path | None = None
    """Not used: nets are counted without weights, and streams are drawn."""


SMOKE = Config(draws=1, streams=12, access_fogs=3, metro_fogs=1, side=56, tokens=32)
DEFAULT = Config()
FULL = Config(draws=20, streams=120, access_fogs=24, metro_fogs=6)

Numbers = NDArray[np.float64]
Indices = NDArray[np.int64]

# --- The tactic ------------------------------------------------------------------------------------------


# --8<-- [start:tactic]
def least_power(
    power_w: Numbers, busy: Numbers, stream: Indices, idle_w: Numbers, servers: Indices
) -> Indices:
    """Choose one way of serving each stream so that their power and that of open servers is least.

    Args:
        power_w: What a way adds in processing and network, (ways,).
        busy: Servers of a node that a way keeps busy, (nodes, ways).
        stream: Number of the stream that a way serves, (ways,).
        idle_w: Power of an open server of a node at rest, (nodes,).
        servers: Most that can be open at a node, (nodes,).

    Returns:
        The way of each stream, (streams,).

    Raises:
        ValueError: There is no room for all streams.
    """
    nodes, ways = busy.shape
    serves = sparse.csr_array((np.ones(ways), (stream, np.arange(ways))))  # (streams, ways)
    node, way = busy.nonzero()  # a way needs its nodes open, however small its load: (uses,) each
    uses = np.arange(len(way))
    needs = sparse.csr_array((np.ones(len(way)), (uses, way)), shape=(len(way), ways))
    opens = sparse.csr_array((-np.ones(len(way)), (uses, node)), shape=(len(way), nodes))
    found = milp(
        np.concatenate((power_w, idle_w)),
        integrality=np.ones(ways + nodes),
        bounds=Bounds(0, np.concatenate((np.ones(ways), servers))),
        constraints=[
            LinearConstraint(sparse.hstack((serves, sparse.csr_array((serves.shape[0], nodes)))), 1, 1),
            LinearConstraint(sparse.hstack((sparse.csr_array(busy), -sparse.eye_array(nodes))), -np.inf, 0),
            LinearConstraint(sparse.hstack((needs, opens)), -np.inf, 0),
        ],
        options={"presolve": False, "mip_rel_gap": 1e-6},  # HiGHS' presolve lost optima, as in its issue 1273
    )
    if not found.success:
        raise ValueError(f"no placement found: {found.message}")
    chosen = np.flatnonzero(found.x[:ways] > 0.5)
    return chosen[stream[chosen].argsort()]


# --8<-- [end:tactic]

LANGUAGE_MODEL = LlamaConfig(49_152, 576, 30, heads=9, key_value_heads=3, hidden=1_536)  # SmolLM2-135M

# --- Streams and the ways to serve them --------------------------------------------------------------------


@dataclass(frozen=True)
class Net:
    """What a request to a net asks for."""

    macs: tuple[float, ...]
    """Of its parts, one after the other."""
    sent_bytes: tuple[float, ...]
    """Of the input, and of what leaves each part but the last."""
    deadline_s: float
    per_s: tuple[float, float]


def parts(net: nn.Module, inputs: Tensor) -> Iterator[tuple[float, int]]:
    """Count operations and outputs of the parts of a net; what multiplies nothing joins the one before."""
    macs, values = 0.0, inputs.numel()
    with torch.no_grad():
        for layer in net if isinstance(net, nn.Sequential) else (net,):
            with MacsCounter() as counter:
                inputs = layer(inputs)
            if counter.macs and macs:
                yield macs, values
                macs = 0.0
            macs, values = macs + counter.macs, inputs.numel()
    yield macs, values


@functools.cache
def counted(side: int, tokens: int) -> list[list[tuple[float, int]]]:
    """Count two nets on a camera's images, one on small ones, and a language model, without weights."""
    with torch.device("meta"):
        asked = [
            (resnet8(), torch.empty(1, 1, side, side)),
            (resnet8((32, 64, 128)), torch.empty(1, 1, side, side)),
            (digits_cnn.build_model(), torch.empty(1, 1, 16, 16)),
            (Llama(LANGUAGE_MODEL), torch.empty(1, tokens, dtype=torch.long)),
        ]
        return [[(0.0, inputs.numel()), *parts(net.eval(), inputs)] for net, inputs in asked]


def nets(config: Config) -> list[Net]:
    """Return the nets that streams ask, the one on texts last."""
    found = []
    for number, ((_, given), *rest) in enumerate(counted(config.side, config.tokens), 1):
        text, (macs, values) = number == len(counted(config.side, config.tokens)), zip(*rest, strict=True)
        first = config.token_bytes * given if text else config.bits_per_pixel / 8 * given
        sent = (first, *(config.activation_bytes * count for count in values[:-1]))
        per_s = config.texts_per_s if text else config.images_per_s
        found.append(Net(macs, sent, config.deadlines_s[text], per_s))
    return found


def servers_for(load: Numbers) -> Numbers:
    """Return how many servers a load needs, by the solver's tolerance: one for any load, however small."""
    needed: Numbers = np.maximum(np.ceil(load - 1e-6), load > 0)
    return needed


@dataclass(frozen=True)
class Ways:
    """All ways to serve some streams: where a net runs or, if it is cut, where its tail does."""

    stream: Indices  # (ways,)
    tier: Indices  # (ways,)
    processing_w: Numbers  # (ways,)
    network_w: Numbers  # (ways,)
    delay_s: Numbers  # (ways,)
    late: NDArray[np.bool_]  # (ways,)
    busy: Numbers  # (nodes, ways)
    idle_w: Numbers  # (nodes,)
    servers: Indices  # (nodes,)

    @property
    def power_w(self) -> Numbers:
        """What a way adds, without idle power."""
        return self.processing_w + self.network_w

    def opened(self, chosen: Indices) -> Numbers:
        """Return how many servers of each node have to be open, (nodes,)."""
        return servers_for(self.busy[:, chosen].sum(1))


def ways_of(config: Config, rng: np.random.Generator) -> Ways:
    """Draw nets, rates and places of the streams, and list the ways to serve them."""
    kinds, speed = nets(config), np.array(config.macs_per_s)
    core, radio = config.core_j_per_bit, config.radio_j_per_bit
    per_bit = np.array([0.0, radio, radio + config.metro_share * core, radio + core])  # up to a tier
    rest, full, overhead = (np.array(each) for each in (config.idle_w, config.busy_w, config.overhead))
    per_mac = (full - rest) * overhead / speed
    counts = (config.streams, config.access_fogs, config.metro_fogs, 1)
    starts: Indices = np.cumsum((0, *counts[:3]))
    rows, loads = [], []
    for number in range(config.streams):
        net, fog = kinds[rng.integers(len(kinds))], int(rng.integers(config.access_fogs))
        rate = float(np.exp(rng.uniform(*np.log(net.per_s))))
        places = starts + np.array((number, fog, fog % config.metro_fogs, 0))  # the node of each tier, (4,)
        ways = [(0, 0, tail) for tail in range(4)]
        if config.split:
            ways += [(cut, head, tail) for cut in range(1, len(net.macs))
                     for tail in range(1, 4) for head in range(tail)]  # fmt: skip
        for cut, head, tail in ways:
            work = np.array([sum(net.macs[:cut]), sum(net.macs[cut:])])
            at, first, cut_bytes = [head, tail], net.sent_bytes[0], net.sent_bytes[cut]
            bits_j = 8 * (first * per_bit[head] + cut_bytes * (per_bit[tail] - per_bit[head])
                          + config.answer_bytes * per_bit[tail])  # fmt: skip
            sent = 8 * (first * (head > 0) + cut_bytes * (tail > head))
            delay_s = (work / speed[at]).sum() + sent / config.link_bits_per_s + config.round_trip_s[tail]
            rows.append((number, tail, rate * work @ per_mac[at], rate * bits_j, delay_s))
            load = np.zeros(sum(counts))
            np.add.at(load, places[at], rate * work / (config.room * speed[at]))
            loads.append((load, delay_s > net.deadline_s))
    stream, tier, processing_w, network_w, delay_s = np.array(rows).T
    busy, late = np.array([load for load, _ in loads]).T, np.array([late for _, late in loads])
    idle_w = np.repeat(rest * overhead * config.idle_caused, counts)
    servers = np.repeat(config.servers, counts)
    whole = stream.astype(int), tier.astype(int)
    return Ways(*whole, processing_w, network_w, delay_s, late, busy, idle_w, servers)


# --- Placements --------------------------------------------------------------------------------------------

LATE_W = 1e4  # far above all powers, so that none is late where it can be helped

Price = Callable[[Ways, Indices, Numbers], Numbers]
"""From some ways of one stream and the load of all nodes, to what is taken first; infinite: never."""


def optimum(ways: Ways) -> Indices:
    """Place all streams by the program; see the tactic."""
    return least_power(ways.power_w + LATE_W * ways.late, ways.busy, ways.stream, ways.idle_w, ways.servers)


def idle_power_forgotten(ways: Ways) -> Indices:
    """Place by the program as if open servers took no power at rest."""
    return optimum(replace(ways, idle_w=0 * ways.idle_w))


def one_by_one(price: Price) -> Callable[[Ways], Indices]:
    """Return a placement that serves stream after stream, the heaviest first, where the price is least."""

    def place(ways: Ways) -> Indices:
        load, chosen = np.zeros(len(ways.servers)), []
        weight = np.zeros(ways.stream.max() + 1)
        np.maximum.at(weight, ways.stream, ways.busy.max(0))
        for number in (-weight).argsort(kind="stable"):
            mine = np.flatnonzero(ways.stream == number)
            with_it = load[:, None] + ways.busy[:, mine]  # (nodes, ways of the stream)
            fits = (with_it <= ways.servers[:, None]).all(0)
            prices = np.where(fits, price(ways, mine, load), np.inf)
            if np.isfinite(prices).any():  # else it is not served
                chosen.append(mine[prices.argmin()])
                load = with_it[:, prices.argmin()]
        return np.array(chosen)

    return place


def in_tiers(*tiers: int) -> Price:
    """Take the first of the tiers that has room."""
    order = np.full(len(TIERS), np.inf)
    order[list(tiers)] = range(len(tiers))
    return lambda ways, mine, _: order[ways.tier[mine]]


def nearest_in_time(ways: Ways, mine: Indices, _: Numbers) -> Numbers:
    """Prefer the nearest tier, but rather the farthest that is in time than a late one."""
    prices: Numbers = ways.tier[mine] + float(len(TIERS)) * ways.late[mine]
    return prices


def added_power(ways: Ways, mine: Indices, load: Numbers) -> Numbers:
    """Return the power that a way adds, with that of servers it opens."""
    opened = servers_for(load[:, None] + ways.busy[:, mine]) - servers_for(load)[:, None]
    prices: Numbers = ways.power_w[mine] + ways.idle_w @ opened + LATE_W * ways.late[mine]
    return prices


RIVALS = {
    "baseline": one_by_one(in_tiers(3)),
    "greedy_nearest": one_by_one(nearest_in_time),
    "cheapest_next": one_by_one(added_power),
    "nearest_fog": one_by_one(in_tiers(1, 3)),
    "on_device": one_by_one(in_tiers(0)),
}


def figures_of(ways: Ways, chosen: Indices, streams: int) -> dict[str, float]:
    """Return the modelled figures of a placement."""
    opened = ways.opened(chosen)
    split = {
        "processing_power_w": float(ways.processing_w[chosen].sum()),
        "idle_power_w": float(opened @ ways.idle_w),
        "network_power_w": float(ways.network_w[chosen].sum()),
    }
    return {
        "power_w": sum(split.values()),
        **split,
        "open_servers": float(opened[streams:].sum()),
        "longest_delay_ms": 1000 * float(ways.delay_s[chosen].max(initial=0)),
        "in_time_fraction": float((~ways.late[chosen]).sum()) / streams,
    }


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Place the same streams as the other arms do, and model what that takes."""
    streams = round(config.streams * STREAMS.get(arm, 1))
    config = replace(config, streams=streams, **CONDITIONS.get(arm, {}))
    rng = np.random.default_rng(seed)
    drawn = [ways_of(config, rng) for _ in range(config.draws)]
    forgets = arm == "tactic_with_idle_power_forgotten"
    place = RIVALS.get(arm, idle_power_forgotten if forgets else optimum)
    with meter.window("placing") as placing:
        placed = [place(ways) for ways in drawn]
    rows = [figures_of(*pair, config.streams) for pair in zip(drawn, placed, strict=True)]
    metrics = {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}
    metrics["longest_delay_ms"] = max(row["longest_delay_ms"] for row in rows)
    others: dict[str, dict[str, Json]] = {}
    for name, way in RIVALS.items():
        theirs = [figures_of(ways, way(ways), config.streams) for ways in drawn]
        others[name] = {key: sum(each[key] for each in theirs) / len(theirs)
                        for key in ("power_w", "in_time_fraction")}  # fmt: skip
    metrics["power_fraction"] = metrics["power_w"] / float(others["baseline"]["power_w"])  # type: ignore[arg-type]
    metrics["placing_cpu_s"] = placing.cpu_s / len(drawn)
    tiers = np.concatenate([ways.tier[chosen] for ways, chosen in zip(drawn, placed, strict=True)])
    share = np.bincount(tiers, minlength=4) / (config.draws * config.streams)
    details: dict[str, Json] = {
        "share_of_streams": dict(zip(TIERS, share.tolist(), strict=True)),
        "same_conditions": others,
    }
    checksum = hashlib.sha256(repr(nets(config)).encode()).hexdigest()
    return Outcome(metrics, DataUsed("drawn streams of requests", checksum, 0, 0, config.draws), details)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
