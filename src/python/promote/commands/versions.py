"""`promote list` and `promote status`: what there is, and what is served."""

import shlex

from cli import print_json
from promote.commands import options
from promote.commands.yard import opened, say


def list_versions(
    registry: options.Registry = None, model: options.Model = None, as_json: options.AsJson = False
) -> None:
    """Versions with state, accuracy, dataset and age, and which are served."""
    from promote import views

    yard = opened(registry, model)
    records, serving = yard.registry.records(), yard.registry.serving()
    if as_json:
        print_json({"versions": views.versions_json(records, serving)})
    elif records:
        views.console().print(views.versions_table(records, serving))
    else:
        train = shlex.join(
            ["./pants", "run", "src/python/training:train", *(["--", *yard.flags] if yard.flags else [])]
        )
        say(f"No version of '{yard.registry.model}' is in {yard.registry.store.uri('records')} yet; train one: {train}")


def status(
    registry: options.Registry = None,
    model: options.Model = None,
    pod: options.Pod = None,
    as_json: options.AsJson = False,
) -> None:
    """The versions in production, and what each serving pod says."""
    from promote import base_path, intent, views
    from promote.pods import Pods

    yard = opened(registry, model)
    pods = Pods(pod or yard.settings.serving.pods)
    serving = yard.registry.serving()
    found = intent.current(yard.registry)
    under_way = found[0] if found else None
    answers = pods.look() if pods else []
    where = yard.registry.models_config()
    if as_json:
        print_json(views.status_json(serving, answers, under_way, where, yard.registry.model))
        return
    out = views.console()
    labels = ", ".join(f"{label} = {version}" for label, version in sorted(serving.labels.items(), reverse=True))
    out.print(f"{where} says: {labels or 'nothing is in production'}", soft_wrap=True)
    if moved := base_path.moved(yard.registry, serving, yard.flags):
        out.print(moved, soft_wrap=True)
    if under_way:
        end = "was interrupted; the next run or rollback ends it" if under_way.is_abandoned() else "is under way"
        out.print(f"{under_way} {end}", soft_wrap=True)
    if pods:
        out.print(views.pods_table(answers))
    else:
        out.print("No serving pod is configured; name them in [serving] pods or with --pod.")
