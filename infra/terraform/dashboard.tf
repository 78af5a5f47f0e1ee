# One page to look at: how it is asked, how it answers, what waits.

locals {
  tiles = concat(
    [
      for domain in sort(local.domains) : {
        title   = "Answers of ${domain}, by kind, in a second"
        filter  = "resource.type = \"cloud_run_revision\" AND metric.type = \"run.googleapis.com/request_count\" AND resource.labels.service_name = starts_with(\"${domain}\")"
        aligner = "ALIGN_RATE"
        reducer = "REDUCE_SUM"
        by      = ["metric.label.response_code_class"]
      }
    ],
    [
      for domain in sort(local.domains) : {
        title   = "The slowest of a hundred in ${domain}, in ms"
        filter  = "resource.type = \"cloud_run_revision\" AND metric.type = \"run.googleapis.com/request_latencies\" AND resource.labels.service_name = starts_with(\"${domain}\")"
        aligner = "ALIGN_PERCENTILE_99"
        reducer = "REDUCE_MAX"
        by      = ["resource.label.service_name"]
      }
    ],
    [
      {
        title   = "The oldest event that a subscriber hasn't taken, in s"
        filter  = "resource.type = \"pubsub_subscription\" AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
        aligner = "ALIGN_MAX"
        reducer = "REDUCE_MAX"
        by      = ["resource.label.subscription_id"]
      },
      {
        title   = "The oldest event in an outbox, in s"
        filter  = "resource.type = \"cloud_run_revision\" AND metric.type = \"logging.googleapis.com/user/${google_logging_metric.outbox_age.name}\""
        aligner = "ALIGN_PERCENTILE_99"
        reducer = "REDUCE_MAX"
        by      = ["metric.label.domain"]
      },
      {
        title   = "Documents read in a second"
        filter  = "resource.type = \"firestore.googleapis.com/Database\" AND metric.type = \"firestore.googleapis.com/document/read_ops_count\""
        aligner = "ALIGN_RATE"
        reducer = "REDUCE_SUM"
        by      = ["resource.label.database_id"]
      },
      {
        title   = "Documents written in a second"
        filter  = "resource.type = \"firestore.googleapis.com/Database\" AND metric.type = \"firestore.googleapis.com/document/write_ops_count\""
        aligner = "ALIGN_RATE"
        reducer = "REDUCE_SUM"
        by      = ["resource.label.database_id"]
      },
    ],
  )
}

resource "google_monitoring_dashboard" "platform" {
  dashboard_json = jsonencode({
    displayName = "Aula, ${var.environment}"
    mosaicLayout = {
      columns = 12
      tiles = [
        for i, tile in local.tiles : {
          xPos   = (i % 3) * 4
          yPos   = floor(i / 3) * 4
          width  = 4
          height = 4
          widget = {
            title = tile.title
            xyChart = {
              dataSets = [{
                plotType = "LINE"
                timeSeriesQuery = {
                  timeSeriesFilter = {
                    filter = tile.filter
                    aggregation = {
                      alignmentPeriod    = "60s"
                      perSeriesAligner   = tile.aligner
                      crossSeriesReducer = tile.reducer
                      groupByFields      = tile.by
                    }
                  }
                }
              }]
            }
          }
        }
      ]
    }
  })

  depends_on = [google_project_service.used]
}
