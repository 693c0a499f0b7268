"""Make the tables, and enter what Stripe's dashboard and a first sync would have: the account, its key and the endpoint."""

import os
import sys

import django
from django.apps import apps
from django.conf import settings
from django.core.management import call_command

ACCOUNT = "acct_bench"


def prepare(uuid: str) -> None:
    """`uuid` is in the endpoint's address. No call is made: dj-stripe finds the account by the key's row."""
    call_command("migrate", run_syncdb=True, verbosity=0)
    account = apps.get_model("djstripe", "Account").objects.create(id=ACCOUNT, livemode=False)
    apps.get_model("djstripe", "APIKey").objects.create(
        secret=settings.STRIPE_TEST_SECRET_KEY, type="secret", livemode=False, djstripe_owner_account=account
    )
    apps.get_model("djstripe", "WebhookEndpoint").objects.create(
        id="we_bench",
        djstripe_owner_account=account,
        djstripe_uuid=uuid,
        secret=os.environ["BENCH_SECRET"],
        livemode=False,
        enabled_events=["*"],
        status="enabled",
        url="https://bench.example/stripe/webhook/",
    )


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "djstripe_peer.settings")
    django.setup()
    prepare(sys.argv[1])
