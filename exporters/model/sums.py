"""The sums of promise 1 as people read them: in answers of the API, and in notifications."""

from pydantic import BaseModel, ConfigDict, NonNegativeInt

from exporters.model.run import DeliveryCounts, PlanCounts, RemovalCounts


class Sums(PlanCounts):
    """Both sums: read = invalid + duplicate + withheld + unchanged + planned, with planned = added + changed; and
    planned = delivered + refused + unknown, which a run that was held and never sent anything did not begin.
    """

    delivered: NonNegativeInt
    refused: NonNegativeInt
    unknown: NonNegativeInt

    @classmethod
    def of(cls, planned: PlanCounts, delivered: DeliveryCounts) -> "Sums":
        """From the counts of the plan and of the batches."""
        return cls(**planned.model_dump(), **delivered.model_dump(exclude={"requests"}))


class RemovalSums(BaseModel):
    """The third sum: leavers = removed + absent + refused + unknown."""

    model_config = ConfigDict(frozen=True)

    leavers: NonNegativeInt  #: people of the ledger who are in no segment any more
    removed: NonNegativeInt
    absent: NonNegativeInt  #: were not on the list
    refused: NonNegativeInt
    unknown: NonNegativeInt

    @classmethod
    def of(cls, planned: PlanCounts, counts: RemovalCounts) -> "RemovalSums":
        """From the counts of the plan and of the removals."""
        return cls(leavers=planned.leavers, **counts.model_dump(exclude={"requests"}))
