locals {
  namespace = "Acuse/${var.name}"
  scaled    = { for name, service in local.services : name => service if var.run_services && var.scale[name].most > var.scale[name].least }
  pools     = { for name, service in local.scaled : name => service if service.queue != null }
}

resource "aws_cloudwatch_log_group" "metrics" {
  name              = "/ecs/${var.name}/metrics"
  retention_in_days = 7
}

resource "aws_ssm_parameter" "collector" {
  name = "/${var.name}/collector"
  type = "String"
  value = templatefile("${path.module}/../collector.yaml", {
    region            = var.region
    namespace         = local.namespace
    metrics_log_group = aws_cloudwatch_log_group.metrics.name
  })
}

resource "aws_appautoscaling_target" "scaled" {
  for_each = local.scaled

  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.acuse.name}/${aws_ecs_service.service[each.key].name}"
  min_capacity       = var.scale[each.key].least
  max_capacity       = var.scale[each.key].most
}

# A receiver or an API is full when its one core is.
resource "aws_appautoscaling_policy" "busy" {
  for_each = { for name, service in local.scaled : name => service if service.port != null }

  name               = "${each.key}-busy"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.scaled[each.key].service_namespace
  scalable_dimension = aws_appautoscaling_target.scaled[each.key].scalable_dimension
  resource_id        = aws_appautoscaling_target.scaled[each.key].resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = 60
    scale_out_cooldown = 60
    scale_in_cooldown  = 600

    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}

# A pool of workers is too small when what is due grows old.
resource "aws_appautoscaling_policy" "grow" {
  for_each = local.pools

  name               = "${each.key}-grow"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.scaled[each.key].service_namespace
  scalable_dimension = aws_appautoscaling_target.scaled[each.key].scalable_dimension
  resource_id        = aws_appautoscaling_target.scaled[each.key].resource_id

  step_scaling_policy_configuration {
    adjustment_type         = "ChangeInCapacity"
    metric_aggregation_type = "Maximum"
    cooldown                = 120

    step_adjustment {
      metric_interval_lower_bound = 0
      metric_interval_upper_bound = 90
      scaling_adjustment          = 1
    }

    step_adjustment {
      metric_interval_lower_bound = 90
      scaling_adjustment          = 2
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "late" {
  for_each = local.pools

  alarm_name          = "${var.name}-${each.key}-late"
  alarm_description   = "What is due for ${each.key} has waited for more than 30 seconds, twice in a row"
  namespace           = local.namespace
  metric_name         = "acuse_queue_oldest_seconds"
  dimensions          = { queue = each.value.queue }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 30
  period              = 60
  evaluation_periods  = 2
  treat_missing_data  = "ignore"
  alarm_actions       = [aws_appautoscaling_policy.grow[each.key].arn]
}

resource "aws_appautoscaling_policy" "shrink" {
  for_each = local.pools

  name               = "${each.key}-shrink"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.scaled[each.key].service_namespace
  scalable_dimension = aws_appautoscaling_target.scaled[each.key].scalable_dimension
  resource_id        = aws_appautoscaling_target.scaled[each.key].resource_id

  step_scaling_policy_configuration {
    adjustment_type         = "ChangeInCapacity"
    metric_aggregation_type = "Maximum"
    cooldown                = 300

    step_adjustment {
      metric_interval_upper_bound = 0
      scaling_adjustment          = -1
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "idle" {
  for_each = local.pools

  alarm_name          = "${var.name}-${each.key}-idle"
  alarm_description   = "Nothing that is due for ${each.key} has waited for 5 seconds, for a quarter of an hour"
  namespace           = local.namespace
  metric_name         = "acuse_queue_oldest_seconds"
  dimensions          = { queue = each.value.queue }
  statistic           = "Maximum"
  comparison_operator = "LessThanThreshold"
  threshold           = 5
  period              = 60
  evaluation_periods  = 15
  treat_missing_data  = "ignore"
  alarm_actions       = [aws_appautoscaling_policy.shrink[each.key].arn]
}
