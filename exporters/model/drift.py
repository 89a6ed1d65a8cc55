"""Drift: how the people on a list differ from the ledger, as a reconciliation found them."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, NonNegativeInt

from exporters.model.names import RunId


class DriftKind(StrEnum):
    """What is not as the ledger says about somebody."""

    MISSING = "missing"  #: was delivered, and is not on the list
    STRANGER = "stranger"  #: is on the list, and this export has not put them there


class DriftCounts(BaseModel):
    """Two sums: known = both + missing + unsure, and listed = both + strangers + those of the unsure who are on it."""

    model_config = ConfigDict(frozen=True)

    known: NonNegativeInt = 0  #: people in the ledger
    listed: NonNegativeInt = 0  #: people on the list
    both: NonNegativeInt = 0  #: delivered, and on the list
    missing: NonNegativeInt = 0
    strangers: NonNegativeInt = 0
    unsure: NonNegativeInt = 0  #: people in the ledger of whom it is not known whether they were delivered

    @property
    def closes(self) -> bool:
        """Whether the sums hold."""
        on_list = self.both + self.strangers
        return self.known == self.both + self.missing + self.unsure and on_list <= self.listed <= on_list + self.unsure

    @property
    def found(self) -> bool:
        """Whether list and ledger differ."""
        return bool(self.missing or self.strangers)


class Drift(DriftCounts):
    """The same, and what it is true for. Stored with the run, and as metadata of the file of those people."""

    ledger: RunId  #: the run whose ledger was compared

    def metadata(self) -> dict[str, str]:
        """As blob metadata; `Drift.model_validate` reads it."""
        return {name: str(value) for name, value in self.model_dump().items()}
