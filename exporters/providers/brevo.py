"""Brevo (formerly Sendinblue): contacts are added or updated by `POST /v3/contacts/import`, as a process of its own.

https://developers.brevo.com/reference/importcontacts-1

Nothing sent from here can lift a blocklisting: neither `emailBlacklist` nor `smsBlacklist` is ever sent, and an `EMAIL`
attribute, which would resubscribe a blocklisted contact, is refused as a target.
"""

import html
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import quote

from pydantic import AliasChoices, AliasPath, Field, SecretStr

from exporters.errors import AccessError, ConfigError, ExporterError, RefusedError
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

BASE_URL = "https://api.brevo.com"
HOSTS = ("api.brevo.com",)

#: The words of brevo-python 5.1.0; `CANCELED` for imports, and for files that are not written any more.
#: https://developers.brevo.com/reference/getprocess
JOB_STATES: Mapping[str, JobState] = {
    "queued": JobState.PENDING,
    "in_process": JobState.PENDING,
    "processing": JobState.PENDING,
    "completed": JobState.DONE,
    "failed": JobState.FAILED,
    "cancelled": JobState.FAILED,
}
#: No page tells who cancels a process, and whether it may have done a part of its work by then: whoever was in a
#: cancelled import has no verdict.
CANCELED = "cancelled"

#: Our field -> the attribute it goes to unless the connection names another. Only the first two and SMS are in every
#: account, the names in the account's language; the others are what Brevo's own samples call them.
#: https://help.brevo.com/hc/en-us/articles/208729849-Create-a-file-to-import-your-contacts
STANDARD_ATTRIBUTES: Mapping[StandardField, str] = {
    StandardField.FIRST_NAME: "FIRSTNAME",
    StandardField.LAST_NAME: "LASTNAME",
    StandardField.ADDRESS_LINE_1: "ADDRESS",
    StandardField.ADDRESS_LINE_2: "ADDRESS_2",
    StandardField.CITY: "CITY",
    StandardField.STATE: "STATE",
    StandardField.POSTAL_CODE: "ZIP_CODE",
    StandardField.COUNTRY: "COUNTRY",
    StandardField.PHONE: "SMS",
}
#: What French accounts call them.
FRENCH_NAMES: Mapping[StandardField, str] = {StandardField.FIRST_NAME: "PRENOM", StandardField.LAST_NAME: "NOM"}

#: Categories that profile data may go to; the others belong to orders and to Brevo's own sums.
#: https://developers.brevo.com/reference/getattributes-1
USABLE_CATEGORIES = frozenset({"normal", "category"})
#: A `category` attribute has no type: it takes the label of one of its options.
FIELD_TYPES: Mapping[str | None, FieldType] = {
    None: FieldType.TEXT,
    "": FieldType.TEXT,
    "text": FieldType.TEXT,
    "id": FieldType.TEXT,
    "date": FieldType.DATE,
    "float": FieldType.NUMBER,
    "boolean": FieldType.BOOLEAN,
}
#: Texts to Brevo, telephone numbers to us: + and digits. They identify a contact, so two that share one are merged.
PHONE_ATTRIBUTES = frozenset({"SMS", "WHATSAPP", "LANDLINE_NUMBER"})
DATE_FORMAT = "%Y-%m-%d"  # as in the samples of https://developers.brevo.com/reference/createcontact

#: Reports of a finished import -> why a contact is in one. https://developers.brevo.com/reference/getprocess
REPORTS: Mapping[str, str] = {
    "invalid_emails": "invalid e-mail address",
    "duplicate_email_id": "the e-mail address is in the import twice",
    "duplicate_contact_id": "the contact id belongs to another contact",
    "duplicate_ext_id": "the external id belongs to another contact",
    "duplicate_phone_id": "the telephone number belongs to another contact",
    "duplicate_whatsapp_id": "the WhatsApp number belongs to another contact",
    "duplicate_landline_number_id": "the landline number belongs to another contact",
}
#: Longest time for all files of one import: each may take two minutes, and there are seven.
REPORTS_TIMEOUT_S = 180.0

