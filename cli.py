"""The `acuse` command."""

import click

from commands import (
    asking,
    certificates,
    close,
    discrepancies,
    inspect,
    keys,
    merchants,
    reconcile,
    release,
    report,
    sandbox,
    settlements,
    stack,
    stack_status,
    users,
)
from commands.terms import find_version


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(find_version(), prog_name="acuse")
def main() -> None:
    """Receive the webhooks of payment providers and move every payment to its true state exactly once."""


main.add_command(stack.up)
main.add_command(stack_status.status)
main.add_command(stack_status.env)
main.add_command(release.migrate)
main.add_command(release.doctor)
main.add_command(release.clabes)
main.add_command(inspect.audit)
main.add_command(inspect.events)
main.add_command(inspect.payments)
main.add_command(reconcile.reconcile)
main.add_command(discrepancies.discrepancies)
main.add_command(settlements.settlements)
main.add_command(close.close)
main.add_command(certificates.certificates)
main.add_command(report.report)
main.add_command(merchants.merchants)
main.add_command(users.users)
main.add_command(keys.keys)
main.add_command(sandbox.sandbox)
main.add_command(sandbox.demo)

for asking_command in (asking.create_payment, asking.refund_payment, asking.cancel_payment, asking.fetch_payment):
    inspect.payments.add_command(asking_command)

if __name__ == "__main__":
    main(prog_name="acuse")
