"""What the quickstart ends with."""

import shlex

from rich.console import Console
from rich.table import Table

from quickstart.loop import Story
from registry import place


def show(console: Console, story: Story) -> None:
    """What happened, how good the model is, where everything lies, and how to go on."""
    table = Table(title="Recall on held-out images", title_justify="left", box=None, header_style="dim")
    table.add_column("class")
    table.add_column("recall", justify="right")
    table.add_column("images", justify="right")
    if story.metrics:
        for label, figures in story.metrics.per_class.items():
            table.add_row(label, f"{figures.recall:.3f}", str(figures.support))
        table.add_row("[bold]accuracy[/bold]", f"[bold]{story.metrics.accuracy:.3f}[/bold]", str(story.metrics.images))
    console.print()
    console.print(table)
    console.print()
    lines = {
        "promoted": ", ".join(f"version {version}" for version in story.promoted)
        + f"; rolled back to version {story.rolled_back}",
        "requests": f"{story.requests} answered ("
        + ", ".join(f"{count} by version {version}" for version, count in sorted(story.served.items()))
        + f"), {len(story.failures)} failed",
        "took": f"{sum(stage.seconds for stage in story.stages):.0f} s",
        "registry": str(story.folder / "registry"),
        "reports": "\n          ".join(story.reports.values()),
        "mails": "\n          ".join(story.mails),
    }
    for name, text in lines.items():
        console.print(f"[bold]{name:<9}[/bold] {text}", soft_wrap=True)
    if danger := place.warning(str(story.folder / "registry")):
        console.print(f"\n{danger}", soft_wrap=True, markup=False, highlight=False)
    where = shlex.join(["--registry", str(story.folder / "registry"), "--model", story.model])
    console.print("\nNext:")
    for command in (
        f"./pants run src/python/promote -- list {where}",
        f"./pants run src/python/promote -- history {where}",
        "./pants run src/python/models -- new NAME --dataset DIR   # a model of your own: docs/your-own-model.md",
        f"./pants run //:quickstart -- --model {story.model} --keep-serving   # and try the page in a browser",
    ):
        console.print(f"  {command}", soft_wrap=True, markup=False)


def show_serving(console: Console, url: str, address: str, image: str) -> None:
    console.print(f"\nServing until Ctrl-C. The page: [bold]{url}/[/bold]", soft_wrap=True)
    for command in (
        f"curl -s -H 'Content-Type: image/png' --data-binary {shlex.quote(f'@{image}')} {url}/v1/classify",
        f"./pants run serving/client -- classify {shlex.quote(image)} --address {address}",
    ):
        console.print(f"  {command}", soft_wrap=True, markup=False)
