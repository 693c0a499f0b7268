output "load_balancer" {
  description = "What the name that PSPs and merchants know points to."
  value       = aws_lb.public.dns_name
}

output "deployer_role_arn" {
  description = "AWS_ROLE_ARN of the workflow's environment `production`."
  value       = aws_iam_role.deployer.arn
}

output "subnets" {
  description = "ACUSE_SUBNETS of the same: where the migration runs."
  value       = join(",", var.private_subnet_ids)
}

output "security_group" {
  description = "ACUSE_SECURITY_GROUP of the same."
  value       = aws_security_group.tasks["worker"].id
}

output "database_connections_at_most" {
  description = "While all services are rolled at their largest: `max_connections` must hold that, and what docs/scaling.md names."
  value       = 2 * sum([for name, service in local.services : service.connections * var.scale[name].most])
}
