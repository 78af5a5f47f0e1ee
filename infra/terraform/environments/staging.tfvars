# As production, but small, and with what is tried before production has it.
project_id        = "aula-staging"
environment       = "staging"
public_url        = "https://staging.aula.example"
web_origins       = ["https://staging.aula.example"]
alert_emails      = ["developers@aula.example"]
state_bucket      = "aula-staging-state"
backup_days       = 7
identity_platform = true
traces            = true
billing_account   = "012345-6789AB-CDEF01"
monthly_budget    = 30
