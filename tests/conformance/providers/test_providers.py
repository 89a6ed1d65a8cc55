"""What every provider must do, held against its sandbox. A provider without a sandbox fails here."""

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import pytest

from exporters.errors import AccessError, ConfigError, ExporterError, RefusedError, ThrottledError, TransientError
from exporters.model.export import Mapping
from exporters.model.fields import EMAIL_FIELD, ContactShape, FieldType, StandardField
from exporters.providers import registry
from exporters.providers.base import (
    ContactList,
    JobReport,
    JobState,
    Member,
    Members,
    Provider,
    Removal,
    Suppression,
    Suppressions,
)
from infra.local.sandbox.faults import ReportFile, TroubleKind
from infra.local.sandbox.sandbox import Sandbox
from tests.conformance.providers.accounts import (
    ACCOUNTS,
    FIELD,
    LIST_NAME,
    Account,
    faults_of,
    provider_of,
    trouble,
)
from tests.encode import encode

MAPPING = Mapping(email="EMail", first_name="First", custom={FIELD: "Level"})
#: Far longer than any sandbox without delays takes.
JOB_TIMEOUT_S = 30.0

Found = TypeVar("Found")


@pytest.fixture(scope="module", params=sorted(registry.PROVIDERS))
def running(request: pytest.FixtureRequest) -> Iterator[tuple[str, Sandbox[Any]]]:
    opened, _ = ACCOUNTS[request.param]
    with opened() as sandbox:
        yield request.param, sandbox


@pytest.fixture
def account(running: tuple[str, Sandbox[Any]]) -> Account:
    name, sandbox = running
    sandbox.reset()
    _, account = ACCOUNTS[name]
    return account(sandbox)


@pytest.fixture
def provider(account: Account) -> Provider:
    return provider_of(account)


@pytest.fixture
def shape(account: Account, provider: Provider) -> ContactShape:
    return provider.check_access(account.list_id, MAPPING).shape


def contact(shape: ContactShape, email: str, first_name: str = "", level: str = "") -> bytes:
    first, custom = shape.fields
    return encode(shape, email, {first.path: first_name, custom.path: level})


def bare(count: int) -> list[bytes]:
    return [f'{{"email":"p{number}@example.com"}}'.encode() for number in range(count)]


def waited_for(condition: Callable[[], Found | None]) -> Found:
    """What the condition answers once it holds. Asks less and less often: questions count against limits."""
    deadline = time.monotonic() + JOB_TIMEOUT_S
    pause_s = 0.02
    while not (found := condition()):
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(pause_s)
        pause_s *= 1.5
    return found


def ended(provider: Provider, job_id: str) -> JobReport:
    """The report of a job once it has ended. The sandbox adds no delay of its own."""

    def report() -> JobReport | None:
        report = provider.poll(job_id)
        return None if report.state is JobState.PENDING else report

    return waited_for(report)


def delivered(provider: Provider, account: Account, contacts: list[bytes]) -> JobReport:
    return ended(provider, provider.submit(account.list_id, contacts))


def submitted(provider: Provider, account: Account, contacts: list[bytes]) -> tuple[str, dict[int, str]]:
    """The job that imports the contacts, and the rows that had to be taken out of the request for it."""
    try:
        return provider.submit(account.list_id, contacts), {}
    except RefusedError as error:
        rows = error.rows
    kept = [item for row, item in enumerate(contacts) if row not in rows]
    return provider.submit(account.list_id, kept), rows


def all_suppressions(account: Account) -> list[Suppression]:
    """Everyone whom the account suppresses, each part asked for by a provider that knows nothing but the token."""
    rows: list[Suppression] = []
    token: str | None = None
    deadline = time.monotonic() + JOB_TIMEOUT_S
    while True:
        part = provider_of(account).suppressions(token)
        rows += part.rows
        token = part.token
        if token is None:
            return rows
        assert time.monotonic() < deadline, "it does not end"
        time.sleep(min(part.wait_s, 0.05))  # the sandbox adds no delay of its own


