resource "google_artifact_registry_repository" "this" {
  repository_id = var.name
  location      = var.region
  format        = "DOCKER"
  docker_config {
    # A tag is a run's or a commit's; it never comes to mean something else.
    immutable_tags = true
  }
  cleanup_policies {
    id     = "old"
    action = "DELETE"
    condition {
      older_than = "7776000s" # 90 days
    }
  }
  # What manifests name by digest: `scripts/push-images --pin` gives it such a tag.
  cleanup_policies {
    id     = "pinned"
    action = "KEEP"
    condition {
      tag_state    = "TAGGED"
      tag_prefixes = ["pinned-"]
    }
  }
  cleanup_policies {
    id     = "recent"
    action = "KEEP"
    most_recent_versions {
      keep_count = 20
    }
  }
  depends_on = [google_project_service.api]
}

resource "google_artifact_registry_repository_iam_member" "nodes" {
  location   = var.region
  repository = google_artifact_registry_repository.this.name
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.nodes.member
}

# What builds the programs that serve (infra/jenkins/gke/release.yaml) pushes them here.
resource "google_artifact_registry_repository_iam_member" "build" {
  location   = var.region
  repository = google_artifact_registry_repository.this.name
  role       = "roles/artifactregistry.writer"
  member     = local.members[local.builder]
}
