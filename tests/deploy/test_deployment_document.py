"""docs/deployment.md leads to what exists, and names every variable of the workflow and every output that it needs."""

import re
from pathlib import Path

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


def test_it_says_what_was_never_run() -> None:
    section = DOCUMENT.partition("## What was never run")[2]
    for word in ("Dockerfile", "compose.yaml", "task definitions", "Terraform", "collector", "roll.py", "workflows"):
        assert f"| {word} |" in section
    for file in re.findall(r"`(tests/[\w/]+\.py)`", section):
        assert (ROOT / file).is_file()
