# A Cloud Run service for each function, or for each domain; and who may call it.

locals {
  # The domains that call a service, by what they declare. What is for operators alone no domain calls.
  calling = {
    for service, it in local.services : service => sort(distinct(flatten([for function in it.functions : try(function.callers, [])])))
  }

  # What each service is told, by its environment; shared/google/src/environment.rs reads it.
  settings = {
    for service, it in local.services : service => merge(
      {
        AULA_DATABASE   = google_firestore_database.domain[it.domain].name
        AULA_JWKS_URL   = local.jwks_url
        AULA_PUBLIC_URL = var.public_url
        # What the tokens of those who call it are made for.
        AULA_AUDIENCES = local.urls[service]
        # Where nobody gets in whom IAM doesn't know, Cloud Run has checked the caller's token already.
        AULA_BEHIND_IAM = tostring(alltrue([for function in it.functions : function.invoker != "everyone"]))
        # Where the operations of other domains are that this one calls.
        AULA_PEERS = join(",", [
          for id, name in local.manifest.domains[it.domain].calls : "${id}=${local.urls[local.service_of[name]]}"
        ])
        GOOGLE_CLOUD_PROJECT = var.project_id
      },
      it.target == null ? {} : { FUNCTION_TARGET = it.target },
      # Whose tokens are taken beside the platform's own: what takes people's tokens knows, and what exchanges them.
      !var.identity_platform || !anytrue([
        for function in it.functions : function.invoker == "gateway" || function.target == "identity.exchange_token"
        ]) ? {} : {
        AULA_SECOND_ISSUER = jsonencode({
          title    = "Google Identity Platform"
          issuer   = local.issuers.identity_platform.issuer
          audience = one(local.issuers.identity_platform.audiences)
          jwks_uri = local.issuers.identity_platform.jwks_uri
        })
      },
      # Whose calls are the platform's own, by what they are. The gateway isn't among them: it calls for people.
      !contains(values(it.functions)[*].invoker, "domains") ? {} : {
        AULA_CALLERS = coalesce(join(",", [for domain in local.calling[service] : google_service_account.domain[domain].email]), "nobody")
      },
      !contains(values(it.functions)[*].invoker, "push") ? {} : { AULA_PUSH_ACCOUNT = google_service_account.push.email },
      !contains(values(it.functions)[*].invoker, "scheduler") ? {} : { AULA_SCHEDULER_ACCOUNT = google_service_account.scheduler.email },
      # The first key signs; what the others have signed still counts.
      !contains(local.needs.signing, it.domain) ? {} : {
        AULA_SIGNING_KEY = join(",", [
          for key in concat([var.signing_key], sort(setsubtract(var.signing_keys, [var.signing_key]))) : google_kms_crypto_key_version.signing[key].name
        ])
      },
      !contains(local.needs.files, it.domain) ? {} : { AULA_FILES_BUCKET = google_storage_bucket.files.name },
      # Google's collector, by the address that the functions know it by: there they add the path and show a token.
      !var.traces ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT = "https://telemetry.googleapis.com" },
      it.domain != "identity" || var.admin_email == null ? {} : { AULA_ADMIN_EMAIL = var.admin_email },
      # API Gateway passes a request through one of Google's front ends, which writes down whom it heard.
      it.domain != "identity" ? {} : { AULA_PROXIES = "1" },
    )
  }

  # Those who call, by what the manifest calls them.
  callers = merge(
    {
      gateway   = google_service_account.gateway
      push      = google_service_account.push
      scheduler = google_service_account.scheduler
    },
    google_service_account.domain,
  )
}

resource "google_cloud_run_v2_service" "service" {
  for_each = local.services

  name                = each.key
  location            = var.region
  description         = each.value.target == null ? "All functions of ${each.value.domain}" : "The function ${each.value.target}"
  deletion_protection = var.deletion_protection

  # API Gateway and the other domains come over the public way, and IAM is the guard there. What only Pub/Sub or the
  # scheduler calls has no public way at all.
  ingress = alltrue([for it in each.value.functions : contains(["push", "scheduler"], it.invoker)]) ? "INGRESS_TRAFFIC_INTERNAL_ONLY" : "INGRESS_TRAFFIC_ALL"

  labels = {
    domain = each.value.domain
    kind   = each.value.target == null ? "domain" : one([for it in each.value.functions : it.kind])
  }

  template {
    service_account                  = google_service_account.domain[each.value.domain].email
    timeout                          = "${local.sizes[each.key].timeout_seconds}s"
    max_instance_request_concurrency = local.sizes[each.key].concurrency
    # The second generation takes no service of less than 512 MiB, and starts more slowly; nothing here needs what it adds.
    execution_environment = "EXECUTION_ENVIRONMENT_GEN1"

    scaling {
      min_instance_count = local.sizes[each.key].min_instances
      max_instance_count = local.sizes[each.key].max_instances
    }

    containers {
      image = "${local.registry}/${each.value.domain}@${var.images[each.value.domain]}"

      ports {
        name           = "h2c"
        container_port = 8080
      }

      resources {
        limits = {
          cpu    = local.sizes[each.key].cpu
          memory = local.sizes[each.key].memory
        }
        # Nothing runs after an answer, so nothing is paid for after it. Left out, it would be.
        cpu_idle          = true
        startup_cpu_boost = true
      }

      # It listens within milliseconds: ask often, so that a first request doesn't wait for the next look.
      startup_probe {
        period_seconds    = 1
        timeout_seconds   = 1
        failure_threshold = 30

        tcp_socket {
          port = 8080
        }
      }

      liveness_probe {
        period_seconds    = 60
        timeout_seconds   = 5
        failure_threshold = 3

        http_get {
          path = "/health/live"
          port = 8080
        }
      }

      dynamic "env" {
        for_each = local.settings[each.key]
        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = local.secrets_of[each.value.domain]
        content {
          name = env.key
          value_source {
            secret_key_ref {
              secret  = google_secret_manager_secret.secret[env.value].secret_id
              version = "latest"
            }
          }
        }
      }
    }
  }

  traffic {
    type    = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
    percent = 100
  }

  lifecycle {
    # Which tool touched it last is nothing of ours.
    ignore_changes = [client, client_version]

    precondition {
      condition     = can(regex("^[a-z]([a-z0-9-]{0,47}[a-z0-9])?$", each.key))
      error_message = "A service's name has at most 49 lower-case letters, digits and hyphens."
    }
  }

  # A container that starts before it may read its secrets doesn't start, and who deploys must be let in first.
  depends_on = [
    google_project_iam_member.database,
    google_project_iam_member.traces,
    google_service_account_iam_member.release_acts_as,
    google_secret_manager_secret_iam_member.reader,
    google_project_service.used,
  ]
}

# A service that is made anew has lost who may call it, without a word: its bindings are made anew with it.
resource "terraform_data" "service_uid" {
  for_each = local.invokers

  triggers_replace = google_cloud_run_v2_service.service[each.value.service].uid
}

resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = local.invokers

  name     = google_cloud_run_v2_service.service[each.value.service].name
  location = var.region
  role     = "roles/run.invoker"
  # The public documents say which keys tokens are signed with: everyone may read them, API Gateway must.
  member = each.value.who == "everyone" ? "allUsers" : local.callers[each.value.who].member

  lifecycle {
    replace_triggered_by = [terraform_data.service_uid[each.key]]
  }
}
