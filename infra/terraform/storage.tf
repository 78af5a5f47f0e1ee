# Buckets: what people upload, who read it, and what builds leave behind.

resource "google_storage_bucket" "files" {
  name                        = "${var.project_id}-files"
  location                    = var.region
  storage_class               = "STANDARD"
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !var.deletion_protection

  versioning {
    enabled = true
  }

  logging {
    log_bucket        = google_storage_bucket.access_logs.name
    log_object_prefix = "files"
  }

  # Web pages upload straight to the bucket, to an address that a function has signed.
  dynamic "cors" {
    for_each = length(var.web_origins) > 0 ? [var.web_origins] : []
    content {
      origin          = cors.value
      method          = ["GET", "HEAD", "PUT"]
      response_header = ["Content-Type", "Content-Length", "ETag", "x-goog-content-length-range", "x-goog-hash"]
      max_age_seconds = 3600
    }
  }

  # What was replaced or deleted can be had back for a month.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 30
      with_state                 = "ARCHIVED"
    }
  }

  # An upload that was never finished is nobody's.
  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 1
    }
  }

  depends_on = [google_project_service.used]
}

resource "google_storage_bucket_iam_member" "files" {
  for_each = local.needs.files

  bucket = google_storage_bucket.files.name
  role   = "roles/storage.objectUser"
  member = google_service_account.domain[each.key].member

  # Each domain has a folder of its own.
  condition {
    title      = "only-${each.key}"
    expression = "resource.name.startsWith(\"projects/_/buckets/${google_storage_bucket.files.name}/objects/${each.key}/\")"
  }
}

resource "google_storage_bucket" "access_logs" {
  # checkov:skip=CKV_GCP_62:a log of reading the log would log itself
  # checkov:skip=CKV_GCP_63:it doesn't log to itself: it doesn't log
  # checkov:skip=CKV_GCP_78:a log is only ever added to
  name                        = "${var.project_id}-access-logs"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !var.deletion_protection

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = 90
    }
  }

  depends_on = [google_project_service.used]
}

# Whoever of Google's it is that writes these logs. Without it there are none, and nobody says so.
resource "google_storage_bucket_iam_member" "access_logs" {
  bucket = google_storage_bucket.access_logs.name
  role   = "roles/storage.objectCreator"
  member = "group:cloud-storage-analytics@google.com"
}

# Plans, bills of materials and the digests that were deployed.
resource "google_storage_bucket" "builds" {
  name                        = "${var.project_id}-builds"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !var.deletion_protection

  versioning {
    enabled = true
  }

  logging {
    log_bucket        = google_storage_bucket.access_logs.name
    log_object_prefix = "builds"
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age            = 180
      matches_prefix = ["plans/", "sbom/"]
    }
  }

  depends_on = [google_project_service.used]
}
