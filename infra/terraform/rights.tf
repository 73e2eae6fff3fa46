# Who may do what below gs://REGISTRY/MODEL/, for each model. Nothing but tables here, so that a test can evaluate them.
locals {
  models = setunion(var.models, compact([var.model]))
  # The folders are those of src/python/registry.
  folders = ["testing", "production", "records", "reports", "journal", ".staging", "pipeline", "runs"]
  reads   = "roles/storage.objectViewer"
  writes  = "roles/storage.objectUser"
  # Whoever trains and tests, and whoever promotes: by Jobs of their own, or by Jenkins.
  pipeline = {
    testing    = local.writes
    records    = local.writes
    reports    = local.writes
    journal    = local.writes
    ".staging" = local.writes
    runs       = local.writes
    production = local.reads
  }
  # The same, and it keeps what became of a push (src/python/pipeline/ledger.py), which whoever plans reads.
  agent = {
    testing    = local.writes
    records    = local.writes
    reports    = local.writes
    journal    = local.writes
    ".staging" = local.writes
    pipeline   = local.writes
    runs       = local.writes
    production = local.reads
  }
  promoter = {
    production = local.writes
    records    = local.writes
    journal    = local.writes
    testing    = local.reads
    reports    = local.reads
  }
  # Removes what nobody needs any more (infra/k8s/jobs/gc), and says so in records and journal.
  collector = {
    testing    = local.writes
    production = local.writes
    records    = local.writes
    journal    = local.writes
    ".staging" = local.writes
  }
  # Namespace and service account -> folder -> role, of every model.
  grants = {
    "${var.name}-staging/serving"             = { testing = local.reads }
    "${var.name}-jobs/pipeline"               = local.pipeline
    "${var.name}-train/trainyard-train"       = local.agent
    "${var.name}-check/trainyard-check"       = { pipeline = local.reads }
    "${var.name}-train/trainyard-check"       = { pipeline = local.reads }
    "${var.name}-promotion/promote"           = local.promoter
    "${var.name}-promotion/trainyard-promote" = local.promoter
    "${var.name}-promotion/gc"                = local.collector
  }
  # Model -> the account that serves it, which reads nothing of another one (infra/k8s/models).
  serving = { for model in local.models : model => "${var.name}/${model == var.model ? "" : "${model}-"}serving" }
  # What each may do to a promotion that an earlier version began: gc waits until it has ended.
  promoters = {
    "${var.name}-promotion/promote"           = local.writes
    "${var.name}-promotion/trainyard-promote" = local.writes
    "${var.name}-promotion/gc"                = local.reads
  }
  # Who pushes images has no right in the buckets.
  builder  = "${var.name}-release/trainyard-build"
  accounts = setunion(keys(local.grants), values(local.serving), [local.builder])

  # The model that was alone here keeps the addresses that its resources had then: nothing is made anew.
  prefix = { for model in local.models : model => model == var.model ? "" : "${model} " }
  each_folder = merge([
    for model in local.models : {
      for folder in local.folders : "${local.prefix[model]}${folder}" => { model = model, folder = folder }
    }
  ]...)
  each_grant = merge(flatten([
    for model in local.models : [
      for account, folders in merge(local.grants, { (local.serving[model]) = { production = local.reads } }) : {
        for folder, role in folders : "${local.prefix[model]}${account} ${folder}" => {
          account = account, model = model, place = "${local.prefix[model]}${folder}", folder = folder, role = role
        }
      }
    ]
  ])...)
  each_promoter = merge([
    for model in local.models : {
      for account, role in local.promoters : "${local.prefix[model]}${account}" => {
        account = account, model = model, role = role
      }
    }
  ]...)
}