def all_members(account: Account) -> list[Member]:
    """Everyone on the list, as `all_suppressions`."""
    rows: list[Member] = []
    token: str | None = None
    deadline = time.monotonic() + JOB_TIMEOUT_S
    while True:
        part = provider_of(account).members(account.list_id, token)
        rows += part.rows
        token = part.token
        if token is None:
            return rows
        assert time.monotonic() < deadline, "it does not end"
        time.sleep(min(part.wait_s, 0.05))  # the sandbox adds no delay of its own


def all_lists(account: Account) -> list[ContactList]:
    """All lists of the account, each part asked for by a provider that knows nothing but the token."""
    part = provider_of(account).lists(None)
    rows = list(part.rows)
    while part.token is not None:
        part = provider_of(account).lists(part.token)
        rows += part.rows
    return rows


def people(emails: Sequence[str]) -> list[Member]:
    """People of whom only the addresses are known."""
    return [Member(email=email) for email in emails]


def settled(provider: Provider, removal: Removal) -> Removal:
    """A removal when its job, if there is one, has ended."""
    if removal.job is None:
        return removal
    report = ended(provider, removal.job)
    assert (report.state, report.report_missing) == (JobState.DONE, False)
    refused = {refusal.email: refusal.words for refusal in report.refusals}
    removed = removal.removed | (removal.pending - refused.keys())
    return Removal(removed=removed, absent=removal.absent, refused={**removal.refused, **refused})


def values(contact: bytes) -> dict[str, Any]:
    value = json.loads(contact)
    assert isinstance(value, dict)
    return value


def test_every_provider_has_a_sandbox() -> None:
    assert set(ACCOUNTS) == set(registry.PROVIDERS)


class TestAccess:
    def test_list_key_and_fields_are_proved_without_writing(self, account: Account, provider: Provider) -> None:
        access = provider.check_access(account.list_id, MAPPING)
        assert (access.list_name, access.list_count) == (LIST_NAME, 0)
        assert access.shape.columns == ("EMail", "First", "Level")
        assert account.stored() == {}

    def test_an_unknown_list_is_a_setting_to_change(self, account: Account, provider: Provider) -> None:
        with pytest.raises(ConfigError, match="the list does not exist"):
            provider.check_access(account.unknown_list_id, MAPPING)

    def test_what_cannot_be_a_list_id_is_a_setting_to_change(self, provider: Provider) -> None:
        with pytest.raises(ConfigError, match='"newsletter" is not the id of'):
            provider.check_access("newsletter", MAPPING)

    def test_an_unknown_field_is_named_beside_those_that_exist(self, account: Account, provider: Provider) -> None:
        with pytest.raises(ConfigError, match=r"(?i)Teir.*did you mean .Tier.*there: .*Tier"):
            provider.check_access(account.list_id, Mapping(email="EMail", custom={"Teir": "Level"}))

    def test_a_wrong_key_is_refused_without_being_quoted(self, account: Account) -> None:
        with pytest.raises(AccessError, match="key") as caught:
            provider_of(account, "wrong-key").check_access(account.list_id, MAPPING)
        assert "wrong-key" not in str(caught.value)

    def test_a_key_that_is_taken_away_stops_imports_and_questions_too(
        self, account: Account, provider: Provider
    ) -> None:
        faults_of(account).unauthorized = True
        with pytest.raises(AccessError):
            provider.submit(account.list_id, bare(1))
        with pytest.raises(AccessError):
            provider.poll("1")


