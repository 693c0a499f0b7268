"""Django's settings: only what the view needs, no middleware, one connection for each thread that stays open."""

import os
from urllib.parse import urlsplit

url = urlsplit(os.environ["BENCH_DATABASE_URL"])
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": url.hostname,
        "PORT": url.port,
        "NAME": url.path.lstrip("/"),
        "USER": url.username,
        "PASSWORD": url.password,
        "CONN_MAX_AGE": None,
    }
}
DEBUG = False
SECRET_KEY = os.environ["BENCH_SECRET"]
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "djstripe_peer.urls"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "djstripe", "djstripe_peer.apps.Peer"]
MIDDLEWARE: list[str] = []
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# A key that nobody has, and an address where nobody listens: no call can reach Stripe.
STRIPE_LIVE_MODE = False
STRIPE_TEST_SECRET_KEY = "sk_test_" + 24 * "0"
STRIPE_API_HOST = "http://127.0.0.1:9"
SILENCED_SYSTEM_CHECKS = ["djstripe.W002"]
DJSTRIPE_FOREIGN_KEY_TO_FIELD = "id"
DJSTRIPE_WEBHOOK_EVENT_CALLBACK = "djstripe_peer.tasks.enqueue"
# The tables are made as the models have them: to go through all the migrations takes a minute.
MIGRATION_MODULES: dict[str, None] = dict.fromkeys(("contenttypes", "auth", "djstripe"))
