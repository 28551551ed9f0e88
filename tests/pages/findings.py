"""What verifying, proving and checking found about a marked model, and the pages on it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wmx import Verdict, Watermark
from wmx.report.ownership import OwnershipReport, report_of_check, report_of_verdict
from wmx.report.reproduce import Files
from wmx.verification.check import Checked
from wmx.verification.evidence import Evidence

CREATED = "2026-11-25T01:02:03Z"
NOTE = "</style></p><script>alert(1)</script>\u202e{{ 7 * 7 }}"
FILES = Files(Path("claims/claim.json"), Path("out/evidence.json"))


@dataclass(frozen=True)
class Case:
    """What was marked, and what verifying, proving and checking found."""

    watermark: Watermark
    verdict: Verdict
    proof: Evidence
    checked: Checked
    unrepeated: Checked

    def owners(self, *, proof: Evidence | None = None) -> OwnershipReport:
        return report_of_verdict(
            self.verdict,
            self.watermark,
            FILES,
            stream=np.random.default_rng(0),
            proof=proof,
            created=CREATED,
        )

    def third_partys(self, checked: Checked) -> OwnershipReport:
        return report_of_check(checked, FILES, stream=np.random.default_rng(0), created=CREATED)
