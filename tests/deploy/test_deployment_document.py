"""docs/deployment.md leads to what exists, and names every variable of the workflow and every output that it needs."""

import re
from pathlib import Path

import yaml

import celeryconfig
import cli
from commands.watchdog import GRACE_SECONDS
from tests.deploy.ecs import read_container
from tests.deploy.terraform import named

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")


def heading_link(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", DOCUMENT)
    assert len(links) > 15
    for link in links:
        file, _, heading = link.partition("#")
        target = (ROOT / "docs" / file) if file else ROOT / "docs" / "deployment.md"
        assert target.exists(), link
        if heading:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in map(heading_link, headings), link
    assert "](docs/deployment.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_variable_of_the_workflow_and_every_output_is_named() -> None:
    workflow = (ROOT / ".github" / "workflows" / "deploy.yml").read_text(encoding="utf-8")
    variables = set(re.findall(r"vars\.(\w+)", workflow))
    assert len(variables) == 6
    assert [name for name in {*variables, *named("output")} if name not in DOCUMENT] == []


def test_every_option_of_roll_that_it_shows_exists() -> None:
    program = (ROOT / "deploy" / "ecs" / "roll.py").read_text(encoding="utf-8")
    shown = {
        word
        for line in re.findall(r"`(python deploy/ecs/roll\.py[^`]*)`", DOCUMENT)
        for word in re.findall(r"--[a-z-]+", line)
    }
    assert shown == {"--image", "--only-release", "--skip-release", "--subnets", "--security-groups"}
    assert all(f'"{word}"' in program for word in shown)


def test_the_documents_say_of_stopping_what_the_code_does() -> None:
    texts = [
        (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("scaling", "upgrade", "deployment")
    ]
    taking = texts[0].partition("### Taking workers away")[2].partition("\n\nWho holds")[0]
    limits = (
        celeryconfig.task_soft_time_limit,
        celeryconfig.task_time_limit,
        celeryconfig.worker_soft_shutdown_timeout,
    )
    assert all(f"{seconds} s" in taking for seconds in limits)
    assert f"{GRACE_SECONDS:.0f} s (`--grace`)" in taking
    grace = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["x-acuse"]["stop_grace_period"]
    given = [grace.removesuffix("s"), *(read_container(name)["stopTimeout"] for name in ("worker", "worker_reconcile"))]
    assert all(f"{seconds} s" in taking for seconds in given)
    assert all(f"{celeryconfig.task_time_limit} s" in text for text in texts)


def test_every_command_is_in_the_list_of_the_readme() -> None:
    section = (
        (ROOT / "README.md")
        .read_text(encoding="utf-8")
        .partition("\n## Commands\n")[2]
        .partition("Those that speak")[0]
    )
    told = {words.split()[0] for words in re.findall(r"`([^`]+)`", section.replace("`acuse up`", "`up`"))}
    assert told == set(cli.COMMANDS)


def test_it_says_what_was_never_run() -> None:
    section = DOCUMENT.partition("## What was never run")[2]
    for word in ("Dockerfile", "compose.yaml", "task definitions", "Terraform", "collector", "roll.py", "workflows"):
        assert f"| {word} |" in section
    for file in re.findall(r"`(tests/[\w/]+\.py)`", section):
        assert (ROOT / file).is_file()
