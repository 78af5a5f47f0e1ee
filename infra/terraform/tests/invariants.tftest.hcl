# What must hold of what is laid out, with one service a function. The providers are mocked: what they would make up is
# made up, and what we decide is looked at.

mock_provider "google" {
  mock_data "google_project" {
    defaults = {
      number = "123456789012"
    }
  }
}

mock_provider "google-beta" {}

# All that another file of variables could set otherwise.
variables {
  project_id          = "aula-test"
  environment         = "staging"
  granularity         = "operation"
  public_url          = "https://test.aula.example"
  alert_emails        = ["on-call@aula.example"]
  state_bucket        = "aula-test-state"
  sizes               = {}
  deletion_protection = true
  identity_platform   = false
  traces              = true
  load_balancer       = null
  images = {
    courses       = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
    enrollments   = "sha256:2222222222222222222222222222222222222222222222222222222222222222"
    identity      = "sha256:3333333333333333333333333333333333333333333333333333333333333333"
    notifications = "sha256:4444444444444444444444444444444444444444444444444444444444444444"
  }
}

run "one_service_a_function" {
  command = apply

  assert {
    condition     = keys(google_cloud_run_v2_service.service) == keys(local.manifest.functions)
    error_message = "A function of the manifest has no service, or a service has no function."
  }

  assert {
    condition     = length(distinct([for account in google_service_account.domain : account.account_id])) == length(local.domains)
    error_message = "Two domains share an account."
  }

  assert {
    condition = {
      for name, it in google_cloud_run_v2_service.service : name => it.template[0].service_account
    } == { for name, it in local.functions : name => google_service_account.domain[it.domain].email }
    error_message = "A service runs as another account than its domain's."
  }

  assert {
    condition = {
      for name, it in google_cloud_run_v2_service.service :
      name => one([for env in it.template[0].containers[0].env : env.value if env.name == "FUNCTION_TARGET"])
    } == { for name, it in local.functions : name => it.target }
    error_message = "A service serves another function than its name says."
  }

  assert {
    condition = alltrue([
      for it in google_cloud_run_v2_service.service : can(regex("@sha256:[0-9a-f]{64}$", it.template[0].containers[0].image))
    ])
    error_message = "An image isn't named by its digest."
  }

  assert {
    condition = alltrue([
      for it in google_cloud_run_v2_service.service : it.template[0].containers[0].resources[0].cpu_idle && it.template[0].scaling[0].max_instance_count > 0
    ])
    error_message = "A service is paid for while idle, or may grow without end."
  }

  # Cloud Run refuses it, which a plan doesn't tell.
  assert {
    condition = alltrue([
      for it in google_cloud_run_v2_service.service :
      tonumber(trimsuffix(it.template[0].containers[0].resources[0].limits.memory, "Mi")) >= { EXECUTION_ENVIRONMENT_GEN1 = 128, EXECUTION_ENVIRONMENT_GEN2 = 512 }[it.template[0].execution_environment]
    ])
    error_message = "A service has less memory than its execution environment takes."
  }

  assert {
    condition = alltrue([
      for it in google_cloud_run_v2_service.service : length([
        for env in it.template[0].containers[0].env : env if contains(["AULA_SECRET", "AULA_SMTP_URL", "AULA_MAIL_PROVIDERS"], env.name) && env.value != null
      ]) == 0
    ])
    error_message = "A secret stands in a service's settings instead of being referred to."
  }

  # ------------------------------------------------------------------------------------------------ who may call

  assert {
    condition = {
      for name, lines in { for line in google_cloud_run_v2_service_iam_member.invoker : line.name => line.member... } : name => length(lines)
      if try(!local.operations[name].http.internal, false)
    } == { for name, it in local.operations : name => 1 if !it.http.internal }
    error_message = "A public operation hasn't exactly one invoker."
  }

  assert {
    condition = toset([for line in google_cloud_run_v2_service_iam_member.invoker : line.name if line.member == "allUsers"]) == toset([
      for name, it in local.operations : name if it.access == "anyone" && startswith(it.http.path, "/.well-known/")
    ])
    error_message = "Everyone may call something else than the public documents."
  }

  assert {
    condition     = alltrue([for line in google_cloud_run_v2_service_iam_member.invoker : line.member != "allAuthenticatedUsers" && line.role == "roles/run.invoker"])
    error_message = "A service is open to whoever has a Google account, or its caller may do more than call."
  }

  assert {
    condition = {
      for name, members in { for line in google_cloud_run_v2_service_iam_member.invoker : line.name => line.member... } : name => members
      if try(local.functions[name].kind != "operation", false)
      } == merge(
      { for name in keys(local.subscribers) : name => [google_service_account.push.member] },
      { for name in keys(local.jobs) : name => [google_service_account.scheduler.member] },
    )
    error_message = "A subscriber or a job can be run by someone else than the bus or the clock."
  }

  assert {
    condition = {
      for name, members in { for line in google_cloud_run_v2_service_iam_member.invoker : line.name => line.member... } : name => sort(members)
      if try(local.operations[name].http.internal, false)
      } == {
      for name, it in local.operations : name => sort([for domain in it.callers : google_service_account.domain[domain].member])
      if it.http.internal && length(try(it.callers, [])) > 0
    }
    error_message = "An operation between domains can be called by a domain that doesn't say so."
  }

  assert {
    condition = {
      for name, it in google_cloud_run_v2_service.service : name => it.ingress == "INGRESS_TRAFFIC_ALL"
    } == { for name, it in local.functions : name => it.kind == "operation" }
    error_message = "What only the bus or the clock calls can be reached from outside, or an operation can't."
  }

  # A service that believes what Cloud Run has checked must be one that Cloud Run guards.
  assert {
    condition = toset([
      for name, it in google_cloud_run_v2_service.service : name
      if one([for env in it.template[0].containers[0].env : env.value if env.name == "AULA_BEHIND_IAM"]) == "false"
    ]) == toset([for line in google_cloud_run_v2_service_iam_member.invoker : line.name if line.member == "allUsers"])
    error_message = "A service that everyone may call takes callers' tokens for checked."
  }

  assert {
    condition = {
      for name, it in google_cloud_run_v2_service.service : name => sort(split(",", one([for env in it.template[0].containers[0].env : env.value if env.name == "AULA_CALLERS"])))
      if try(local.operations[name].http.internal, false) && length(try(local.operations[name].callers, [])) > 0
      } == {
      for name, it in local.operations : name => sort([for domain in it.callers : google_service_account.domain[domain].email])
      if it.http.internal && length(try(it.callers, [])) > 0
    }
    error_message = "A function lets in other domains than IAM does."
  }

  # ------------------------------------------------------------------------------------------------ the documents

  assert {
    condition = {
      for it in google_project_iam_member.database : one(it.condition).expression => it.member...
      } == {
      for domain in local.domains : "resource.name == \"projects/aula-test/databases/${domain}\"" => [google_service_account.domain[domain].member]
    }
    error_message = "A database doesn't admit exactly its own domain's account."
  }

  assert {
    condition = length([
      for grant in concat(values(google_project_iam_member.database), values(google_project_iam_member.traces)) : grant
      if startswith(grant.role, "roles/datastore.") && length(grant.condition) == 0
    ]) == 0
    error_message = "A domain's account may open every database."
  }

  assert {
    condition = alltrue([
      for it in google_firestore_database.domain : it.point_in_time_recovery_enablement == "POINT_IN_TIME_RECOVERY_ENABLED" && it.delete_protection_state == "DELETE_PROTECTION_ENABLED"
    ])
    error_message = "A database can't be taken back to yesterday, or can be deleted."
  }

  assert {
    condition     = keys(google_firestore_backup_schedule.daily) == keys(google_firestore_database.domain)
    error_message = "A database has no backup."
  }

  assert {
    condition     = length(google_firestore_index.composite) == sum([for it in local.collections : length(it.indexes)])
    error_message = "Two indexes have one name, or one of them isn't there."
  }

  # ------------------------------------------------------------------------------------------------ events and jobs

  assert {
    condition     = keys(google_pubsub_topic.event) == keys(local.manifest.topics)
    error_message = "A type of event has no topic."
  }

  assert {
    condition = alltrue([
      for name, it in google_pubsub_subscription.subscriber :
      it.push_config[0].oidc_token[0].audience == local.urls[name]
      && it.push_config[0].oidc_token[0].service_account_email == google_service_account.push.email
      && it.dead_letter_policy[0].dead_letter_topic == google_pubsub_topic.dead_letters.id
      && it.ack_deadline_seconds == 60 && it.expiration_policy[0].ttl == "" && length(it.retry_policy) == 1
    ])
    error_message = "A subscription has no token, no deadline, no retries, an end, or loses what it can't deliver."
  }

  assert {
    condition = {
      for it in google_pubsub_topic_iam_member.publisher : it.topic => it.member...
      } == {
      for kind, topic in google_pubsub_topic.event : topic.id => [google_service_account.domain[local.manifest.topics[kind].domain].member]
    }
    error_message = "An event can be told by another domain than its own."
  }

  assert {
    condition     = google_pubsub_subscription.dead_letters.topic == google_pubsub_topic.dead_letters.id && google_pubsub_subscription.dead_letters.expiration_policy[0].ttl == ""
    error_message = "Dead letters aren't kept."
  }

  assert {
    condition = keys(google_cloud_scheduler_job.job) == keys(local.jobs) && alltrue([
      for name, it in google_cloud_scheduler_job.job :
      it.http_target[0].oidc_token[0].audience == local.urls[name] && it.retry_config[0].retry_count > 0 && it.time_zone == "Etc/UTC"
    ])
    error_message = "A job isn't run, or without a token, or is never tried again."
  }

  # ------------------------------------------------------------------------------------------------ secrets and files

  assert {
    condition     = [for key, it in google_secret_manager_secret_iam_member.reader : key if it.secret_id == google_secret_manager_secret.secret["mail-server"].id] == ["mail-server/notifications"]
    error_message = "Another domain than the one that sends mail can read how."
  }

  assert {
    condition     = toset([for it in google_kms_crypto_key_iam_member.signer : it.member]) == toset([google_service_account.domain["identity"].member])
    error_message = "Another domain than identity can sign access tokens."
  }

  assert {
    condition = alltrue([
      for it in [google_storage_bucket.files, google_storage_bucket.access_logs, google_storage_bucket.builds] : it.uniform_bucket_level_access && it.public_access_prevention == "enforced"
    ])
    error_message = "A bucket can be made public."
  }

  # ------------------------------------------------------------------------------------------------ the gateway

  assert {
    condition = toset(compact(flatten([
      for path, methods in jsondecode(local.gateway_document).paths : [for method, it in methods : method == "options" ? "" : it.x-google-backend]
    ]))) == toset([for name, it in local.operations : name if it.invoker == "gateway"])
    error_message = "The gateway leads to other functions than the manifest's public operations."
  }

  assert {
    condition = alltrue([
      for name, it in jsondecode(local.gateway_document).x-google-api-management.backends : it.address == local.urls[name] && it.jwtAudience == local.urls[name]
    ])
    error_message = "The gateway leads to another address than the service's."
  }

  assert {
    condition     = !strcontains(local.gateway_document, "PROJECT_NUMBER") && !strcontains(local.gateway_document, "PUBLIC_HOST")
    error_message = "Something that only this installation knows isn't in the gateway's document."
  }

  assert {
    condition     = keys(jsondecode(local.gateway_document).components.securitySchemes) == ["aula"]
    error_message = "Another issuer's tokens are let in, and nobody asked for that."
  }

  assert {
    condition     = alltrue([for settings in local.settings : !contains(keys(settings), "AULA_SECOND_ISSUER")])
    error_message = "A function takes another issuer's tokens, and nobody asked for that."
  }

  # Whoever takes people's tokens must be able to have another issuer's exchanged.
  assert {
    condition = toset(local.functions["identity-exchange-token"].callers) == toset([
      for name, it in local.operations : it.domain if it.invoker == "gateway" && it.domain != "identity"
    ])
    error_message = "A domain with public operations may not have tokens exchanged, or another may."
  }

  # ------------------------------------------------------------------------------------------------ spans

  # The functions show a token to this address alone, written just so: shared/google/src/spans.
  assert {
    condition = alltrue([
      for it in google_cloud_run_v2_service.service :
      [for env in it.template[0].containers[0].env : env.value if env.name == "OTEL_EXPORTER_OTLP_ENDPOINT"] == ["https://telemetry.googleapis.com"]
    ]) && toset(keys(google_project_iam_member.traces)) == local.domains && contains(keys(google_project_service.used), "telemetry.googleapis.com")
    error_message = "A function doesn't know where its spans go, or may not send them there."
  }

  # ------------------------------------------------------------------------------------------------ who builds

  assert {
    condition     = [for grant in google_project_iam_member.builder : grant.role if grant.member == google_service_account.builder["check"].member] == ["roles/logging.logWriter"]
    error_message = "What checks strangers' code may do more than write its log."
  }

  assert {
    condition     = length(setintersection(["roles/owner", "roles/editor", "roles/viewer"], [for grant in google_project_iam_member.builder : grant.role])) == 0
    error_message = "A builder has a basic role."
  }

  # It runs what others wrote: build scripts and tests of every crate.
  assert {
    condition = length([
      for grant in google_project_iam_member.builder : grant if grant.member == google_service_account.builder["build"].member && contains(
        ["roles/datastore.viewer", "roles/datastore.user", "roles/identityplatform.viewer", "roles/secretmanager.secretAccessor", "roles/storage.objectViewer"], grant.role
      )
    ]) == 0 && length(setintersection(google_project_iam_custom_role.planner.permissions, ["datastore.entities.get", "datastore.entities.list", "firebaseauth.users.get"])) == 0
    error_message = "What builds may read what people have entrusted to the platform."
  }

  # Who starts builds and acts as another account needs nobody's approval.
  assert {
    condition = length(setintersection(
      ["roles/cloudbuild.builds.editor", "roles/cloudbuild.builds.builder", "roles/iam.serviceAccountUser", "roles/iam.serviceAccountTokenCreator"],
      [for grant in google_project_iam_member.builder : grant.role if grant.member == google_service_account.builder["build"].member],
    )) == 0 && alltrue([for grant in google_service_account_iam_member.release_acts_as : grant.member == google_service_account.builder["release"].member])
    error_message = "What builds may deploy by itself."
  }
}

