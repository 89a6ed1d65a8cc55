"""What can be set on the SendGrid sandbox. Defaults are documented behaviour, or the stricter reading of it."""

from enum import StrEnum
from typing import Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from infra.local.sandbox.faults import ImportFaults


class OverLong(StrEnum):
    """What becomes of a value longer than its field. The contract gives the lengths and not the consequence."""

    ROW_ERROR = "row_error"  #: the job refuses the contact
    TRUNCATE = "truncate"
    REJECT = "reject"  #: 400 for the whole request


class SendGridFaults(ImportFaults):
    """Faults of the SendGrid sandbox."""

    #: Without one of `marketing.`, `suppression.` or `user.` the routes of that name answer 403.
    scopes: tuple[str, ...] = ("mail.send", "marketing.read", "suppression.read", "user.username.read")
    block_after_4xx: PositiveInt | None = None  #: after so many answers of 4xx everything is 403
    unknown_list_status: Literal[400, 404] = 404  #: of an upsert to a list that does not exist
    name_all_bad_addresses: bool = True  #: a 400 names every malformed address, or only the first
    over_long: OverLong = OverLong.ROW_ERROR
    blank_erases: bool = False  #: an empty text erases what is stored, or is left out
    iso_dates: bool = False  #: date fields take YYYY-MM-DD besides MM/DD/YYYY, or drop it silently
    count_unchanged: bool = False  #: jobs count contacts that stayed the same as updated
    field_delay_s: NonNegativeFloat = (
        0.0  #: a new custom field is unknown to upserts for so long; about 5 s at the real one
    )
    #: What 400s and 404s of look-ups by identifier hold: the `object` of their contract, or the `list` of the others'.
    look_up_error: Literal["object", "list"] = "object"
    failed_exports: NonNegativeInt = 0  #: so many of the next exports end as `failure`
    export_file_bytes: PositiveInt | None = None  #: files of exports are no longer than this; else as was asked for
    contact_limit: NonNegativeInt | None = None  #: room of the plan; a job that would exceed it fails as a whole
    rate_limit: PositiveInt = 600  #: requests per window and route
    search_rate_limit: PositiveInt = 200  #: the same for look-ups
    rate_window_s: PositiveFloat = 60.0
    rate_reset: Literal["seconds", "epoch"] = "seconds"  #: what X-RateLimit-Reset holds; the vendor documents both
