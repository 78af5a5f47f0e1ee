# How a change gets here: three accounts that build, and the triggers that start them when a repository is connected.
#
# Checking a pull request runs code that nobody has read: its account may write its own log and nothing else. Building
# runs code that was read and merged: it may push images, keep what it made, and look at what is there, to plan. Deploying
# runs no code of the repository: it applies a plan that a person has approved.

locals {
  builders = {
    check   = "Checks pull requests"
    build   = "Builds images and plans"
    release = "Applies a plan that was approved"
  }

  builder_roles = {
    check = ["roles/logging.logWriter"]
    # Looking is enough to plan: at what is laid out, and not at what people keep in it.
    build = [
      "roles/logging.logWriter",
      "roles/apigateway.viewer",
      "roles/artifactregistry.reader",
      "roles/browser",
      "roles/cloudbuild.builds.viewer",
      "roles/cloudkms.viewer",
      "roles/cloudscheduler.viewer",
      "roles/compute.viewer",
      "roles/containeranalysis.occurrences.editor",
      "roles/iam.securityReviewer",
      "roles/logging.viewer",
      "roles/monitoring.viewer",
      "roles/pubsub.viewer",
      "roles/run.viewer",
      "roles/secretmanager.viewer",
      "roles/serviceusage.serviceUsageConsumer",
      "roles/storage.bucketViewer",
    ]
    # Each is the smallest that makes and changes its kind of thing.
    release = [
      "roles/logging.logWriter",
      "roles/apigateway.admin",
      "roles/artifactregistry.admin",
      "roles/cloudbuild.builds.editor",
      "roles/cloudkms.admin",
      "roles/cloudscheduler.admin",
      "roles/compute.loadBalancerAdmin",
      "roles/compute.securityAdmin",
      "roles/datastore.owner",
      "roles/iam.roleAdmin",
      "roles/iam.serviceAccountAdmin",
      "roles/identityplatform.admin",
      "roles/logging.configWriter",
      "roles/monitoring.editor",
      "roles/pubsub.admin",
      "roles/resourcemanager.projectIamAdmin",
      "roles/run.admin",
      "roles/secretmanager.admin",
      "roles/serviceusage.serviceUsageAdmin",
      "roles/storage.admin",
    ]
  }

  builder_grants = merge([
    for builder, roles in local.builder_roles : { for role in roles : "${builder}/${role}" => { builder = builder, role = role } }
  ]...)
}

resource "google_service_account" "builder" {
  for_each = local.builders

  account_id   = "cloud-build-${each.key}"
  display_name = each.value

  depends_on = [google_project_service.used]
}

resource "google_project_iam_member" "builder" {
  # checkov:skip=CKV_GCP_42:who makes and changes everything here is an administrator of it; a person approves each run
  # checkov:skip=CKV_GCP_49:it makes the accounts of new domains, and lets itself use those and no others
  for_each = local.builder_grants

  project = var.project_id
  role    = each.value.role
  member  = google_service_account.builder[each.value.builder].member
}

# Whoever gives an account to a service must be allowed to act as it: account by account, not all of the project's.
resource "google_service_account_iam_member" "release_acts_as" {
  for_each = merge(local.callers, { for builder in ["check", "build", "release"] : "cloud-build-${builder}" => google_service_account.builder[builder] })

  service_account_id = each.value.name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.builder["release"].member
}

resource "google_artifact_registry_repository_iam_member" "pusher" {
  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.builder["build"].member
}

resource "google_storage_bucket_iam_member" "builds" {
  for_each = toset(["build", "release"])

  bucket = google_storage_bucket.builds.name
  role   = "roles/storage.objectUser"
  member = google_service_account.builder[each.key].member
}

# Planning reads the state and holds its lock for a while.
resource "google_storage_bucket_iam_member" "state" {
  for_each = toset(["build", "release"])

  bucket = var.state_bucket
  role   = "roles/storage.objectUser"
  member = google_service_account.builder[each.key].member
}