IP_REMEDY = (
    "it does not know the IP address that this app calls from; authorise the app's outbound IP in Brevo's security "
    "settings (https://app.brevo.com/security/authorised_ips), or give the app a fixed outbound address"
)
REMEDIES: Mapping[int, str] = {
    401: "the API key is wrong or was deleted; store a valid one (it begins with xkeysib-) in the connection's secret",
    402: "the plan or its credits do not allow it; look at the plan in Brevo",
    403: "the account may not do this, or Brevo is still reviewing it; look for a notice in Brevo",
    404: "the list does not exist; its id is the number beside the list in Brevo",
}
#: Wordings of the 401 for an address that is not authorised. https://developers.brevo.com/docs/ip-security
_UNKNOWN_IP = re.compile(r"unrecogni[sz]ed ip|authori[sz]ed_ips|ip not authori[sz]ed|not verified", re.IGNORECASE)

IMPORT = "IMPORTUSER"  #: name of the processes that import; https://developers.brevo.com/reference/getprocess
#: Processes that one question can list. https://developers.brevo.com/reference/getprocesses
PROCESSES_LISTED = 50
#: Questions for processes count against a limit of 100 an hour; the last ones are spread over the time that is left.
#: https://developers.brevo.com/docs/api-limits
PROCESS_QUESTIONS_RESERVED = 20
MAX_WAIT_S = 3600.0  # the longest window of that page

#: Ours: questions for a file of people before we give up; with the waits of `poll_delays_s` half an hour.
FILE_QUESTIONS = 30
#: Ends the addresses that Brevo makes up for contacts with a telephone number only.
#: https://github.com/rudderlabs/rudder-transformer/blob/c98d160/src/v0/destinations/sendinblue/util.js
MADE_UP_DOMAIN = "@mailin-sms.com"

#: Of a 400 to a removal that found nobody to remove. For adding it reads "Contact already in list and/or does not
#: exist", https://github.com/sendinblue/APIv3-php-library/issues/47; no document gives the words for removing.
_NOBODY_THERE = re.compile(r"\bcontacts?\b(?! list).*\b(already|not exist|not in)\b", re.IGNORECASE)

#: Of a 400 that is about the list and not about what is in the request.
_ABOUT_THE_LIST = re.compile(r"\blist", re.IGNORECASE)

LISTS_PER_PAGE = 50  # the most; https://developers.brevo.com/reference/get-lists
#: Every list lies in a folder, and a new account has one. Where somebody has deleted the last one, this one is made.
FOLDER = "Segment Exporter"
NEW_LIST_REFUSED = "it does not say why; try another name, or make the list in Brevo"

_HREF = re.compile(r"""href\s*=\s*["']([^"']+)["']""", re.IGNORECASE)


class _List(AnswerModel):
    name: str
    unique_subscribers: int | None = Field(default=None, alias="uniqueSubscribers")
    dynamic: bool | None = Field(default=None, alias="dynamicList")


class _ListRow(_List):
    id: int


class _ListPage(AnswerModel):
    count: int
    lists: list[_ListRow] | None = None  # missing where there is none


class _Made(AnswerModel):
    id: int


class _Folders(AnswerModel):
    folders: list[_Made] | None = None


class _Attribute(AnswerModel):
    name: str
    category: str
    type: str | None = None


class _Attributes(AnswerModel):
    attributes: list[_Attribute]


class _Accepted(AnswerModel):
    process_id: int = Field(alias="processId")


class _Info(AnswerModel):
    #: A URL, an HTML link, a number or nothing for each report.
    reports: dict[str, object] | None = Field(default=None, alias="import")


class _Process(AnswerModel):
    id: int
    name: str = ""
    status: str
    info: _Info | None = None
    error: object = None
    export_url: object = None  # a URL by the vendor's SDK, an HTML link in the contract's example


class _Processes(AnswerModel):
    processes: list[_Process] | None = None


class _Contacts(AnswerModel):
    count: int