class TestLists:
    def test_the_lists_are_told_with_id_name_and_size(self, account: Account, provider: Provider) -> None:
        delivered(provider, account, bare(2))
        assert all_lists(account) == [ContactList(id=account.list_id, name=LIST_NAME, count=2)]

    def test_a_list_that_was_made_is_told_and_takes_people(self, account: Account, provider: Provider) -> None:
        made = provider.create_list("Ana & Žarko, €")
        assert (made.name, made.count) == ("Ana & Žarko, €", 0)
        assert {one.id: one.name for one in all_lists(account)} == {account.list_id: LIST_NAME, made.id: made.name}
        assert provider.canonical_list_id(made.id) == made.id
        assert provider.check_access(made.id, MAPPING).list_name == made.name
        report = ended(provider, provider.submit(made.id, bare(1)))
        assert (report.state, report.refusals) == (JobState.DONE, ())

    def test_the_longest_name_is_taken(self, account: Account, provider: Provider) -> None:
        name = "n" * provider.max_list_name
        assert provider.create_list(name).name == name

    def test_a_name_that_the_provider_does_not_want_is_refused_in_its_words(
        self, account: Account, provider: Provider
    ) -> None:
        with pytest.raises(RefusedError, match=r"answered 400 to the new list: .*name"):
            provider.create_list("")
        assert len(all_lists(account)) == 1

    def test_a_lost_answer_leaves_it_unknown_whether_the_list_was_made(
        self, account: Account, provider: Provider
    ) -> None:
        trouble(account, TroubleKind.CUT_AFTER, route=account.new_list_route)
        with pytest.raises(TransientError):
            provider.create_list("Second")
        assert "Second" in {one.name for one in all_lists(account)}

    def test_the_fields_are_told_with_their_types_and_standard_names(
        self, account: Account, provider: Provider
    ) -> None:
        fields = {field.name.casefold(): field for field in provider.fields()}
        custom = fields[FIELD.casefold()]
        assert (custom.type, custom.standard) == (FieldType.TEXT, None)
        first_name = provider.standard_names[StandardField.FIRST_NAME]
        assert fields[first_name.casefold()].standard is StandardField.FIRST_NAME
        assert EMAIL_FIELD not in fields

    def test_every_field_that_is_told_can_be_mapped(self, account: Account, provider: Provider) -> None:
        fields = provider.fields()
        standard = {field.standard.value: "Column" for field in fields if field.standard is not None}
        custom = {field.name: "Column" for field in fields if field.standard is None}
        mapping = Mapping.model_validate({"email": "EMail", "custom": custom, **standard})
        shape = provider.check_access(account.list_id, mapping).shape
        told = {(field.type, field.max_chars) for field in fields}
        assert {(field.type, field.max_chars) for field in shape.fields} == told
        assert len(shape.fields) == len(fields)

    @pytest.mark.parametrize("kind", [TroubleKind.HTML_ERROR, TroubleKind.TRUNCATED, TroubleKind.CUT_BEFORE])
    def test_questions_that_bring_nothing_readable_may_pass(
        self, account: Account, provider: Provider, kind: TroubleKind
    ) -> None:
        trouble(account, kind, route=account.lists_route)
        with pytest.raises(TransientError):
            provider.lists(None)
        trouble(account, kind, route=account.fields_route)
        with pytest.raises(TransientError):
            provider.fields()

    def test_questions_keep_to_the_limit(self, account: Account, provider: Provider) -> None:
        trouble(account, TroubleKind.THROTTLE, route=account.lists_route, reset_s=7)
        with pytest.raises(ThrottledError) as caught:
            provider.lists(None)
        assert caught.value.wait_s >= 1

    def test_errors_and_logs_hold_no_key(
        self, account: Account, provider: Provider, caplog: pytest.LogCaptureFixture
    ) -> None:
        texts = []
        with caplog.at_level(logging.DEBUG):
            for ask in (lambda: provider.lists(None), lambda: provider.create_list("Second"), provider.fields):
                faults_of(account).unauthorized = True
                with pytest.raises(AccessError) as caught:
                    ask()
                texts.append(str(caught.value))
        assert not any(account.key in text for text in [*texts, caplog.text])


