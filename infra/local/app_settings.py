"""The app's settings on one machine, as far as they are known before anything runs."""

SETTINGS = {
    "SEGMENTS_CONTAINER": "segments",
    "STATE_CONTAINER": "exporter-state",
    "PLAN_QUEUE": "plan-runs",
    "BATCH_QUEUE": "send-batches",
    "POLL_QUEUE": "poll-jobs",
    "NOTIFY_QUEUE": "notify",
    "ERASE_QUEUE": "erase-people",
    "TICK_SCHEDULE": "0 * * * * *",
    "SNAPSHOT_SETTLE_SECONDS": "0",  # nobody uploads a segment here bit by bit
    "PYTHON_THREADPOOL_THREAD_COUNT": "8",  # batchSize + newBatchThreshold in host.json
    "LOCAL_MODE": "true",
}
#: Settings that name a queue. Each queue has a twin whose name ends in -poison.
QUEUES = ("PLAN_QUEUE", "BATCH_QUEUE", "POLL_QUEUE", "NOTIFY_QUEUE", "ERASE_QUEUE")
