"""What can be set on the Brevo sandbox. Defaults are documented behaviour, or the stricter reading of it."""

from enum import StrEnum
from typing import Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from infra.local.sandbox.faults import ImportFaults


class SmsDuplicate(StrEnum):
    """What becomes of a row whose phone number belongs to another contact."""

    REPORT = "report"  #: the row is not taken and stands in the report of duplicate phone numbers
    MERGE = "merge"  #: the other contact is merged into this one and deleted, as the help centre tells


class BrevoFaults(ImportFaults):
    """Faults of the Brevo sandbox."""

    ip_blocked: bool = False  #: 401 that blames the address of the caller
    unknown_list_status: Literal[400, 404] = 400  #: of an import to a list that does not exist
    parallel_imports_stick: bool = True  #: an import that arrives while another runs stays queued for ever
    failed_jobs: NonNegativeInt = 0  #: so many of the next processes end as `failed` and take nobody
    #: So many of the next processes end as `cancelled`, their work done all the same.
    cancelled_jobs: NonNegativeInt = 0
    report_numbers: bool = False  #: processes tell counts where links to reports are expected
    export_link: Literal["html", "url"] = "html"  #: what `export_url` holds; contract and SDK differ
    unreachable_file: Literal["failed", "stuck"] = "failed"  #: the process of a `fileUrl` that cannot be read
    sms_duplicates: SmsDuplicate = SmsDuplicate.REPORT
    notify_with_form: bool = False  #: callbacks hold `proc_success=<id>`, or nothing at all
    contacts_per_second: PositiveInt = 10  #: everything below /v3/contacts/
    contacts_per_hour: PositiveInt = 36_000
    others_per_hour: PositiveInt = 100  #: everything else, processes among it
    hour_s: PositiveFloat = 3600.0  #: length of an hour, to shorten rehearsals
