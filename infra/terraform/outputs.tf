output "address" {
  value       = google_compute_global_address.this.address
  description = "What the host's DNS record of type A points to."
}

output "certificate_record" {
  value       = google_certificate_manager_dns_authorization.this.dns_resource_record
  description = "The DNS record by which Google sees that the host is yours."
}

output "images" {
  value       = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.this.repository_id}"
  description = "The prefix that scripts/push-images takes."
}
