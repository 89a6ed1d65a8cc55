"""The life of import jobs at the SendGrid sandbox, and the files they leave."""

import csv
import gzip
import time

import pytest
import requests

from infra.local.sandbox.faults import ReportFile
from infra.local.sandbox.reports import HUGE_BYTES

TWO = [{"email": "good@example.com"}, {"email": "bad@example.com"}]


@pytest.fixture
def refusing(sendgrid):
    sendgrid.sandbox.faults.refuse_emails = {"bad@example.com"}
    return sendgrid


def test_a_job_is_pending_then_counts_while_pending_then_ends(sendgrid):
    sendgrid.sandbox.faults.job_delay_s = 1.0
    job_id = sendgrid.upsert([{"email": "a@example.com"}]).json()["job_id"]
    seen = []
    while not seen or seen[-1][0] == "pending":
        job = sendgrid.job(job_id)
        state = (job["status"], job["results"].get("created_count"), "finished_at" in job)
        if not seen or seen[-1] != state:
            seen.append(state)
        time.sleep(0.02)
    assert seen == [("pending", None, False), ("pending", 1, False), ("completed", 1, True)]


def test_an_unknown_job_is_not_found(sendgrid):
    answer = sendgrid("GET", "/v3/marketing/contacts/imports/nothing")
    assert (answer.status_code, answer.json()["errors"][0]["message"]) == (404, "not found")


def test_refused_rows_make_a_job_errored_and_stand_in_a_file_elsewhere_that_needs_no_key(refusing):
    list_id = refusing.new_list()
    job = refusing.done(refusing.upsert(TWO, list_id))
    assert job["status"] == "errored"
    assert (job["results"]["created_count"], job["results"]["errored_count"]) == (1, 1)
    url = job["results"]["errors_url"]
    assert not url.startswith(refusing.sandbox.url)
    rows = list(csv.reader(requests.get(url, timeout=5).text.splitlines()))
    assert rows == [["email", "reason"], ["bad@example.com", "contact refused"]]
    assert refusing.stored(list_id) == [{"email": "good@example.com"}]


def test_every_nth_contact_can_be_refused(sendgrid):
    sendgrid.sandbox.faults.refuse_every = 2
    list_id = sendgrid.new_list()
    job = sendgrid.done(sendgrid.upsert([{"email": f"p{number}@example.com"} for number in range(1, 6)], list_id))
    assert job["results"]["errored_count"] == 2
    assert [contact["email"][1] for contact in sendgrid.stored(list_id)] == ["1", "3", "5"]


def test_a_job_without_errors_has_no_file(sendgrid):
    assert "errors_url" not in sendgrid.done(sendgrid.upsert([{"email": "a@example.com"}]))["results"]


def test_a_job_that_takes_nobody_has_failed(refusing):
    assert refusing.done(refusing.upsert(TWO[1:]))["status"] == "failed"


def test_the_file_may_be_gzip(refusing):
    refusing.sandbox.faults.report_file = ReportFile.GZIP
    answer = requests.get(refusing.done(refusing.upsert(TWO))["results"]["errors_url"], timeout=5)
    assert "Content-Encoding" not in answer.headers
    assert b"bad@example.com" in gzip.decompress(answer.content)


def test_the_file_may_be_missing(refusing):
    refusing.sandbox.faults.report_file = ReportFile.MISSING
    assert requests.get(refusing.done(refusing.upsert(TWO))["results"]["errors_url"], timeout=5).status_code == 404


def test_the_job_may_count_errors_and_name_no_file(refusing):
    refusing.sandbox.faults.report_file = ReportFile.NONE
    results = refusing.done(refusing.upsert(TWO))["results"]
    assert results["errored_count"] == 1
    assert "errors_url" not in results


def test_the_file_may_have_columns_nobody_knows(refusing):
    refusing.sandbox.faults.report_file = ReportFile.UNKNOWN_COLUMNS
    text = requests.get(refusing.done(refusing.upsert(TWO))["results"]["errors_url"], timeout=5).text
    assert "email" not in text
    assert "bad@" not in text


def test_the_file_may_be_huge(refusing):
    refusing.sandbox.faults.report_file = ReportFile.HUGE
    url = refusing.done(refusing.upsert(TWO))["results"]["errors_url"]
    with requests.get(url, timeout=30, stream=True) as answer:
        chunks = (len(chunk) for chunk in answer.iter_content(1 << 20))
        assert sum(chunks) > HUGE_BYTES * 0.9


def test_a_stuck_job_stays_pending_and_the_next_one_passes(sendgrid):
    sendgrid.sandbox.faults.stuck_jobs = 1
    stuck = sendgrid.upsert([{"email": "a@example.com"}]).json()["job_id"]
    sendgrid.done(sendgrid.upsert([{"email": "b@example.com"}]))
    assert sendgrid.job(stuck)["status"] == "pending"
    assert sendgrid.job(stuck)["results"] == {"requested_count": 1}


def test_over_the_limit_of_the_plan_a_job_fails_and_takes_nobody(sendgrid):
    sendgrid.sandbox.faults.contact_limit = 2
    list_id = sendgrid.new_list()
    sendgrid.done(sendgrid.upsert([{"email": "a@example.com"}], list_id))
    job = sendgrid.done(sendgrid.upsert([{"email": "b@example.com"}, {"email": "c@example.com"}], list_id))
    assert job["status"] == "failed"
    assert "you have hit your contact limit" in str(job)
    assert len(sendgrid.stored(list_id)) == 1
    assert sendgrid.done(sendgrid.upsert([{"email": "a@example.com", "city": "Rome"}]))["status"] == "completed"


def test_jobs_are_merged_in_the_order_of_their_requests(sendgrid):
    list_id = sendgrid.new_list()
    answers = [sendgrid.upsert([{"email": "a@example.com", "city": str(n)}], list_id) for n in range(20)]
    for answer in answers:
        sendgrid.done(answer)
    assert sendgrid.stored(list_id)[0]["city"] == "19"
