"""What the tasks of the workers are called. Who only rings for them does without what they import."""

PROCESS_EVENTS = "workers.process_events"
SERVE_ACCOUNT = "workers.serve_account"
NOTIFY = "workers.notify"
ADVANCE_REPLAYS = "workers.advance_replays"
