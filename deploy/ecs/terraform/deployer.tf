# What the workflow becomes, from its protected environment alone and without a key that could be stolen.
data "aws_iam_policy_document" "workflow_may_assume" {
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = [var.github_oidc_provider_arn]
    }

    condition {
      test     = "StringEquals"
      variable = "token.actions.githubusercontent.com:aud"
      values   = ["sts.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "token.actions.githubusercontent.com:sub"
      values   = ["repo:${var.github_repository}:environment:production"]
    }
  }
}

resource "aws_iam_role" "deployer" {
  name               = "${var.name}-deployer"
  assume_role_policy = data.aws_iam_policy_document.workflow_may_assume.json
}

data "aws_caller_identity" "own" {}

data "aws_iam_policy_document" "deployer" {
  statement {
    actions   = ["ecr:GetAuthorizationToken", "ecs:DescribeTaskDefinition", "ecs:RegisterTaskDefinition"]
    resources = ["*"] # these know no narrower one; what is registered can only become one of the roles below
  }

  statement {
    actions = [
      "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload",
      "ecr:PutImage", "ecr:UploadLayerPart"
    ]
    resources = [var.repository_arn]
  }

  statement {
    actions = ["ecs:DescribeServices", "ecs:DescribeTasks", "ecs:RunTask", "ecs:UpdateService"]
    resources = [
      "arn:aws:ecs:${var.region}:${data.aws_caller_identity.own.account_id}:service/${var.name}/*",
      "arn:aws:ecs:${var.region}:${data.aws_caller_identity.own.account_id}:task/${var.name}/*",
      "arn:aws:ecs:${var.region}:${data.aws_caller_identity.own.account_id}:task-definition/${var.name}-release:*",
    ]

    condition {
      test     = "ArnEquals"
      variable = "ecs:cluster"
      values   = [aws_ecs_cluster.acuse.arn]
    }
  }

  statement {
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.execution.arn, aws_iam_role.task.arn, aws_iam_role.api.arn]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ecs-tasks.amazonaws.com"]
    }
  }
}

resource "aws_iam_role_policy" "deployer" {
  name   = "roll"
  role   = aws_iam_role.deployer.id
  policy = data.aws_iam_policy_document.deployer.json
}
