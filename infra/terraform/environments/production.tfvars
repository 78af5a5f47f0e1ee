# What people rely on.
project_id   = "aula-production"
environment  = "production"
public_url   = "https://api.aula.example"
web_origins  = ["https://learn.aula.example"]
alert_emails = ["on-call@aula.example"]
state_bucket = "aula-production-state"
backup_days  = 98
traces       = true
repository   = "projects/aula-production/locations/europe-west1/connections/github/repositories/aula"

load_balancer = {
  host = "api.aula.example"
}

# Those that people wait for are kept warm; the rest starts in milliseconds.
sizes = {
  enrollments-enroll = { min_instances = 1, max_instances = 100 }
  identity-sign-in   = { min_instances = 1, max_instances = 50 }
  identity-get-jwks  = { min_instances = 1 }
}

billing_account = "012345-6789AB-CDEF01"
monthly_budget  = 200
