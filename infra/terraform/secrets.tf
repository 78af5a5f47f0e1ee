# Secrets and keys. Terraform makes the places; a person puts the secrets in, so that none is in a state file.

locals {
  # What each secret is called where it is kept, by the setting that carries it.
  secrets = merge(
    {
      AULA_SECRET   = "platform-secret"
      AULA_SMTP_URL = "mail-server"
    },
    local.mail_providers,
    local.identity_providers,
  )

  # A service can't start before each of its secrets has a version: these are only there when they're asked for.
  identity_providers = var.identity_providers ? { AULA_IDENTITY_PROVIDERS = "identity-providers" } : {}
  mail_providers     = var.mail_providers ? { AULA_MAIL_PROVIDERS = "mail-providers" } : {}

  secrets_of = {
    for domain in local.domains : domain => merge(
      # Every domain seals keys of repeated requests and page tokens with the platform's secret.
      { AULA_SECRET = local.secrets.AULA_SECRET },
      contains(local.needs.mail, domain) ? merge({ AULA_SMTP_URL = local.secrets.AULA_SMTP_URL }, local.mail_providers) : {},
      domain == "identity" ? local.identity_providers : {},
    )
  }

  readers = merge([
    for domain, secrets in local.secrets_of : {
      for secret in values(secrets) : "${secret}/${domain}" => { secret = secret, domain = domain }
    }
  ]...)
}

resource "google_secret_manager_secret" "secret" {
  for_each = toset(values(local.secrets))

  secret_id           = each.key
  deletion_protection = var.deletion_protection

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }

  depends_on = [google_project_service.used]
}

resource "google_secret_manager_secret_iam_member" "reader" {
  for_each = local.readers

  secret_id = google_secret_manager_secret.secret[each.value.secret].id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.domain[each.value.domain].member
}

resource "google_kms_key_ring" "tokens" {
  name     = "tokens"
  location = var.region

  depends_on = [google_project_service.used]
}

# The key that signs access tokens never leaves KMS. A key that is destroyed can be had back for 30 days.
resource "google_kms_crypto_key" "signing" {
  name                          = "signing"
  key_ring                      = google_kms_key_ring.tokens.id
  purpose                       = "ASYMMETRIC_SIGN"
  destroy_scheduled_duration    = "2592000s"
  skip_initial_version_creation = true

  version_template {
    algorithm        = "RSA_SIGN_PKCS1_2048_SHA256"
    protection_level = "SOFTWARE"
  }

  # Without the key nobody's token counts: it stays behind whatever happens to this configuration.
  deletion_policy = var.deletion_protection ? "ABANDON" : "DELETE"
}

# Google doesn't rotate keys that sign: a new name in signing_keys makes a version, signing_key moves over to it.
resource "google_kms_crypto_key_version" "signing" {
  for_each = var.signing_keys

  crypto_key = google_kms_crypto_key.signing.id

  # One that is taken off the list goes once the services don't ask for it any more: who does gets no key at all.
  lifecycle {
    create_before_destroy = true
  }
}

resource "google_kms_crypto_key_iam_member" "signer" {
  for_each = { for pair in setproduct(local.needs.signing, ["signer", "publicKeyViewer"]) : join("/", pair) => { domain = pair[0], role = pair[1] } }

  crypto_key_id = google_kms_crypto_key.signing.id
  role          = "roles/cloudkms.${each.value.role}"
  member        = google_service_account.domain[each.value.domain].member
}
