# The address and the certificate that infra/k8s/components/gateway refers to, both as "trainyard".
resource "google_compute_global_address" "this" {
  name       = "trainyard"
  depends_on = [google_project_service.api]
}

resource "google_certificate_manager_dns_authorization" "this" {
  name       = "trainyard"
  domain     = var.host
  depends_on = [google_project_service.api]
}

resource "google_certificate_manager_certificate" "this" {
  name = "trainyard"
  managed {
    domains            = [var.host]
    dns_authorizations = [google_certificate_manager_dns_authorization.this.id]
  }
}

resource "google_certificate_manager_certificate_map" "this" {
  name = "trainyard"
}

resource "google_certificate_manager_certificate_map_entry" "this" {
  name         = "trainyard"
  map          = google_certificate_manager_certificate_map.this.name
  hostname     = var.host
  certificates = [google_certificate_manager_certificate.this.id]
}
