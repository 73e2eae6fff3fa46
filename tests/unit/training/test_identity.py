"""What decides which weights a run comes to: an interrupted run is resumed by the code it began with alone."""

from training.family import Family
from training.run.identity import sources


def names(family: Family) -> set[str]:
    return {path.as_posix().split("/training/")[-1] for path in sources(family)}


def test_loop_networks_and_search_are_part_of_it_and_commands_are_not():
    found = names(Family.named("residual"))
    assert {"loop.py", "step.py", "networks/residual.py", "networks/kernel_machine.py", "run/search.py"} <= found
    assert not {"train.py", "retrain.py", "commands/options.py", "run/version.py"} & found


def test_own_network_is_part_of_it_with_what_it_may_import_and_without_its_tests(tmp_path):
    names = ("network.py", "blocks.py", "parts/more.py", "tests/test_it.py")
    files = [tmp_path / name for name in names]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_text("def build(parameters, image, classes): ...")
    assert set(files) & set(sources(Family.own(files[0]))) == set(files[:3])
