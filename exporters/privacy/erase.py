"""Erase one person from everything that the app keeps, step by step; the document of the erasure is the receipt.

An export is done when all its files were seen without the person while no run of it was at work, and none had been for
longer than a step can live: a run that began before may have read them, and write them again. What begins later reads
files that are clean, and brings the person back only if a segment still has them, or a person does.

Each file is replaced only as it was read. What was found in it is noted before, so that the receipt has it whenever a
step dies, and how far the erasure has come only saves work: a file is looked at again unless it is the same. One step
at a time works on an erasure, under a claim; the timer sends the message of the next one.
"""

import hashlib
import hmac
import logging
import secrets
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath

from azure.core.exceptions import AzureError

from exporters import log, tracing
from exporters.audit import trail
from exporters.audit.trail import Action
from exporters.delivery.finish import delete_staged
from exporters.delivery.watch import SILENCE
from exporters.errors import ConfigError, StorageConflictError
from exporters.model.caller import BY_APP, Caller
from exporters.model.erasure import Erasure, ExportErasure, PersonToErase, erasure_id
from exporters.model.export import Export
from exporters.model.messages import EraseMessage
from exporters.model.run import ExportState
from exporters.parts import Parts
from exporters.planning import person
from exporters.privacy import holdings, lists
from exporters.privacy.holdings import Held
from exporters.scratch import scratch_folder
from exporters.storage import paths

#: How long one step looks into further files. Meanwhile no run is planned in its process.
WORK_FOR = timedelta(minutes=1)
#: Until the next look at an export with a run at work, and after a file that somebody else has changed meanwhile.
LOOK_AGAIN_S = 60.0
#: After a step that has failed again and again.
AFTER_FAILURE = timedelta(hours=1)
#: Bytes of a proof: as many as the digest has.
PROOF_BYTES = 32

POISONED = "Its step failed again and again: the log of the function erase_person says why. It is tried once an hour"
FAILED = "a try that does not fail ({}): the log of the function erase_person says why"
DIED = "Its last step came to no end, as if its process was killed: the log of the app says why. It is tried again"
NOBODY = "The address was deleted from the state container before the end: start another erasure"
#: What an erasure has that no step works on.
_FREE: dict[str, object] = {"claim": "", "claimed_until": None}


class _LostError(Exception):
    """Another step works on the erasure now."""


def begin(parts: Parts, address: str, *, off_lists: bool, reason: str, caller: Caller) -> tuple[Erasure, str]:
    """Start an erasure; answers it, and the proof of whom it is about, which is kept nowhere.

    Its mark and the address are stored first: an erasure that anybody can know of has both, and goes on though its
    message gets lost, or cannot be sent. Without an erasure `watch` deletes them again.
    """
    now, proof = parts.now(), secrets.token_hex(PROOF_BYTES)
    email = person.canonical(address)
    erasure = Erasure(
        id=erasure_id(now, parts.new_id()),
        begun=now,
        by=caller.label,
        reason=trail.hidden(reason),
        off_lists=off_lists,
        digest=digest_of(email, proof),
        due=now,
    )
    whom = PersonToErase(email=email, spellings=person.spellings(address))
    parts.state.put(paths.open_erasure(erasure.id), b"")
    parts.documents.create(paths.person_to_erase(erasure.id), whom)
    parts.documents.create(paths.erasure(erasure.id), erasure)
    try:
        _send(parts, erasure.id)
    except AzureError as error:  # it has begun all the same, and who began it needs its proof
        log.step("erase", "not sent", level=logging.WARNING, erasure=erasure.id, error=type(error).__name__)
    return erasure, proof


def digest_of(email: str, proof: str) -> str:
    """What a receipt holds in the place of an address: without the proof it tells nothing of it, to no guesser either.

    https://www.rfc-editor.org/rfc/rfc2104
    """
    return hmac.new(proof.encode(), email.encode(), hashlib.sha256).hexdigest()


def watch(parts: Parts) -> None:
    """Send a message for each erasure that can go on. Harmless when repeated: a step too many finds nothing to do."""
    for blob in parts.state.list(paths.OPEN_ERASURES):
        name = blob.name.removeprefix(paths.OPEN_ERASURES)
        try:
            found = parts.documents.read(Erasure, paths.erasure(name))
        except ConfigError as error:
            log.step("erase", "unreadable", level=logging.ERROR, erasure=name, reason=str(error))
            continue
        if found is None:
            if parts.now() - blob.modified > _late(parts):  # whoever began it died in between, and told nobody of it
                _forget(parts, name)
        elif _can_go_on(found.value, parts.now()):
            _send(parts, name)