class _Account(AnswerModel):
    organization_id: str | None = None  # in newer answers only
    email: str


class _Moved(AnswerModel):
    #: The contract wraps both in `contacts`; its own examples leave that out.
    success: list[str] | None = Field(
        default=None, validation_alias=AliasChoices(AliasPath("contacts", "success"), "success")
    )
    failure: list[str] | None = Field(
        default=None, validation_alias=AliasChoices(AliasPath("contacts", "failure"), "failure")
    )


class _Refused(AnswerModel):
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A file of people that Brevo writes on demand."""

    of: str  #: "the blocklist"
    filter: Mapping[str, object]  #: who is in it
    instead: str  #: what to do where Brevo does not write it
    too_large: str  #: what to do where it is longer than what is read


#: Everyone whom the account has blocklisted, on whatever list: a time may stand in the place of a list, and no contact
#: was made before this one. https://developers.brevo.com/changelog/2026/10/14
BLOCKLIST = _File(
    of="the blocklist",
    filter={"actionForContacts": "unsubscribed", "createdSince": "2000-01-01T00:00:00.000Z"},
    instead="switch withhold off in the export",
    too_large="switch withhold off in the export. Brevo mails nobody on its blocklist all the same",
)


class Brevo:
    """One Brevo account."""

    name: ClassVar[str] = "brevo"
    title: ClassVar[str] = "Brevo (Sendinblue)"
    # At most 10 MB, and "around 8 MB" advised, because a body grows while it is parsed. There is no limit of contacts;
    # ours is the largest import seen in public use. https://developers.brevo.com/reference/importcontacts-1,
    # https://github.com/pass-culture/pass-culture-main/blob/014d5a7/api/src/pcapi/core/external/sendinblue.py
    limits: ClassVar[BatchLimits] = BatchLimits(max_contacts=200_000, max_body_bytes=8_000_000)
    #: Parallel imports get stuck.
    #: https://help.brevo.com/hc/de/articles/32331116133522-FAQs-What-are-the-best-practices-for-importing-contacts
    jobs_in_flight: ClassVar[int] = 1
    #: After 1, 3, 8 and 23 seconds, then once a minute: somebody who waits loses no more than the import took, and an
    #: import of an hour takes some 60 questions. A million profiles are 21 imports of 8 MB: 21 questions where each is
    #: done within a second, 84 where each takes 20; 100 an hour are allowed. When they run low they are spread over the
    #: rest of the hour. https://developers.brevo.com/docs/api-limits
    poll_delays_s: ClassVar[Sequence[float]] = (1.0, 2.0, 5.0, 15.0, 60.0)
    #: Ours: twice the 90 minutes that a million profiles may take.
    #: https://learn.microsoft.com/dynamics365/customer-insights/data/export-sendinblue
    job_deadline_s: ClassVar[float] = 3 * 3600.0
    removal_limit: ClassVar[int] = 150  # https://developers.brevo.com/reference/remove-contact-from-list
    removal_limit_by_id: ClassVar[int] = removal_limit  # ids save nothing: removals go by address either way
    listing_pays_from: ClassVar[int | None] = None  # removals need no look-up
    suppressions_at_once: ClassVar[bool] = False
    #: A million profiles, which can take 90 minutes.
    #: https://learn.microsoft.com/dynamics365/customer-insights/data/export-sendinblue
    stated_limit: ClassVar[int] = 1_000_000
    pace_per_minute: ClassVar[float] = 1_000_000 / 90
    max_list_name: ClassVar[int] = 100  # ours: Brevo names no limit
    standard_names: ClassVar[Mapping[StandardField, str]] = STANDARD_ATTRIBUTES

    def __init__(
        self,
        connection: Connection,
        key: SecretStr,
        *,
        base_url: str = BASE_URL,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Raises ConfigError for an address that the key may not travel to, AccessError for what cannot be a key."""
        self._names = {
            **STANDARD_ATTRIBUTES,
            **{field: name.strip().upper() for field, name in connection.field_names.items()},
        }
        self._api = Api(
            title="Brevo",
            base_url=checked_base_url(base_url, HOSTS),
            auth=KeyHeader("api-key", key),
            remedy=_remedy,
            read_window=read_window,
            max_wait_s=MAX_WAIT_S,
            now=now,
        )

    @property
    def not_before_s(self) -> float | None:
        return self._api.not_before_s

    @property
    def polls_not_before_s(self) -> float | None:
        return self._api.polls_not_before_s

    @staticmethod
    def canonical_list_id(list_id: str) -> str:
        return str(_checked_list_id(list_id))

    def check_access(self, list_id: str, mapping: FieldMapping, *, count_account: bool = False) -> Access:
        target = self._list(list_id)
        if target.dynamic:
            raise ConfigError(
                f'The Brevo list "{target.name}" is dynamic: Brevo fills it by rules. Choose another list.'
            )
        shape = _resolve(mapping, self._names, self._attributes())
        return Access(
            list_name=target.name,
            list_count=target.unique_subscribers,
            shape=shape,
            account_contacts=self._count() if count_account else None,
        )

    def envelope(self, list_id: str) -> Envelope:
        settings = {
            "listIds": [_checked_list_id(list_id)],
            "updateExistingContacts": True,
            "emptyContactsAttributes": False,
            "disableNotification": True,  # otherwise the account's owner gets a mail for every import
        }
        head = json.dumps(settings, separators=(",", ":")).encode().removesuffix(b"}")
        return Envelope(head=head + b',"jsonBody":[', tail=b"]}")

    def submit(self, list_id: str, contacts: Sequence[bytes]) -> str:
        envelope = self.envelope(list_id)
        body = envelope.head + b",".join(contacts) + envelope.tail
        what = "the import"
        answer = self._api.send("POST", "/v3/contacts/import", body, what=what, accept={400})
        if answer.status == 400:
            raise _refusal(answer)
        return str(self._api.read(answer, _Accepted, what=what).process_id)

    def import_runs(self) -> bool:
        pending = {word for word, state in JOB_STATES.items() if state is JobState.PENDING}
        return any(process.name == IMPORT and process.status in pending for process in self._newest())

    def poll(self, job_id: str) -> JobReport:
        process = next((process for process in self._newest() if str(process.id) == job_id), None)
        if process is None or (process.status == "completed" and _report_values(process) is None):
            process = self._singly(job_id)
        if process is None:
            return unknown_job(provider=self.name)
        if process.status == CANCELED:
            return JobReport(state=JobState.DONE, report_missing=True)
        state = job_state(process.status, JOB_STATES, provider=self.name)
        if state is JobState.DONE:
            return _report(_report_values(process))
        return JobReport(state=state, words=_words(process) if state is JobState.FAILED else "")

    def suppressions(self, token: str | None) -> Suppressions:
        """The blocklist, as a file. See `_people`."""
        part = self._people(BLOCKLIST, token)
        kind = SuppressionKind.BLOCKED
        rows = [Suppression(email=person.email, kind=kind, since=None) for person in part.rows]
        return Suppressions(rows=rows, token=part.token, wait_s=part.wait_s)

    def account(self) -> str | None:
        """The organisation, or the owner's address in answers that are older than it.

        https://developers.brevo.com/reference/get-account
        """
        what = "the question for the account"
        answer = self._api.get(
            "/v3/account", what=what, accept={403}, reserve=PROCESS_QUESTIONS_RESERVED, polls_only=True
        )
        if answer.status == 403:
            return None
        account = self._api.read(answer, _Account, what=what)
        return account.organization_id or account.email.lower()

    def lists(self, token: str | None) -> Lists:
        """A page of lists, the newest first; the token is the place of the next one. Dynamic lists are left out, where
        Brevo tells which ones they are.

        A list that is deleted between two pages hides another one. https://developers.brevo.com/reference/get-lists
        """
        what = "the question for the lists"
        if token is not None and not token.isdecimal():
            raise ConfigError("There is no such place in Brevo's lists.")
        first = int(token or 0)
        params = {"limit": str(LISTS_PER_PAGE), "offset": str(first), "sort": "desc"}
        page = self._api.read(self._api.get("/v3/contacts/lists", what=what, params=params), _ListPage, what=what)
        rows = page.lists or []
        shown = [
            ContactList(id=str(row.id), name=row.name, count=row.unique_subscribers) for row in rows if not row.dynamic
        ]
        following = first + len(rows)
        return Lists(rows=shown, token=str(following) if rows and following < page.count else None)

    def create_list(self, name: str) -> ContactList:
        """In the account's first folder. https://developers.brevo.com/reference/create-list"""
        what = "the new list"
        made = self._make("/v3/contacts/lists", {"name": name, "folderId": self._folder()}, what=what)
        return ContactList(id=str(made.id), name=name, count=0)

    def fields(self) -> Sequence[AccountField]:
        return _fields(self._names, self._attributes())

    def members(self, list_id: str, token: str | None) -> Members:
        """The list, as a file; whoever is blocklisted is in it. See `_people`.

        For a million people one request and some twenty questions. Pages of the list would take 2,000, and who left
        between two of them would hide others.
        """
        number = _checked_list_id(list_id)
        of_list = _File(
            of="the list",
            filter={"actionForContacts": "allContacts", "listId": number},
            instead="ask Brevo's support why it does not",
            too_large="divide the people among several lists",
        )
        part = self._people(of_list, token)
        if token is None and part.token is None:
            self._list(list_id)  # nobody matches the filter: because nobody is on the list, or because there is none
        rows = [person for person in part.rows if not person.email.endswith(MADE_UP_DOMAIN)]
        return Members(rows=rows, token=part.token, wait_s=part.wait_s)

    def remove(self, list_id: str, people: Sequence[Member]) -> Removal:
        """Take people off the list by their addresses, at once and without a job. The contacts themselves stay."""
        return self._remove(list_id, [person.email for person in people])

    def _remove(self, list_id: str, emails: Sequence[str]) -> Removal:
        what = "the removal from the list"
        path = f"/v3/contacts/lists/{_checked_list_id(list_id)}/contacts/remove"
        body = json.dumps({"emails": list(emails)}).encode()
        answer = self._api.send("POST", path, body, what=what, accept={400}, families=QUESTION_FAMILIES)
        if answer.status == 400:
            return self._nobody_removed(list_id, emails, _message(answer))
        moved = self._api.read(answer, _Moved, what=what)
        removed = frozenset(map(str.lower, moved.success or ()))
        absent = frozenset(map(str.lower, moved.failure or ())) - removed
        if removed | absent != frozenset(emails):
            raise self._api.unreadable(what)
        return Removal(removed=removed, absent=absent)

    def _nobody_removed(self, list_id: str, emails: Sequence[str], words: str) -> Removal:
        """What a 400 to a removal means: nobody was there, the list is gone, or an address is at fault.

        Such an address is not named and refuses the whole request, so it is looked for by halves.
        """
        if _NOBODY_THERE.search(words):
            return Removal(absent=frozenset(emails))
        if _ABOUT_THE_LIST.search(words):
            raise ConfigError(f"Brevo answered 400 to the removal from the list: {REMEDIES[404]}.")
        if len(emails) == 1:
            return Removal(refused={emails[0]: wording.without_values(words)})
        half = len(emails) // 2
        one, other = self._remove(list_id, emails[:half]), self._remove(list_id, emails[half:])
        return Removal(
            removed=one.removed | other.removed,
            absent=one.absent | other.absent,
            refused={**one.refused, **other.refused},
        )

    def _list(self, list_id: str) -> _List:
        what = "the question for the list"
        answer = self._api.get(f"/v3/contacts/lists/{_checked_list_id(list_id)}", what=what)
        return self._api.read(answer, _List, what=what)

    def _attributes(self) -> Sequence[_Attribute]:
        what = "the question for the attributes"
        answer = self._api.get("/v3/contacts/attributes", what=what)
        return self._api.read(answer, _Attributes, what=what).attributes

    def _folder(self) -> int:
        """The folder that new lists go to: the oldest one. https://developers.brevo.com/reference/get-folders"""
        what = "the question for the folders"
        params = {"limit": "1", "offset": "0", "sort": "asc"}
        answer = self._api.get("/v3/contacts/folders", what=what, params=params)
        folders = self._api.read(answer, _Folders, what=what).folders
        return folders[0].id if folders else self._make("/v3/contacts/folders", {"name": FOLDER}, what="a folder").id

    def _make(self, path: str, wanted: Mapping[str, object], *, what: str) -> _Made:
        """Make a list or a folder. Raises RefusedError with Brevo's words for a 400."""
        body = json.dumps(wanted).encode()
        answer = self._api.send("POST", path, body, what=what, accept={400}, families=QUESTION_FAMILIES)
        if answer.status == 400:
            reason = wording.without_values(_message(answer)) or NEW_LIST_REFUSED
            raise RefusedError(f"Brevo answered 400 to {what}: {reason.rstrip('.')}.")
        return self._api.read(answer, _Made, what=what)

    def _people(self, file: _File, token: str | None) -> Members:
        """People of a file that Brevo writes on demand and that changes nothing there, part by part.

        The first call starts it, each later one asks for it once. The token is the process that writes it, the number
        of questions so far, and the number of the first row of the part.
        """
        if token is None:
            return self._start_file(file)
        process_id, _, place = token.partition(":")
        asked, _, first = place.partition(":")
        process = self._singly(process_id, what=f"the question for {file.of}")
        state = job_state(process.status, JOB_STATES, provider=self.name) if process else JobState.PENDING
        if process and state is JobState.DONE:
            link = _link(process.export_url.strip()) if isinstance(process.export_url, str) else ""
            what = f"Brevo's file of {file.of}"
            part = people_files.read(link, first=int(first or 0), what=what, remedy=file.too_large)
            following = f"{process_id}:{asked}:{part.end}" if part.more else None
            return Members(rows=part.people, token=following)
        if state is JobState.FAILED or int(asked) + 1 >= FILE_QUESTIONS:
            raise ConfigError(f"Brevo did not write the file of {file.of}: start it again later, or {file.instead}.")
        return self._file_later(process_id, asked=int(asked) + 1)

    def _start_file(self, file: _File) -> Members:
        what = f"the request for {file.of}"
        wanted = {
            "customContactFilter": file.filter,
            "exportAttributes": ["EMAIL"],
            "exportMandatoryAttributes": False,
            "disableNotification": True,  # otherwise the account's owner gets a mail for every file
        }
        body = json.dumps(wanted).encode()
        answer = self._api.send(
            "POST", "/v3/contacts/export", body, what=what, accept={400, 403}, families=QUESTION_FAMILIES
        )
        if answer.status == 400 and "listId" in file.filter and _ABOUT_THE_LIST.search(_message(answer)):
            raise ConfigError(f"Brevo answered 400 to {what}: {REMEDIES[404]}.")
        if answer.status == 400:
            raise ConfigError(f"Brevo answered 400 to {what}: this account cannot have it; {file.instead}.")
        if answer.status == 403:
            raise AccessError(f"Brevo answered 403 to {what}: {REMEDIES[403]}; or {file.instead}.")
        # Nobody matches, so there is nothing to write. https://developers.brevo.com/reference/request-contact-export
        if answer.status == 200 and answer.data == {}:
            return Members(rows=(), token=None)
        process = self._api.read(answer, _Accepted, what=what).process_id
        return self._file_later(str(process), asked=0)

    def _file_later(self, process_id: str, *, asked: int) -> Members:
        wait_s = self.poll_delays_s[min(asked, len(self.poll_delays_s) - 1)]
        wait_s = max(wait_s, self.polls_not_before_s or 0.0)  # a file is asked for as jobs are
        return Members(rows=(), token=f"{process_id}:{asked}", wait_s=wait_s)

    def _count(self) -> int:
        """All contacts of the account; no answer tells how many the plan includes.

        https://developers.brevo.com/reference/get-contacts
        """
        what = "the question for the number of contacts"
        answer = self._api.get("/v3/contacts", what=what, params={"limit": "1", "offset": "0"})
        return self._api.read(answer, _Contacts, what=what).count

    def _newest(self) -> Sequence[_Process]:
        what = "the question for the import jobs"
        answer = self._api.get(
            "/v3/processes",
            what=what,
            params={"limit": str(PROCESSES_LISTED), "offset": "0", "sort": "desc"},
            reserve=PROCESS_QUESTIONS_RESERVED,
            polls_only=True,
        )
        return self._api.read(answer, _Processes, what=what).processes or []

    def _singly(self, job_id: str, what: str = "the question for an import job") -> _Process | None:
        path = f"/v3/processes/{quote(job_id, safe='')}"
        answer = self._api.get(path, what=what, accept={400, 404}, reserve=PROCESS_QUESTIONS_RESERVED, polls_only=True)
        return None if answer.status in {400, 404} else self._api.read(answer, _Process, what=what)


