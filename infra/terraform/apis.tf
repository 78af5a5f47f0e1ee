# The services of Google Cloud that this project uses.
resource "google_project_service" "used" {
  for_each = toset(concat([
    "apigateway.googleapis.com",
    "artifactregistry.googleapis.com",
    "billingbudgets.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudkms.googleapis.com",
    "cloudscheduler.googleapis.com",
    "compute.googleapis.com",
    "containeranalysis.googleapis.com",
    "firestore.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "identitytoolkit.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "servicecontrol.googleapis.com",
    "servicemanagement.googleapis.com",
    "storage.googleapis.com",
    ], !var.traces ? [] : [
    # The one takes spans; where the other is off, what was taken is thrown away.
    "cloudtrace.googleapis.com",
    "telemetry.googleapis.com",
  ]))

  service = each.value
  # Taking this installation away mustn't switch an API off for whoever else is in the project.
  disable_on_destroy = false
}