def erase(parts: Parts, message: EraseMessage) -> None:
    """Do some of an erasure. Harmless when repeated, and wherever it dies: see above."""
    found = parts.documents.read(Erasure, paths.erasure(message.erasure))
    if found is not None and found.value.finished is not None:
        _close(parts, found.value)
    erasure = None if found is None else _claimed(parts, message.erasure)
    if erasure is None:
        return
    if not parts.heavy_work.acquire(blocking=False):
        _release(parts, erasure, due=parts.now())
        return
    try:
        _work(parts, erasure)
    except _LostError:
        log.step("erase", "lost", level=logging.WARNING, erasure=erasure.id)
    except Exception:  # the message comes back, and must not find the erasure claimed by a step that is no more
        _give_back(parts, erasure)
        raise
    finally:
        parts.heavy_work.release()


def abandon(parts: Parts, message: EraseMessage) -> None:
    """Say that an erasure does not get on, and try it less often. Harmless when repeated."""
    due = parts.now() + AFTER_FAILURE
    if parts.documents.read(Erasure, paths.erasure(message.erasure)) is not None:
        parts.documents.change(
            Erasure,
            paths.erasure(message.erasure),
            lambda now: now if now.finished else now.model_copy(update={**_FREE, "trouble": POISONED, "due": due}),
        )


@dataclass(slots=True)
class _Errand:
    """An erasure while a step works on it."""

    parts: Parts
    erasure: Erasure
    whom: PersonToErase
    until: datetime
    seen: dict[str, str] = field(default_factory=dict)
    failures: list[Exception] = field(default_factory=list)

    @property
    def late(self) -> bool:
        """Whether the step has worked for long enough."""
        return self.parts.now() >= self.until

    def of(self, export_id: str) -> ExportErasure:
        return self.erasure.exports.get(export_id, ExportErasure())

    def change(self, export_id: str, **changes: object) -> None:
        changed = self.of(export_id).model_copy(update=changes)
        self.erasure = self.erasure.model_copy(update={"exports": {**self.erasure.exports, export_id: changed}})

    def save(self) -> None:
        """Write the receipt as it is now. Raises _LostError when another step has taken over."""
        self.erasure = _written(self.parts, self.erasure)


def _work(parts: Parts, erasure: Erasure) -> None:
    found = parts.documents.read(PersonToErase, paths.person_to_erase(erasure.id))
    if found is None:
        _end(parts, erasure.model_copy(update={"failed": True}), trouble=NOBODY)
        return
    whom = found.value
    errand = _Errand(parts, erasure, whom, parts.now() + WORK_FOR, dict(whom.seen))
    waits = [_look_at(errand, export_id) for export_id in holdings.export_ids(parts)]
    if not any(waits):
        waits.append(_clear_staging(errand))
    if errand.failures:
        _remember(errand)
        errand.save()
        raise errand.failures[0]
    if any(waits):
        _remember(errand)
        due = parts.now() + timedelta(seconds=0 if errand.late else min(filter(None, waits)))
        _release(parts, errand.erasure, due=due)
    else:
        _end(parts, errand.erasure)


def _look_at(errand: _Errand, export_id: str) -> float:
    """Do what can be done about an export now; answers the seconds until the next look, 0 when it is done."""
    if errand.of(export_id).done is not None:
        return 0.0
    if errand.late:
        return LOOK_AGAIN_S
    try:
        return _erase_export(errand, export_id)
    except ConfigError as error:  # it must not keep the person in the files of others
        errand.change(export_id, waits_for=f"somebody to correct a document: {error}")
        return LOOK_AGAIN_S
    except _LostError:
        raise
    except Exception as error:  # noqa: BLE001 (the same; it is raised when all have had their turn)
        errand.change(export_id, waits_for=FAILED.format(type(error).__name__))
        errand.failures.append(error)
        return LOOK_AGAIN_S


def _erase_export(errand: _Errand, export_id: str) -> float:
    parts, before = errand.parts, _standing(errand.parts, export_id)
    held = holdings.of_export(parts, export_id)
    unclean = [one for one in held.files if not _is_clean(errand, export_id, one)]
    if unclean:
        return LOOK_AGAIN_S
    errand.change(export_id, looked_at=dict(Counter(one.holding for one in held.files)))
    if before.run is not None:
        errand.change(export_id, waits_for=f"the end of the run {before.run}, which may know the person still")
        return LOOK_AGAIN_S
    if held.last_change is not None and parts.now() - held.last_change <= _late(parts):
        errand.change(export_id, waits_for="late steps of a run that has just ended")
        return LOOK_AGAIN_S
    if errand.erasure.off_lists and not _gather_lists(errand, export_id, held.runs):
        errand.change(
            export_id, waits_for="a look into the documents of all its runs, for the lists that it has filled"
        )
        return LOOK_AGAIN_S
    wait_s = _take_off_lists(errand, export_id)
    if wait_s:
        errand.change(export_id, waits_for="the provider, to take the person off the list")
        return wait_s
    if _standing(parts, export_id) != before:
        return LOOK_AGAIN_S
    errand.change(export_id, waits_for="", done=parts.now(), **_around(errand, export_id))
    return 0.0


