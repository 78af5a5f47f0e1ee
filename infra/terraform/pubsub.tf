# A topic for each type of event, a push subscription for each subscriber, and one place for what nobody could take.

resource "google_pubsub_topic" "event" {
  # checkov:skip=CKV_GCP_83:events hold no secret; Google's keys do, and one of ours more is one more to lose
  for_each = local.manifest.topics

  name = each.key
  # A subscriber that got it wrong for days can be given the week again.
  message_retention_duration = "604800s"

  labels = {
    domain = each.value.domain
  }

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_project_service.used]
}

# A domain publishes its own events; nobody else does.
resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = google_pubsub_topic.event

  topic  = each.value.id
  role   = "roles/pubsub.publisher"
  member = google_service_account.domain[local.manifest.topics[each.key].domain].member
}

resource "google_pubsub_subscription" "subscriber" {
  for_each = local.subscribers

  name  = each.key
  topic = google_pubsub_topic.event[each.value.topic].id
  # How long an answer may take, a cold start included.
  ack_deadline_seconds       = 60
  message_retention_duration = "604800s"

  labels = {
    domain = each.value.domain
  }

  # A subscription that nothing happens on for a month is still wanted.
  expiration_policy {
    ttl = ""
  }

  push_config {
    push_endpoint = "${local.urls[local.service_of[each.key]]}/events/${each.value.target}"

    oidc_token {
      service_account_email = google_service_account.push.email
      # Not the endpoint: Cloud Run knows itself by its address alone.
      audience = local.urls[local.service_of[each.key]]
    }
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letters.id
    max_delivery_attempts = 10
  }

  depends_on = [
    google_service_account_iam_member.pubsub_makes_push_tokens,
    google_service_account_iam_member.release_acts_as,
  ]
}

resource "google_pubsub_topic" "dead_letters" {
  # checkov:skip=CKV_GCP_83:events hold no secret; Google's keys do, and one of ours more is one more to lose
  name                       = "dead-letters"
  message_retention_duration = "2678400s"

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_project_service.used]
}

# Without a subscription of its own, what is dead-lettered would be gone. It waits here for a person, 31 days.
resource "google_pubsub_subscription" "dead_letters" {
  name                       = "dead-letters"
  topic                      = google_pubsub_topic.dead_letters.id
  ack_deadline_seconds       = 60
  message_retention_duration = "2678400s"

  expiration_policy {
    ttl = ""
  }
}

# Dead-lettering is Pub/Sub's own doing: it publishes there, and takes the message off where it was. Without these two it
# silently doesn't.
resource "google_pubsub_topic_iam_member" "agent_publishes_dead_letters" {
  topic  = google_pubsub_topic.dead_letters.id
  role   = "roles/pubsub.publisher"
  member = google_project_service_identity.pubsub.member
}

resource "google_pubsub_subscription_iam_member" "agent_takes_dead_letters" {
  for_each = local.subscribers

  subscription = google_pubsub_subscription.subscriber[each.key].id
  role         = "roles/pubsub.subscriber"
  member       = google_project_service_identity.pubsub.member
}
