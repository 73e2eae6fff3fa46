# The address and the certificate that infra/k8s/components/gateway refers to, by the name of the installation.
resource "google_compute_global_address" "this" {
  name       = var.name
  depends_on = [google_project_service.api]
}

resource "google_certificate_manager_dns_authorization" "this" {
  name       = var.name
  domain     = var.host
  depends_on = [google_project_service.api]
}

resource "google_certificate_manager_certificate" "this" {
  name = var.name
  managed {
    domains            = [var.host]
    dns_authorizations = [google_certificate_manager_dns_authorization.this.id]
  }
}

resource "google_certificate_manager_certificate_map" "this" {
  name       = var.name
  depends_on = [google_project_service.api]
}

resource "google_certificate_manager_certificate_map_entry" "this" {
  name         = var.name
  map          = google_certificate_manager_certificate_map.this.name
  hostname     = var.host
  certificates = [google_certificate_manager_certificate.this.id]
}

# For models by hosts of their own, NAME.HOST (infra/k8s/components/model-host); the authorization of HOST is theirs too.
resource "google_certificate_manager_certificate" "models" {
  name = "${var.name}-models"
  managed {
    domains            = ["*.${var.host}"]
    dns_authorizations = [google_certificate_manager_dns_authorization.this.id]
  }
}

resource "google_certificate_manager_certificate_map_entry" "models" {
  name         = "${var.name}-models"
  map          = google_certificate_manager_certificate_map.this.name
  hostname     = "*.${var.host}"
  certificates = [google_certificate_manager_certificate.models.id]
}

# Who gets through the load balancer at all, and how often. Nobody does who is not in `callers`, so that an installation is
# open to the world only by somebody's word; what adapters want of a caller beside is docs/operations/access.md.
resource "google_compute_security_policy" "this" {
  name        = var.name
  description = "Before every model's back end (infra/k8s/components/backend)."

  # Ten ranges at most in one rule.
  dynamic "rule" {
    for_each = chunklist(var.callers, 10)
    content {
      description = "Callers, each address at its rate"
      priority    = 1000 + rule.key
      action      = "throttle"
      match {
        versioned_expr = "SRC_IPS_V1"
        config {
          src_ip_ranges = rule.value
        }
      }
      rate_limit_options {
        conform_action = "allow"
        exceed_action  = "deny(429)"
        enforce_on_key = "IP"
        rate_limit_threshold {
          count        = var.requests_a_minute
          interval_sec = 60
        }
      }
    }
  }

  rule {
    description = "Everybody else"
    priority    = 2147483647
    action      = "deny(403)"
    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }
  }
  depends_on = [google_project_service.api]
}