class TestImport:
    def test_contacts_are_on_the_list_as_they_were_encoded_when_their_job_has_ended(
        self, account: Account, provider: Provider, shape: ContactShape
    ) -> None:
        contacts = [
            contact(shape, "ann@example.com", 'Ana "Žižek" \\ \u2028', "gold"),
            contact(shape, "bo@example.com"),
            contact(shape, "cy@example.com", "李", ""),
        ]
        report = delivered(provider, account, contacts)
        assert (report.state, list(report.refusals), report.report_missing) == (JobState.DONE, [], False)
        assert not report.errored
        assert account.stored() == {values(item)["email"]: values(item) for item in contacts}

    def test_a_second_import_of_the_same_contacts_changes_nothing(
        self, account: Account, provider: Provider, shape: ContactShape
    ) -> None:
        contacts = [contact(shape, "ann@example.com", "Ann", "gold")]
        delivered(provider, account, contacts)
        once = account.stored()
        delivered(provider, account, contacts)
        assert account.stored() == once

    def test_values_that_are_left_out_stay_as_they_were(
        self, account: Account, provider: Provider, shape: ContactShape
    ) -> None:
        delivered(provider, account, [contact(shape, "ann@example.com", "Ann", "gold")])
        delivered(provider, account, [contact(shape, "ann@example.com", "", "silver")])
        expected = values(contact(shape, "ann@example.com", "Ann", "silver"))
        assert account.stored() == {"ann@example.com": expected}

    def test_someone_who_unsubscribed_stays_unsubscribed(
        self, account: Account, provider: Provider, shape: ContactShape
    ) -> None:
        contacts = [contact(shape, "ann@example.com", "Ann", "gold")]
        delivered(provider, account, contacts)
        account.opt_out("ann@example.com")
        delivered(provider, account, contacts)
        assert account.opted_out("ann@example.com")

    def test_a_bad_address_costs_nobody_else_their_delivery(self, account: Account, provider: Provider) -> None:
        contacts = [*bare(2), b'{"email":"not an address"}', *bare(4)[2:]]
        job, refused_at_once = submitted(provider, account, contacts)
        report = ended(provider, job)
        assert report.state is JobState.DONE
        assert list(refused_at_once) == [2] or [refusal.email for refusal in report.refusals] == ["not an address"]
        assert not any("not an address" in words for words in refused_at_once.values())
        assert set(account.stored()) == {f"p{number}@example.com" for number in range(4)}

    def test_a_request_without_any_good_address_is_refused(self, account: Account, provider: Provider) -> None:
        with pytest.raises(RefusedError):
            provider.submit(account.list_id, [b'{"email":"not an address"}'])

    def test_an_import_to_a_list_that_is_gone_is_a_setting_to_change(
        self, account: Account, provider: Provider
    ) -> None:
        with pytest.raises(ConfigError, match="list"):
            provider.submit(account.unknown_list_id, bare(1))


class TestLimits:
    def test_a_request_filled_to_the_last_byte_is_taken(self, account: Account, provider: Provider) -> None:
        envelope = provider.envelope(account.list_id)
        # One contact with a key that no provider knows, for the bytes that the rest of the request leaves.
        head, tail = b'{"email":"ann@example.com","filling":"', b'"}'
        around = len(envelope.head) + len(head) + len(tail) + len(envelope.tail)
        filling = b"x" * (provider.limits.max_body_bytes - around)
        report = delivered(provider, account, [head + filling + tail])
        assert (report.state, set(account.stored())) == (JobState.DONE, {"ann@example.com"})

    def test_a_request_filled_to_the_last_contact_is_taken(self, account: Account, provider: Provider) -> None:
        report = delivered(provider, account, bare(provider.limits.max_contacts))
        assert (report.state, list(report.refusals)) == (JobState.DONE, [])

    def test_a_request_that_is_too_large_is_refused(self, account: Account, provider: Provider) -> None:
        trouble(account, TroubleKind.HTML_ERROR, status=413)
        with pytest.raises(RefusedError):
            provider.submit(account.list_id, bare(2))


class TestReports:
    @pytest.mark.parametrize("kind", [ReportFile.CSV, ReportFile.GZIP])
    def test_contacts_that_a_job_refuses_are_named_with_a_reason(
        self, account: Account, provider: Provider, kind: ReportFile
    ) -> None:
        faults_of(account).report_file = kind
        faults_of(account).refuse_emails = frozenset({"p1@example.com", "p3@example.com"})
        report = delivered(provider, account, bare(5))
        assert report.state is JobState.DONE
        assert {refusal.email for refusal in report.refusals} == {"p1@example.com", "p3@example.com"}
        assert all(refusal.words for refusal in report.refusals)
        assert (report.errored, report.report_missing) == (2, False)
        assert set(account.stored()) == {"p0@example.com", "p2@example.com", "p4@example.com"}

    @pytest.mark.parametrize("kind", [ReportFile.MISSING, ReportFile.HUGE, ReportFile.UNKNOWN_COLUMNS])
    def test_errors_without_a_readable_report_are_never_taken_for_none(
        self, account: Account, provider: Provider, kind: ReportFile
    ) -> None:
        faults_of(account).report_file = kind
        faults_of(account).refuse_emails = frozenset({"p1@example.com"})
        report = delivered(provider, account, bare(5))
        assert report.state is JobState.DONE
        assert not report.refusals
        assert report.report_missing

    def test_errors_that_are_counted_and_not_named_are_never_taken_for_none(
        self, account: Account, provider: Provider
    ) -> None:
        account.count_errors_without_a_report()
        faults_of(account).refuse_emails = frozenset({"p1@example.com"})
        report = delivered(provider, account, bare(5))
        assert (report.state, list(report.refusals), report.errored) == (JobState.DONE, [], 1)


