"""``wmx claim list``: the claims that ``wmx verify`` tests where it is given none."""

from pathlib import Path
from typing import TYPE_CHECKING

from wmx._internal.text import printable
from wmx.cli.common import (
    JsonOption,
    KeyOption,
    RootsOption,
    answer,
    held_to_limits,
    store,
    trusted_roots,
)
from wmx.cli.words import claim_fields, task_text, utc

if TYPE_CHECKING:
    from wmx.protocol.claim import Claim
    from wmx.protocol.dating import Dating

MOST_OF_A_NOTE = 60  # characters; --json has all


@held_to_limits
def list_claims(key: KeyOption = None, roots: RootsOption = None, json: JsonOption = False) -> None:
    """List the claims of your store, oldest first, with the triggers not yet disclosed.

    wmx verify tests them all where it is given no --claim.  To keep one out of that, move its file
    to another folder, and name it with --claim when you need it.
    """
    from wmx.protocol.timestamp import date_claim
    from wmx.verification.ledger import Ledger

    home = store()
    claims = list(home.claims())
    trusted = trusted_roots(roots, claims)
    lines, fields = [], []
    for claim in claims:
        path, dating = home.path_of(claim), date_claim(claim, trusted)
        left = claim.n - Ledger(key or home.key_path, claim).next_start()
        lines.append(_text(claim, path, dating, left))
        fields.append({"path": str(path), **claim_fields(claim, dating), "triggers_left": left})
    number = f"{len(claims)} claim{'' if len(claims) == 1 else 's'}"
    head = f"{number} in {home.folder}" + (", oldest first" if len(claims) > 1 else "")
    answer("claim", "\n".join([head, *lines]), {"claims": fields}, as_json=json)


def _text(claim: "Claim", path: Path, dating: "Dating", left: int) -> str:
    facts = [task_text(claim.task), f"{left} of {claim.n} triggers undisclosed", _date(dating)]
    if claim.note:
        facts.append(f"note: {printable(claim.note, MOST_OF_A_NOTE)}")
    return f"{claim.created}  {'; '.join(facts)}\n  {path}"


def _date(dating: "Dating") -> str:
    if dating.time is not None:
        return f"dated {utc(dating.time)}"
    return "timestamp not trusted here" if dating.refused else "not dated"
