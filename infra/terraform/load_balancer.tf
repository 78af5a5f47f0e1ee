# A domain of your own, with Cloud Armor in front of the gateway. Off unless load_balancer is set.
#
# It doesn't close the gateway's own address, which Google doesn't let one close: Cloud Armor keeps honest crowds and
# careless robots out, and what must hold in any case the functions check themselves.

locals {
  balanced = var.load_balancer == null ? toset([]) : toset(["front"])
  # The public documents belong to the issuer's address too, and aren't behind the gateway.
  open_functions = { for name, it in local.operations : name => it if it.invoker == "everyone" }
  open_balanced  = var.load_balancer == null ? {} : local.open_functions
}

resource "google_compute_global_address" "front" {
  for_each = local.balanced

  name = "aula"

  depends_on = [google_project_service.used]
}

resource "google_compute_region_network_endpoint_group" "gateway" {
  provider = google-beta
  for_each = local.balanced

  name                  = "aula-gateway"
  region                = var.region
  network_endpoint_type = "SERVERLESS"

  serverless_deployment {
    platform = "apigateway.googleapis.com"
    resource = google_api_gateway_gateway.public.gateway_id
  }
}

resource "google_compute_region_network_endpoint_group" "open" {
  for_each = local.open_balanced

  name                  = "aula-${each.key}"
  region                = var.region
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = google_cloud_run_v2_service.service[each.key].name
  }
}

resource "google_compute_security_policy" "front" {
  for_each = local.balanced

  name        = "aula"
  description = "What doesn't get as far as the gateway"
  type        = "CLOUD_ARMOR"

  adaptive_protection_config {
    layer_7_ddos_defense_config {
      enable = true
    }
  }

  rule {
    description = "No address asks more often than people do"
    priority    = 1000
    action      = "throttle"

    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }

    rate_limit_options {
      conform_action = "allow"
      exceed_action  = "deny(429)"
      enforce_on_key = "IP"

      rate_limit_threshold {
        count        = var.load_balancer.requests_per_minute
        interval_sec = 60
      }
    }
  }

  # What breaks servers that aren't ours: it costs nothing to keep it from being tried. The sets that are known to refuse
  # honest requests are asked for what they are sure of alone.
  dynamic "rule" {
    for_each = {
      900 = "evaluatePreconfiguredWaf('cve-canary')"
      910 = "evaluatePreconfiguredWaf('protocolattack-v33-stable', {'sensitivity': 1})"
      920 = "evaluatePreconfiguredWaf('scannerdetection-v33-stable', {'sensitivity': 1})"
    }
    content {
      description = "Known attacks"
      priority    = rule.key
      action      = "deny(403)"

      match {
        expr {
          expression = rule.value
        }
      }
    }
  }

  rule {
    description = "Everyone else"
    priority    = 2147483647
    action      = "allow"

    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }
  }

  depends_on = [google_project_service.used]
}

resource "google_compute_backend_service" "gateway" {
  for_each = local.balanced

  name                  = "aula-gateway"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTPS"
  security_policy       = google_compute_security_policy.front[each.key].id

  backend {
    group = google_compute_region_network_endpoint_group.gateway[each.key].id
  }

  log_config {
    enable      = true
    sample_rate = 0.1
  }
}

resource "google_compute_backend_service" "open" {
  for_each = local.open_balanced

  name                  = "aula-${each.key}"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTPS"
  security_policy       = google_compute_security_policy.front["front"].id

  backend {
    group = google_compute_region_network_endpoint_group.open[each.key].id
  }
}

resource "google_compute_url_map" "front" {
  for_each = local.balanced

  name            = "aula"
  default_service = google_compute_backend_service.gateway[each.key].id

  host_rule {
    hosts        = [var.load_balancer.host]
    path_matcher = "aula"
  }

  path_matcher {
    name            = "aula"
    default_service = google_compute_backend_service.gateway[each.key].id

    dynamic "path_rule" {
      for_each = local.open_balanced
      content {
        paths   = [path_rule.value.http.path]
        service = google_compute_backend_service.open[path_rule.key].id
      }
    }
  }
}

resource "google_compute_managed_ssl_certificate" "front" {
  for_each = local.balanced

  name = "aula-${substr(sha256(var.load_balancer.host), 0, 8)}"

  managed {
    domains = [var.load_balancer.host]
  }

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [google_project_service.used]
}

resource "google_compute_ssl_policy" "front" {
  for_each = local.balanced

  name            = "aula"
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"

  depends_on = [google_project_service.used]
}

resource "google_compute_target_https_proxy" "front" {
  for_each = local.balanced

  name             = "aula"
  url_map          = google_compute_url_map.front[each.key].id
  ssl_certificates = [google_compute_managed_ssl_certificate.front[each.key].id]
  ssl_policy       = google_compute_ssl_policy.front[each.key].id
}

resource "google_compute_global_forwarding_rule" "front" {
  for_each = local.balanced

  name                  = "aula"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.front[each.key].id
  port_range            = "443"
  target                = google_compute_target_https_proxy.front[each.key].id
}
