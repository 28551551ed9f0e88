"""Why a comparison decides or does not, in plain words."""

from collections.abc import Sequence

from wmx.disputes.decision import Case, Comparison, Mark
from wmx.timestamp import Dating


def reasons(comparison: Comparison, cases: Sequence[Case]) -> list[str]:
    """Return one sentence on the timestamps of a pair and one on its originals, and what follows.

    Args:
        comparison: of two of ``cases``.
        cases: those that were compared.
    """
    first, second = (
        next(case for case in cases if case.name == name) for name in comparison.parties
    )
    found = [_on_timestamps(comparison, first, second), _on_originals(comparison, first, second)]
    if comparison.is_contradictory:
        found.append("timestamps and originals contradict each other, so neither is ahead")
    return found


def _on_timestamps(comparison: Comparison, first: Case, second: Case) -> str:
    undated = [case.name for case in (first, second) if not case.dating.is_trusted]
    if comparison.by_timestamps is not None:
        return f"timestamps: {comparison.by_timestamps} is earlier, beyond what both may be off"
    if len(undated) == 2:
        return "timestamps: neither has one that is trusted here"
    if undated:
        return (
            f"timestamps: {undated[0]} has none that is trusted here, and a single one decides "
            "nothing: a claim without is not shown to be later"
        )
    return f"timestamps: {_margin(first.dating)} and {_margin(second.dating)} overlap"


def _on_originals(comparison: Comparison, first: Case, second: Case) -> str:
    if comparison.by_originals is not None:
        ahead = comparison.by_originals
        behind = next(name for name in comparison.parties if name != ahead)
        return f"originals: that of {behind} carries the mark of {ahead}, and not the reverse"
    without = [case.name for case in (first, second) if case.original is None]
    if without:
        return (
            f"originals: {' and '.join(without)} gave none, and one alone decides nothing: "
            "anybody can make a model with his own mark only"
        )
    spoilt = [case for case in (first, second) if (case.original or {})[case.name] != Mark.carried]
    if spoilt:
        names = " and ".join(case.name for case in spoilt)
        return f"originals: that of {names} does not carry its own party's mark, so it is none"
    theirs = {(first.original or {})[second.name], (second.original or {})[first.name]}
    if theirs == {Mark.lacking}:
        return "originals: each carries its own mark alone; one was made for this, or both"
    if theirs == {Mark.carried}:
        return "originals: each carries both marks"
    return "originals: in one of them a mark is neither carried nor lacking"


def _margin(dating: Dating) -> str:
    seconds = dating.accuracy.total_seconds()
    return f"{dating.time:%Y-%m-%dT%H:%M:%SZ} give or take {seconds:g} s"