# Google's own viewers of databases and of Identity Platform see documents and people's accounts too.
resource "google_project_iam_custom_role" "planner" {
  role_id     = "aulaPlanner"
  title       = "Plans"
  description = "Looks at databases, their indexes and backups and at how people sign in, and at no document and no account."

  permissions = [
    "datastore.backupSchedules.get",
    "datastore.backupSchedules.list",
    "datastore.databases.getMetadata",
    "datastore.databases.list",
    "datastore.schemas.get",
    "datastore.schemas.list",
    "firebaseauth.configs.get",
  ]

  depends_on = [google_project_service.used]
}

resource "google_project_iam_member" "planner" {
  project = var.project_id
  role    = "projects/${var.project_id}/roles/${google_project_iam_custom_role.planner.role_id}"
  member  = google_service_account.builder["build"].member
}

# A build asks for the release that it would like, by a message; who approves it is a person. It can't start the release
# itself: whoever may start builds and act as the account that deploys could start one that nobody has to approve.
resource "google_pubsub_topic" "releases" {
  # checkov:skip=CKV_GCP_83:what is said there is the name of a build
  count = var.repository == null ? 0 : 1

  name = "aula-releases"

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_project_service.used]
}

resource "google_pubsub_topic_iam_member" "proposer" {
  count = var.repository == null ? 0 : 1

  topic  = google_pubsub_topic.releases[0].id
  role   = "roles/pubsub.publisher"
  member = google_service_account.builder["build"].member
}

resource "google_cloudbuild_trigger" "pull_request" {
  count = var.repository == null ? 0 : 1

  name               = "aula-pull-request"
  description        = "Checks a pull request"
  location           = var.region
  filename           = "infra/cloudbuild-pull-request.yaml"
  service_account    = google_service_account.builder["check"].id
  include_build_logs = "INCLUDE_BUILD_LOGS_WITH_STATUS"

  repository_event_config {
    repository = var.repository
    pull_request {
      branch = "^main$"
      # A stranger's code runs once someone of ours has looked at it.
      comment_control = "COMMENTS_ENABLED_FOR_EXTERNAL_CONTRIBUTORS_ONLY"
    }
  }

  depends_on = [google_project_service.used]
}

resource "google_cloudbuild_trigger" "build" {
  count = var.repository == null ? 0 : 1

  name            = "aula-build"
  description     = "Builds what was merged and plans its release"
  location        = var.region
  filename        = "cloudbuild.yaml"
  service_account = google_service_account.builder["build"].id

  substitutions = {
    _ENVIRONMENT  = var.environment
    _REGION       = var.region
    _STATE_BUCKET = var.state_bucket
  }

  repository_event_config {
    repository = var.repository
    push {
      branch = "^main$"
    }
  }

  depends_on = [google_project_service.used]
}

# Asked for by a build when its plan is ready; runs when someone has approved it.
resource "google_cloudbuild_trigger" "release" {
  count = var.repository == null ? 0 : 1

  name            = "aula-release"
  description     = "Applies an approved plan, takes the journey, goes back if it fails"
  location        = var.region
  service_account = google_service_account.builder["release"].id

  substitutions = {
    _ENVIRONMENT  = var.environment
    _REGION       = var.region
    _STATE_BUCKET = var.state_bucket
    _RELEASE      = "$(body.message.data.release)"
  }

  pubsub_config {
    topic = google_pubsub_topic.releases[0].id
  }

  source_to_build {
    repository = var.repository
    ref        = "refs/heads/main"
    repo_type  = "GITHUB"
  }

  git_file_source {
    path       = "infra/cloudbuild-release.yaml"
    repository = var.repository
    revision   = "refs/heads/main"
    repo_type  = "GITHUB"
  }

  approval_config {
    approval_required = true
  }

  depends_on = [google_project_service.used]
}
