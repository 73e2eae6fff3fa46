locals {
  buckets = {
    registry = var.registry_bucket
    datasets = var.datasets_bucket
  }
  # A service account of the cluster is named as it is: no account of Google's stands between.
  members = {
    for account in local.accounts : account => join("", [
      "principal://iam.googleapis.com/projects/${data.google_project.this.number}/locations/global/",
      "workloadIdentityPools/${var.project}.svc.id.goog/subject/ns/${split("/", account)[0]}",
      "/sa/${split("/", account)[1]}",
    ])
  }
}

resource "google_storage_bucket" "this" {
  for_each                    = local.buckets
  name                        = each.value
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  # What is overwritten or deleted can be had back for a month.
  versioning {
    enabled = true
  }
  lifecycle_rule {
    condition {
      days_since_noncurrent_time = 30
    }
    action {
      type = "Delete"
    }
  }
  logging {
    log_bucket        = google_storage_bucket.logs.name
    log_object_prefix = each.key
  }
  depends_on = [google_project_service.api]
}

resource "google_storage_bucket" "logs" {
  name                        = "${var.registry_bucket}-logs"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  versioning {
    enabled = true
  }
  lifecycle_rule {
    condition {
      age = 90
    }
    action {
      type = "Delete"
    }
  }
  depends_on = [google_project_service.api]
}

# Access logs are written by Google's own group, which has no right in a bucket by itself.
resource "google_storage_bucket_iam_member" "logs" {
  bucket = google_storage_bucket.logs.name
  role   = "roles/storage.objectCreator"
  member = "group:cloud-storage-analytics@google.com"
}

# A folder that has rights of its own, also for listing it; a condition on a bucket's role could not give those.
resource "google_storage_managed_folder" "registry" {
  for_each = local.each_folder
  bucket   = google_storage_bucket.this["registry"].name
  name     = "${each.value.model}/${each.value.folder}/"
}

resource "google_storage_managed_folder_iam_member" "registry" {
  for_each       = local.each_grant
  bucket         = google_storage_bucket.this["registry"].name
  managed_folder = google_storage_managed_folder.registry[each.value.place].name
  role           = each.value.role
  member         = local.members[each.value.account]
  depends_on     = [google_container_cluster.this]
}

resource "google_storage_bucket_iam_member" "datasets" {
  for_each   = toset(["${var.name}-jobs/pipeline", "${var.name}-train/trainyard-train"])
  bucket     = google_storage_bucket.this["datasets"].name
  role       = local.reads
  member     = local.members[each.key]
  depends_on = [google_container_cluster.this]
}

# What a promotion by an earlier version notes of itself lies beside the folders; one that was interrupted is still ended.
resource "google_storage_bucket_iam_member" "promotion" {
  for_each = local.each_promoter
  bucket   = google_storage_bucket.this["registry"].name
  role     = each.value.role
  member   = local.members[each.value.account]
  condition {
    title      = "promotion.json"
    expression = "resource.name == \"projects/_/buckets/${var.registry_bucket}/objects/${each.value.model}/promotion.json\""
  }
  depends_on = [google_container_cluster.this]
}
