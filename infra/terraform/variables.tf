# What an installation decides. Everything else comes from manifest.json, which the functions' own declarations write.

variable "project_id" {
  description = "The Google Cloud project that all of it is made in: one for each environment."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id has 6 to 30 lower-case letters, digits and hyphens, and starts with a letter."
  }
}

variable "environment" {
  description = "What this installation is for: development, staging or production."
  type        = string

  validation {
    condition     = contains(["development", "staging", "production"], var.environment)
    error_message = "environment is development, staging or production."
  }
}

variable "region" {
  description = "Where everything runs and is kept. It must be one of the few that API Gateway has."
  type        = string
  default     = "europe-west1"

  validation {
    condition = contains([
      "asia-northeast1", "australia-southeast1", "europe-west1", "europe-west2", "us-central1", "us-east1", "us-east4",
      "us-west2", "us-west3", "us-west4",
    ], var.region)
    error_message = "API Gateway isn't in this region."
  }
}

variable "granularity" {
  description = "What is a service of its own: each operation, subscriber and job (operation), or each domain (domain), for small installations. The images are the same."
  type        = string
  default     = "operation"

  validation {
    condition     = contains(["operation", "domain"], var.granularity)
    error_message = "granularity is operation or domain."
  }
}

variable "images" {
  description = "The digest of each domain's image. Cloud Build writes them; a tag is refused, because what it names can change."
  type        = map(string)

  validation {
    condition     = alltrue([for digest in values(var.images) : can(regex("^sha256:[0-9a-f]{64}$", digest))])
    error_message = "An image is named by its digest: sha256: and 64 hexadecimal digits."
  }

  validation {
    condition     = length(setsubtract(local.domains, keys(var.images))) == 0
    error_message = "A domain of the manifest has no image."
  }
}

variable "sizes" {
  description = "Other sizes than their kind's for some services, by the service's name."
  type = map(object({
    cpu             = optional(string)
    memory          = optional(string)
    concurrency     = optional(number)
    timeout_seconds = optional(number)
    min_instances   = optional(number)
    max_instances   = optional(number)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = length(setsubtract(keys(var.sizes), keys(local.services))) == 0
    error_message = "sizes names a service that isn't there: see the output services."
  }

  validation {
    condition     = alltrue([for size in values(var.sizes) : try(size.max_instances >= size.min_instances, true)])
    error_message = "max_instances is below min_instances."
  }
}

variable "public_url" {
  description = "Where people reach the platform, without a slash at the end: the start of links and the issuer of access tokens. Set it once and keep it."
  type        = string

  validation {
    condition     = can(regex("^https://[a-z0-9.-]+[a-z0-9]$", var.public_url))
    error_message = "public_url is https:// and a host, without a path and without a slash at the end."
  }
}

variable "web_origins" {
  description = "The origins of the web pages that upload files, such as https://learn.example.org."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for origin in var.web_origins : can(regex("^https?://[a-z0-9.-]+(:[0-9]+)?$", origin))])
    error_message = "An origin is a scheme and a host, with a port if need be, and nothing after it."
  }
}

variable "admin_email" {
  description = "Who registers with this address is an admin once it's verified. Nothing: nobody becomes one so."
  type        = string
  default     = null

  validation {
    condition     = var.admin_email == null || can(regex("^[^@[:space:]]+@[^@[:space:]]+$", var.admin_email))
    error_message = "admin_email isn't an e-mail address."
  }
}

variable "identity_providers" {
  description = "Whether people may sign in with accounts elsewhere. Then the secret identity-providers must have a version: the providers as a JSON array."
  type        = bool
  default     = false
  nullable    = false
}

variable "mail_providers" {
  description = "Whether mail providers tell what became of mail. Then the secret mail-providers must have a version: name:secret, separated by commas."
  type        = bool
  default     = false
  nullable    = false
}

variable "firestore_location" {
  description = "Where the documents are: the region, or a multi-region such as eur3 or nam5. It can't be changed later. Nothing: the region."
  type        = string
  default     = null

  validation {
    condition     = var.firestore_location == null || can(regex("^([a-z]+-[a-z]+[0-9]+|eur3|nam5|nam7)$", var.firestore_location))
    error_message = "firestore_location is a region, eur3, nam5 or nam7."
  }
}

