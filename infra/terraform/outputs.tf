output "gateway_url" {
  description = "Where API Gateway answers; the public address, unless a load balancer stands in front."
  value       = "https://${google_api_gateway_gateway.public.default_hostname}"
}

output "front_address" {
  description = "The address that the load balancer's host must resolve to; nothing if there's none."
  value       = one([for it in google_compute_global_address.front : it.address])
}

output "jwks_url" {
  description = "Where the keys are that access tokens are checked with."
  value       = local.jwks_url
}

output "services" {
  description = "The address of each service, by its name."
  value       = local.urls
}

output "invokers" {
  description = "Who may call each service."
  value       = { for service in keys(local.services) : service => sort([for key, it in local.invokers : it.who if it.service == service]) }
}

output "accounts" {
  description = "The service account of each domain."
  value       = { for domain, account in google_service_account.domain : domain => account.email }
}

output "image_repository" {
  description = "Where Cloud Build pushes the images."
  value       = local.registry
}

output "builds_bucket" {
  description = "Where Cloud Build keeps plans, bills of materials and the digests that were deployed."
  value       = google_storage_bucket.builds.name
}

output "images" {
  description = "The digest of each domain's image, as deployed; what going back goes back to."
  value       = var.images
}
