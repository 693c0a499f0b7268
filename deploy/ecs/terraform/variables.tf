variable "name" {
  description = "Of this installation; what is made begins with it."
  type        = string
  default     = "acuse"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}$", var.name))
    error_message = "Small letters, digits and hyphens, 21 characters at most."
  }
}

variable "region" {
  description = "Of AWS, such as mx-central-1."
  type        = string
}

variable "image" {
  description = "By its digest, so that what was looked at is what runs."
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "An image ends in @sha256: and its digest."
  }
}

variable "collector_image" {
  description = "The AWS distribution of the OpenTelemetry collector, by its digest."
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.collector_image))
    error_message = "An image ends in @sha256: and its digest."
  }
}

variable "vpc_id" {
  description = "Where everything is."
  type        = string
}

variable "public_subnet_ids" {
  description = "Of the load balancer, in two zones or more."
  type        = list(string)
}

variable "private_subnet_ids" {
  description = "Of the tasks, in two zones or more, with a way out to the internet."
  type        = list(string)
}

variable "certificate_arn" {
  description = "What the load balancer shows to PSPs and merchants."
  type        = string
}

variable "database_security_group_id" {
  description = "Of PostgreSQL (RDS); the tasks are let in."
  type        = string
}

variable "database_port" {
  description = "Of PostgreSQL."
  type        = number
  default     = 5432
}

variable "broker_security_group_id" {
  description = "Of Redis (ElastiCache), which carries doorbells and limits; the tasks are let in."
  type        = string
}

variable "broker_port" {
  description = "Of Redis."
  type        = number
  default     = 6379
}

variable "secret_arn" {
  description = "A secret of Secrets Manager: a JSON object of the variables of Acuse that nobody may read."
  type        = string
}

variable "secret_kms_key_arn" {
  description = "The key that it is encrypted with, where that is not AWS's own."
  type        = string
  default     = null
}

variable "psp_secret_names" {
  description = "The names in that secret that every process needs to start: webhook secrets, such as ACUSE_STRIPE_WEBHOOK_SECRETS, and what PSPs whose webhooks are hints are called with."
  type        = list(string)

  validation {
    condition     = alltrue([for name in var.psp_secret_names : can(regex("^(ACUSE|OTEL)_[A-Z0-9_]+$", name))])
    error_message = "Every name begins with ACUSE_ or OTEL_."
  }
}

variable "psp_api_secret_names" {
  description = "The names in that secret that other PSPs are called with, such as ACUSE_STRIPE_API_KEY, all that one of them needs: for the API and the workers that call. The receiver, beat and the migration do without."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for name in var.psp_api_secret_names : can(regex("^ACUSE_[A-Z0-9_]+$", name))])
    error_message = "Every name begins with ACUSE_."
  }
}

variable "merchants_are_notified" {
  description = "Whether the secret has ACUSE_SECRET_KEYS, which seal what notifications are signed with."
  type        = bool
  default     = true
}

variable "payloads_are_sealed" {
  description = "Whether the secret has ACUSE_PAYLOAD_KEYS, which seal what arrives."
  type        = bool
  default     = false
}

variable "settings" {
  description = "What everybody may read, such as ACUSE_PSPS, ACUSE_STRIPE_LIVEMODE and OTEL_EXPORTER_OTLP_ENDPOINT."
  type        = map(string)
  default     = {}

  validation {
    condition = alltrue([
      for name in keys(var.settings) :
      can(regex("^(ACUSE|OTEL)_[A-Z0-9_]+$", name)) &&
      !can(regex("SECRET|PASSWORD|PASSPHRASE|TOKEN|_HEADERS$|_KEYS?$|_USER$|(DATABASE|BROKER|REDIS)_URL$", name))
    ])
    error_message = "Names begin with ACUSE_ or OTEL_; what carries a password, a key or a token belongs into the secret."
  }
}

variable "traces_security_group_id" {
  description = "Of a collector of traces (OTLP over HTTP), which receivers and workers may reach then; null: of none."
  type        = string
  default     = null
}

variable "traces_port" {
  description = "Of that collector, as in OTEL_EXPORTER_OTLP_ENDPOINT."
  type        = number
  default     = 4318
}

variable "scraper_security_group_id" {
  description = "Of a Prometheus, which may then reach /metrics of every task; null: nobody may."
  type        = string
  default     = null
}

variable "operator_cidrs" {
  description = "Networks from which /console may be reached; empty: from none."
  type        = list(string)
  default     = []
}

variable "health_check_path" {
  description = "What the load balancer asks. With /readyz it gives up all receivers together where the broker is away."
  type        = string
  default     = "/healthz"

  validation {
    condition     = contains(["/healthz", "/readyz"], var.health_check_path)
    error_message = "It is /healthz or /readyz."
  }
}

variable "run_services" {
  description = "False until the first migration has run: no process starts on a schema that is behind its code."
  type        = bool
  default     = true
}

variable "scale" {
  description = "The least and the most tasks of each service."
  type        = map(object({ least = number, most = number }))
  default = {
    web              = { least = 2, most = 6 }
    api              = { least = 2, most = 4 }
    worker           = { least = 2, most = 6 }
    worker_psp       = { least = 1, most = 3 }
    worker_notify    = { least = 1, most = 4 }
    worker_reconcile = { least = 1, most = 1 }
    beat             = { least = 1, most = 1 }
  }
}

variable "log_retention_days" {
  description = "How long CloudWatch keeps the logs."
  type        = number
  default     = 90
}

variable "repository_arn" {
  description = "The repository of ECR that the image is pushed to."
  type        = string
}

variable "github_repository" {
  description = "owner/name, whose workflow may roll from its environment `production`."
  type        = string
}

variable "github_oidc_provider_arn" {
  description = "The identity provider of token.actions.githubusercontent.com in this account."
  type        = string
}
