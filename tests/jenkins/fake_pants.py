"""Stands in for ./pants in scratch repositories: writes down each call, and answers as the scenario says.

FAKE names a folder: calls.jsonl, and answers.json with "plan" (what `plan` prints), "exit" ({step: [code, …]}, the last
for all calls that follow) and "hang" (a step that waits to be terminated). With FAKE_PYTHON, `pipeline` and `promote`
are the real ones, started by that interpreter; only what they start by Pants is made up.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

HERE = Path(os.environ["FAKE"])
REAL = {"src/python/pipeline": "pipeline", "src/python/promote": "promote"}


def main(argv):
    if argv[0] == "run" and argv[1] in REAL and "FAKE_PYTHON" in os.environ:
        os.execv(os.environ["FAKE_PYTHON"], [os.environ["FAKE_PYTHON"], "-m", REAL[argv[1]], *argv[3:]])
    answers = json.loads((HERE / "answers.json").read_text())
    step = step_of(argv)
    calls = HERE / "calls.jsonl"
    earlier = [json.loads(line)["step"] for line in calls.read_text().splitlines()] if calls.exists() else []
    with calls.open("a") as file:
        file.write(json.dumps({"step": step, "argv": argv}) + "\n")
    if step == "plan":
        print(json.dumps(answers["plan"]))
    elif step == "peek":
        print(json.dumps(answers["graph"]))
    elif "result" in answers:
        print(json.dumps(answers["result"]))
    leave_files(step)
    if answers.get("hang") == step:
        hang(calls)
    codes = answers.get("exit", {}).get(step, [0])
    return codes[min(earlier.count(step), len(codes) - 1)]


def step_of(argv):
    if "--only" in argv:
        return argv[argv.index("--only") + 1]
    if argv[0] == "run" and argv[1] in REAL:
        return argv[3]
    return argv[0] if argv[0] == "peek" else " ".join(argv[:2])


def leave_files(step):
    run = Path(".trainyard/runs/key")
    run.mkdir(parents=True, exist_ok=True)
    (run / "run.json").write_text("{}")
    (run / f"{step.replace('/', '-')}.log").write_text("log")
    if step == "unit-tests" or step.startswith("test "):
        Path("dist/test/reports").mkdir(parents=True, exist_ok=True)
        Path("dist/test/reports/tests.xml").write_text("<testsuites/>")
    if step == "test":
        (run / "junit.xml").write_text("<testsuites/>")


def hang(calls):
    def leave(*_):
        with calls.open("a") as file:
            file.write(json.dumps({"step": "terminated", "argv": []}) + "\n")
        sys.exit(143)

    signal.signal(signal.SIGTERM, leave)
    (HERE / "hanging").touch()
    time.sleep(60)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