def _around(errand: _Errand, export_id: str) -> dict[str, object]:
    """What people should know about an export when it is done."""
    found = errand.parts.documents.read(Export, paths.export(export_id))
    so_far, export = errand.of(export_id), None if found is None else found.value
    found_lists = lists.Lists(errand.parts, export_id, so_far.lists)
    found_lists.add_current()
    for run in _ledgers(so_far):
        found_lists.add_of_run(run)
    return {
        "segments": () if export is None else export.segments,
        "connections": tuple(dict.fromkeys(one.connection for one in found_lists.gathered)),
        "is_excluded": export is not None and any(entry in errand.whom.spellings for entry in export.exclude),
    }


def _ledgers(export: ExportErasure) -> list[str]:
    """The runs in whose ledgers the person was."""
    return [PurePosixPath(name).stem for name in export.found if name.startswith(paths.LEDGERS)]


@dataclass(frozen=True, slots=True)
class _Standing:
    """Which run is at work. With the same ETag none has begun or ended in between: each is a write of the document."""

    run: str | None
    etag: str | None


def _standing(parts: Parts, export_id: str) -> _Standing:
    found = parts.documents.read(ExportState, paths.export_state(export_id))
    if found is None:
        return _Standing(None, None)
    return _Standing(None if found.value.active is None else found.value.active.run, found.etag)


def _is_clean(errand: _Errand, export_id: str, held: Held) -> bool:
    """Whether a file is known to be without the person; looks into it and takes them out, while there is time."""
    name = held.blob.name
    if errand.seen.get(name) == _bare(held.blob.etag):
        return True
    if errand.late:
        return False
    with scratch_folder("erase-") as folder:
        try:
            errand.seen[name] = _bare(_cleaned(errand, export_id, held, folder))
        except StorageConflictError:
            return False  # changed or deleted since it was listed: the next look sees it as it is
        except ConfigError:
            errand.seen[name] = _bare(held.blob.etag)
            unreadable = dict.fromkeys([*errand.of(export_id).unreadable, name])
            errand.change(export_id, unreadable=tuple(unreadable))
    return True


def _cleaned(errand: _Errand, export_id: str, held: Held, folder: Path) -> str:
    """Take the person out of a file; answers the ETag of the file without them."""
    parts, name = errand.parts, held.blob.name
    found = holdings.without(parts, held, errand.whom.spellings, folder)
    if not found.rows:
        return held.blob.etag
    known = errand.of(export_id).found
    errand.change(export_id, found={**known, name: max(found.rows, known.get(name, 0))})
    errand.save()
    return parts.state.upload_over(name, found.others, etag=held.blob.etag, metadata=held.blob.metadata)


def _bare(etag: str) -> str:
    """An ETag as listings have it: without the quotes that answers to requests put around it."""
    return etag.strip('"')


def _gather_lists(errand: _Errand, export_id: str, documents: Iterable[str]) -> bool:
    """Note the lists that an export fills and has filled; answers whether all are noted.

    Of runs with a document, and of those whose ledger had the person. A later step goes on after the last one that was
    looked into: a run that began since then fills the list that the export names now.
    """
    so_far = errand.of(export_id)
    found, unnamed, last = lists.Lists(errand.parts, export_id, so_far.lists), [], so_far.lists_up_to
    found.add_current()
    left = sorted((run for run in {*documents, *_ledgers(so_far)} if run > last), reverse=True)
    while left and not errand.late:
        last = left.pop()
        if not found.add_of_run(last):
            unnamed.append(last)
    errand.change(
        export_id,
        lists=found.gathered,
        lists_up_to=last,
        runs_of_no_list=(*so_far.runs_of_no_list, *unnamed),
    )
    return not left


def _take_off_lists(errand: _Errand, export_id: str) -> float:
    """Do what comes next about the lists of an export; answers the seconds until the next step, 0 when all is done."""
    targets, waits = errand.of(export_id).lists, [0.0]
    for number, target in enumerate(targets):
        if not target.outcome.final:
            after, wait_s = lists.take_off(errand.parts, target, errand.whom.email)
            targets = (*targets[:number], after, *targets[number + 1 :])
            errand.change(export_id, lists=targets)
            errand.save()
            waits.append(wait_s)
    return max(waits)