def _resolve(
    mapping: FieldMapping, names: Mapping[StandardField, str], attributes: Sequence[_Attribute]
) -> ContactShape:
    """The mapping as attributes of the account. Raises ConfigError that names every field at fault.

    Brevo drops attributes that do not exist without a word, so each is looked for here.
    """
    usable = _usable(attributes)
    others = {item.name.upper(): item for item in attributes if item.category not in USABLE_CATEGORIES}
    wanted = [(names[field], field.value, source, field) for field, source in mapping.standard().items()]
    custom = [(name.strip().upper(), custom_name(name), source, None) for name, source in mapping.custom.items()]
    fields: dict[str, TargetField] = {}
    faults: list[str] = []
    missing = False
    for name, own_name, source, field in [*wanted, *custom]:
        attribute = usable.get(name)
        if name == "EMAIL":
            faults.append("EMAIL may not be mapped as a field: changing it would resubscribe people who unsubscribed")
        elif attribute is None and name in others:
            faults.append(f"{name} is a {others[name].category} attribute, which profiles cannot fill")
        elif attribute is None:
            faults.append(wording.unknown("attribute", name, usable) + _hint(field, usable))
            missing = True
        elif attribute.type not in FIELD_TYPES:
            faults.append(f"{name} has the type {attribute.type!r}, which this version cannot write")
        elif name in fields:
            faults.append(f"{name} is mapped twice")
        else:
            fields[name] = _target(attribute, own_name, source)
    if missing:
        faults.append(f"attributes there: {wording.listing(usable)}")
    if faults:
        raise ConfigError(f"The mapping does not fit the Brevo account: {'; '.join(faults)}.")
    email = email_field(mapping.email)
    return ContactShape(email=email, fields=tuple(fields.values()), formats=mapping.formats)


