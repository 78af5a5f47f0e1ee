# What is refused before anything is made: an input that would make an unsafe or a broken installation.

mock_provider "google" {
  mock_data "google_project" {
    defaults = {
      number = "123456789012"
    }
  }
}

mock_provider "google-beta" {}

# All that another file of variables could set otherwise.
variables {
  load_balancer = null
  sizes         = {}
  project_id    = "aula-test"
  environment   = "staging"
  public_url    = "https://test.aula.example"
  alert_emails  = ["on-call@aula.example"]
  state_bucket  = "aula-test-state"
  images = {
    courses       = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
    enrollments   = "sha256:2222222222222222222222222222222222222222222222222222222222222222"
    identity      = "sha256:3333333333333333333333333333333333333333333333333333333333333333"
    notifications = "sha256:4444444444444444444444444444444444444444444444444444444444444444"
  }
}

run "what_names_nothing" {
  command = plan

  variables {
    environment = "qa"
    region      = "europe-west4"
    signing_key = "second"
    sizes       = { enrollments-enrol = { max_instances = 5 } }
    # One domain has no image.
    images = {
      courses     = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
      enrollments = "sha256:2222222222222222222222222222222222222222222222222222222222222222"
      identity    = "sha256:3333333333333333333333333333333333333333333333333333333333333333"
    }
  }

  expect_failures = [var.environment, var.region, var.signing_key, var.sizes, var.images]
}

run "what_is_of_the_wrong_form" {
  command = plan

  variables {
    project_id        = "Aula"
    public_url        = "https://test.aula.example/"
    web_origins       = ["https://learn.aula.example/courses"]
    alert_emails      = []
    admin_email       = "root"
    granularity       = "function"
    backup_days       = 365
    availability_goal = 1
    monthly_budget    = 0.5
    billing_account   = "mine"
    repository        = "aula"
    # A tag can be moved to another image.
    images = { courses = "latest", enrollments = "latest", identity = "latest", notifications = "latest" }
  }

  expect_failures = [
    var.project_id, var.public_url, var.web_origins, var.alert_emails, var.admin_email, var.granularity, var.backup_days,
    var.availability_goal, var.monthly_budget, var.billing_account, var.repository, var.images,
  ]
}

run "what_is_not_safe" {
  command = plan

  variables {
    environment         = "production"
    deletion_protection = false
    # The issuer of tokens would be another one than the address that people use.
    load_balancer = { host = "other.aula.example" }
  }

  expect_failures = [var.deletion_protection, var.load_balancer]
}
