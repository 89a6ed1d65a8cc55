"""SendGrid Marketing Campaigns: contacts are added or updated by `PUT /v3/marketing/contacts`, as a job of its own.

https://www.twilio.com/docs/sendgrid/api-reference/contacts
"""

import json
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import ClassVar
from urllib.parse import parse_qs, quote, urlsplit
from uuid import UUID

from pydantic import AwareDatetime, ConfigDict, Field, RootModel, SecretStr, model_validator

from exporters.errors import AccessError, ConfigError, ExporterError, RefusedError, TransientError
from exporters.model.connection import Connection
from exporters.model.export import Mapping as FieldMapping
from exporters.model.fields import ContactShape, FieldType, StandardField, TargetField, custom_name, email_field
from exporters.model.source import Source
from exporters.providers import people as people_files
from exporters.providers import reports, wording
from exporters.providers.base import (
    Access,
    AccountField,
    BatchLimits,
    ContactList,
    Envelope,
    JobReport,
    JobState,
    Lists,
    Member,
    Members,
    Refusal,
    Removal,
    Suppression,
    SuppressionKind,
    Suppressions,
)
from exporters.providers.hosts import checked_base_url
from exporters.providers.http import (
    QUESTION_FAMILIES,
    Answer,
    AnswerModel,
    Api,
    KeyHeader,
    Window,
    header_count,
    header_number,
)
from exporters.providers.states import job_state, unknown_job

BASE_URL = "https://api.sendgrid.com"
#: The second one serves EU-pinned subusers. https://www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api
HOSTS = ("api.sendgrid.com", "api.eu.sendgrid.com")

JOB_STATES: Mapping[
    str, JobState
] = {  # https://www.twilio.com/docs/sendgrid/api-reference/contacts/import-contacts-status
    "pending": JobState.PENDING,
    "completed": JobState.DONE,
    "errored": JobState.DONE,  # finished, some contacts failed
    "failed": JobState.FAILED,
}

#: The same for the export of a list.
#: https://www.twilio.com/docs/sendgrid/api-reference/contacts/export-contacts-status
EXPORT_STATES: Mapping[str, JobState] = {
    "pending": JobState.PENDING,
    "ready": JobState.DONE,
    "failure": JobState.FAILED,
}
#: Size in MB at which SendGrid begins another file of an export: some 80,000 contacts of 250 bytes, so that a file is
#: one part of our answers. It would be 5,000. https://www.twilio.com/docs/sendgrid/api-reference/contacts/export-contacts
EXPORT_FILE_MB = 20
#: Ours: questions for an export before we give up; with the waits of `poll_delays_s` an hour.
EXPORT_QUESTIONS = 60
LIST_TOO_LARGE = "divide the people among several lists"

#: Our field -> its key in the body and its longest text.
#: https://www.twilio.com/docs/sendgrid/api-reference/contacts/add-or-update-a-contact
STANDARD_FIELDS: Mapping[StandardField, tuple[str, int | None]] = {
    StandardField.FIRST_NAME: ("first_name", 50),
    StandardField.LAST_NAME: ("last_name", 50),
    StandardField.ADDRESS_LINE_1: ("address_line_1", 100),
    StandardField.ADDRESS_LINE_2: ("address_line_2", 100),
    StandardField.CITY: ("city", 60),
    StandardField.STATE: ("state_province_region", 50),
    StandardField.POSTAL_CODE: ("postal_code", None),
    StandardField.COUNTRY: ("country", 50),
}

#: https://www.twilio.com/docs/sendgrid/api-reference/custom-fields/create-custom-field-definition
FIELD_TYPES: Mapping[str, FieldType] = {
    "Text": FieldType.TEXT,
    "Number": FieldType.NUMBER,
    "Date": FieldType.DATE,
}
#: https://github.com/sendgrid/docs/blob/c3eb3fe/content/docs/ui/managing-contacts/custom-fields.md
MAX_CUSTOM_TEXT_CHARS = 1000
#: The only order that every help page names; whether ISO dates are taken is nowhere said.
#: https://www.twilio.com/docs/sendgrid/ui/managing-contacts/formatting-a-csv
DATE_FORMAT = "%m/%d/%Y"