def _usable(attributes: Sequence[_Attribute]) -> dict[str, _Attribute]:
    """Those that profile data may go to, by name. EMAIL is none of them: changing it would resubscribe people."""
    usable = {item.name.upper(): item for item in attributes if item.category in USABLE_CATEGORIES}
    usable.pop("EMAIL", None)
    return usable


def _fields(names: Mapping[StandardField, str], attributes: Sequence[_Attribute]) -> Sequence[AccountField]:
    """What a mapping may fill. How long a text may be is not documented."""
    usable = {name: item for name, item in _usable(attributes).items() if item.type in FIELD_TYPES}
    standard = {name: field for field, name in names.items() if name in usable}
    return [
        AccountField(name=name, type=_field_type(usable[name]), standard=standard.get(name))
        for name in [*standard, *(name for name in usable if name not in standard)]
    ]


def _field_type(attribute: _Attribute) -> FieldType:
    return FieldType.PHONE if attribute.name.upper() in PHONE_ATTRIBUTES else FIELD_TYPES[attribute.type]


def _target(attribute: _Attribute, own_name: str, source: Source) -> TargetField:
    name = attribute.name.upper()
    return TargetField(
        name=own_name,
        source=source,
        path=("attributes", name),
        type=_field_type(attribute),
        date_format=DATE_FORMAT,
    )


