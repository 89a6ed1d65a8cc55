"""What should become of every row of a sample. Known by construction: nothing here reads or judges an address."""

from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    """What a first run should say of a row."""

    PLANNED = "planned"
    DUPLICATE = "duplicate"
    INVALID = "invalid"


class Truth(NamedTuple):
    """One row of a sample."""

    part: str  #: name of its file, without folders
    line: int  #: where it begins; the first line of a file is 1
    verdict: Verdict
    reason: str  #: of a row that is not planned: a word of `exporters.model.reject`
    email: str  #: the address as it should be sent; empty for an invalid row
    values: tuple[str, ...]  #: in the order of `COLUMNS`, without blanks around them, in Unicode NFC
    unusable: frozenset[int]  #: columns whose value is no date, number or telephone number
