# Identity Platform, for those who want Google's sign-in pages: a second issuer beside the platform's own. It can't be
# taken away from a project again; switching it off only stops its tokens from being let in. Who bears one is looked up by
# identity alone, which exchanges it for an access token of the platform.

resource "google_identity_platform_config" "this" {
  count = var.identity_platform ? 1 : 0

  authorized_domains         = sort(distinct([trimprefix(var.public_url, "https://"), "${var.project_id}.firebaseapp.com"]))
  autodelete_anonymous_users = true

  sign_in {
    allow_duplicate_emails = false

    email {
      enabled           = true
      password_required = true
    }
  }

  mfa {
    state = "ENABLED"

    provider_configs {
      state = "ENABLED"
      totp_provider_config {
        adjacent_intervals = 1
      }
    }
  }

  monitoring {
    request_logging {
      enabled = true
    }
  }

  depends_on = [google_project_service.used]
}
