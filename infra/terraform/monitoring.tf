# What tells a person that something is wrong: first what people would notice, then what they would notice tomorrow.

locals {
  # What people come for, by the functions that it takes. A journey's promise is kept or broken as a whole.
  journeys = {
    sign-in = {
      what      = "Register, get a code, sign in and stay signed in"
      functions = ["identity-register", "identity-request-code", "identity-redeem-code", "identity-sign-in", "identity-refresh-session", "identity-get-jwks"]
    }
    browse = {
      what      = "Find a course and a section that suits"
      functions = ["courses-list", "courses-get", "courses-list-sections", "courses-get-section"]
    }
    enroll = {
      what      = "Get a seat or a place in the queue, see it, and give it back"
      functions = ["enrollments-enroll", "enrollments-get", "enrollments-list", "enrollments-cancel"]
    }
    teach = {
      what      = "Write a course, publish it, and open sections of it"
      functions = ["courses-create", "courses-update", "courses-publish", "courses-create-section", "courses-update-section", "courses-cancel-section"]
    }
    hear = {
      what      = "Be told and reminded in time"
      functions = concat([for name, it in local.subscribers : name if it.domain == "notifications"], [for name, it in local.jobs : name if it.domain == "notifications"])
    }
  }

  # The services of each journey, as a filter of Cloud Monitoring.
  journey_filters = {
    for name, it in local.journeys : name => join("", [
      "resource.type = \"cloud_run_revision\" AND metric.type = \"run.googleapis.com/request_count\" AND resource.labels.service_name = one_of(",
      join(", ", [for service in sort(distinct([for function in it.functions : local.service_of[function]])) : "\"${service}\""]),
      ")",
    ])
  }

  channels = [for channel in google_monitoring_notification_channel.email : channel.id]

  # How fast the promise of 28 days is used up: 2 % of it in an hour is an accident, 5 % in six hours a bad day. The short
  # window says that it's still going on.
  burns = {
    fast = { rate = 14.4, long = "3600s", short = "300s", severity = "CRITICAL" }
    slow = { rate = 6, long = "21600s", short = "1800s", severity = "WARNING" }
  }

  burn_alerts = merge([
    for journey in keys(local.journeys) : { for speed, burn in local.burns : "${journey}/${speed}" => merge(burn, { journey = journey, speed = speed }) }
  ]...)

  # The alerts that are a threshold on one metric.
  thresholds = {
    dead-letters = {
      what     = "Events that nobody could take are waiting"
      filter   = "resource.type = \"pubsub_subscription\" AND metric.type = \"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.labels.subscription_id = \"${google_pubsub_subscription.dead_letters.name}\""
      aligner  = "ALIGN_MAX"
      above    = 0
      for      = "0s"
      severity = "WARNING"
      then     = "Look at them with `cargo run -- events`, mend the subscriber, then replay them."
    }
    oldest-unacked = {
      what     = "A subscriber is more than ten minutes behind"
      filter   = "resource.type = \"pubsub_subscription\" AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND resource.labels.subscription_id != \"${google_pubsub_subscription.dead_letters.name}\""
      aligner  = "ALIGN_MAX"
      above    = 600
      for      = "300s"
      severity = "CRITICAL"
      then     = "The subscription's name is the function's. Its log says why it refuses."
    }
    outbox-age = {
      what     = "An event has waited in an outbox for more than five minutes"
      filter   = "resource.type = \"cloud_run_revision\" AND metric.type = \"logging.googleapis.com/user/${google_logging_metric.outbox_age.name}\""
      aligner  = "ALIGN_PERCENTILE_99"
      above    = 300
      for      = "300s"
      severity = "CRITICAL"
      then     = "The relay job of the domain publishes what was left: see whether it runs, and whether its account may publish."
    }
    scheduler-failures = {
      what     = "A job was started and didn't succeed, three times in ten minutes"
      filter   = "resource.type = \"cloud_scheduler_job\" AND metric.type = \"logging.googleapis.com/user/${google_logging_metric.scheduler_failures.name}\""
      aligner  = "ALIGN_DELTA"
      above    = 2
      for      = "0s"
      severity = "CRITICAL"
      then     = "The job's name is the function's. Its log says what went wrong; the next run makes up for what was missed."
    }
  }
}

resource "google_monitoring_notification_channel" "email" {
  for_each = var.alert_emails

  display_name = "On call: ${each.key}"
  type         = "email"
  labels       = { email_address = each.key }

  depends_on = [google_project_service.used]
}

# ------------------------------------------------------------------------------------------------ from the logs

# An alert can be made of such a metric some ten minutes after the metric. So these are made before the first release,
# with what builds need; a new one is released before its alert.
resource "google_logging_metric" "outbox_age" {
  name        = "outbox-age-seconds"
  description = "How long the oldest event that a relay found had waited"
  filter      = "resource.type = \"cloud_run_revision\" AND jsonPayload.outbox_age_seconds >= 0"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = "s"

    labels {
      key         = "domain"
      value_type  = "STRING"
      description = "Whose outbox it is"
    }
  }

  value_extractor  = "EXTRACT(jsonPayload.outbox_age_seconds)"
  label_extractors = { domain = "EXTRACT(jsonPayload.domain)" }

  bucket_options {
    exponential_buckets {
      num_finite_buckets = 20
      growth_factor      = 2
      scale              = 1
    }
  }

  depends_on = [google_project_service.used]
}

