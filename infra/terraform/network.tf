resource "google_compute_network" "this" {
  name                    = var.name
  auto_create_subnetworks = false
  depends_on              = [google_project_service.api]
}

resource "google_compute_subnetwork" "this" {
  name                     = var.name
  network                  = google_compute_network.this.id
  ip_cidr_range            = "10.0.0.0/20"
  private_ip_google_access = true
  log_config {
    flow_sampling = 0.1
  }
  secondary_ip_range {
    range_name    = "pods"
    ip_cidr_range = "10.4.0.0/14"
  }
  secondary_ip_range {
    range_name    = "services"
    ip_cidr_range = "10.8.0.0/20"
  }
}

# Google's APIs under four addresses, which the NetworkPolicies in infra/k8s name.
resource "google_dns_managed_zone" "googleapis" {
  name       = var.name == "trainyard" ? "googleapis" : "${var.name}-googleapis"
  dns_name   = "googleapis.com."
  visibility = "private"
  private_visibility_config {
    networks {
      network_url = google_compute_network.this.id
    }
  }
  depends_on = [google_project_service.api]
}

resource "google_dns_record_set" "private" {
  managed_zone = google_dns_managed_zone.googleapis.name
  name         = "private.googleapis.com."
  type         = "A"
  ttl          = 300
  rrdatas      = ["199.36.153.8", "199.36.153.9", "199.36.153.10", "199.36.153.11"]
}

resource "google_dns_record_set" "any" {
  managed_zone = google_dns_managed_zone.googleapis.name
  name         = "*.googleapis.com."
  type         = "CNAME"
  ttl          = 300
  rrdatas      = ["private.googleapis.com."]
}

# Nodes have no address of their own; images that are not in Artifact Registry (TensorFlow Serving's) come through this.
resource "google_compute_router" "this" {
  name    = var.name
  network = google_compute_network.this.id
}

# An address that stays, so that it can be named in `callers`: what rolls programs out asks the service from outside, as its
# callers do (docs/operations/jenkins.md).
resource "google_compute_address" "nat" {
  name       = "${var.name}-nat"
  region     = var.region
  depends_on = [google_project_service.api]
}

resource "google_compute_router_nat" "this" {
  name                               = var.name
  router                             = google_compute_router.this.name
  nat_ip_allocate_option             = "MANUAL_ONLY"
  nat_ips                            = [google_compute_address.nat.self_link]
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"
}
