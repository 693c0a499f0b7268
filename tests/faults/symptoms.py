"""What each deliberately broken build must be found out by. Any other violation does not count: it may come from elsewhere."""

SYMPTOMS: dict[str, str] = {
    "no_sweep": "I2",
    "answer_before_commit": "I1",
    "asynchronous_commit": "I1",
    "no_dedupe": "I3",
    "no_verification": "I7",
    "no_guard": "I3",
    "uncounted_attempts": "I2",
    "no_split": "I2",
    "no_second_try": "I2",
    "blind_resend": "I6 effects that nobody asked for",
    "unannounced_calls": "I6 effects that nobody asked for",
    "no_hold": "I3",
    "every_beat_sweeps": "I3",
    "drops_every_month": "I2",
    "impatient_start": "answers",
    "anyones_payment": "suite",
    "any_address": "I11",
    "no_last_answers": "answers",
    "sends_late": "I6 effects that nobody asked for",
    "no_giving_way": "good deliveries refused",
}
