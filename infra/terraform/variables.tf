variable "project" {
  type        = string
  description = "Id of an empty project with billing."
}

variable "name" {
  type        = string
  default     = "trainyard"
  description = "What this installation is called in its project: its network, cluster and address, and how its namespaces begin (scripts/environment). Two in one project need two names, as GKE tells accounts of a project apart by namespace and name alone."
  validation {
    condition     = can(regex("^[a-z][a-z0-9]+(-[a-z0-9]+)*$", var.name)) && length(var.name) <= 24
    error_message = "A name is at most 24 small letters, digits and single -, and begins with a letter."
  }
}

variable "region" {
  type        = string
  default     = "europe-west4"
  description = "Where everything is. Choose one that has the accelerator you want."
}

variable "registry_bucket" {
  type        = string
  description = "Name of the bucket that holds models; unique in the world. infra/k8s/site names it too."
}

variable "datasets_bucket" {
  type        = string
  description = "Name of the bucket that holds images."
}

variable "models" {
  type        = list(string)
  default     = ["chest-xray", "digits"]
  description = "Names of the models that have folders in the registry's bucket: those of models/, and of infra/k8s/models."
  validation {
    condition     = alltrue([for model in var.models : can(regex("^[a-z0-9]+(-[a-z0-9]+)*$", model))])
    error_message = "A model's name is its folder's below models/, with - for _: small letters, digits, and single -."
  }
}

variable "model" {
  type        = string
  default     = "chest-xray"
  description = "The one whose pods are called `serving` without a name before it, as when there was but one model: [model] name in trainyard.toml."
}

variable "host" {
  type        = string
  description = "Name that the service is reached by, such as classifier.example.com."
}

variable "billing_account" {
  type        = string
  description = "Id of the billing account, for the budget."
}

variable "monthly_budget" {
  type        = number
  description = "In the billing account's currency; mails go to its administrators at 50, 90 and 100 %."
}

variable "administrators" {
  type        = map(string)
  default     = {}
  description = "Name to address block (CIDR) from which the cluster's control plane may be reached."
}

variable "callers" {
  type        = list(string)
  default     = []
  description = "Address blocks (CIDR) that may ask the service from outside; none by default. [\"0.0.0.0/0\", \"::/0\"] is the whole world: the adapters' tokens (docs/operations/access.md) are then what keeps it out."
  validation {
    condition     = alltrue([for block in var.callers : can(cidrhost(block, 0))])
    error_message = "Each of callers is a block of addresses, such as 203.0.113.0/24."
  }
}

variable "requests_a_minute" {
  type        = number
  default     = 600
  description = "How many requests one address may make a minute before it gets 429; many people behind one address share it."
  validation {
    condition     = var.requests_a_minute >= 1
    error_message = "At least one request a minute."
  }
}

variable "gpu_pool" {
  type        = bool
  default     = false
  description = "Whether there is a pool of nodes with an accelerator; it costs nothing while it is empty."
}