class TestTrouble:
    @pytest.mark.parametrize("kind", [TroubleKind.ERROR, TroubleKind.HTML_ERROR, TroubleKind.CUT_BEFORE])
    def test_trouble_before_the_import_may_pass(self, account: Account, provider: Provider, kind: TroubleKind) -> None:
        trouble(account, kind)
        with pytest.raises(TransientError):
            provider.submit(account.list_id, bare(2))
        assert account.stored() == {}
        delivered(provider, account, bare(2))
        assert len(account.stored()) == 2

    @pytest.mark.parametrize("kind", [TroubleKind.CUT_AFTER, TroubleKind.TRUNCATED])
    def test_a_lost_answer_is_no_verdict_and_sending_again_does_no_harm(
        self, account: Account, provider: Provider, kind: TroubleKind
    ) -> None:
        trouble(account, kind)
        with pytest.raises(TransientError):
            provider.submit(account.list_id, bare(2))
        waited_for(lambda: len(account.stored()) == 2 and account.is_idle())
        assert delivered(provider, account, bare(2)).state is JobState.DONE
        assert len(account.stored()) == 2

    def test_too_many_requests_name_the_time_to_come_back(self, account: Account, provider: Provider) -> None:
        trouble(account, TroubleKind.THROTTLE, reset_s=17)
        with pytest.raises(ThrottledError) as caught:
            provider.submit(account.list_id, bare(1))
        assert 16 <= caught.value.wait_s <= 17
        assert provider.not_before_s == caught.value.wait_s

    def test_an_answer_that_uses_up_the_limit_asks_for_a_wait(self, account: Account, provider: Provider) -> None:
        account.use_up_the_limit()
        before = provider.not_before_s
        provider.submit(account.list_id, bare(1))
        after = provider.not_before_s
        assert before is None
        assert after is not None
        assert after >= 1

    def test_a_job_that_is_stuck_has_not_ended(self, account: Account, provider: Provider) -> None:
        faults_of(account).stuck_jobs = 1
        job = provider.submit(account.list_id, bare(1))
        assert provider.poll(job) == JobReport(state=JobState.PENDING)

    def test_a_job_that_nobody_knows_has_not_ended(self, provider: Provider) -> None:
        assert provider.poll("999999") == JobReport(state=JobState.PENDING)

    def test_errors_and_logs_hold_no_address_and_no_key(
        self, account: Account, provider: Provider, caplog: pytest.LogCaptureFixture
    ) -> None:
        texts = []
        with caplog.at_level(logging.DEBUG):
            for kind, status in [
                *((TroubleKind.ERROR, status) for status in (400, 401, 403, 404, 413, 422, 500)),
                (TroubleKind.HTML_ERROR, 502),
                (TroubleKind.THROTTLE, 429),
                (TroubleKind.TRUNCATED, 200),
                (TroubleKind.CUT_AFTER, 200),
            ]:
                faults_of(account).next.clear()
                trouble(account, kind, status=max(status, 400))
                with pytest.raises(ExporterError) as caught:
                    provider.submit(account.list_id, [b'{"email":"ann@example.com"}'])
                texts.append(str(caught.value))
        assert not any(secret in text for text in [*texts, caplog.text] for secret in ("ann@", account.key))


