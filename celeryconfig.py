"""Celery's settings. The broker is a doorbell: Postgres decides what is done, so losing a message costs seconds."""

from kombu import Exchange, Queue

# Lanes of the events, for accounts that send little, much and very much: a worker of `events` takes a message of each in turn.
EVENT_LANES = ("events", "events_busy", "events_bulk")
QUEUES = (*EVENT_LANES, "psp_calls", "notifications", "reconcile", "maintenance")

# Each with an exchange and a key of its own: without them all would share the default one and get every message. RabbitMQ
# keeps a quorum queue where it loses a node, and has no other durable kind that is replicated; Redis does not look.
QUORUM = {"x-queue-type": "quorum"}
task_queues = [Queue(name, Exchange(name, type="direct"), routing_key=name, queue_arguments=QUORUM) for name in QUEUES]
task_default_queue = "maintenance"
task_routes = {
    "workers.process_events": {"queue": "events"},
    "workers.serve_account": {"queue": "psp_calls"},
    "workers.notify": {"queue": "notifications"},
    "workers.advance_replays": {"queue": "maintenance"},
    "schedules.reconcile_account": {"queue": "reconcile"},
    "schedules.*": {"queue": "maintenance"},
}
task_create_missing_queues = False

# Only JSON, and only ids in it: whoever can write to the broker must not be able to run code here.
accept_content = ["json"]
result_accept_content = ["json"]
task_serializer = "json"
task_ignore_result = True
worker_enable_remote_control = False
worker_send_task_events = False

# A message is acknowledged after the work. A worker that dies on it gets it again three times at most; beyond that
# the attempts counted in Postgres decide.
task_acks_late = True
task_retry_on_worker_lost = True
task_acks_on_failure = True
task_acks_on_timeout = True
worker_prefetch_multiplier = 1
worker_cancel_long_running_tasks_on_connection_loss = True
worker_soft_shutdown_timeout = 20
task_soft_time_limit = 45
task_time_limit = 60
worker_max_tasks_per_child = 1000
worker_max_memory_per_child = 400_000  # KiB; a child that has just started holds about 100,000

broker_connection_retry_on_startup = True
broker_connection_max_retries = None
broker_channel_error_retry = True
broker_heartbeat = 20  # RabbitMQ alone: a connection that is silent for twice as long is given up
# Longer than the hard time limit, or a running task would be started again beside itself. A run of reconciliation may
# take longer: its second message finds the account held and ends at once.
visibility_timeout = 300
REDIS_OPTIONS = {
    "visibility_timeout": visibility_timeout,
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
    "socket_timeout": 15,  # longer than the one-second poll of an idle worker
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "health_check_interval": 10,
    "global_keyprefix": "acuse:",
}
# Without a confirmation a message may vanish on its way, and without the others a RabbitMQ that hangs is waited for forever.
AMQP_OPTIONS = {"confirm_publish": True, "read_timeout": 5, "write_timeout": 5}

timezone = "UTC"
enable_utc = True
beat_cron_starting_deadline = 3600
worker_hijack_root_logger = False
worker_redirect_stdouts = False  # our log lines are whole already