REMEDIES: Mapping[int, str] = {
    401: "the API key is wrong, was deleted or has expired; store a valid one in the connection's secret",
    403: "the API key lacks the Marketing right, or the plan has no Marketing Campaigns; "
    "give the key full access to Marketing; after many bad requests SendGrid also answers so for some minutes",
    404: "the list does not exist; copy its id from the address of the list's page in SendGrid",
    451: "the account's data residency forbids it; look at the account's region in SendGrid",
}

#: Resets above this are Unix times, below it seconds: the general page shows the one, other pages and recorded traffic
#: the other. https://www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/rate-limits
EPOCH_RESETS_ABOVE = 1_000_000_000
#: Ours. Windows are a minute long; a wait beyond this is a misread header.
MAX_WAIT_S = 300.0

UNKNOWN_FIELDS_TEXT = "invalid custom field ids"

#: SendGrid's lists of addresses that it mails nothing to, in the order they are read. Unsubscribe groups are left out:
#: who left one group may still get everything else.
#: https://github.com/twilio/sendgrid-oai/blob/2a6ae18/spec/json/tsg_suppressions_v3.json
SUPPRESSION_LISTS: Mapping[str, SuppressionKind] = {
    "unsubscribes": SuppressionKind.UNSUBSCRIBED,
    "bounces": SuppressionKind.BOUNCED,
    "spam_reports": SuppressionKind.SPAM_REPORT,
}
SUPPRESSIONS_PER_PAGE = 500  # the most; pages are asked for by offset, there is no cursor; same document
SUPPRESSIONS_REMEDY = (
    "the API key may not read who is suppressed; give it read access to Suppressions, or switch withhold off in the "
    "export"
)


#: The most. https://www.twilio.com/docs/sendgrid/api-reference/lists/get-all-lists
LISTS_PER_PAGE = 1000
#: What a 400 to a new list can mean, where it does not say. An account has 1,000 lists at most, and others report that
#: a name that is there already is refused: https://www.twilio.com/docs/sendgrid/api-reference/lists/create-list,
#: https://github.com/podkrepi-bg/api/pull/634
NEW_LIST_REFUSED = "it has a list of that name, or 1,000 lists, which is the most"


class _List(AnswerModel):
    name: str
    contact_count: int | None = None


class _ListRow(_List):
    id: str


class _Page(AnswerModel):
    next: str | None = None


class _ListPage(AnswerModel):
    result: list[_ListRow]
    metadata: _Page = Field(default=_Page(), alias="_metadata")


class _FieldDefinition(AnswerModel):
    id: str = ""
    name: str
    field_type: str = ""


class _FieldDefinitions(AnswerModel):
    custom_fields: list[_FieldDefinition] | None = None
    reserved_fields: list[_FieldDefinition] | None = None


class _Accepted(AnswerModel):
    job_id: str


class _Results(AnswerModel):
    errored_count: int | None = None
    errors_url: str | None = None


class _Error(AnswerModel):
    field: str | None = None
    message: str | None = None


class _Job(AnswerModel):
    status: str
    results: _Results | None = None  # its keys are missing while they are zero or unknown
    errors: list[_Error] | None = None  # not in the contract; every other answer says in it what went wrong


class _Errors(AnswerModel):
    """What is wrong with a request: `ErrorResponse` of the contract, or its `ContactsError` as the only one.

    Look-ups by identifier answer the latter, the older ones the former.
    https://www.twilio.com/docs/sendgrid/api-reference/contacts/get-contacts-by-identifiers
    """

    errors: list[_Error]

    @model_validator(mode="before")
    @classmethod
    def _one_alone(cls, data: object) -> object:
        alone = isinstance(data, dict) and "errors" not in data and isinstance(data.get("message"), str)
        return {"errors": [data]} if alone else data