def _hint(field: StandardField | None, usable: Mapping[str, _Attribute]) -> str:
    """What to do about a standard field whose attribute does not exist."""
    if field is None:
        return ""
    french = FRENCH_NAMES.get(field)
    name = french if french in usable else "its name there"
    return f"; create it, or set field_names of the connection, as in {field.value}: {name}"


def _checked_list_id(list_id: str) -> int:
    """The list id as Brevo's number. Raises ConfigError for anything else."""
    if not re.fullmatch(r"[0-9]{1,18}", list_id):
        raise ConfigError(f'"{list_id}" is not the id of a Brevo list, which is the number beside the list in Brevo.')
    return int(list_id)


def _refusal(answer: Answer) -> ExporterError:
    """What a 400 to an import means: no contact with a valid identifier, or a list that is gone (a 404 by contract)."""
    if _ABOUT_THE_LIST.search(_message(answer)):
        return ConfigError(f"Brevo answered 400 to the import: {REMEDIES[404]}.")
    return RefusedError("Brevo answered 400 to the import: it found nobody in it whom it can take.")


def _message(answer: Answer) -> str:
    """The sentence in an error's body; empty where there is none."""
    try:
        return _Refused.model_validate(answer.data).message
    except ValueError:
        return ""


def _remedy(answer: Answer) -> str | None:
    """What an operator can do about an answer; tells the two meanings of a 401 apart by their words."""
    if answer.status == 401 and _UNKNOWN_IP.search(_message(answer)):
        return IP_REMEDY
    return REMEDIES.get(answer.status)


