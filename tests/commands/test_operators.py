"""`acuse operators`: each change is in the log of what operators did, with who was at the command line."""

from click.testing import CliRunner
from sqlalchemy import Engine, text

import cli

EMAIL, PASSWORD = "ana@example.com", "correct horse battery staple"


def acuse(engine: Engine, *arguments: str) -> None:
    url = engine.url.render_as_string(hide_password=False).replace("+psycopg2", "")
    environment = {
        "ACUSE_DATABASE_URL": url,
        "ACUSE_BROKER_URL": "redis://127.0.0.1:9/0",
        "ACUSE_PSPS": "stripe",
        "ACUSE_STRIPE_WEBHOOK_SECRETS": "whsec_9fQ2researchVectorKey0123456789",
    }
    done = CliRunner().invoke(cli.main, ["operators", *arguments], env=environment, input=f"{PASSWORD}\n")
    assert done.exit_code == 0, done.output


def test_every_change_of_an_operator_is_written_down(engine: Engine) -> None:
    acuse(engine, "create", EMAIL, "--role", "viewer", "--password-stdin")
    acuse(engine, "role", EMAIL, "admin")
    acuse(engine, "password", EMAIL, "--password-stdin")
    acuse(engine, "disable", EMAIL)
    acuse(engine, "enable", EMAIL)
    with engine.connect() as connection:
        id = connection.scalar(text("select id::text from operators"))
        rows = connection.execute(
            text("select action, subject, reason, details from operator_actions order by id")
        ).all()
    done = ["create", "role", "password", "disable", "enable"]
    assert [(row.action, row.subject) for row in rows] == [(f"operators.{what}", f"operator {id}") for what in done]
    assert [row.details.get("role") for row in rows] == ["viewer", "admin", None, None, None]
    for row in rows:
        assert row.details["from"] == "the command line"
        assert "@" in row.details["by"]
        assert PASSWORD not in str(row)
