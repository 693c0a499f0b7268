"""compose.yaml runs what the Procfile says, migrates before all of it, and opens nothing more than it must."""

from pathlib import Path
from typing import Any

import pytest
import yaml

import celeryconfig

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROCFILE = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
ENGINES = {"postgres", "redis"}
HELPERS = {"metrics"}


def test_it_runs_the_processes_of_the_procfile() -> None:
    assert SERVICES.keys() - ENGINES - HELPERS == PROCFILE.keys()


@pytest.mark.parametrize("name", PROCFILE)
def test_a_process_runs_as_the_procfile_says(name: str) -> None:
    service = SERVICES[name]
    assert service["command"] == ["sh", "-c", PROCFILE[name].replace("$", "$$")]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["image"] == "acuse"


@pytest.mark.parametrize("name", sorted(PROCFILE.keys() - {"release"}))
def test_nothing_starts_before_the_migration_has_ended(name: str) -> None:
    assert SERVICES[name]["depends_on"]["release"] == {"condition": "service_completed_successfully"}
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_the_migration_is_tried_again_and_never_cut_off_by_a_health_check() -> None:
    release = SERVICES["release"]
    assert release["restart"] == "on-failure"
    assert release["healthcheck"] == {"disable": True}
    assert release["depends_on"]["postgres"] == {"condition": "service_healthy"}


def test_only_this_host_reaches_what_serves_and_nobody_the_engines() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {"web": ["127.0.0.1:8080:8080"], "api": ["127.0.0.1:8081:8081"]}


def test_what_serves_has_a_health_check_and_what_does_not_has_none() -> None:
    without = {name for name, service in SERVICES.items() if service.get("healthcheck") == {"disable": True}}
    assert without == PROCFILE.keys() - {"web", "api"} | HELPERS


def test_a_task_may_end_before_its_worker_is_killed() -> None:
    for name in PROCFILE:
        assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > celeryconfig.task_time_limit


def test_no_password_is_written_into_it() -> None:
    text = (ROOT / "compose.yaml").read_text()
    assert "POSTGRES_PASSWORD:?" in text
    assert "REDIS_PASSWORD:?" in text
    for line in text.splitlines():
        assert "PASSWORD:" not in line or "${" in line