variable "backup_days" {
  description = "How many days a daily backup of each database is kept."
  type        = number
  default     = 14

  validation {
    condition     = var.backup_days >= 1 && var.backup_days <= 98 && floor(var.backup_days) == var.backup_days
    error_message = "backup_days is a whole number from 1 to 98: Firestore keeps backups for 14 weeks at most."
  }
}

variable "deletion_protection" {
  description = "Keep databases, services, secrets, keys and buckets from being deleted. Off only where nobody would miss them."
  type        = bool
  default     = true

  validation {
    condition     = var.deletion_protection || var.environment != "production"
    error_message = "Production is protected from deletion."
  }
}

variable "signing_keys" {
  description = "The versions of the key that signs access tokens, by any name, such as the month. Those that aren't signing are still published, so that their tokens count until they expire."
  type        = set(string)
  default     = ["first"]

  validation {
    condition     = length(var.signing_keys) > 0
    error_message = "At least one key is needed."
  }
}

variable "signing_key" {
  description = "Which of signing_keys signs. A new one is published a deployment before it signs."
  type        = string
  default     = "first"

  validation {
    condition     = contains(var.signing_keys, var.signing_key)
    error_message = "signing_key isn't one of signing_keys."
  }
}

variable "identity_platform" {
  description = "Take tokens of Identity Platform too, as a second issuer beside the platform's own: identity exchanges them."
  type        = bool
  default     = false
}

variable "traces" {
  description = "Send spans of what is traced to Cloud Trace. An answer that is traced waits for one round trip more; 2.5 million spans a month are free."
  type        = bool
  default     = false
  nullable    = false
}

variable "load_balancer" {
  description = "Put an external load balancer with Cloud Armor in front of the gateway, for a domain of your own. Nothing: the gateway's own address is used."
  type = object({
    host                = string
    requests_per_minute = optional(number, 600)
  })
  default = null

  validation {
    condition     = var.load_balancer == null || try("https://${var.load_balancer.host}" == var.public_url, false)
    error_message = "The load balancer's host must be the one in public_url."
  }

  validation {
    condition     = var.load_balancer == null || try(var.load_balancer.requests_per_minute >= 10, false)
    error_message = "requests_per_minute is at least 10: one page of a web app asks for several things."
  }
}

variable "alert_emails" {
  description = "Who is told of alerts and of the budget."
  type        = set(string)

  validation {
    condition     = length(var.alert_emails) > 0 && alltrue([for it in var.alert_emails : can(regex("^[^@[:space:]]+@[^@[:space:]]+$", it))])
    error_message = "alert_emails has at least one e-mail address, and nothing else."
  }
}

variable "availability_goal" {
  description = "The share of good answers that each journey promises over 28 days."
  type        = number
  default     = 0.995

  validation {
    condition     = var.availability_goal >= 0.9 && var.availability_goal <= 0.9999
    error_message = "availability_goal is from 0.9 to 0.9999; one without any bad answer can't be kept."
  }
}

variable "billing_account" {
  description = "The billing account that the budget watches, as 012345-6789AB-CDEF01. Nothing: no budget."
  type        = string
  default     = null

  validation {
    condition     = var.billing_account == null || can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.billing_account))
    error_message = "billing_account is three groups of six hexadecimal digits."
  }
}

variable "monthly_budget" {
  description = "What a month may cost, in whole units of the billing account's currency, before someone is told."
  type        = number
  default     = 50

  validation {
    condition     = var.monthly_budget > 0 && floor(var.monthly_budget) == var.monthly_budget
    error_message = "monthly_budget is a whole number above 0."
  }
}

variable "repository" {
  description = "The repository that is built, as Cloud Build knows it: projects/…/locations/…/connections/…/repositories/…. Nothing: builds are submitted by hand."
  type        = string
  default     = null

  validation {
    condition     = var.repository == null || can(regex("^projects/[^/]+/locations/[^/]+/connections/[^/]+/repositories/[^/]+$", var.repository))
    error_message = "repository is the full name of a repository that is connected to Cloud Build."
  }
}

variable "state_bucket" {
  description = "The bucket of Terraform's own state, made before the first run. Builds read and write it."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$", var.state_bucket))
    error_message = "state_bucket is the name of a bucket, without gs://."
  }
}
