"""Stands in for ./pants in scratch repositories: writes down each call, and answers as the scenario says.

FAKE names a folder: calls.jsonl, and answers.json with "plan" (what `plan` prints), "again" ({model: what a second plan
says of it}), "exit" ({step: [code, …]}, the last for all calls that follow), "hang" (steps that wait to be terminated)
and "until" ({step: a file that it waits for}). With FAKE_PYTHON, `pipeline` and `promote` are the real ones, started by
that interpreter; only what they start by Pants is made up.
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
        names = (
            "TRAINYARD_REGISTRY_URI",
            "TRAINYARD_SIGNING_KEY",
            "TRAINYARD_SIGNING_PUBLIC_KEYS",
            "TRAINYARD_MAIL_SMTP_HOST",
        )
        told = {name: os.environ.get(name) for name in names}
        pods = os.environ.get("TRAINYARD_SERVING_PODS")
        file.write(json.dumps({"step": step, "argv": argv, "pods": pods, "told": told}) + "\n")
    (HERE / step.replace("/", "-")).touch()
    if step.startswith("plan"):
        print(json.dumps(planned(answers, step)))
    elif step == "peek":
        print(json.dumps(answers["graph"]))
    elif "result" in answers:
        print(json.dumps(answers["result"]))
    leave_files(step)
    if step in answers.get("until", {}):
        wait_for(Path(answers["until"][step]))
    if step in answers.get("hang", ()):
        hang(calls, step)
    (HERE / f"ended {step.replace('/', '-')}").touch()
    codes = answers.get("exit", {}).get(step, [0])
    return codes[min(earlier.count(step), len(codes) - 1)]


def step_of(argv):
    if "--only" in argv:
        return argv[argv.index("--only") + 1]
    if argv[0] == "run" and argv[1] in REAL:
        # What is done for one model: "run digits", "plan of digits".
        model = argv[argv.index("--model") + 1] if "--model" in argv else ""
        return f"{argv[3]} of {model}" if model and argv[3] == "plan" else f"{argv[3]} {model}".strip()
    return argv[0] if argv[0] == "peek" else " ".join(argv[:2])


def planned(answers, step):
    again = answers.get("again", {})
    models = [
        model | again.get(model["name"], {}) if " of " in step else model for model in answers["plan"].get("models", [])
    ]
    return answers["plan"] | {"models": models}


def wait_for(file):
    end = time.monotonic() + 60
    while not file.exists():
        if time.monotonic() > end:
            sys.exit(f"{file} never came")
        time.sleep(0.02)


def leave_files(step):
    run = Path(".trainyard/runs/key")
    run.mkdir(parents=True, exist_ok=True)
    (run / "run.json").write_text("{}")
    (run / f"{step.replace('/', '-').replace(' ', '-')}.log").write_text("log")
    if step == "unit-tests" or step.startswith("test "):
        Path("dist/test/reports").mkdir(parents=True, exist_ok=True)
        Path("dist/test/reports/tests.xml").write_text("<testsuites/>")
    if step.startswith("run "):
        (run / "junit.xml").write_text("<testsuites/>")


def hang(calls, step):
    def leave(*_):
        with calls.open("a") as file:
            file.write(json.dumps({"step": f"terminated: {step}", "argv": []}) + "\n")
        sys.exit(143)

    signal.signal(signal.SIGTERM, leave)
    (HERE / "hanging").touch()
    time.sleep(60)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