class TestSuppressions:
    def test_where_nobody_is_suppressed_the_end_is_reached(self, account: Account) -> None:
        assert all_suppressions(account) == []

    def test_everyone_is_told_in_lower_case_however_many_they_are(self, account: Account) -> None:
        people = [f"Person{number}@example.com" for number in range(1_203)]
        account.opt_out(*people)
        rows = all_suppressions(account)
        assert sorted(row.email for row in rows) == sorted(map(str.lower, people))
        assert all(row.since is None or row.since.tzinfo is not None for row in rows)

    def test_asking_changes_nothing(self, account: Account, provider: Provider) -> None:
        delivered(provider, account, bare(2))
        account.opt_out("p0@example.com")
        before = account.stored()
        all_suppressions(account)
        assert account.stored() == before
        assert account.opted_out("p0@example.com")

    def test_a_token_may_be_used_again_and_holds_no_address(self, account: Account, provider: Provider) -> None:
        account.opt_out(*(f"p{number}@example.com" for number in range(700)))
        token = provider.suppressions(None).token
        assert token is not None
        assert len(token) <= 100
        assert "@" not in token

        def second_part() -> Suppressions | None:
            part = provider.suppressions(token)
            return part if part.rows else None

        once = waited_for(second_part)
        assert provider_of(account).suppressions(token) == once

    def test_a_key_that_may_not_read_them_is_a_setting_to_change(self, account: Account, provider: Provider) -> None:
        trouble(account, TroubleKind.ERROR, route=account.suppressions_route, status=403)
        with pytest.raises(AccessError, match="switch withhold off"):
            provider.suppressions(None)

    @pytest.mark.parametrize("kind", [TroubleKind.ERROR, TroubleKind.CUT_AFTER, TroubleKind.TRUNCATED])
    def test_trouble_is_never_taken_for_nobody(self, account: Account, provider: Provider, kind: TroubleKind) -> None:
        account.opt_out("ann@example.com")
        trouble(account, kind, route=account.suppressions_route)
        with pytest.raises(TransientError):
            provider.suppressions(None)
        assert [row.email for row in all_suppressions(account)] == ["ann@example.com"]


class TestAccount:
    def test_every_key_of_an_account_leads_to_the_same_one(self, account: Account, provider: Provider) -> None:
        name = provider.account()
        assert name
        assert provider_of(account, account.other_key).account() == name

    def test_a_key_that_may_not_ask_is_no_failure(self, account: Account, provider: Provider) -> None:
        trouble(account, TroubleKind.ERROR, route=account.account_route, status=403)
        assert provider.account() is None

    def test_a_key_that_is_refused_altogether_is_one(self, account: Account) -> None:
        with pytest.raises(AccessError, match="key"):
            provider_of(account, "wrong-key").account()

    @pytest.mark.parametrize("kind", [TroubleKind.ERROR, TroubleKind.CUT_AFTER, TroubleKind.TRUNCATED])
    def test_trouble_is_never_taken_for_an_account(
        self, account: Account, provider: Provider, kind: TroubleKind
    ) -> None:
        trouble(account, kind, route=account.account_route)
        with pytest.raises(TransientError):
            provider.account()


