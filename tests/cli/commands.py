"""What the tests of the command line share."""

import json
from typing import Any

CLAIM_NEW = ("claim", "new", "--shape", "8,8,1", "--classes", "10")


class Result:
    """What a command did."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)
