# A database for each domain, with the indexes that its documents declare.

resource "google_firestore_database" "domain" {
  for_each = local.domains

  name                              = each.key
  location_id                       = coalesce(var.firestore_location, var.region)
  type                              = "FIRESTORE_NATIVE"
  database_edition                  = "STANDARD"
  concurrency_mode                  = "OPTIMISTIC"
  app_engine_integration_mode       = "DISABLED"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  delete_protection_state           = var.deletion_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  # Where it isn't protected it goes with the rest; where it is, it stays behind whatever happens to this configuration.
  deletion_policy = var.deletion_protection ? "ABANDON" : "DELETE"

  depends_on = [google_project_service.used]
}

resource "google_firestore_index" "composite" {
  for_each = local.indexes

  database    = google_firestore_database.domain[each.value.domain].name
  collection  = each.value.collection
  query_scope = "COLLECTION"

  dynamic "fields" {
    for_each = each.value.fields
    content {
      field_path   = fields.value.field_path
      order        = try(fields.value.order, null)
      array_config = try(fields.value.array_config, null)
    }
  }
}

# Documents that say when they may go are deleted by Firestore, a day or so later.
resource "google_firestore_field" "expires" {
  for_each = { for key, it in local.collections : key => it if it.expires != null }

  database   = google_firestore_database.domain[each.value.domain].name
  collection = each.value.collection
  field      = each.value.expires

  ttl_config {}

  # A time that only grows is a hot spot in an index; it has none, unless someone asks by it.
  dynamic "index_config" {
    for_each = each.value.expires_is_asked_for ? [] : [each.value.expires]
    content {}
  }
}

resource "google_firestore_backup_schedule" "daily" {
  for_each = local.domains

  database  = google_firestore_database.domain[each.key].name
  retention = "${var.backup_days * 86400}s"

  daily_recurrence {}
}
