locals {
  # `connections` is what one task holds of PostgreSQL at most, see docs/scaling.md; `secrets` are the kinds that it is given beside
  # what every process needs to start.
  services = {
    web              = { port = 8080, group = "web", queue = null, connections = 2, secrets = ["payloads"] }
    api              = { port = 8081, group = "api", queue = null, connections = 8, secrets = ["payloads", "merchants", "calls"] }
    worker           = { port = null, group = "worker", queue = "events", connections = 10, secrets = ["payloads", "calls"] }
    worker_psp       = { port = null, group = "worker", queue = "psp_calls", connections = 8, secrets = ["payloads", "calls"] }
    worker_notify    = { port = null, group = "worker", queue = "notifications", connections = 4, secrets = ["payloads", "merchants"] }
    worker_reconcile = { port = null, group = "worker", queue = null, connections = 9, secrets = ["payloads", "calls"] }
    beat             = { port = null, group = "worker", queue = null, connections = 1, secrets = [] }
  }
  secret_names = {
    payloads  = var.payloads_are_sealed ? ["ACUSE_PAYLOAD_KEYS"] : []
    merchants = var.merchants_are_notified ? ["ACUSE_SECRET_KEYS"] : []
    calls     = var.psp_api_secret_names
  }
  serving = { for name, service in local.services : name => service if service.port != null }

  tasks = {
    for name in concat(keys(local.services), ["release"]) :
    name => jsondecode(templatefile("${path.module}/../${name}.json", {
      name                 = var.name
      region               = var.region
      image                = var.image
      collector_image      = var.collector_image
      collector_config_arn = aws_ssm_parameter.collector.arn
      secret_arn           = var.secret_arn
      log_group            = aws_cloudwatch_log_group.tasks.name
      execution_role_arn   = aws_iam_role.execution.arn
      task_role_arn        = name == "api" ? aws_iam_role.api.arn : aws_iam_role.task.arn
    }))
  }

  # What the files say, and in the container that is Acuse the settings of this installation.
  containers = {
    for name, task in local.tasks : name => [
      for container in task.containerDefinitions : merge(container, {
        environment = concat(try(container.environment, []), [
          for key, value in(container.name == "acuse" ? var.settings : {}) : { name = key, value = value }
        ])
        secrets = concat(container.secrets, [
          for key in(container.name == "acuse" ? concat(
            flatten([for kind in try(local.services[name].secrets, []) : local.secret_names[kind]]),
            var.psp_secret_names
          ) : []) :
          { name = key, valueFrom = "${var.secret_arn}:${key}::" }
        ])
      })
    ]
  }
}

resource "aws_ecs_cluster" "acuse" {
  name = var.name

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_cloudwatch_log_group" "tasks" {
  name              = "/ecs/${var.name}"
  retention_in_days = var.log_retention_days
}

resource "aws_ecs_task_definition" "task" {
  for_each = local.tasks

  family                   = each.value.family
  network_mode             = each.value.networkMode
  requires_compatibilities = each.value.requiresCompatibilities
  cpu                      = each.value.cpu
  memory                   = each.value.memory
  execution_role_arn       = each.value.executionRoleArn
  task_role_arn            = each.value.taskRoleArn
  container_definitions    = jsonencode(local.containers[each.key])
  skip_destroy             = true # a roll back needs what was before

  runtime_platform {
    operating_system_family = each.value.runtimePlatform.operatingSystemFamily
    cpu_architecture        = each.value.runtimePlatform.cpuArchitecture
  }

  dynamic "volume" {
    for_each = each.value.volumes
    content {
      name = volume.value.name
    }
  }
}

resource "aws_ecs_service" "service" {
  for_each = { for name, service in local.services : name => service if var.run_services }

  name                               = each.key
  cluster                            = aws_ecs_cluster.acuse.id
  task_definition                    = aws_ecs_task_definition.task[each.key].arn
  desired_count                      = var.scale[each.key].least
  launch_type                        = "FARGATE"
  propagate_tags                     = "SERVICE"
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  health_check_grace_period_seconds  = each.value.port == null ? null : 60

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.private_subnet_ids
    security_groups  = [aws_security_group.tasks[each.value.group].id]
    assign_public_ip = false
  }

  dynamic "load_balancer" {
    for_each = each.value.port == null ? [] : [each.value.port]
    content {
      target_group_arn = aws_lb_target_group.serving[each.key].arn
      container_name   = "acuse"
      container_port   = load_balancer.value
    }
  }

  # deploy/ecs/roll.py changes the first, autoscaling the second.
  lifecycle {
    ignore_changes = [task_definition, desired_count]
  }

  depends_on = [aws_lb_listener_rule.webhooks, aws_lb_listener_rule.merchants]
}