class TestMembers:
    def test_nobody_is_on_a_new_list(self, account: Account) -> None:
        account.put_on_another_list("else@example.com")
        assert all_members(account) == []

    def test_everyone_on_the_list_is_told_once_in_lower_case_and_nobody_else(
        self, account: Account, provider: Provider
    ) -> None:
        delivered(provider, account, [f'{{"email":"P{number}@example.com"}}'.encode() for number in range(1_203)])
        account.put_on_another_list("else@example.com")
        emails = [member.email for member in all_members(account)]
        assert sorted(emails) == sorted(f"p{number}@example.com" for number in range(1_203))

    def test_who_unsubscribed_is_on_the_list_all_the_same(self, account: Account, provider: Provider) -> None:
        delivered(provider, account, bare(2))
        account.opt_out("p0@example.com")
        assert {member.email for member in all_members(account)} == {"p0@example.com", "p1@example.com"}

    def test_asking_changes_nothing(self, account: Account, provider: Provider) -> None:
        delivered(provider, account, bare(2))
        before = account.stored()
        all_members(account)
        assert account.stored() == before

    def test_a_token_may_be_used_again_and_holds_no_address(self, account: Account, provider: Provider) -> None:
        delivered(provider, account, bare(3))
        token = provider.members(account.list_id, None).token
        assert token is not None
        assert len(token) <= 100
        assert "@" not in token

        def second_part() -> Members | None:
            part = provider.members(account.list_id, token)
            return part if part.rows else None

        once = waited_for(second_part)
        assert provider_of(account).members(account.list_id, token) == once

    @pytest.mark.parametrize("kind", [ReportFile.MISSING, ReportFile.UNKNOWN_COLUMNS, ReportFile.HUGE])
    def test_a_file_that_cannot_be_read_is_never_an_empty_list(
        self, account: Account, provider: Provider, kind: ReportFile
    ) -> None:
        delivered(provider, account, bare(3))
        faults_of(account).report_file = kind
        with pytest.raises((TransientError, ConfigError), match="file of the list"):
            all_members(account)

    def test_a_packed_file_is_read(self, account: Account, provider: Provider) -> None:
        delivered(provider, account, bare(3))
        faults_of(account).report_file = ReportFile.GZIP
        assert len(all_members(account)) == 3

    @pytest.mark.parametrize("kind", [TroubleKind.ERROR, TroubleKind.CUT_AFTER, TroubleKind.TRUNCATED])
    def test_trouble_is_never_taken_for_nobody(self, account: Account, provider: Provider, kind: TroubleKind) -> None:
        delivered(provider, account, bare(1))
        trouble(account, kind, route=account.members_route)
        with pytest.raises(TransientError):
            provider.members(account.list_id, None)
        assert [row.email for row in all_members(account)] == ["p0@example.com"]

    def test_an_unknown_list_is_a_setting_to_change(self, account: Account, provider: Provider) -> None:
        with pytest.raises(ConfigError, match="the list does not exist"):
            provider.members(account.unknown_list_id, None)


class TestRoom:
    def test_contacts_of_the_account_are_counted_where_that_is_wanted(
        self, account: Account, provider: Provider
    ) -> None:
        delivered(provider, account, bare(3))
        assert provider.check_access(account.list_id, MAPPING).account_contacts is None
        assert provider.check_access(account.list_id, MAPPING, count_account=True).account_contacts == 3


