"""The Terraform of deploy/ecs refers to nothing that is not there, opens nothing more than it must, and scales by what exists."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from celeryconfig import QUEUES
from config import Config, ConfigError, load_config
from ingress import serve
from psps.registry import PSPS
from tests.deploy.ecs import FOLDER, PLACEHOLDER, PROCFILE, read_container
from tests.deploy.names import exported
from tests.deploy.terraform import DIGEST, TERRAFORM, TEXT, evaluate, find_locals, named, read_blocks, resources, walk
from tests.models.test_connections import count_of

SERVICES = find_locals()["services"]
EVERYBODY = ("0.0.0.0/0", "::/0")


def test_every_variable_is_declared_used_and_explained() -> None:
    declared = named("variable")
    used = set(re.findall(r"\bvar\.(\w+)", TEXT))
    outside = TEXT.replace(Path(TERRAFORM / "variables.tf").read_text(encoding="utf-8"), "")
    assert used == declared.keys()
    assert set(re.findall(r"\bvar\.(\w+)", outside)) == declared.keys(), "more than their own checks use them"
    assert [name for name, body in declared.items() if not body.get("description") or "type" not in body] == []


def test_every_reference_leads_to_something() -> None:
    declared = {f"{kind}.{name}" for block in read_blocks()["resource"] for kind, of in block.items() for name in of}
    data = {f"data.{kind}.{name}" for block in read_blocks()["data"] for kind, of in block.items() for name in of}
    asked = set(re.findall(r"(?<![\w.\"])(?:data\.)?aws_\w+\.\w+", TEXT))
    assert asked and asked <= declared | data
    assert set(re.findall(r"\blocal\.(\w+)", TEXT)) == find_locals().keys()


def test_every_file_that_is_read_exists_and_is_given_what_it_asks_for() -> None:
    files = re.findall(r'templatefile\("\$\{path\.module\}/([^"]+)", \{(.*?)\n +\}\)', TEXT, re.DOTALL)
    assert [file for file, _ in files] == ["../collector.yaml", "../${name}.json"]
    assert TEXT.count("templatefile(") == len(files) and not re.search(r"\bfile\(", TEXT)
    given = {file: set(re.findall(r"^\s+(\w+)\s+=", values, re.MULTILINE)) for file, values in files}
    assert set(PLACEHOLDER.findall((FOLDER / "collector.yaml").read_text())) == given["../collector.yaml"]
    asked = {name for path in FOLDER.glob("*.json") for name in PLACEHOLDER.findall(path.read_text())}
    assert asked == given["../${name}.json"]


def test_every_process_but_the_migration_is_a_service() -> None:
    assert SERVICES.keys() == PROCFILE.keys() - {"release"}
    assert re.search(
        r'^  tasks = \{\n +for name in concat\(keys\(local\.services\), \["release"\]\)', TEXT, re.MULTILINE
    )
    for name, service in SERVICES.items():
        ports = [one["containerPort"] for one in read_container(name).get("portMappings", ())]
        assert ports == ([service["port"]] if service["port"] else [])
        assert service["group"] == (name if ports else "worker")
        assert service["connections"] == count_of(PROCFILE[name])


def test_a_process_is_given_the_secrets_that_it_needs_and_no_other() -> None:
    given = {name: set(service["secrets"]) for name, service in SERVICES.items()}
    assert {name for name, kinds in given.items() if "calls" in kinds} == {
        "api",
        "worker",
        "worker_psp",
        "worker_reconcile",
    }, "the receiver needs no API keys"
    assert {name for name, kinds in given.items() if "merchants" in kinds} == {"api", "worker_notify"}
    assert given["beat"] == set()
    text = (TERRAFORM / "services.tf").read_text(encoding="utf-8").partition("secret_names = {")[2].partition("}")[0]
    kinds = dict(re.findall(r"^    (\w+) += (?:var\.\w+ \? )?(\[\"\w+\"\]|var\.\w+)", text, re.MULTILINE))
    assert kinds == {
        "payloads": '["ACUSE_PAYLOAD_KEYS"]',
        "merchants": '["ACUSE_SECRET_KEYS"]',
        "calls": "var.psp_api_secret_names",
    }


def test_a_process_starts_without_api_keys_but_not_without_webhook_secrets_or_what_hints_are_fetched_with() -> None:
    settings = {
        "ACUSE_PSPS": "stripe",
        "ACUSE_DATABASE_URL": "postgresql://u@h/d",
        "ACUSE_BROKER_URL": "redis://h",
        "ACUSE_STRIPE_WEBHOOK_SECRETS": "whsec_9fQ2researchVectorKey0123456789",
    }
    assert not load_config(settings).accounts["stripe", "default"].can_call
    with pytest.raises(ConfigError, match="ACUSE_STRIPE_WEBHOOK_SECRETS is not set"):
        load_config({name: value for name, value in settings.items() if "WEBHOOK" not in name})
    hints = {name for name, psp in PSPS.items() if psp.is_hint}
    document = (FOLDER.parents[1] / "docs" / "deployment.md").read_text(encoding="utf-8")
    [told] = re.findall(r"webhooks are hints \(([^)]*)\)", document)
    assert {name.strip().lower().replace(" ", "") for name in told.split(",")} == hints


def test_who_may_scrape_and_be_told_of_traces_is_said_by_variables() -> None:
    scraped = resources("aws_vpc_security_group_ingress_rule")["scraper"]
    assert scraped["referenced_security_group_id"] == "${var.scraper_security_group_id}"
    assert "web = 9100, worker = 9100" in TEXT
    told = resources("aws_vpc_security_group_egress_rule")["traces"]
    assert told["referenced_security_group_id"] == "${var.traces_security_group_id}"
    assert (told["from_port"], told["to_port"]) == ("${var.traces_port}", "${var.traces_port}")
    variables = named("variable")
    assert all(variables[f"{name}_security_group_id"]["default"] in (None, "null") for name in ("scraper", "traces"))


def test_a_roll_keeps_all_that_serves_and_goes_back_by_itself() -> None:
    [service] = resources("aws_ecs_service").values()
    assert service["deployment_minimum_healthy_percent"] == 100
    assert service["deployment_maximum_percent"] == 200
    assert service["deployment_circuit_breaker"] == [{"enable": True, "rollback": True}]
    assert service["lifecycle"] == [{"ignore_changes": ["${task_definition}", "${desired_count}"]}]
    assert service["network_configuration"][0]["assign_public_ip"] is False
    assert resources("aws_ecs_task_definition")["task"]["skip_destroy"] is True


def test_the_internet_reaches_443_of_the_load_balancer_and_nothing_else() -> None:
    for group in resources("aws_security_group").values():
        assert not {"ingress", "egress"} & group.keys()
    rules = resources("aws_vpc_security_group_ingress_rule")
    open_rules = [name for name, rule in rules.items() if {"cidr_ipv4", "cidr_ipv6", "prefix_list_id"} & rule.keys()]
    assert open_rules == ["internet"]
    internet = rules["internet"]
    assert internet["security_group_id"] == "${aws_security_group.load_balancer.id}"
    assert (internet["ip_protocol"], internet["from_port"], internet["to_port"]) == ("tcp", 443, 443)
    assert rules["serving"]["referenced_security_group_id"] == "${aws_security_group.load_balancer.id}"
    for name, rule in rules.items():
        assert name == "internet" or "referenced_security_group_id" in rule
        assert rule["ip_protocol"] == "tcp" and rule["from_port"] == rule["to_port"]
    open_to = [path for path, value in walk(read_blocks()["resource"]) if value in EVERYBODY]
    assert {path[0] for path in open_to} == {
        "aws_vpc_security_group_egress_rule",
        "aws_vpc_security_group_ingress_rule",
    }
    ports = {
        rule["to_port"] for rule in resources("aws_vpc_security_group_egress_rule").values() if "cidr_ipv4" in rule
    }
    assert ports == {443, 8443}, "where merchants may be notified"


def test_the_load_balancer_passes_webhooks_and_the_api_and_knows_who_may_see_the_console() -> None:
    paths = {}
    for name, rule in resources("aws_lb_listener_rule").items():
        conditions = {kind: one["values"] for part in rule["condition"] for kind, [one] in part.items()}
        paths[name] = conditions.pop("path_pattern")
        assert conditions == ({"source_ip": "${var.operator_cidrs}"} if name == "operators" else {})
    assert paths == {
        "webhooks": ["/webhooks/*"],
        "merchants": ["/v1/*"],
        "operators": ["/console", "/console/*"],
    }, "/metrics, /healthz and /readyz are nobody's business"
    [listener] = resources("aws_lb_listener").values()
    assert (listener["port"], listener["protocol"]) == (443, "HTTPS")
    assert "TLS13" in listener["ssl_policy"]
    assert listener["default_action"][0]["fixed_response"][0]["status_code"] == "404"


def test_the_load_balancer_waits_as_long_as_a_delivery_may_take_and_never_uses_a_closed_connection() -> None:
    [target] = resources("aws_lb_target_group").values()
    limits = {name: field.default for name, field in Config.__dataclass_fields__.items()}
    assert target["deregistration_delay"] > limits["body_seconds"] + limits["answer_seconds"]
    assert resources("aws_lb")["public"]["idle_timeout"] < serve.IDLE_SECONDS
    assert target["health_check"][0]["path"] == "${var.health_check_path}"
    assert named("variable")["health_check_path"]["default"] == "/healthz"


def test_pools_grow_by_the_age_of_what_is_due_and_every_name_of_it_is_exported() -> None:
    alarms = resources("aws_cloudwatch_metric_alarm")
    policies = resources("aws_appautoscaling_policy")
    acts = {"late": "grow", "idle": "shrink"}
    assert alarms.keys() == acts.keys()
    for name, alarm in alarms.items():
        assert alarm["metric_name"] == "acuse_queue_oldest_seconds"
        assert exported()[alarm["metric_name"]] == {"queue"} == alarm["dimensions"].keys()
        assert alarm["alarm_actions"] == [f"${{aws_appautoscaling_policy.{acts[name]}[each.key].arn}}"]
        assert alarm["treat_missing_data"] == "ignore", "who knows nothing changes nothing"
    steps = {name: policies[name]["step_scaling_policy_configuration"][0]["step_adjustment"] for name in acts.values()}
    assert [one["scaling_adjustment"] for one in steps["grow"]] == [1, 2]
    assert steps["shrink"][0]["scaling_adjustment"] in (-1, "${-1}")
    for name, service in SERVICES.items():
        assert service["queue"] is None or service["queue"] in PROCFILE[name].split(" -Q ")[1].split()[0].split(",")
    assert {service["queue"] for service in SERVICES.values()} - {None} <= set(QUEUES)


def test_the_collector_reads_and_tells_what_is_exported() -> None:
    settings = yaml.safe_load(PLACEHOLDER.sub(r"\1", (FOLDER / "collector.yaml").read_text(encoding="utf-8")))
    [job] = settings["receivers"]["prometheus"]["config"]["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"127.0.0.1:{SERVICES['api']['port']}"]}]
    [kept] = job["metric_relabel_configs"]
    names = exported()
    read = {name for name in names if re.fullmatch(kept["regex"], name)}
    assert len(read) == kept["regex"].count("|") + 1
    told = {}
    for one in settings["exporters"]["awsemf"]["metric_declarations"]:
        [selector], [labels] = one["metric_name_selectors"], one["dimensions"]
        told |= {name: set(labels) for name in names if re.search(selector, name)}
    assert told == {name: set(names[name]) for name in read}


def test_roles_may_do_only_what_they_are_for() -> None:
    allowed = []
    for block in read_blocks()["data"]:
        for name, document in block.get("aws_iam_policy_document", {}).items():
            for statement in document["statement"]:
                allowed += [(name, action, statement.get("resources")) for action in statement["actions"]]
    assert not [action for _, action, _ in allowed if "*" in action]
    assert {action for _, action, where in allowed if where == ["*"]} == {
        "ecr:GetAuthorizationToken",
        "ecs:DescribeTaskDefinition",
        "ecs:RegisterTaskDefinition",
    }
    attached = {
        rule["role"] for kind in ("policy", "policy_attachment") for rule in resources(f"aws_iam_role_{kind}").values()
    }
    assert not [role for role in attached if "aws_iam_role.task." in role], "what runs in a task may do nothing in AWS"
    assert 'values   = ["repo:${var.github_repository}:environment:production"]' in TEXT
    assert not re.search(r"aws_iam_(user|access_key)|AKIA|secret_string", TEXT)


@pytest.fixture(scope="module")
def terraform() -> str:
    program = shutil.which("terraform")
    if not program:
        print("not run: terraform is not installed")
        pytest.skip("terraform is not installed")
    return program


def test_terraform_would_write_it_the_same_way(terraform: str) -> None:
    done = subprocess.run([terraform, "fmt", "-check", "-diff", TERRAFORM], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_terraform_finds_the_tasks_and_services_that_are_meant(terraform: str, tmp_path: Path) -> None:
    """Without AWS and its provider: what is computed from the variables, with invented names of what would be made."""
    outputs = evaluate(terraform, tmp_path, {})
    assert outputs["tasks"].keys() == PROCFILE.keys()
    for name in PROCFILE:
        [acuse] = [one for one in outputs["containers"][name] if one["name"] == "acuse"]
        assert {"name": "ACUSE_PSPS", "value": "stripe"} in acuse["environment"]
        assert acuse["secrets"][-1] == {
            "name": "ACUSE_STRIPE_WEBHOOK_SECRETS",
            "valueFrom": "arn:secret:ACUSE_STRIPE_WEBHOOK_SECRETS::",
        }
        assert acuse["command"] == read_container(name)["command"]
        assert acuse["image"] == f"acuse@{DIGEST}"
    assert outputs["containers"]["api"][1]["environment"] == []
    most = {name: scale["most"] for name, scale in outputs["scale"].items()}
    assert outputs["database_connections_at_most"] == 2 * sum(
        count_of(PROCFILE[name]) * most[name] for name in SERVICES
    )
    assert outputs["pools"].keys() == {"worker", "worker_psp", "worker_notify"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("settings", {"ACUSE_STRIPE_API_KEY": "x"}),
        ("settings", {"ACUSE_DATABASE_URL": "x"}),
        ("settings", {"PATH": "x"}),
        ("settings", {"OTEL_EXPORTER_OTLP_HEADERS": "x"}),
        ("image", "acuse:latest"),
        ("health_check_path", "/metrics"),
    ],
)
def test_terraform_refuses_what_must_not_be(terraform: str, tmp_path: Path, name: str, value: object) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        evaluate(terraform, tmp_path, {name: value})
    assert "Invalid value for variable" in refused.value.stderr and f"var.{name}" in refused.value.stderr
