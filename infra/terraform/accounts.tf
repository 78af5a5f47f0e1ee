# Who acts: an account for each domain, and one for each thing that calls them. None has a key, none has a role on the
# project that isn't tied to something of its own.

resource "google_service_account" "domain" {
  for_each = local.domains

  account_id   = "domain-${each.key}"
  display_name = "The functions of ${each.key}"

  depends_on = [google_project_service.used]
}

resource "google_service_account" "gateway" {
  account_id   = "api-gateway"
  display_name = "API Gateway, which calls the public operations"

  depends_on = [google_project_service.used]
}

resource "google_service_account" "push" {
  account_id   = "event-push"
  display_name = "Pub/Sub, which hands events to subscribers"

  depends_on = [google_project_service.used]
}

resource "google_service_account" "scheduler" {
  account_id   = "job-scheduler"
  display_name = "Cloud Scheduler, which starts jobs"

  depends_on = [google_project_service.used]
}

# A domain's account opens its own database and no other.
resource "google_project_iam_member" "database" {
  for_each = local.domains

  project = var.project_id
  role    = "roles/datastore.user"
  member  = google_service_account.domain[each.key].member

  condition {
    title       = "only-${each.key}"
    description = "The documents of ${each.key}, and no other domain's."
    expression  = "resource.name == \"projects/${var.project_id}/databases/${google_firestore_database.domain[each.key].name}\""
  }
}

# Spans go to Cloud Trace, if they're wanted; logs and the platform's own metrics need no role.
resource "google_project_iam_member" "traces" {
  for_each = var.traces ? local.domains : toset([])

  project = var.project_id
  role    = "roles/telemetry.tracesWriter"
  member  = google_service_account.domain[each.key].member
}

# The agents of Google's that act for this project, by the names that Google gives, not by guessing them.
resource "google_project_service_identity" "pubsub" {
  provider = google-beta
  service  = "pubsub.googleapis.com"

  depends_on = [google_project_service.used]
}

# Pub/Sub makes the tokens of its push account; no other account's.
resource "google_service_account_iam_member" "pubsub_makes_push_tokens" {
  service_account_id = google_service_account.push.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = google_project_service_identity.pubsub.member
}

# Addresses of uploads are signed by the domain's own account, through the IAM API: there is no key to lose.
resource "google_service_account_iam_member" "signs_addresses" {
  for_each = local.needs.files

  service_account_id = google_service_account.domain[each.key].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = google_service_account.domain[each.key].member
}