class _Count(AnswerModel):
    contact_count: int
    billable_count: int | None = None


class _Suppressed(AnswerModel):
    email: str
    created: AwareDatetime | None = None  # a Unix time in the answer


class _SuppressedPage(RootModel[list[_Suppressed]]):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class _User(AnswerModel):
    user_id: int | str  # a number by contract


class _ExportStarted(AnswerModel):
    id: str


class _Export(AnswerModel):
    status: str
    urls: list[str] | None = None
    contact_count: int | None = None


class _Contact(AnswerModel):
    id: str
    list_ids: list[str]


class _Match(AnswerModel):
    contact: _Contact | None = None  # missing beside an "error" for an address that nobody has


class _Matches(AnswerModel):
    result: dict[str, _Match]


class SendGrid:
    """One SendGrid account."""

    name: ClassVar[str] = "sendgrid"
    title: ClassVar[str] = "SendGrid"
    # "30,000 contacts, or 6MB of data, whichever is lower": the smaller reading of MB, measured on the whole body, so
    # there is no margin on top. https://www.twilio.com/docs/sendgrid/api-reference/contacts/add-or-update-a-contact
    limits: ClassVar[BatchLimits] = BatchLimits(max_contacts=30_000, max_body_bytes=6_000_000)
    #: Ours: SendGrid names no limit. A job takes half a minute or more, so many at once keep a large export moving.
    jobs_in_flight: ClassVar[int] = 16
    #: Ours. A job of one contact was seen to take 30 seconds.
    poll_delays_s: ClassVar[Sequence[float]] = (1.5, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
    #: Ours, from the "few hours" that exports of 100,000 profiles may take.
    #: https://learn.microsoft.com/dynamics365/customer-insights/data/export-sendgrid
    job_deadline_s: ClassVar[float] = 6 * 3600.0
    #: Addresses that can be looked up at once.
    #: https://www.twilio.com/docs/sendgrid/api-reference/contacts/get-contacts-by-identifiers
    removal_limit: ClassVar[int] = 100
    #: Ids of 36 characters and "%2C" make 7,800 of the 8,150 characters that were found to fit into a URL.
    #: https://github.com/rudderlabs/rudder-transformer/blob/c98d160/src/v0/destinations/sendgrid/config.js
    removal_limit_by_id: ClassVar[int] = 200
    #: Ours. A job takes half a minute, which makes five questions. With addresses 100 people take a look-up, a removal
    #: and five questions; with ids 200 people take a removal and five questions. To read the list takes a request and
    #: five questions, the last of which brings the first file, and one for each further file of 80,000 people. With n
    #: leavers and f files 0.07 n > 0.03 n + 5 + f: from 151 leavers on a short list, 451 on one of a million people.
    listing_pays_from: ClassVar[int | None] = 500
    suppressions_at_once: ClassVar[bool] = True
    #: 100,000 profiles in total, which can take a few hours: read as three.
    #: https://learn.microsoft.com/dynamics365/customer-insights/data/export-sendgrid
    stated_limit: ClassVar[int] = 100_000
    pace_per_minute: ClassVar[float] = 100_000 / 180
    max_list_name: ClassVar[int] = 100  # https://www.twilio.com/docs/sendgrid/api-reference/lists/create-list
    standard_names: ClassVar[Mapping[StandardField, str]] = {field: key for field, (key, _) in STANDARD_FIELDS.items()}

    def __init__(
        self,
        connection: Connection,
        key: SecretStr,
        *,
        base_url: str = BASE_URL,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Raises ConfigError for an address that the key may not travel to, AccessError for what cannot be a key."""
        self._field_names = connection.field_names
        self._api = Api(
            title=self.title,
            base_url=checked_base_url(base_url, HOSTS),
            auth=KeyHeader("Authorization", key, prefix="Bearer "),
            remedy=lambda answer: REMEDIES.get(answer.status),
            read_window=read_window,
            max_wait_s=MAX_WAIT_S,
            now=now,
        )

    @property
    def not_before_s(self) -> float | None:
        return self._api.not_before_s

    @property
    def polls_not_before_s(self) -> float | None:
        return None  # jobs are asked for under the limit of everything else

    @staticmethod
    def canonical_list_id(list_id: str) -> str:
        return _checked_list_id(list_id)

    def check_access(self, list_id: str, mapping: FieldMapping, *, count_account: bool = False) -> Access:
        target = self._list(list_id)
        return Access(
            list_name=target.name,
            list_count=target.contact_count,
            shape=self._shape(mapping),
            account_contacts=self._count() if count_account else None,
        )

    def envelope(self, list_id: str) -> Envelope:
        target = json.dumps(_checked_list_id(list_id)).encode()
        return Envelope(head=b'{"list_ids":[' + target + b'],"contacts":[', tail=b"]}")

    def submit(self, list_id: str, contacts: Sequence[bytes]) -> str:
        envelope = self.envelope(list_id)
        body = envelope.head + b",".join(contacts) + envelope.tail
        what = "the import"
        answer = self._api.send("PUT", "/v3/marketing/contacts", body, what=what, accept={400})
        if answer.status == 400:
            raise _refusal(answer, len(contacts))
        # 202 by contract, 200 in recorded traffic, the same body in both.
        return self._api.read(answer, _Accepted, what=what).job_id

    def import_runs(self) -> bool:
        return False  # nothing tells; imports do not disturb each other

    def poll(self, job_id: str) -> JobReport:
        what = "the question for an import job"
        # A fresh job may be unknown for a while: https://github.com/sendgrid/sendgrid-go/issues/366
        answer = self._api.get(f"/v3/marketing/contacts/imports/{quote(job_id, safe='')}", what=what, accept={400, 404})
        if answer.status in {400, 404}:
            return unknown_job(provider=self.name)
        job = self._api.read(answer, _Job, what=what)
        state = job_state(job.status, JOB_STATES, provider=self.name)
        return JobReport(state=state) if state is JobState.PENDING else _ended(job, state)

    def suppressions(self, token: str | None) -> Suppressions:
        """One page of one list, of `SUPPRESSION_LISTS`; the token is the list's name and the place in it.

        Somebody who is taken off the list between two pages hides one other, whom SendGrid mails nothing all the same.
        """
        name, _, offset = (token or f"{next(iter(SUPPRESSION_LISTS))}:0").partition(":")
        what = "the question for suppressions"
        answer = self._api.get(
            f"/v3/suppression/{name}",
            what=what,
            params={"limit": str(SUPPRESSIONS_PER_PAGE), "offset": offset},
            accept={403},
        )
        if answer.status == 403:
            raise AccessError(f"SendGrid answered 403 to {what}: {SUPPRESSIONS_REMEDY}.")
        page = self._api.read(answer, _SuppressedPage, what=what).root
        kind = SUPPRESSION_LISTS[name]
        return Suppressions(
            rows=[Suppression(email=item.email.lower(), kind=kind, since=item.created) for item in page],
            token=_next_token(name, int(offset), page_is_full=len(page) >= SUPPRESSIONS_PER_PAGE),
        )

    def account(self) -> str | None:
        """The number of the user that the key belongs to, which stays when the user gets another name.

        It takes the scope `user.username.read`, which a key for Marketing alone does not have; that 403 is the answer
        then is not documented for it.
        https://www.twilio.com/docs/sendgrid/api-reference/users-api/retrieve-your-username
        """
        what = "the question for the account"
        answer = self._api.get("/v3/user/username", what=what, accept={403})
        return None if answer.status == 403 else str(self._api.read(answer, _User, what=what).user_id)

    def lists(self, token: str | None) -> Lists:
        """A page of lists, in the order of SendGrid; the token is the one of its own pages.

        https://www.twilio.com/docs/sendgrid/api-reference/lists/get-all-lists
        """
        what = "the question for the lists"
        params = {"page_size": str(LISTS_PER_PAGE)} | ({} if token is None else {"page_token": token})
        page = self._api.read(self._api.get("/v3/marketing/lists", what=what, params=params), _ListPage, what=what)
        following = parse_qs(urlsplit(page.metadata.next or "").query).get("page_token")
        if page.metadata.next and not following:
            raise self._api.unreadable(what)
        rows = [ContactList(id=row.id.lower(), name=row.name, count=row.contact_count) for row in page.result]
        return Lists(rows=rows, token=following[0] if following else None)

    def create_list(self, name: str) -> ContactList:
        """https://www.twilio.com/docs/sendgrid/api-reference/lists/create-list"""
        what = "the new list"
        body = json.dumps({"name": name}).encode()
        answer = self._api.send(
            "POST", "/v3/marketing/lists", body, what=what, accept={400}, families=QUESTION_FAMILIES
        )
        if answer.status == 400:
            said = next((error.message for error in _errors(answer) if error.message), None)
            reason = NEW_LIST_REFUSED if said is None else wording.without_values(said)
            raise RefusedError(f"SendGrid answered 400 to the new list: {reason.rstrip('.')}.")
        made = self._api.read(answer, _ListRow, what=what)  # 201 by contract, 200 in recorded traffic
        return ContactList(id=made.id.lower(), name=made.name, count=0)

    def fields(self) -> Sequence[AccountField]:
        standard = [
            AccountField(name=key, type=FieldType.TEXT, standard=field, max_chars=max_chars)
            for field, (key, max_chars) in STANDARD_FIELDS.items()
        ]
        custom = [
            AccountField(name=field.name, type=kind, standard=None, max_chars=_max_chars(kind))
            for field in self._definitions().custom_fields or []
            if (kind := FIELD_TYPES.get(field.field_type)) is not None
        ]
        return [*standard, *custom]

    def members(self, list_id: str, token: str | None) -> Members:
        """The list, as the files of an export. The first call starts it, each later one asks for it once.

        The token is the export, the number of questions so far, the number of the file, that of the first row of the
        part, and the rows of the files before. Somebody who was put on the list just now may be missing.
        """
        if token is None:
            return self._start_export(_checked_list_id(list_id))
        export_id, asked, *place = token.split(":")
        what = "the question for the people on the list"
        # A fresh export may be unknown for a while, as jobs are.
        answer = self._api.get(f"/v3/marketing/contacts/exports/{quote(export_id, safe='')}", what=what, accept={404})
        export = _Export(status="pending") if answer.status == 404 else self._api.read(answer, _Export, what=what)
        state = job_state(export.status, EXPORT_STATES, provider=self.name)
        if state is JobState.DONE:
            file, first, before = (*map(int, place), 0, 0, 0)[:3]
            return self._read_file(export, f"{export_id}:{asked}", file=file, first=first, before=before)
        if state is JobState.FAILED or int(asked) + 1 >= EXPORT_QUESTIONS:
            raise ConfigError("SendGrid did not write the file of the list: start it again later.")
        return self._export_later(export_id, asked=int(asked) + 1)

    def remove(self, list_id: str, people: Sequence[Member]) -> Removal:
        """Take contacts off the list by their ids, as a job; look them up first where one has none.

        The contacts themselves stay.
        """
        target = _checked_list_id(list_id)
        emails = [person.email for person in people]
        if all(person.id for person in people):
            job = self._take_off(target, {person.id for person in people})
            if job is not None:
                return Removal(pending=frozenset(emails), job=job)
            # One of the contacts was deleted since, which refuses the whole request.
        found, refused = self._look_up_all(emails)
        pending = frozenset(email for email, contact in found.items() if target in contact.list_ids)
        absent = frozenset(emails) - pending - refused.keys()
        if not found:
            return Removal(absent=absent, refused=refused)
        # Those who are not on the list go along: look-ups lag behind, and taking them off does no harm.
        job = self._take_off(target, {contact.id for contact in found.values()})
        if job is None:
            self._list(list_id)
            raise TransientError(
                "SendGrid answered 404 to the removal from the list: a contact was deleted meanwhile; it is tried "
                "again."
            )
        return Removal(absent=absent, refused=refused, pending=pending, job=job if pending else None)

    def _start_export(self, target: str) -> Members:
        what = "the request for the people on the list"
        wanted = {
            "list_ids": [target],
            "file_type": "csv",
            "max_file_size": EXPORT_FILE_MB,
            "notifications": {"email": False},
        }
        answer = self._api.send(
            "POST",
            "/v3/marketing/contacts/exports",
            json.dumps(wanted).encode(),
            what=what,
            families=QUESTION_FAMILIES,
        )
        return self._export_later(self._api.read(answer, _ExportStarted, what=what).id, asked=0)

    def _export_later(self, export_id: str, *, asked: int) -> Members:
        wait_s = self.poll_delays_s[min(asked, len(self.poll_delays_s) - 1)]
        return Members(rows=(), token=f"{export_id}:{asked}", wait_s=wait_s)

    def _read_file(self, export: _Export, asked: str, *, file: int, first: int, before: int) -> Members:
        """One part of one file of an export that is ready; `before` counts the rows of the files before it."""
        urls = export.urls or []
        if not urls and export.contact_count == 0:
            return Members(rows=(), token=None)
        if file >= len(urls):
            raise self._api.unreadable("the question for the people on the list")
        part = people_files.read(urls[file], first=first, what="SendGrid's file of the list", remedy=LIST_TOO_LARGE)
        if part.more:
            return Members(rows=part.people, token=f"{asked}:{file}:{part.end}:{before}")
        if file + 1 < len(urls):
            return Members(rows=part.people, token=f"{asked}:{file + 1}:0:{before + part.end}")
        if export.contact_count is not None and before + part.end < export.contact_count:
            raise ConfigError("SendGrid's files of the list hold fewer people than it says: start it again later.")
        return Members(rows=part.people, token=None)

    def _take_off(self, target: str, ids: Collection[str]) -> str | None:
        """The job that takes contacts off a list; None where one of them, or the list, is not there."""
        what = "the removal from the list"
        answer = self._api.send(
            "DELETE",
            f"/v3/marketing/lists/{target}/contacts",
            None,
            what=what,
            params={"contact_ids": ",".join(sorted(ids))},
            accept={404},
            families=QUESTION_FAMILIES,
        )
        return None if answer.status == 404 else self._api.read(answer, _Accepted, what=what).job_id

    def _list(self, list_id: str) -> _List:
        what = "the question for the list"
        answer = self._api.get(f"/v3/marketing/lists/{_checked_list_id(list_id)}", what=what)
        return self._api.read(answer, _List, what=what)

    def _count(self) -> int:
        """Contacts that count towards the plan: those billed this month, which deleting somebody does not make fewer.

        https://www.twilio.com/docs/sendgrid/api-reference/contacts/get-total-contact-count
        """
        what = "the question for the number of contacts"
        count = self._api.read(self._api.get("/v3/marketing/contacts/count", what=what), _Count, what=what)
        return max(count.contact_count, count.billable_count or 0)

    def _look_up_all(self, emails: Sequence[str]) -> tuple[dict[str, _Contact], dict[str, str]]:
        """As `_look_up`, for more than can be looked up at once."""
        found: dict[str, _Contact] = {}
        refused: dict[str, str] = {}
        for first in range(0, len(emails), self.removal_limit):
            some_found, some_refused = self._look_up(emails[first : first + self.removal_limit])
            found |= some_found
            refused |= some_refused
        return found, refused

    def _look_up(self, emails: Sequence[str]) -> tuple[dict[str, _Contact], dict[str, str]]:
        """The contacts that have these addresses, and why some addresses cannot be looked up.

        By the address as identifier: the older `search/emails` also answers somebody whose alternate address it is, and
        takes 100 characters at most. https://www.twilio.com/docs/sendgrid/api-reference/contacts/get-contacts-by-identifiers
        """
        if not emails:
            return {}, {}
        what = "the look-up of contacts"
        answer = self._api.send(
            "POST",
            "/v3/marketing/contacts/search/identifiers/email",
            json.dumps({"identifiers": list(emails)}).encode(),
            what=what,
            accept={400, 404},
            families=QUESTION_FAMILIES,
        )
        if answer.status == 400:
            return self._look_up_others(emails, _errors(answer))
        if answer.status == 404:  # nobody has any of them
            self._api.read(answer, _Errors, what=what)
            return {}, {}
        result = self._api.read(answer, _Matches, what=what).result
        matches = {email.lower(): match.contact for email, match in result.items()}
        return {email: contact for email in emails if (contact := matches.get(email))}, {}

    def _look_up_others(
        self, emails: Sequence[str], errors: Sequence[_Error]
    ) -> tuple[dict[str, _Contact], dict[str, str]]:
        """Look up all but those at fault, one of which refuses the whole question; by halves where none is named."""
        rows = _rows("identifiers", errors, len(emails))
        if not rows and len(emails) == 1:
            rows = {0: next((wording.without_values(error.message) for error in errors if error.message), "")}
        if rows:
            found, refused = self._look_up([email for row, email in enumerate(emails) if row not in rows])
            return found, refused | {emails[row]: words for row, words in rows.items()}
        half = len(emails) // 2
        (found, refused), (more_found, more_refused) = self._look_up(emails[:half]), self._look_up(emails[half:])
        return found | more_found, refused | more_refused

    def _definitions(self) -> _FieldDefinitions:
        what = "the question for the custom fields"
        return self._api.read(self._api.get("/v3/marketing/field_definitions", what=what), _FieldDefinitions, what=what)

    def _shape(self, mapping: FieldMapping) -> ContactShape:
        """The mapping as keys of the body. Raises ConfigError that names every field at fault."""
        faults: list[str] = []
        fields: list[TargetField] = []
        if self._field_names:
            faults.append("its standard fields have fixed names, so the connection may not name them (field_names)")
        for field, source in mapping.standard().items():
            if field in STANDARD_FIELDS:
                key, max_chars = STANDARD_FIELDS[field]
                fields.append(TargetField(name=field.value, source=source, path=(key,), max_chars=max_chars))
            else:
                faults.append(f"it takes no {field.value} on contacts: map the column to a custom field instead")
        if mapping.custom:
            custom, more_faults = _custom_fields(mapping, self._definitions())
            fields += custom
            faults += more_faults
        if faults:
            raise ConfigError(f"The mapping does not fit the SendGrid account: {'; '.join(faults)}.")
        return ContactShape(email=email_field(mapping.email), fields=tuple(fields), formats=mapping.formats)


def _custom_fields(mapping: FieldMapping, definitions: _FieldDefinitions) -> tuple[list[TargetField], list[str]]:
    """Targets of the mapped custom fields, found by name without regard to case, and what is wrong with the others."""
    known = {field.name.casefold(): field for field in definitions.custom_fields or []}
    reserved = {field.name.casefold() for field in definitions.reserved_fields or []}
    fields: dict[str, TargetField] = {}
    faults: list[str] = []
    missing = False
    for name, source in mapping.custom.items():
        field = known.get(name.casefold())
        if field is None and name.casefold() in reserved:
            faults.append(f'"{name}" is a reserved field: map it as a standard field, or leave it out')
        elif field is None:
            faults.append(wording.unknown("custom field", name, [known_field.name for known_field in known.values()]))
            missing = True
        elif field.field_type not in FIELD_TYPES:
            faults.append(f'custom field "{name}" has the type {field.field_type!r}, which this version cannot write')
        elif field.id in fields:
            faults.append(f'custom field "{field.name}" is mapped twice')
        else:
            fields[field.id] = _custom_field(field, name, source)
    if missing:
        faults.append(f"custom fields there: {wording.listing([field.name for field in known.values()])}")
    return list(fields.values()), faults


def _custom_field(field: _FieldDefinition, name: str, source: Source) -> TargetField:
    kind = FIELD_TYPES[field.field_type]
    return TargetField(
        name=custom_name(name),
        source=source,
        path=("custom_fields", field.id),
        type=kind,
        max_chars=_max_chars(kind),
        date_format=DATE_FORMAT,
    )


def _max_chars(kind: FieldType) -> int | None:
    """Longest value of a custom field of this type."""
    return MAX_CUSTOM_TEXT_CHARS if kind is FieldType.TEXT else None


def _checked_list_id(list_id: str) -> str:
    """The list id as it stands in a path. Raises ConfigError for one that is no UUID."""
    try:
        return str(UUID(list_id))
    except ValueError as error:
        raise ConfigError(
            f'"{list_id}" is not the id of a SendGrid Marketing list, which is a UUID: copy it from the address of the '
            "list's page."
        ) from error


def read_window(headers: Mapping[str, str], now: float) -> Window:
    """The rate limit; the reset may be a Unix time or seconds, see `EPOCH_RESETS_ABOVE`."""
    reset = header_number(headers, "X-RateLimit-Reset")
    if reset is not None and reset > EPOCH_RESETS_ABOVE:
        reset = max(reset - now, 0.0)
    return Window(remaining=header_count(headers, "X-RateLimit-Remaining"), reset_s=reset)


def _next_token(name: str, offset: int, *, page_is_full: bool) -> str | None:
    """The token of the page after this one: in the same list, in the next one, or none."""
    if page_is_full:
        return f"{name}:{offset + SUPPRESSIONS_PER_PAGE}"
    names = list(SUPPRESSION_LISTS)
    following = names[names.index(name) + 1 :]
    return f"{following[0]}:0" if following else None


def _errors(answer: Answer) -> list[_Error]:
    try:
        return _Errors.model_validate(answer.data).errors
    except ValueError:
        return []


def _rows(array: str, errors: Sequence[_Error], count: int) -> dict[int, str]:
    """Items of an array in a request that errors name, as in `contacts[3].identifier`, with their words."""
    place_of = re.compile(rf"{array}\[([0-9]+)\]")
    rows: dict[int, str] = {}
    for error in errors:
        place = place_of.search(error.field or "")
        if place and int(place[1]) < count:
            rows.setdefault(int(place[1]), wording.without_values(error.message or ""))
    return rows


def _refusal(answer: Answer, contacts: int) -> ExporterError:
    """What a 400 to an import means: one bad address, named as `contacts[i].…`, refuses the whole request."""
    errors = _errors(answer)
    if any(UNKNOWN_FIELDS_TEXT in (error.message or "").lower() for error in errors):
        return ConfigError(
            "SendGrid answered 400 to the import: a mapped custom field was deleted, or was made just now and cannot "
            "be used yet; start the export again in a minute, or correct the mapping."
        )
    if any((error.field or "").startswith("list_ids") for error in errors):
        return ConfigError(f"SendGrid answered 400 to the import: {REMEDIES[404]}.")
    rows = _rows("contacts", errors, contacts)
    return RefusedError("SendGrid answered 400 to the import: it does not take its contacts as they are.", rows=rows)


def _ended(job: _Job, state: JobState) -> JobReport:
    """The report of a job that has ended. The status decides; counts need not add up to what was sent."""
    results = job.results or _Results()
    has_errors = job.status != "completed" or bool(results.errored_count) or bool(results.errors_url)
    refusals = reports.load(results.errors_url) if results.errors_url else None
    return JobReport(
        state=state,
        refusals=refusals or (),
        errored=results.errored_count,
        report_missing=has_errors and not refusals,  # a report that names nobody is no report
        words=_failure_words(job, refusals or ()) if state is JobState.FAILED else "",
    )


def _failure_words(job: _Job, refusals: Sequence[Refusal]) -> str:
    """Why a job failed: what its answer says, else what its report says of the first contact."""
    said = [error.message for error in job.errors or [] if error.message]
    return wording.without_values(next(iter([*said, *(refusal.words for refusal in refusals[:1])]), ""))