run "no_spans" {
  command = plan

  variables {
    traces = false
  }

  assert {
    condition = alltrue([
      for it in google_cloud_run_v2_service.service : !contains(it.template[0].containers[0].env[*].name, "OTEL_EXPORTER_OTLP_ENDPOINT")
    ]) && length(google_project_iam_member.traces) == 0 && !contains(keys(google_project_service.used), "telemetry.googleapis.com")
    error_message = "Spans are sent, or could be, and nobody asked for that."
  }
}

run "one_service_a_domain" {
  command = plan

  variables {
    granularity = "domain"
  }

  assert {
    condition     = toset(keys(google_cloud_run_v2_service.service)) == setunion(local.domains, toset([for name, it in local.operations : name if it.invoker == "everyone"]))
    error_message = "There are other services than the domains and the public documents."
  }

  assert {
    condition = toset([for key, line in google_cloud_run_v2_service_iam_member.invoker : line.name if endswith(key, "/everyone")]) == toset([
      for name, it in local.operations : name if startswith(it.http.path, "/.well-known/")
    ])
    error_message = "Everyone may call a whole domain."
  }

  assert {
    condition = alltrue([
      for domain in local.domains : length([for env in google_cloud_run_v2_service.service[domain].template[0].containers[0].env : env if env.name == "FUNCTION_TARGET"]) == 0
    ])
    error_message = "A domain's service serves one function alone."
  }

  assert {
    condition     = alltrue([for domain in local.domains : google_cloud_run_v2_service.service[domain].template[0].timeout == "175s" if length([for it in local.jobs : it if it.domain == domain]) > 0])
    error_message = "A domain's jobs are cut off before their time."
  }

  assert {
    condition     = jsondecode(local.gateway_document).x-google-api-management.backends["courses-list"].address == local.urls["courses"]
    error_message = "The gateway leads to a service that isn't there."
  }
}

