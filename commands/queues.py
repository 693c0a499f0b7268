"""`acuse queues`: how much waits for each pool of workers, for people and for autoscalers."""

from dataclasses import asdict
from pathlib import Path

import click

from bootstrap_ringing import count_messages
from bootstrap_starting import utc_now
from commands.database import open_work, show_json, show_rows, stack_config
from commands.terms import data_dir_option, json_option

COLUMNS = ("queue", "waiting", "due", "leased", "oldest_seconds", "messages")


@click.command()
@data_dir_option
@json_option
def queues(data_dir: Path, as_json: bool) -> None:
    """Tell how much waits in each queue, and for how long the oldest has been due: what to scale worker pools by."""
    config = stack_config(data_dir)
    with open_work(config) as work:
        depths = work.queues.list_depths(utc_now())
    messages = count_messages(config, [depth.queue for depth in depths])
    rows = [asdict(depth) | {"messages": messages.get(depth.queue)} for depth in depths]
    if as_json:
        show_json({"queues": rows})
    else:
        show_rows([row | {"oldest_seconds": f"{row['oldest_seconds']:.1f}"} for row in rows], COLUMNS, "no queues")
    if not messages:
        click.echo("acuse: the broker did not answer, so its messages are not counted", err=True)
