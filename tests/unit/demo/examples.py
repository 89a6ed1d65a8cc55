"""Two people, an account, and a run, for tests of the demo."""

from typing import Any

from infra.local.demo.following import Followed
from infra.local.sample.accounts import Account, Field
from infra.local.sample.people import COLUMNS, DATE_OF_BIRTH
from infra.local.sample.truth import Truth, Verdict

ACCOUNT = Account(
    provider="sendgrid",
    title="SendGrid",
    url="http://127.0.0.1:1",
    list_id="list-1",
    import_route="PUT /v3/marketing/contacts",
    max_contacts=100,
    max_bytes=1_000,
    nested="custom_fields",
    date_format="%m/%d/%Y",
    fields=(
        Field(column="FirstName", key="first_name", max_chars=5),
        Field(column="Telephone", key="phone", kind="phone"),
        Field(column="LifetimeValue", key="e1_N", kind="number", nested=True),
        Field(column="DateOfBirth", key="e2_D", kind="date", nested=True),
    ),
    mapping={},
)


def person(
    email: str = "ana@example.com",
    *,
    line: int = 2,
    verdict: Verdict = Verdict.PLANNED,
    reason: str = "",
    unusable: frozenset[int] = frozenset(),
    **values: str,
) -> Truth:
    """Someone in part a.csv with these values."""
    row = tuple(values.get(column, "") for column in COLUMNS)
    return Truth("a.csv", line, verdict, reason, email, row, unusable)


ANA = person(FirstName="Ana", Telephone="+999 1 2", LifetimeValue="012.50", DateOfBirth="1990-12-31")
BO = person("bo@example.com", line=3, FirstName="Bo", DateOfBirth="never", unusable=frozenset({DATE_OF_BIRTH}))

ANA_STORED: dict[str, Any] = {
    "email": "ana@example.com",
    "first_name": "Ana",
    "phone": "99912",
    "custom_fields": {"e1_N": 12.5, "e2_D": "12/31/1990"},
}
BO_STORED: dict[str, Any] = {"email": "bo@example.com", "first_name": "Bo"}

SUMS = {
    "read": 4,
    "invalid": 1,
    "duplicate": 1,
    "withheld": 0,
    "unchanged": 0,
    "planned": 2,
    "delivered": 1,
    "refused": 1,
    "unknown": 0,
}


def view(**changes: Any) -> dict[str, Any]:
    """A run as the API shows it at its end."""
    return {
        "status": "completed_with_warnings",
        "step": "ended",
        "finished": "2026-11-22T08:00:00Z",
        "waiting_until": None,
        "sums": SUMS,
        "batches": 2,
        "batches_ended": 2,
        "requests": 2,
        "bytes": 1_200,
        **changes,
    }


def followed(**changes: Any) -> Followed:
    return Followed(view=view(**changes), seconds=1.25, peak_mb=100.4)