def read_window(headers: Mapping[str, str], now: float) -> Window:  # noqa: ARG001 - Brevo's reset is never a date
    """The rate limit. https://developers.brevo.com/docs/limit-headers"""
    return Window(
        remaining=header_count(headers, "x-sib-ratelimit-remaining"),
        reset_s=header_number(headers, "x-sib-ratelimit-reset"),
    )


def _report(values: Mapping[str, object] | None) -> JobReport:
    """The report of a completed import, from what stands at each kind of error: a file's link, a number or nothing."""
    if values is None:
        return JobReport(state=JobState.DONE, report_missing=True)
    refusals: dict[str, Refusal] = {}
    unnamed = 0
    complete = True
    until = time.monotonic() + REPORTS_TIMEOUT_S
    for kind, value in values.items():
        named, count = _read_report(kind, value, within_s=until - time.monotonic())
        complete = complete and named is not None
        unnamed += count
        for refusal in named or []:
            refusals.setdefault(refusal.email.lower(), refusal)
    return JobReport(
        state=JobState.DONE,
        refusals=tuple(refusals.values()),
        errored=len(refusals) + unnamed if complete else None,
        report_missing=not complete,
    )


def _read_report(kind: str, value: object, *, within_s: float) -> tuple[list[Refusal] | None, int]:
    """People whom one kind of error names, None where that cannot be read, and how many it counts without naming them.

    The contract has a URL or nothing, another of the vendor's documents an HTML link, and samples have numbers.
    """
    if value is None or value == "":
        return [], 0
    text = str(value).strip()
    if text.isascii() and text.isdigit():
        return [], int(text)
    if not isinstance(value, str):
        return None, 0
    return reports.load(_link(text), default_words=REPORTS.get(kind, kind), within_s=within_s), 0


def _link(text: str) -> str:
    """The URL in a text that is one, or an HTML link to it."""
    href = _HREF.search(text)
    return html.unescape(href[1]) if href else text


def _report_values(process: _Process) -> Mapping[str, object] | None:
    return process.info.reports if process.info else None


def _words(process: _Process) -> str:
    said = process.error if isinstance(process.error, str) and process.error else process.status
    return wording.without_values(said)