run "all_that_can_be_switched_on" {
  command = plan

  variables {
    identity_platform = true
    load_balancer     = { host = "test.aula.example" }
    billing_account   = "012345-6789AB-CDEF01"
    repository        = "projects/aula-test/locations/europe-west1/connections/github/repositories/aula"
  }

  assert {
    condition     = jsondecode(local.gateway_document).security == [{ aula = [] }, { identity_platform = [] }]
    error_message = "Either issuer's token should do."
  }

  assert {
    condition     = length(google_identity_platform_config.this) == 1
    error_message = "Identity Platform isn't set up."
  }

  assert {
    condition = {
      for name, it in google_cloud_run_v2_service.service : name => jsondecode(one([for env in it.template[0].containers[0].env : env.value if env.name == "AULA_SECOND_ISSUER"]))
      if length([for env in it.template[0].containers[0].env : env if env.name == "AULA_SECOND_ISSUER"]) > 0
      } == {
      for name, it in local.operations : name => {
        title    = "Google Identity Platform"
        issuer   = "https://securetoken.google.com/aula-test"
        audience = "aula-test"
        jwks_uri = "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com"
      }
      if it.invoker == "gateway" || it.target == "identity.exchange_token"
    }
    error_message = "A function that takes people's tokens doesn't know the second issuer, or one that doesn't take any does."
  }

  # What the gateway lets in the functions take, and nothing else.
  assert {
    condition = try(jsondecode(local.gateway_document).components.securitySchemes.identity_platform.x-google-auth.issuer == jsondecode(
      local.settings["identity-exchange-token"].AULA_SECOND_ISSUER
    ).issuer, false)
    error_message = "The gateway lets in another issuer than the functions know."
  }

  assert {
    condition     = alltrue([for it in google_compute_backend_service.gateway : it.load_balancing_scheme == "EXTERNAL_MANAGED"]) && length(google_compute_security_policy.front) == 1
    error_message = "The front has no guard."
  }

  assert {
    condition     = toset(keys(google_compute_backend_service.open)) == toset([for name, it in local.operations : name if it.invoker == "everyone"])
    error_message = "The public documents aren't at the issuer's address."
  }

  assert {
    condition     = google_cloudbuild_trigger.release[0].approval_config[0].approval_required
    error_message = "A release doesn't wait for a person."
  }

  assert {
    condition     = google_pubsub_topic_iam_member.proposer[0].role == "roles/pubsub.publisher" && google_cloudbuild_trigger.release[0].substitutions._RELEASE == "$(body.message.data.release)"
    error_message = "A build can't ask for its release."
  }

  assert {
    condition     = length(google_billing_budget.monthly) == 1
    error_message = "Nobody is told what it costs."
  }
}
