"""The mixture: what the predictions of all probes are worth together (docs/statistics.md).

Verifying, and checking evidence, both compute their bits here, so that they can never differ.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import log2

import numpy as np
from numpy.typing import NDArray

from wmx.statistics.experts import Bets, Experts, count_hits, log2_mean
from wmx.statistics.hits import binomial_tail, log10_binomial_tail
from wmx.statistics.predictions import Predictions
from wmx.statistics.probe import Group, Probe, log2_share
from wmx.triggers.trigger_slice import TriggerSlice


@dataclass(frozen=True)
class ProbeResult:
    """The bets of all experts on the predictions of one probe.

    Attributes:
        probe: the probe.
        bets: log2(K q_i(y_i)) of each expert, in the order of the triggers.
        log2_share: log2 of the probe's share of the mixture.
    """

    probe: Probe
    bets: Mapping[str, Bets]
    log2_share: float

    @property
    def experts(self) -> dict[str, float]:
        """log2 of each expert's wealth."""
        return {name: float(bet.sum()) for name, bet in self.bets.items()}

    @cached_property
    def bits(self) -> float:
        """log2 of the mean of the experts' wealths."""
        return log2_mean(self.experts.values())

    def running(self, n: int) -> NDArray[np.float64]:
        """Return log2 of the experts' mean wealth after each of n triggers, float64 [n].

        A probe that stopped earlier keeps what it had.
        """
        bets = np.stack(list(self.bets.values()))
        wealths = np.cumsum(np.pad(bets, ((0, 0), (0, n - bets.shape[1]))), axis=1)
        mean: NDArray[np.float64] = np.logaddexp2.reduce(wealths, axis=0) - log2(len(wealths))
        return mean


@dataclass(frozen=True)
class EvidenceScore:
    """The evidence score: what the predictions of all probes are worth together.

    Attributes:
        results: of each probe.
        penalty: bits that are subtracted for choices: of a claim, of a trigger slice, of overrides.
        plain: number of plain probes of each group, for views times the number of views.
        counted: the probe whose hits are counted: the first plain one, which is fixed before any
            label is used; in an evidence, its only one.
        hits: predictions of that probe whose top class is the label.
        n: number of triggers.
        classes: K.
    """

    results: Sequence[ProbeResult]
    penalty: float
    plain: Mapping[Group, int]
    counted: Probe
    hits: int
    n: int
    classes: int

    @property
    def bits(self) -> float:
        """log2 of the mixture's wealth, less the penalty."""
        return mixture_bits(self.results) - self.penalty

    def running_bits(self) -> NDArray[np.float64]:
        """Return :attr:`bits` after each of the n triggers, float64 [n]."""
        wealths = [result.running(self.n) + result.log2_share for result in self.results]
        bits: NDArray[np.float64] = np.logaddexp2.reduce(np.stack(wealths), axis=0)
        return bits - self.penalty

    @property
    def best(self) -> ProbeResult:
        """The result of the probe with the most evidence."""
        return max(self.results, key=lambda result: result.bits)

    @property
    def tail(self) -> Fraction | None:
        """P(that many hits or more by chance), exact; ``None`` for n above 4,096."""
        return binomial_tail(self.hits, self.n, self.classes)

    @property
    def log10_tail(self) -> float:
        """log10 of P(that many hits or more by chance)."""
        return log10_binomial_tail(self.hits, self.n, self.classes)


