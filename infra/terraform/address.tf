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