class TestRemoval:
    def test_members_leave_the_list_and_nothing_else_happens_to_them(
        self, account: Account, provider: Provider
    ) -> None:
        delivered(provider, account, bare(3))
        account.opt_out("p0@example.com")
        removal = settled(provider, provider.remove(account.list_id, people(["p0@example.com", "p2@example.com"])))
        assert removal == Removal(removed=frozenset({"p0@example.com", "p2@example.com"}))
        assert set(account.stored()) == {"p1@example.com"}
        assert account.opted_out("p0@example.com")
        assert provider.check_access(account.list_id, MAPPING, count_account=True).account_contacts == 3

    def test_who_was_not_on_the_list_is_told_apart(self, account: Account, provider: Provider) -> None:
        delivered(provider, account, bare(2))
        emails = ["p0@example.com", "nobody@example.com"]
        removal = settled(provider, provider.remove(account.list_id, people(emails)))
        assert (removal.removed, removal.absent) == ({"p0@example.com"}, {"nobody@example.com"})

    def test_a_second_removal_finds_nobody_and_does_no_harm(self, account: Account, provider: Provider) -> None:
        delivered(provider, account, bare(2))
        emails = ["p0@example.com", "p1@example.com"]
        settled(provider, provider.remove(account.list_id, people(emails)))
        assert settled(provider, provider.remove(account.list_id, people(emails))) == Removal(absent=frozenset(emails))
        assert account.stored() == {}

    def test_where_nobody_is_known_everyone_is_absent(self, account: Account, provider: Provider) -> None:
        emails = ["a@example.com", "b@example.com"]
        assert provider.remove(account.list_id, people(emails)) == Removal(absent=frozenset(emails))

    def test_a_removal_filled_to_the_limit_is_taken(self, account: Account, provider: Provider) -> None:
        # The longest addresses there are: 254 characters.
        tail = "@" + ".".join(["d" * 61] * 3) + ".com"
        emails = [f"{number:064}{tail}" for number in range(provider.removal_limit)]
        delivered(provider, account, [json.dumps({"email": email}).encode() for email in emails])
        removal = settled(provider, provider.remove(account.list_id, people(emails)))
        assert removal == Removal(removed=frozenset(emails))
        assert account.stored() == {}

    def test_as_many_of_those_who_were_told_as_a_removal_takes_leave_with_it(
        self, account: Account, provider: Provider
    ) -> None:
        delivered(provider, account, bare(provider.removal_limit_by_id + 1))
        leavers = all_members(account)[: provider.removal_limit_by_id]
        removal = settled(provider, provider.remove(account.list_id, leavers))
        assert removal == Removal(removed=frozenset(leaver.email for leaver in leavers))
        assert set(account.stored()) == {f"p{n}@example.com" for n in range(len(leavers) + 1)} - removal.removed

    def test_an_id_that_is_gone_costs_nobody_the_removal(self, account: Account, provider: Provider) -> None:
        delivered(provider, account, bare(3))
        gone = Member(email="gone@example.com", id="4d1a5a3c-0000-4000-8000-000000000000")
        first, second, _ = sorted(all_members(account), key=lambda member: member.email)
        removal = settled(provider, provider.remove(account.list_id, [first, gone, second]))
        assert (removal.removed, removal.absent) == ({"p0@example.com", "p1@example.com"}, {"gone@example.com"})
        assert set(account.stored()) == {"p2@example.com"}

    def test_a_removal_from_a_list_that_is_gone_is_a_setting_to_change(
        self, account: Account, provider: Provider
    ) -> None:
        delivered(provider, account, bare(1))
        with pytest.raises(ConfigError, match="the list does not exist"):
            provider.remove(account.unknown_list_id, people(["p0@example.com"]))

    @pytest.mark.parametrize("kind", [TroubleKind.ERROR, TroubleKind.HTML_ERROR, TroubleKind.CUT_BEFORE])
    def test_trouble_before_the_removal_may_pass(self, account: Account, provider: Provider, kind: TroubleKind) -> None:
        delivered(provider, account, bare(2))
        trouble(account, kind, route=account.removal_route)
        with pytest.raises(TransientError):
            provider.remove(account.list_id, people(["p0@example.com"]))
        assert len(account.stored()) == 2

    @pytest.mark.parametrize("kind", [TroubleKind.CUT_AFTER, TroubleKind.TRUNCATED])
    def test_a_lost_answer_is_no_verdict_and_removing_again_does_no_harm(
        self, account: Account, provider: Provider, kind: TroubleKind
    ) -> None:
        delivered(provider, account, bare(2))
        trouble(account, kind, route=account.removal_route)
        with pytest.raises(TransientError):
            provider.remove(account.list_id, people(["p0@example.com"]))
        waited_for(lambda: len(account.stored()) == 1)
        assert settled(provider, provider.remove(account.list_id, people(["p0@example.com"]))).absent == {
            "p0@example.com"
        }
        assert set(account.stored()) == {"p1@example.com"}

    def test_errors_and_logs_hold_no_address_and_no_key(
        self, account: Account, provider: Provider, caplog: pytest.LogCaptureFixture
    ) -> None:
        delivered(provider, account, [b'{"email":"ann@example.com"}'])
        texts = []
        with caplog.at_level(logging.DEBUG):
            for status in (401, 403, 404, 413, 414, 422, 429, 500):
                faults_of(account).next.clear()
                trouble(account, TroubleKind.ERROR, route=account.removal_route, status=status)
                with pytest.raises(ExporterError) as caught:
                    provider.remove(account.list_id, people(["ann@example.com"]))
                texts.append(str(caught.value))
        assert not any(secret in text for text in [*texts, caplog.text] for secret in ("ann@", account.key))


class TestFacts:
    def test_a_provider_declares_what_the_steps_need(self, provider: Provider) -> None:
        assert provider.limits.max_contacts >= 1
        assert provider.limits.max_body_bytes >= 100_000
        assert provider.jobs_in_flight >= 1
        assert provider.poll_delays_s
        assert all(0 < delay <= provider.job_deadline_s for delay in provider.poll_delays_s)
        assert provider.removal_limit_by_id >= provider.removal_limit >= 1
        assert provider.listing_pays_from is None or provider.listing_pays_from > provider.removal_limit
        assert provider.stated_limit >= 1
        assert provider.pace_per_minute > 0
        assert provider.max_list_name >= 1
        assert StandardField.FIRST_NAME in provider.standard_names
