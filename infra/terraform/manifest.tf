# What the manifest says, in the shapes that the other files go through with for_each.
locals {
  manifest  = jsondecode(file("${path.module}/manifest.json"))
  functions = local.manifest.functions
  domains   = toset(keys(local.manifest.domains))

  operations  = { for name, it in local.functions : name => it if it.kind == "operation" }
  subscribers = { for name, it in local.functions : name => it if it.kind == "subscriber" }
  jobs        = { for name, it in local.functions : name => it if it.kind == "job" }

  # The service that a function runs in: its own, or its domain's. The public documents are always apart, because
  # everyone may call their services, and nothing else may be served there.
  service_of = {
    for name, it in local.functions : name => var.granularity == "operation" || it.invoker == "everyone" ? name : it.domain
  }

  services = {
    for service in distinct(values(local.service_of)) : service => {
      domain    = one(distinct([for name, it in local.functions : it.domain if local.service_of[name] == service]))
      functions = { for name, it in local.functions : name => it if local.service_of[name] == service }
      # Without a target a binary serves its whole domain.
      target = one([for name, it in local.functions : it.target if name == service])
    }
  }

  # What a service of several functions needs is the most that one of them does.
  sizes = {
    for service, it in local.services : service => {
      cpu             = coalesce(try(var.sizes[service].cpu, null), tostring(max([for f in it.functions : tonumber(f.size.cpu)]...)))
      memory          = coalesce(try(var.sizes[service].memory, null), "${max([for f in it.functions : tonumber(trimsuffix(f.size.memory, "Mi"))]...)}Mi")
      concurrency     = coalesce(try(var.sizes[service].concurrency, null), max([for f in it.functions : f.size.concurrency]...))
      timeout_seconds = coalesce(try(var.sizes[service].timeout_seconds, null), max([for f in it.functions : f.size.timeout_seconds]...))
      min_instances   = coalesce(try(var.sizes[service].min_instances, null), max([for f in it.functions : f.size.min_instances]...))
      max_instances   = coalesce(try(var.sizes[service].max_instances, null), max([for f in it.functions : f.size.max_instances]...))
    }
  }

  # The address that Cloud Run gives a service is known before the service is there. So the gateway, the bus and the
  # peers can be told of it without waiting, and nothing goes in a circle.
  urls = {
    for service in keys(local.services) : service => "https://${service}-${data.google_project.this.number}.${var.region}.run.app"
  }

  # Who may call what: a line for each service and each kind of caller that one of its functions has.
  invokers = merge([
    for name, it in local.functions : {
      for who in it.invoker == "domains" ? it.callers : [it.invoker] : "${local.service_of[name]}/${who}" => {
        service = local.service_of[name]
        who     = who
      }
    }
  ]...)

  needs = {
    for need in ["signing", "mail", "files"] : need => toset([for domain, it in local.manifest.domains : domain if contains(it.needs, need)])
  }

  collections = merge([
    for domain, database in local.manifest.databases : {
      for name, it in database.collections : "${domain}/${name}" => merge(it, { domain = domain, collection = name })
    }
  ]...)

  # An index is named by its fields, so that a new one before it doesn't make Terraform build all of them anew.
  indexes = merge([
    for key, it in local.collections : {
      for fields in it.indexes : "${key}/${join(",", [
        for field in fields : "${field.field_path}:${lower(substr(try(field.order, "CONTAINS"), 0, 4))}"
      ])}" => { domain = it.domain, collection = it.collection, fields = fields }
    }
  ]...)

  labels = {
    app         = "aula"
    environment = var.environment
    managed-by  = "terraform"
  }
}

data "google_project" "this" {
  project_id = var.project_id
}
