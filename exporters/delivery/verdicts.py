"""What the provider's words mean for the rows of a batch. Pure.

A row is `delivered` only when its import job has ended and the job's error report, where there is one, has been read.
"""

from collections.abc import Iterable, Sequence

from exporters.model.batch import BatchProgress, ImportJob, RowRange, Tally
from exporters.providers import wording
from exporters.providers.base import JobReport, JobState

#: Longest text of a provider that is kept, in characters.
MAX_WORDS = 300


def without_values(words: str) -> str:
    """A provider's sentence with all that it quotes blacked out, cut to a bearable length: it is stored and shown."""
    return wording.without_values(words)[:MAX_WORDS]


def rows_of(ranges: Iterable[RowRange]) -> list[int]:
    """The rows of some ranges, in order."""
    return [row for first, end in ranges for row in range(first, end)]


def ranges_of(rows: Iterable[int]) -> tuple[RowRange, ...]:
    """The fewest ranges that hold these rows, which come in order."""
    ranges: list[list[int]] = []
    for row in rows:
        if ranges and ranges[-1][1] == row:
            ranges[-1][1] = row + 1
        else:
            ranges.append([row, row + 1])
    return tuple((first, end) for first, end in ranges)


def size(ranges: Iterable[RowRange]) -> int:
    """Number of rows."""
    return sum(end - first for first, end in ranges)


def judge(job: ImportJob, report: JobReport, emails: Sequence[str]) -> Tally:
    """Verdicts of a job that has ended. `emails` are the addresses of the job's rows, in order, in lower case.

    They are read only when the report names someone; an empty sequence does where it names no one.
    """
    if report.state is JobState.FAILED and job.in_doubt:
        return unknown(job.rows)
    if report.state is JobState.FAILED:
        words = without_values(report.words or "the import job failed")
        return Tally(refused_ranges=tuple((rows, words) for rows in job.rows))
    refused = _named(job, report, emails)
    nameless = _nameless(job, report, len(refused))
    return Tally(
        delivered=job.contacts - len(refused) - nameless,
        refused=refused,
        unknown=nameless,
        unknown_ranges=ranges_of(row for row in rows_of(job.rows) if row not in refused) if nameless else (),
    )


def unknown(ranges: tuple[RowRange, ...]) -> Tally:
    """Rows that the provider never answered for."""
    return Tally(unknown=size(ranges), unknown_ranges=ranges)


def refused(ranges: tuple[RowRange, ...], words: str) -> Tally:
    """Rows of a request that the provider refused as a whole."""
    return Tally(refused_ranges=tuple((rows, without_values(words)) for rows in ranges))


def add(one: Tally, other: Tally) -> Tally:
    """Verdicts of different rows, together."""
    return Tally(
        delivered=one.delivered + other.delivered,
        absent=one.absent + other.absent,
        refused=one.refused | other.refused,
        refused_ranges=one.refused_ranges + other.refused_ranges,
        unknown=one.unknown + other.unknown,
        unknown_ranges=one.unknown_ranges + other.unknown_ranges,
    )


def narrowed(progress: BatchProgress, named: dict[int, str], *, words: str) -> BatchProgress:
    """The batch after its first pending request was refused.

    `named` holds the rows at fault by their index in that request. They are refused and the rest is tried again; when
    none is named the request is halved, until a single row is left to refuse. So one bad row never costs the others.
    """
    request, *later = progress.pending
    again: tuple[tuple[RowRange, ...], ...] = ()
    rows = rows_of(request)
    at_fault = {rows[index]: without_values(text) for index, text in named.items() if 0 <= index < len(rows)}
    if at_fault:
        rest = ranges_of(row for row in rows if row not in at_fault)
        again = (rest,) if rest else ()
        tally = add(progress.tally, Tally(refused=at_fault))
    elif len(rows) == 1:
        tally = add(progress.tally, refused(request, words))
    else:
        middle = len(rows) // 2
        again = (ranges_of(rows[:middle]), ranges_of(rows[middle:]))
        tally = progress.tally
    return progress.model_copy(update={"pending": (*again, *later), "tally": tally})


def _named(job: ImportJob, report: JobReport, emails: Sequence[str]) -> dict[int, str]:
    """The rows that the report names, with the provider's words."""
    words = {refusal.email.strip().lower(): refusal.words for refusal in report.refusals}
    if not words:
        return {}
    rows = rows_of(job.rows)
    return {
        row: without_values(words[email] or "refused")
        for row, email in zip(rows, emails, strict=True)
        if email in words
    }


def _nameless(job: ImportJob, report: JobReport, named: int) -> int:
    """How many more rows the job did not take than can be named.

    Where the job had errors and its report could not be read, nobody is known to be delivered, whatever is counted.
    """
    rest = job.contacts - named
    if report.report_missing:
        return rest
    if report.errored is not None:
        return min(rest, max(0, report.errored - named))
    strangers = len({refusal.email.strip().lower() for refusal in report.refusals}) - named
    return min(rest, max(0, strangers))