def _clear_staging(errand: _Errand) -> float:
    """Delete what is staged for runs that are not at work; answers the seconds until the next look, 0 when all is.

    A run that is at work needs its files, and its export is not done before they are gone. What is new may be of a run
    that is just being started.
    """
    parts = errand.parts
    staged = {PurePosixPath(name).name: list(parts.state.list(name)) for name in parts.state.folders(paths.STAGING)}
    if not staged:
        return 0.0
    at_work = {_standing(parts, PurePosixPath(blob.name).stem).run for blob in parts.state.list(paths.EXPORT_STATES)}
    wait_s = 0.0
    for run, blobs in staged.items():
        if run in at_work or not blobs:
            continue
        if parts.now() - max(blob.modified for blob in blobs) <= _late(parts):
            wait_s = LOOK_AGAIN_S
            continue
        errand.erasure = errand.erasure.model_copy(
            update={"staged_runs": tuple(dict.fromkeys([*errand.erasure.staged_runs, run]))}
        )
        errand.save()
        delete_staged(parts, run)
    return wait_s


def _can_go_on(erasure: Erasure, now: datetime) -> bool:
    """Whether there is something to do, and nobody does it."""
    is_free = erasure.claimed_until is None or erasure.claimed_until <= now
    return erasure.finished is not None or (is_free and erasure.due <= now)


def _claimed(parts: Parts, name: str) -> Erasure | None:
    """The erasure, if it is this step's turn."""
    now = parts.now()
    mine = {"claim": parts.new_id(), "claimed_until": now + _late(parts)}

    def change(erasure: Erasure) -> Erasure:
        free = erasure.finished is None and _can_go_on(erasure, now)
        return erasure.model_copy(update={**mine, "trouble": DIED if erasure.claim else ""}) if free else erasure

    erasure = parts.documents.change(Erasure, paths.erasure(name), change)
    return erasure if erasure.claim == mine["claim"] else None


def _written(parts: Parts, erasure: Erasure, **changes: object) -> Erasure:
    """Write the erasure with some values changed. Raises _LostError when another step has taken over."""
    changed = erasure.model_copy(update=changes)

    def change(now: Erasure) -> Erasure:
        if now.claim != erasure.claim:
            raise _LostError
        return changed

    return parts.documents.change(Erasure, paths.erasure(erasure.id), change)


def _release(parts: Parts, erasure: Erasure, *, due: datetime) -> None:
    """Let another step go on from `due`."""
    _written(parts, erasure, **_FREE, due=due, trouble="")


def _give_back(parts: Parts, erasure: Erasure) -> None:
    """Let another step try again what this one has failed at. What it has noted stays."""
    parts.documents.change(
        Erasure,
        paths.erasure(erasure.id),
        lambda now: now.model_copy(update=_FREE) if now.claim == erasure.claim else now,
    )


def _remember(errand: _Errand) -> None:
    """Keep what is known to be clean, for the next step."""
    whom = errand.whom.model_copy(update={"seen": errand.seen})
    path = paths.person_to_erase(errand.erasure.id)
    errand.parts.documents.change(PersonToErase, path, lambda _: whom)


def _end(parts: Parts, erasure: Erasure, *, trouble: str = "") -> None:
    ended = _written(parts, erasure, **_FREE, finished=parts.now(), trouble=trouble)
    level = logging.ERROR if ended.failed else logging.INFO
    log.step("erase", "failed" if ended.failed else "finished", level=level, erasure=ended.id)
    _close(parts, ended)


def _close(parts: Parts, erasure: Erasure) -> None:
    """What is left to do once an erasure has ended."""
    if erasure.finished is not None and not erasure.failed:
        subject = f"/people/erasures/{erasure.id}"
        trail.note(parts, BY_APP, Action.PERSON_ERASED, subject, id=f"{erasure.id}-erased", at=erasure.finished)
    _forget(parts, erasure.id)


def _forget(parts: Parts, name: str) -> None:
    """Delete the address, and then the mark: while that is there, `watch` comes back."""
    parts.state.delete(paths.person_to_erase(name))
    parts.state.delete(paths.open_erasure(name))


def _late(parts: Parts) -> timedelta:
    """After so long no step of before is alive any more."""
    return SILENCE * parts.step_limit


def _send(parts: Parts, name: str) -> None:
    message = EraseMessage(erasure=name, traceparent=tracing.carried(None))
    parts.queues.send(parts.queue_names.erase, message.model_dump_json())
