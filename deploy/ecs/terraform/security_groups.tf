resource "aws_security_group" "load_balancer" {
  name        = "${var.name}-load-balancer"
  description = "PSPs and merchants come here"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "internet" {
  for_each = { ipv4 = "0.0.0.0/0", ipv6 = "::/0" }

  security_group_id = aws_security_group.load_balancer.id
  description       = "TLS alone"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = each.key == "ipv4" ? each.value : null
  cidr_ipv6         = each.key == "ipv6" ? each.value : null
}

resource "aws_vpc_security_group_egress_rule" "load_balancer" {
  for_each = local.serving

  security_group_id            = aws_security_group.load_balancer.id
  description                  = "To ${each.key}"
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  referenced_security_group_id = aws_security_group.tasks[each.value.group].id
}

# web, api, and what serves nobody: the workers, beat and the migration.
resource "aws_security_group" "tasks" {
  for_each = toset([for service in values(local.services) : service.group])

  name        = "${var.name}-${each.key}"
  description = "Tasks of Acuse: ${each.key}"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "serving" {
  for_each = local.serving

  security_group_id            = aws_security_group.tasks[each.value.group].id
  description                  = "From the load balancer"
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  referenced_security_group_id = aws_security_group.load_balancer.id
}

# Receivers, workers and beat serve their own /metrics at ACUSE_METRICS_LISTEN, the API beside everything else.
resource "aws_vpc_security_group_ingress_rule" "scraper" {
  for_each = var.scraper_security_group_id == null ? {} : { web = 9100, worker = 9100, api = local.services.api.port }

  security_group_id            = aws_security_group.tasks[each.key].id
  description                  = "Prometheus"
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
  referenced_security_group_id = var.scraper_security_group_id
}

resource "aws_vpc_security_group_egress_rule" "traces" {
  for_each = toset(var.traces_security_group_id == null ? [] : ["web", "worker"])

  security_group_id            = aws_security_group.tasks[each.key].id
  description                  = "A collector of traces"
  ip_protocol                  = "tcp"
  from_port                    = var.traces_port
  to_port                      = var.traces_port
  referenced_security_group_id = var.traces_security_group_id
}

# ECR, Secrets Manager and CloudWatch; the workers also call PSPs and merchants, who may be notified at 8443.
resource "aws_vpc_security_group_egress_rule" "https" {
  for_each = aws_security_group.tasks

  security_group_id = each.value.id
  description       = "AWS, PSPs and merchants"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_vpc_security_group_egress_rule" "merchants" {
  security_group_id = aws_security_group.tasks["worker"].id
  description       = "Merchants"
  ip_protocol       = "tcp"
  from_port         = 8443
  to_port           = 8443
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_vpc_security_group_egress_rule" "database" {
  for_each = aws_security_group.tasks

  security_group_id            = each.value.id
  description                  = "PostgreSQL"
  ip_protocol                  = "tcp"
  from_port                    = var.database_port
  to_port                      = var.database_port
  referenced_security_group_id = var.database_security_group_id
}

resource "aws_vpc_security_group_egress_rule" "broker" {
  for_each = aws_security_group.tasks

  security_group_id            = each.value.id
  description                  = "Redis"
  ip_protocol                  = "tcp"
  from_port                    = var.broker_port
  to_port                      = var.broker_port
  referenced_security_group_id = var.broker_security_group_id
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  for_each = aws_security_group.tasks

  security_group_id            = var.database_security_group_id
  description                  = "Tasks of Acuse: ${each.key}"
  ip_protocol                  = "tcp"
  from_port                    = var.database_port
  to_port                      = var.database_port
  referenced_security_group_id = each.value.id
}

resource "aws_vpc_security_group_ingress_rule" "broker" {
  for_each = aws_security_group.tasks

  security_group_id            = var.broker_security_group_id
  description                  = "Tasks of Acuse: ${each.key}"
  ip_protocol                  = "tcp"
  from_port                    = var.broker_port
  to_port                      = var.broker_port
  referenced_security_group_id = each.value.id
}
