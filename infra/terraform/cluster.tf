# Standard rather than Autopilot: Jenkins' agents and trainings want machines of their own, which may be empty. The
# manifests need nothing that Autopilot refuses.
resource "google_container_cluster" "this" {
  name                = var.name
  location            = var.region
  network             = google_compute_network.this.id
  subnetwork          = google_compute_subnetwork.this.id
  deletion_protection = true

  # Pools are below.
  remove_default_node_pool = true
  initial_node_count       = 1

  release_channel {
    channel = "REGULAR"
  }
  # NetworkPolicies are enforced by Dataplane V2.
  datapath_provider = "ADVANCED_DATAPATH"
  addons_config {
    # Mounts the bucket of images into Jobs.
    gcs_fuse_csi_driver_config {
      enabled = true
    }
  }
  gateway_api_config {
    channel = "CHANNEL_STANDARD"
  }
  ip_allocation_policy {
    cluster_secondary_range_name  = "pods"
    services_secondary_range_name = "services"
  }
  workload_identity_config {
    workload_pool = "${var.project}.svc.id.goog"
  }
  private_cluster_config {
    enable_private_nodes   = true
    master_ipv4_cidr_block = "172.16.0.0/28"
  }
  master_authorized_networks_config {
    dynamic "cidr_blocks" {
      for_each = var.administrators
      content {
        display_name = cidr_blocks.key
        cidr_block   = cidr_blocks.value
      }
    }
  }
  master_auth {
    client_certificate_config {
      issue_client_certificate = false
    }
  }
  monitoring_config {
    enable_components = ["SYSTEM_COMPONENTS"]
    managed_prometheus {
      enabled = true
    }
  }
  security_posture_config {
    mode = "BASIC"
  }
  enable_shielded_nodes       = true
  enable_intranode_visibility = true
  resource_labels             = { app = "trainyard" }
  depends_on                  = [google_project_service.api]
}

# What nodes run as: they write logs and metrics, and pull images.
resource "google_service_account" "nodes" {
  account_id = "${var.name}-nodes"
  depends_on = [google_project_service.api]
}

resource "google_project_iam_member" "nodes" {
  project = var.project
  role    = "roles/container.defaultNodeServiceAccount"
  member  = google_service_account.nodes.member
}

locals {
  # Machine, most nodes a zone, whether they may be taken away at any time, and an accelerator. Nodes of all but `serving`
  # have a taint, so that nothing comes there that does not name them: what serves and what must stay is never on a node
  # that may be taken away. (GKE itself gives those with an accelerator another one.)
  pools = merge(
    {
      serving = { machine = "e2-standard-8", most = 7, spot = false, accelerator = null }
      # Jenkins' controller has to stay; a training is resumed elsewhere, and a stage of Jenkins gets another agent.
      jenkins = { machine = "e2-standard-4", most = 1, spot = false, accelerator = null }
      work    = { machine = "e2-standard-16", most = 4, spot = true, accelerator = null }
    },
    var.gpu_pool ? { gpu = { machine = "g2-standard-16", most = 1, spot = true, accelerator = "nvidia-l4" } } : {},
  )
}

resource "google_container_node_pool" "this" {
  for_each = local.pools
  name     = each.key
  cluster  = google_container_cluster.this.id

  autoscaling {
    min_node_count = each.key == "serving" ? 1 : 0
    max_node_count = each.value.most
  }
  management {
    auto_repair  = true
    auto_upgrade = true
  }
  upgrade_settings {
    max_surge       = 1
    max_unavailable = 0
  }
  node_config {
    machine_type    = each.value.machine
    spot            = each.value.spot
    service_account = google_service_account.nodes.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
    metadata        = { disable-legacy-endpoints = "true" }
    workload_metadata_config {
      mode = "GKE_METADATA"
    }
    labels = { "trainyard.dev/pool" = each.key }
    dynamic "taint" {
      for_each = each.key == "serving" ? [] : [each.key]
      content {
        key    = "trainyard.dev/pool"
        value  = taint.value
        effect = "NO_SCHEDULE"
      }
    }
    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }
    dynamic "guest_accelerator" {
      for_each = each.value.accelerator == null ? [] : [each.value.accelerator]
      content {
        type  = guest_accelerator.value
        count = 1
        gpu_driver_installation_config {
          gpu_driver_version = "DEFAULT"
        }
      }
    }
  }
}
