# Where the images are kept.

locals {
  registry = "${google_artifact_registry_repository.images.location}-docker.pkg.dev/${var.project_id}/${google_artifact_registry_repository.images.repository_id}"
}

resource "google_artifact_registry_repository" "images" {
  # checkov:skip=CKV_GCP_84:an image is the public code, compiled
  location      = var.region
  repository_id = "aula"
  description   = "One image a domain"
  format        = "DOCKER"

  docker_config {
    immutable_tags = true
  }

  vulnerability_scanning_config {
    enablement_config = "INHERITED"
  }

  # What is kept wins over what is deleted: going back is always possible for a while.
  cleanup_policies {
    id     = "keep-recent"
    action = "KEEP"

    most_recent_versions {
      keep_count = 20
    }
  }

  cleanup_policies {
    id     = "drop-old"
    action = "DELETE"

    condition {
      tag_state  = "ANY"
      older_than = "${90 * 86400}s"
    }
  }

  depends_on = [google_project_service.used]
}
