"""One stack to which everything has happened, for all who look at what it left behind."""

import os
from collections.abc import Iterator

import pytest

from sandbox.keys import ensure_keys
from tests.security.breaking import fail_inside, lose_the_engines, queue_up
from tests.security.echo_psp import run_echo_psp
from tests.security.planting import ECHOING, Planted, call_psps, monitored, plant_settings, send_webhooks, use_the_api
from tests.system.stack import run_stack


@pytest.fixture(scope="package")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    parent = tmp_path_factory.mktemp("canaries")
    (parent / "data").mkdir(mode=0o700)
    keys = ensure_keys(parent / "data" / "sandbox")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ACUSE_")}
    environment |= {"ACUSE_QUERY_AFTER_SECONDS": "1", "ACUSE_MAX_ATTEMPTS": "2"}
    with run_echo_psp() as echo:
        environment |= {f"ACUSE_{psp.upper()}_API_URL": echo.url(psp) for psp in ECHOING}
        with run_stack(parent, environment=environment) as stack:
            planted = Planted(stack, keys)
            plant_settings(planted)
            with monitored(planted):
                use_the_api(planted)
                send_webhooks(planted)
                call_psps(planted)
                fail_inside(planted)
                queue_up(planted)
            lose_the_engines(planted)
            planted.echoed = echo.told
            yield planted
