# For trying things: few services, nothing protected, nothing that costs while idle.
project_id          = "aula-development"
environment         = "development"
granularity         = "domain"
public_url          = "https://development.aula.example"
web_origins         = ["http://localhost:5173", "https://development.aula.example"]
alert_emails        = ["developers@aula.example"]
state_bucket        = "aula-development-state"
deletion_protection = false
backup_days         = 1
availability_goal   = 0.95
monthly_budget      = 10
