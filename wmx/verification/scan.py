"""The scan: which of several claims verifies on a suspect, and how they share its query budget."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray

from wmx.errors import (
    CannotRunError,
    IntegrityError,
    LimitError,
    QueryBudgetError,
    StoppedError,
    SuspectDiedError,
    WmxError,
)
from wmx.protocol.claim import Claim
from wmx.protocol.task import Task
from wmx.protocol.timestamp import Roots
from wmx.statistics.predictions import Predictions
from wmx.suspect.feeding import Feeding
from wmx.suspect.suspect import Suspect, opened
from wmx.suspect.types import Device
from wmx.verification.verdict import Verdict, judge
from wmx.watermark import Watermark


def verify_any(
    suspect: str | Path | Callable[[NDArray[Any]], Any] | Suspect,
    watermarks: Sequence[Watermark],
    *,
    min_bits: float | None = None,
    roots: Roots = (),
    device: Device = "auto",
) -> Verdict:
    """Test several claims on one suspect and return the verdict of the best match.

    Which claim matches best is for the owner alone, as it depends on triggers that are secret: make
    evidence about a claim that you chose beforehand.

    Args:
        suspect: as in :func:`wmx.verify`.
        watermarks: the claims and their triggers.
        min_bits: required instead of 128, or 64 with a trusted timestamp.
        roots: root certificates of the timestamp authorities that are trusted.
        device: where a file is run.

    Raises:
        CannotRunError, SuspectDiedError: as :func:`wmx.verify`; or no claim fits the suspect.
    """
    with opened(suspect, device) as asked:
        return best_match(asked, watermarks, min_bits=min_bits, roots=roots)[1]


def best_match(
    suspect: Suspect,
    watermarks: Sequence[Watermark],
    *,
    min_bits: float | None = None,
    roots: Roots = (),
    disclosed: Callable[[Claim], int] = lambda _: 0,
    unprepared: Mapping[str, WmxError] = MappingProxyType({}),
) -> tuple[Watermark, Verdict]:
    """Return the claim with the most evidence, and its verdict.

    Which claim that is depends on the suspect's predictions for all triggers of all claims, so it
    is for the owner alone: what is shown to others is about a claim that was named, or the only one
    that fits (:func:`fitting`).

    Claims whose task does not fit the suspect are left out.  On a file or a function all N others
    are tested, until its process dies or a limit is met: then there is nothing left to test them
    with, and what has verified by then stands.  An API is queried for the newest claim first, and
    no more once one verifies; its remaining queries are shared equally by the claims still to come,
    so that what one of them does not use is left to the others.

    What goes wrong with one claim, such as a damaged ledger, is that claim's failure: a yes for
    another stands, and a no is no answer.

    The penalty is log2 N bits, whether all N were tested or not.  Each claim reaches b + log2 N
    bits by chance with probability at most 2**-b / N, whenever its query ends; so any of the N does
    with at most 2**-b, and testing fewer only makes that smaller.  So the penalty covers the choice
    of the claim that is reported, whether it was the first or the last.

    Args:
        suspect: what is queried.
        watermarks: the claims and their triggers.
        min_bits: required instead of 128, or 64 with a trusted timestamp.
        roots: root certificates of the timestamp authorities that are trusted.
        disclosed: number of triggers of a claim, from the first on, that do not count since others
            know them (:meth:`wmx.verification.ledger.Ledger.next_start`).
        unprepared: why other claims have no watermark, by their digests
            (:meth:`wmx.verification.Store.prepared`).  They are among the N, and have failed.

    Returns:
        The watermark and its verdict.  Unless it is positive, it lists the claims for which not all
        triggers were sent for lack of queries, and is no answer if there are any, if any claim
        failed or the suspect did on its triggers, or if these could give no suspect enough bits.

    Raises:
        CannotRunError: no claim fits the suspect, or it cannot be run; or several claims were
            given, and none could be tested.
        WmxError: only one claim was given, or fits, and it could not be tested.
        QueryBudgetError: the query budget does not allow a single trigger.
        SuspectDiedError, LimitError: the process of the suspect died, or a limit was met, before
            any claim verified; the message says at which claim.
    """
    fits = fitting(suspect, watermarks)
    if not fits:
        if unprepared:
            raise _untested(unprepared)
        if len(watermarks) == 1:
            suspect.feedings(watermarks[0].task)  # says why it does not fit
        raise CannotRunError(
            f"none of the {len(watermarks)} claims fits the inputs of {suspect.reference.name}",
            hint="compare them with the claims' tasks: wmx info shows both",
        )
    claims_tried = len(fits) + len(unprepared)
    before = suspect.queries_left
    if before is not None:
        fits.sort(key=lambda one: (one.claim.created, one.claim.digest), reverse=True)
    found: list[tuple[Watermark, Verdict]] = []
    failures = dict(unprepared)
    for place, one in enumerate(fits):
        try:
            start = disclosed(one.claim)
        except StoppedError:
            raise
        except WmxError as failure:
            failures[one.claim.digest] = failure
            continue
        try:
            verdict = judge(
                suspect if before is None else Share(suspect, len(fits) - place),
                one,
                min_bits=min_bits,
                roots=roots,
                claims_tried=claims_tried,
                start=start,
            )
        except StoppedError:
            raise
        except (SuspectDiedError, LimitError) as end:
            if not any(verdict.verified for _, verdict in found):
                raise _at_claim(end, place, fits) from end
            failures |= _left_untested(end, fits[place:])
            break
        except WmxError as failure:  # only this shows which inputs a function takes
            failures[one.claim.digest] = failure
        else:
            found.append((one, verdict))
            if before is not None and verdict.verified:
                break
    if not found:
        raise _untested(failures)
    # a dated claim may verify with fewer bits than another has
    watermark, best = max(found, key=lambda pair: (pair[1].verified, pair[1].bits))
    after = suspect.queries_left
    return watermark, replace(
        best,
        queries=None if before is None or after is None else before - after,
        unread_outputs=suspect.unread_outputs,
        unseen_views=max(verdict.unseen_views for _, verdict in found),
        lacking=() if best.verified else _lacking(fits, found, failures),
        passed_over={
            digest: str(failure)
            for digest, failure in failures.items()
            if not isinstance(failure, QueryBudgetError)
        }
        | ({} if best.verified else _unclear(found, best)),
    )


def fitting(suspect: Suspect, watermarks: Sequence[Watermark]) -> list[Watermark]:
    """Return the claims whose task fits the suspect's inputs; nothing is queried for that.

    Args:
        suspect: the opened suspect.
        watermarks: claims with their triggers.
    """
    return [watermark for watermark in watermarks if _fits(suspect, watermark)]


def _untested(failures: Mapping[str, WmxError]) -> WmxError:
    """Return the error of a scan in which no claim was tested.

    That something is broken is said by exit code only of a single claim: of several, others may
    have been out for other reasons.
    """
    first = next(iter(failures.values()))
    if len(failures) == 1:
        return first
    others = [one for one in failures.values() if not isinstance(one, IntegrityError)]
    if others:
        return others[0]
    return CannotRunError(
        f"none of {len(failures)} claims could be tested; the first: {first}", hint=first.hint
    )


def _at_claim(
    end: SuspectDiedError | LimitError, place: int, fits: Sequence[Watermark]
) -> WmxError:
    """Return the error that ended a scan, which says at which of several claims it did."""
    if len(fits) == 1:
        return end
    at = f"claim {place + 1} of {len(fits)}, {fits[place].claim.digest}"
    return type(end)(f"{end} (at {at})", hint=f"test one claim at a time (--claim), or {end.hint}")


def _left_untested(
    end: SuspectDiedError | LimitError, rest: Sequence[Watermark]
) -> dict[str, WmxError]:
    """Return why the claim at which a scan ended, and those after it, have no verdict."""
    first, *others = (one.claim.digest for one in rest)
    later: WmxError = type(end)(f"not tested after this at an earlier claim: {end}")
    return {first: end, **dict.fromkeys(others, later)}


def _lacking(
    fits: Sequence[Watermark],
    found: Sequence[tuple[Watermark, Verdict]],
    failures: Mapping[str, WmxError],
) -> tuple[str, ...]:
    """Return the claims, in order, for which not all triggers were sent for lack of queries."""
    lacking = {digest for _, verdict in found for digest in verdict.lacking} | {
        digest for digest, failure in failures.items() if isinstance(failure, QueryBudgetError)
    }
    return tuple(one.claim.digest for one in fits if one.claim.digest in lacking)


def _unclear(found: Sequence[tuple[Watermark, Verdict]], best: Verdict) -> dict[str, str]:
    """Return why a no for claims other than the best is none, by their digests."""
    others = [verdict for _, verdict in found if verdict is not best]
    return {
        other.claim: reason
        for other in others
        if (reason := other.too_few or other.failed) is not None
    }


class Share:
    """A suspect that may use only its share of the queries that are left.

    Args:
        inside: the suspect, whose queries are counted.
        parts: number of equal shares, this one included.
    """

    def __init__(self, inside: Suspect, parts: int) -> None:
        self.reference, self.engine = inside.reference, inside.engine
        self.overrides = inside.overrides
        self._inside = inside
        left = inside.queries_left or 0
        self._kept = left - left // parts  # for the other shares

    @property
    def queries_left(self) -> int | None:
        """Number of inputs that may still be sent."""
        left = self._inside.queries_left
        return None if left is None else max(0, left - self._kept)

    @property
    def unread_outputs(self) -> int:
        """Number of outputs of the inner suspect that were not read in full."""
        return self._inside.unread_outputs

    def leave_out(self, readings: Iterable[str]) -> None:
        """Count outputs of the inner suspect as unread; as :meth:`Suspect.leave_out`."""
        self._inside.leave_out(readings)

    def feedings(self, task: Task) -> list[Feeding]:
        """Return the feedings of the inner suspect."""
        return self._inside.feedings(task)

    def predictions(
        self,
        feeding: Feeding,
        inputs: NDArray[Any],
        task: Task,
        scaling: str | None = None,
        rows: int | None = None,
    ) -> dict[str, Predictions]:
        """Return the predictions of the inner suspect; as :meth:`Suspect.predictions`."""
        return self._inside.predictions(feeding, inputs, task, scaling, rows)

    def views(self, *, anew: bool = False) -> Mapping[str, Callable[[], Suspect]]:
        """Return the views of the inner suspect; as :meth:`Suspect.views`."""
        return self._inside.views(anew=anew)

    def reopened(self) -> Suspect:
        """Return itself: a suspect that counts queries cannot be reset."""
        return self

    def close(self) -> None:
        """Do nothing: whoever opened the inner suspect closes it."""


def _fits(suspect: Suspect, watermark: Watermark) -> bool:
    try:
        suspect.feedings(watermark.task)
    except CannotRunError:
        return False
    return True
