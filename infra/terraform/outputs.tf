output "address" {
  value       = google_compute_global_address.this.address
  description = "What the host's DNS record of type A points to."
}

output "outgoing" {
  value       = google_compute_address.nat.address
  description = "Where the cluster's own calls to the world come from; in `callers` it lets release/roll-out ask the service."
}

output "certificate_record" {
  value       = google_certificate_manager_dns_authorization.this.dns_resource_record
  description = "The DNS record by which Google sees that the host is yours."
}

output "images" {
  value       = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.this.repository_id}"
  description = "The prefix that scripts/push-images takes."
}
