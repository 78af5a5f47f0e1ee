# API Gateway: the one way in. Its document is generated from the declarations; here it gets what only this installation
# knows.

locals {
  document = jsondecode(file("${path.module}/../../openapi/gateway.json"))

  # API Gateway reads the keys itself, so they can't be behind it.
  jwks_function = one([for name, it in local.operations : name if it.invoker == "everyone" && endswith(it.http.path, "/jwks.json")])
  jwks_url      = "${local.urls[local.jwks_function]}${local.operations[local.jwks_function].http.path}"

  # Who may issue tokens. The gateway lets a token in that one of them issued.
  issuers = merge(
    {
      aula = {
        issuer    = var.public_url
        jwks_uri  = local.jwks_url
        audiences = [var.public_url]
      }
    },
    !var.identity_platform ? {} : {
      identity_platform = {
        issuer    = "https://securetoken.google.com/${var.project_id}"
        jwks_uri  = "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com"
        audiences = [var.project_id]
      }
    },
  )

  gateway_document = jsonencode(merge(local.document, {
    x-google-api-management = {
      backends = {
        for function, backend in local.document.x-google-api-management.backends : function => merge(backend, {
          address     = local.urls[local.service_of[function]]
          jwtAudience = local.urls[local.service_of[function]]
        })
      }
    }
    security = [for name in keys(local.issuers) : { (name) = [] }]
    components = {
      securitySchemes = {
        for name, it in local.issuers : name => merge(local.document.components.securitySchemes.aula, {
          flows = { implicit = { authorizationUrl = it.issuer, scopes = {} } }
          x-google-auth = merge(local.document.components.securitySchemes.aula.x-google-auth, {
            issuer    = it.issuer
            jwksUri   = it.jwks_uri
            audiences = it.audiences
          })
        })
      }
    }
  }))
}

resource "google_api_gateway_api" "public" {
  provider     = google-beta
  api_id       = "aula"
  display_name = "Aula"

  depends_on = [google_project_service.used]
}

# A config can't be changed: another document is another config, made before the old one goes, so that the gateway
# always has one. The hash in its name makes it so, and makes the same document the same config.
resource "google_api_gateway_api_config" "public" {
  provider      = google-beta
  api           = google_api_gateway_api.public.api_id
  api_config_id = "aula-${substr(sha256(local.gateway_document), 0, 16)}"
  display_name  = "Aula"

  openapi_documents {
    document {
      path     = "gateway.json"
      contents = base64encode(local.gateway_document)
    }
  }

  gateway_config {
    backend_config {
      google_service_account = google_service_account.gateway.email
    }
  }

  lifecycle {
    create_before_destroy = true

    precondition {
      condition     = length(setsubtract([for name, it in local.operations : name if it.invoker == "gateway"], keys(local.document.x-google-api-management.backends))) == 0
      error_message = "A public operation of the manifest isn't in openapi/gateway.json: run cargo xtask generate."
    }
  }
}

resource "google_api_gateway_gateway" "public" {
  provider     = google-beta
  gateway_id   = "aula"
  region       = var.region
  api_config   = google_api_gateway_api_config.public.id
  display_name = "Aula"

  # A gateway that lets calls through before it may make them answers 403 to the first people.
  depends_on = [google_cloud_run_v2_service_iam_member.invoker]

  lifecycle {
    postcondition {
      condition     = self.default_hostname != ""
      error_message = "The gateway has no address."
    }
  }
}

resource "google_project_service" "managed_api" {
  service            = google_api_gateway_api.public.managed_service
  disable_on_destroy = false
}
