# The clock: a job for each function that it runs. Times are UTC; what is of a person's day, the functions work out.

resource "google_cloud_scheduler_job" "job" {
  for_each = local.jobs

  name             = each.key
  description      = "Runs ${each.value.target}"
  region           = var.region
  schedule         = each.value.schedule
  time_zone        = "Etc/UTC"
  attempt_deadline = "${each.value.size.timeout_seconds + 5}s"

  # It never runs twice at once, and the next minute tries again anyway: a few retries close the gap of a longer schedule.
  retry_config {
    retry_count          = 3
    min_backoff_duration = "5s"
    max_backoff_duration = "60s"
    max_doublings        = 3
  }

  http_target {
    http_method = "POST"
    uri         = "${local.urls[local.service_of[each.key]]}/jobs/${each.value.target}"
    headers     = { "Content-Type" = "application/json" }
    body        = base64encode("{}")

    oidc_token {
      service_account_email = google_service_account.scheduler.email
      audience              = local.urls[local.service_of[each.key]]
    }
  }

  depends_on = [google_project_service.used, google_service_account_iam_member.release_acts_as]
}
