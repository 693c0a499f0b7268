"""The `acuse` command."""

from importlib import import_module

import click

from commands.terms import find_version

# Where each command is: the module, imported when the command is asked for, and its name there.
COMMANDS = {
    "audit": "inspect:audit",
    "certificates": "certificates:certificates",
    "clabes": "release:clabes",
    "close": "close:close",
    "demo": "sandbox:demo",
    "discrepancies": "discrepancies:discrepancies",
    "doctor": "release:doctor",
    "env": "stack_status:env",
    "events": "inspect:events",
    "keys": "keys:keys",
    "merchants": "merchants:merchants",
    "migrate": "release:migrate",
    "operators": "operators:operators",
    "payload-keys": "payload_keys:payload_keys",
    "payments": "asking:payments",
    "persons": "persons:persons",
    "queues": "queues:queues",
    "reconcile": "reconcile:reconcile",
    "report": "report:report",
    "retention": "retention:retention",
    "sandbox": "sandbox:sandbox",
    "settlements": "settlements:settlements",
    "status": "stack_status:status",
    "up": "stack:up",
    "users": "users:users",
    "watchdog": "watchdog:watchdog",
}


class Commands(click.Group):
    """The commands by name. A process of one command does without the packages of the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module, _, name = COMMANDS.get(cmd_name, "").partition(":")
        return getattr(import_module(f"commands.{module}"), name) if module else None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(find_version(), prog_name="acuse")
def main() -> None:
    """Receive the webhooks of payment providers and move every payment to its true state exactly once."""


if __name__ == "__main__":
    main(prog_name="acuse")