class Mixture:
    """The experts' bets on the predictions of a suspect; each is made once.

    Shares are fixed by the numbers of plain probes, which depend only on the suspect and the task.

    Args:
        trigger_slice: the triggers and their labels.
        plain: number of plain probes of each group; where it has none, those that were added are
            counted.

    Attributes:
        views: number of views that the suspect has, to be set before any of them is added.
    """

    def __init__(
        self, trigger_slice: TriggerSlice, plain: Mapping[Group, int] | None = None
    ) -> None:
        self.views = 0
        self._trigger_slice = trigger_slice
        self._plain = plain or {}
        self._found: Counter[Group] = Counter()  # plain probes by their group
        self._players: dict[Probe, _Player] = {}

    def __contains__(self, probe: Probe) -> bool:
        return probe in self._players

    @property
    def probes(self) -> list[Probe]:
        """All probes, in the order in which they were added."""
        return list(self._players)

    @property
    def tried(self) -> int:
        """Number of probes that were queried; those that share another's predictions were not."""
        return len({id(player) for player in self._players.values()})

    @property
    def predictions(self) -> dict[Probe, Predictions]:
        """Predictions of each probe, for all triggers or for the first ones if it stopped early.

        Probes that are known to predict the same have the same object.
        """
        joined = {id(player): player.predictions for player in self._players.values()}
        return {probe: joined[id(player)] for probe, player in self._players.items()}

    def predictions_of(self, probe: Probe) -> Predictions:
        """Return the predictions of a probe so far."""
        return self._players[probe].predictions

    def count(self, probe: Probe) -> int:
        """Return the number of triggers that a probe has predictions for."""
        return self._players[probe].count if probe in self else 0

    def takes(self, probe: Probe, predictions: Predictions) -> bool:
        """Say whether predictions have the form of the earlier ones of a probe, if it has any.

        Args:
            probe: the probe.
            predictions: its next ones.
        """
        return probe not in self or self._players[probe].parts[-1].has_columns_of(predictions)

    def add(self, predictions: Mapping[Probe, Predictions]) -> None:
        """Bet on the next predictions of each probe."""
        for probe, given in predictions.items():
            if probe not in self:
                self._enter(probe, _Player(self._trigger_slice))
            self._players[probe].bet(given)

    def add_same(self, probe: Probe, as_probe: Probe) -> None:
        """Give a probe the predictions of another one, as they were seen to be the same.

        Args:
            probe: the new probe.
            as_probe: the one that was queried.
        """
        self._enter(probe, self._players[as_probe])

    def _enter(self, probe: Probe, player: "_Player") -> None:
        self._players[probe] = player
        self._found[probe.group] += probe.is_plain

    def log2_wealth(self, probe: Probe) -> float:
        """Return log2 of the experts' mean wealth for one probe."""
        return self._players[probe].log2_wealth

    def weighted(self, probe: Probe) -> float:
        """Return log2 of a probe's wealth times its share."""
        return self.log2_wealth(probe) + self._log2_share(probe)

    @property
    def bits(self) -> float:
        """log2 of the mixture's wealth, before any penalty."""
        return float(np.logaddexp2.reduce([self.weighted(probe) for probe in self._players]))

    @property
    def best(self) -> Probe:
        """The probe with the largest product of wealth and share."""
        return max(self._players, key=self.weighted)

    def plain_probes(self, group: Group) -> int:
        """Return the number of plain probes of a group, for views times the number of views."""
        views = self.views if isinstance(group, str) else 1
        return self._plain.get(group) or self._found[group] * views

    def score(self, penalty: float, n: int | None = None) -> EvidenceScore:
        """Return the evidence score of all predictions.

        Args:
            penalty: bits to subtract.
            n: number of triggers that were queried; all of the trigger slice if ``None``.
        """
        bets = {id(player): player.bets for player in self._players.values()}
        counted = next((probe for probe in self._players if probe.is_plain), self.probes[0])
        given = self.predictions_of(counted)
        return EvidenceScore(
            results=[
                ProbeResult(probe, bets[id(player)], self._log2_share(probe))
                for probe, player in self._players.items()
            ],
            penalty=penalty,
            plain={probe.group: self.plain_probes(probe.group) for probe in self._players},
            counted=counted,
            hits=count_hits(given, self._trigger_slice.labels[: len(given)]),
            n=len(self._trigger_slice) if n is None else n,
            classes=self._trigger_slice.task.classes,
        )

    def _log2_share(self, probe: Probe) -> float:
        return log2_share(probe, self._trigger_slice.task.kind, self.plain_probes(probe.group))


class _Player:
    """The experts of one probe."""

    def __init__(self, trigger_slice: TriggerSlice) -> None:
        self.parts: list[Predictions] = []
        self.count = 0
        self._labels = trigger_slice.labels
        self._experts: Experts | None = Experts(trigger_slice.task.classes)
        self._bets: dict[str, list[Bets]] = {}
        self._log2_wealths: dict[str, float] = {}

    def bet(self, predictions: Predictions) -> None:
        """Bet on the next predictions."""
        assert self._experts is not None
        labels = self._labels[self.count :][: len(predictions)]
        self.parts.append(predictions)
        self.count += len(predictions)
        found = self._experts.update(predictions, labels)
        if self.count == len(self._labels):
            self._experts = None  # frees its memory, which adds up over many probes
        for name, bets in found.items():
            self._bets.setdefault(name, []).append(bets)
            self._log2_wealths[name] = self._log2_wealths.get(name, 0.0) + float(bets.sum())

    @property
    def log2_wealth(self) -> float:
        return log2_mean(self._log2_wealths.values())

    @property
    def predictions(self) -> Predictions:
        self.parts = [Predictions.joined(self.parts)]
        return self.parts[0]

    @property
    def bets(self) -> dict[str, Bets]:
        self._bets = {name: [np.concatenate(bets)] for name, bets in self._bets.items()}
        return {name: bets for name, (bets,) in self._bets.items()}


def score_predictions(
    predictions: Mapping[Probe, Predictions],
    trigger_slice: TriggerSlice,
    *,
    penalty: float,
    plain: Mapping[Group, int] | None = None,
) -> EvidenceScore:
    """Return the evidence score of predictions for the triggers of a slice.

    Args:
        predictions: of each probe, for all triggers or for the first ones if it stopped early.
        trigger_slice: the triggers and their labels.
        penalty: bits to subtract.
        plain: number of plain probes of each group, where not all are given.
    """
    mixture = Mixture(trigger_slice, plain)
    first: dict[int, Probe] = {}
    for probe, given in predictions.items():
        if id(given) in first:
            mixture.add_same(probe, first[id(given)])
        else:
            mixture.add({probe: given})
            first[id(given)] = probe
    return mixture.score(penalty)


def mixture_bits(results: Sequence[ProbeResult]) -> float:
    """Return log2 of the mean wealth over probes, weighted by their shares."""
    return log2_mean((result.bits for result in results), (result.log2_share for result in results))