resource "google_logging_metric" "scheduler_failures" {
  name        = "scheduler-failures"
  description = "Runs of a job that didn't succeed"
  filter      = "resource.type = \"cloud_scheduler_job\" AND severity >= ERROR AND jsonPayload.\"@type\" = \"type.googleapis.com/google.cloud.scheduler.logging.AttemptFinished\""

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"

    labels {
      key         = "job"
      value_type  = "STRING"
      description = "Which job"
    }
  }

  label_extractors = { job = "EXTRACT(resource.labels.job_id)" }

  depends_on = [google_project_service.used]
}

# ------------------------------------------------------------------------------------------------ the journeys

resource "google_monitoring_custom_service" "journey" {
  for_each = local.journeys

  service_id   = "journey-${each.key}"
  display_name = each.value.what

  lifecycle {
    precondition {
      condition     = length(setsubtract(each.value.functions, keys(local.functions))) == 0
      error_message = "A journey names a function that isn't in the manifest."
    }
  }

  depends_on = [google_project_service.used]
}

resource "google_monitoring_slo" "journey" {
  for_each = local.journeys

  service             = google_monitoring_custom_service.journey[each.key].service_id
  slo_id              = "answers"
  display_name        = "${each.value.what}: ${var.availability_goal * 100} % without a fault of ours"
  goal                = var.availability_goal
  rolling_period_days = 28

  request_based_sli {
    good_total_ratio {
      total_service_filter = local.journey_filters[each.key]
      bad_service_filter   = "${local.journey_filters[each.key]} AND metric.labels.response_code_class = \"5xx\""
    }
  }
}

resource "google_monitoring_alert_policy" "burn" {
  for_each = local.burn_alerts

  display_name          = "${local.journeys[each.value.journey].what}: the promise is used up ${each.value.speed == "fast" ? "fast" : "slowly"}"
  combiner              = "AND"
  severity              = each.value.severity
  notification_channels = local.channels

  dynamic "conditions" {
    for_each = { "over ${each.value.long}" = each.value.long, "and still over ${each.value.short}" = each.value.short }
    content {
      display_name = conditions.key

      condition_threshold {
        filter          = "select_slo_burn_rate(\"${google_monitoring_slo.journey[each.value.journey].id}\", \"${conditions.value}\")"
        comparison      = "COMPARISON_GT"
        threshold_value = each.value.rate
        duration        = "0s"
      }
    }
  }

  alert_strategy {
    auto_close = "86400s"
  }

  documentation {
    mime_type = "text/markdown"
    content   = "At this rate ${each.value.speed == "fast" ? "the promise of 28 days is used up in two days" : "the promise of 28 days is used up in five days"}. See docs/operating.md, When an alert comes."
  }
}

# ------------------------------------------------------------------------------------------------ the rest

resource "google_monitoring_alert_policy" "threshold" {
  for_each = local.thresholds

  display_name          = each.value.what
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = local.channels

  conditions {
    display_name = each.value.what

    condition_threshold {
      filter          = each.value.filter
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.above
      duration        = each.value.for

      aggregations {
        alignment_period   = each.value.aligner == "ALIGN_DELTA" ? "600s" : "300s"
        per_series_aligner = each.value.aligner
      }

      trigger {
        count = 1
      }
    }
  }

  alert_strategy {
    auto_close = "86400s"
  }

  documentation {
    mime_type = "text/markdown"
    content   = each.value.then
  }
}

# Asked from outside, the whole way: the gateway, a function and its database; and the keys, without which nobody is let in.
resource "google_monitoring_uptime_check_config" "outside" {
  for_each = {
    courses = {
      host = var.load_balancer == null ? google_api_gateway_gateway.public.default_hostname : var.load_balancer.host
      path = "/v1/courses?page_size=1"
      says = "items"
    }
    keys = {
      host = trimprefix(local.urls[local.jwks_function], "https://")
      path = local.operations[local.jwks_function].http.path
      says = "keys"
    }
  }

  display_name     = "Aula: ${each.key}"
  timeout          = "10s"
  period           = "300s"
  selected_regions = ["EUROPE", "USA_VIRGINIA", "ASIA_PACIFIC"]

  http_check {
    path           = each.value.path
    port           = 443
    use_ssl        = true
    validate_ssl   = true
    request_method = "GET"

    accepted_response_status_codes {
      status_class = "STATUS_CLASS_2XX"
    }
  }

  monitored_resource {
    type = "uptime_url"
    labels = {
      project_id = var.project_id
      host       = each.value.host
    }
  }

  content_matchers {
    content = each.value.says
    matcher = "CONTAINS_STRING"
  }
}

resource "google_monitoring_alert_policy" "uptime" {
  for_each = google_monitoring_uptime_check_config.outside

  display_name          = "Not reached from outside: ${each.key}"
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = local.channels

  conditions {
    display_name = "Two places or more don't get an answer"

    condition_threshold {
      filter          = "resource.type = \"uptime_url\" AND metric.type = \"monitoring.googleapis.com/uptime_check/check_passed\" AND metric.labels.check_id = \"${each.value.uptime_check_id}\""
      comparison      = "COMPARISON_GT"
      threshold_value = 1
      duration        = "300s"

      aggregations {
        alignment_period     = "600s"
        per_series_aligner   = "ALIGN_NEXT_OLDER"
        cross_series_reducer = "REDUCE_COUNT_FALSE"
        group_by_fields      = ["resource.label.host"]
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "Ask for it yourself; then see whether the last deployment is to blame: docs/operating.md, Going back."
  }
}
