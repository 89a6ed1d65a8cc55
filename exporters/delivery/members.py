"""Members: ask the provider who is on a run's list, for a reconciliation or before many people are removed."""

from exporters.delivery.inquiry import Inquiry, Part
from exporters.model.run import Run
from exporters.planning.members import encode_members
from exporters.providers.base import Provider
from exporters.storage import paths


def inquiry(run: Run) -> Inquiry:
    """The question of a run for the people on its list."""

    def ask(provider: Provider, token: str | None) -> Part:
        answer = provider.members(run.export.list_id, token)
        return Part(data=encode_members(answer.rows), token=answer.token, wait_s=answer.wait_s)

    return Inquiry(
        folder=paths.members(run.id),
        ask=ask,
        about="who is on the list",
        remedy="look at the list there",
    )
