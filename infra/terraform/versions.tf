terraform {
  required_version = ">= 1.7"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.0"
    }
  }
  # State is shared and locked in a bucket of its own: terraform init -backend-config=bucket=NAME
  backend "gcs" {
    prefix = "trainyard"
  }
}

provider "google" {
  project = var.project
  region  = var.region
  # Budgets are asked of the project that pays for them.
  billing_project       = var.project
  user_project_override = true
}

locals {
  apis = [
    "artifactregistry", "billingbudgets", "certificatemanager", "compute", "container", "dns", "iam", "iap",
    "logging", "monitoring", "storage",
  ]
}

resource "google_project_service" "api" {
  for_each           = toset(local.apis)
  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false
}

data "google_project" "this" {}
