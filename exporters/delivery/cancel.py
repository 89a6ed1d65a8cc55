"""Cancel: nothing more of a run is sent, and what the provider has accepted is followed to its end.

So the sums of a canceled run close as any other's, and its ledger has everybody who was delivered. A run that has sent
nothing yet ends at once.
"""

from exporters import log
from exporters.delivery import lanes, records
from exporters.delivery.assignment import Assignment
from exporters.delivery.conclude import give_up
from exporters.delivery.hold import clear_up, log_decision
from exporters.model.run import Plan, Run, RunStatus, Step
from exporters.parts import Parts
from exporters.scheduling.next_step import move_later

CANCELED = "Canceled"


def cancel(parts: Parts, run: Run, *, reason: str = "", by: str = "") -> Run:
    """Have a run end; answers it as it is then, with `canceled` None when it had ended before.

    Repeating it changes nothing, and sends the message again that leads to the end, in case it got lost.
    """
    now = parts.now()
    text = f"{CANCELED}: {reason}" if reason else CANCELED
    decision = {"canceled": now, "canceled_by": by}

    def change(run: Run) -> Run:
        if run.canceled is not None:
            return run
        if run.plan is None or run.held:
            ended = {"status": RunStatus.CANCELED, "step": Step.ENDED, "finished": now}
            return run.noted(now, text, reason=text, **decision, **ended)
        if run.halted:
            return run.noted(now, text, **decision)  # what stopped it before is what people should know of
        return run.noted(now, text, halted=True, reason=text, **decision)

    canceled = records.change_run(parts, run, change)
    if canceled.status.ended:
        if canceled.canceled is not None:
            if run.held and canceled.canceled == now:
                log_decision(run, "canceled")
            clear_up(parts, canceled)
        return canceled
    log.step("cancel", "wanted", export=run.export.id, run_id=run.id, provider=run.connection.provider)
    move_later(parts, run)
    return canceled


def stop_sending(parts: Parts, run: Run, plan: Plan) -> None:
    """End the batches of a halted run that have no slot, and have the others looked at now. Harmless when repeated."""
    slots = lanes.withdraw(parts, run)
    at_work = {slot.batch for slot in slots}
    ended = records.ended_batches(parts, run)
    for number in range(len(run.batches)):
        if number not in at_work and number not in ended:
            give_up(Assignment(parts=parts, run=run, plan=plan, batch=number), run.reason)
    for slot in slots:
        if slot.batch not in ended:
            lanes.send_message(parts, slot)  # its own may be hidden for as long as the provider wanted a pause
