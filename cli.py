"""The `acuse` command."""

import click

from commands import stack


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="acuse")
def main() -> None:
    """Receive the webhooks of payment providers and move every payment to its true state exactly once."""


main.add_command(stack.up)
main.add_command(stack.status)
main.add_command(stack.env)

if __name__ == "__main__":
    main()
