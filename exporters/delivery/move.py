"""Move a run on: plan it, let its batches wait for slots, or finish it; whatever its documents say comes next.

The plan queue's message only says that a run can be moved. Repeating it is harmless: a plan is written once under
the run's ETag, a lane takes a run in once, and an ended run is only tidied up again.
"""

import logging
from datetime import timedelta

from exporters import log
from exporters.delivery import lanes, records
from exporters.delivery.finish import fail_run, finish_run, tidy
from exporters.delivery.prepare import prepare
from exporters.errors import ConfigError, NotCompleteError, SegmentError, ThrottledError, TransientError
from exporters.model.messages import RunMessage
from exporters.model.run import Plan, Run, RunStatus, Step
from exporters.parts import Parts

#: How long a run waits for a snapshot that is being written, or for a provider that does not answer, before it fails.
PATIENCE = timedelta(hours=1)
RETRY_S = 30.0
#: When another run is being planned in this process; two at once would not fit into its memory.
BUSY_S = 2.0


def move_run(parts: Parts, message: RunMessage) -> None:
    """Do the next step of a run that is not a batch's."""
    run = records.read_run(parts, message.export, message.run)
    if run is None:
        return
    if run.status.ended:
        tidy(parts, run)
        return
    if not parts.heavy_work.acquire(blocking=False):
        _come_back(parts, run, BUSY_S)
        return
    try:
        planned = run if run.plan is not None else _plan(parts, run)
        if planned is None or planned.plan is None:
            return
        if records.all_ended(parts, planned, planned.plan):
            finish_run(parts, planned, planned.plan)
        else:
            batches = len(planned.plan.batches)
            lanes.join(parts, planned, batches=batches, size=parts.facts(planned.connection).jobs_in_flight)
    finally:
        parts.heavy_work.release()


def _plan(parts: Parts, run: Run) -> Run | None:
    """Plan a run; None when it has failed, or has to be planned later."""
    wait_s = lanes.wait_s(parts, run.connection.lane)
    if wait_s > 0:
        _come_back(parts, run, wait_s)
        return None
    run = _note(parts, run, "planning")
    try:
        plan = prepare(parts, run)
    except ThrottledError as error:
        _come_back(parts, run, error.wait_s)
    except (NotCompleteError, TransientError) as error:
        if parts.now() - run.created > PATIENCE:
            fail_run(parts, run, str(error))
        else:
            log.step("plan", "later", level=logging.WARNING, run_id=run.id, reason=str(error))
            _note(parts, run, f"waiting: {error}")
            _come_back(parts, run, RETRY_S)
    except (ConfigError, SegmentError) as error:
        fail_run(parts, run, str(error))
    else:
        return _store_plan(parts, run, plan)
    return None


def _note(parts: Parts, run: Run, text: str) -> Run:
    """Write into the history what the run is doing now, once for each text."""
    now = parts.now()

    def change(run: Run) -> Run:
        if any(event.text == text for event in run.timeline):
            return run.model_copy(update={"updated": now})  # so that the watch sees it alive
        return run.noted(now, text, status=RunStatus.PROCESSING, step=Step.PLANNING)

    return records.change_run(parts, run, change)


def _store_plan(parts: Parts, run: Run, plan: Plan) -> Run:
    """Write the plan, unless another step has written one meanwhile: the first one counts."""
    now = parts.now()
    text = f"planned {plan.counts.planned:,} of {plan.counts.read:,} profiles in {len(plan.batches)} batches"

    def change(run: Run) -> Run:
        return run if run.plan is not None else run.noted(now, text, plan=plan, step=Step.SENDING)

    planned = records.change_run(parts, run, change)
    log.step(
        "plan",
        "planned",
        run_id=run.id,
        provider=run.connection.provider,
        contacts=plan.counts.planned,
        rejects=plan.counts.invalid,
        duration_s=round((now - run.created).total_seconds(), 1),
    )
    return planned


def _come_back(parts: Parts, run: Run, delay_s: float) -> None:
    message = RunMessage(export=run.export.id, run=run.id)
    parts.queues.send(parts.queue_names.plan, message.model_dump_json(), delay_s=delay_s)
