"""However a training run dies, none of its processes stays behind; and it stops when it is asked to."""

import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from ecg_generator_with_train_src.common.command_line import EXIT_FAULT

from conftest import REPOSITORY
from helpers import linux_only, wait_for
from small_runs import arguments, environment

pytestmark = linux_only

TRAIN = str(REPOSITORY / "experiment/train_tpu.py")
LIMIT_S = 10  # in which all descendants of a process that was killed are gone
ENDLESS = {"run__epochs": 100000, "data__in_memory": "false", "data__num_workers": 1, "run__sample_tiles": 0}
KINDS = {
    "xla": ([sys.executable, TRAIN], [], {"PJRT_DEVICE": "CPU"}),
    "spmd": ([sys.executable, TRAIN], ["--spmd", "--num-cores", "2"], {"PJRT_DEVICE": "CPU"}),
    "gloo": (
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", TRAIN],
        ["--device", "cpu"],
        {},
    ),
}


class Family:
    """A training command with loader workers, and all that descends from it, known by a mark in the environment."""

    def __init__(self, kind: str, dataset: Path, runs: Path, *options: str, **changes):
        starter, chosen, variables = KINDS[kind]
        self.mark = f"TEST_FAMILY={uuid.uuid4()}"
        self.folder, self.log = runs / "small", (runs / "log.txt").open("w+")
        name, _, value = self.mark.partition("=")
        self.command = [*starter, *arguments(dataset, runs, *chosen, *options, **ENDLESS | changes)]
        self.process = subprocess.Popen(
            self.command,
            cwd=REPOSITORY,
            env=environment(**variables, OMP_NUM_THREADS="1", **{name: value}),
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def said(self) -> str:
        """All that its processes have printed."""
        return Path(self.log.name).read_text()

    def living(self) -> dict[int, str]:
        """Command lines of its processes that are alive."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() not in (folder / "environ").read_bytes().split(b"\0"):
                    continue
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if command:  # a zombie has none
                found[int(folder.name)] = command
        return found

    def of(self, *words: str) -> list[int]:
        """Its processes whose command line has all these words, the oldest first."""
        return sorted(pid for pid, line in self.living().items() if all(word in line for word in words))

    def ranks(self) -> list[int]:
        """The processes that train."""
        return [
            pid for pid in self.of(TRAIN) if "run.name=" in self.living()[pid] and pid != self.process.pid
        ]

    def wait_until_it_trains(self) -> None:
        """Some steps are done, and loader workers are at work."""

        def trains() -> bool:
            assert self.process.poll() is None, self.said()
            return " step 2/" in self.said() and len(self.of("multiprocessing.forkserver")) >= 2

        wait_for(trains, 240)

    def end(self) -> int:
        """Its exit code, once all of its processes are gone."""
        code = self.process.wait(60)
        wait_for(lambda: not self.living(), LIMIT_S)
        return code


@pytest.fixture
def family(tiny_dataset, tmp_path):
    """Start families, each in a folder of its own; whatever becomes of the test, they are ended."""
    started = []

    def start(kind: str, *options: str, **changes) -> Family:
        runs = tmp_path / str(len(started))
        runs.mkdir()
        started.append(Family(kind, tiny_dataset, runs, *options, **changes))
        return started[-1]

    yield start
    for each in started:
        for pid in each.living():
            os.kill(pid, signal.SIGKILL)
        each.process.wait()
        each.log.close()


# every way of dying


def kill_supervisor(family: Family) -> None:
    family.process.kill()


def kill_rank(family: Family) -> None:
    os.kill(family.ranks()[-1], signal.SIGKILL)


def press_ctrl_c(family: Family) -> None:
    os.killpg(family.process.pid, signal.SIGINT)  # as a terminal does: to its foreground processes


def let_a_rank_fail(family: Family) -> None:
    """Rank 0 finds a link to a folder where it wants to write its log."""
    link = family.folder / "link"
    link.symlink_to(family.folder)
    link.replace(family.folder / "metrics.jsonl")  # at one moment: the run may be at work on the log


CODES = {kill_supervisor: -9, kill_rank: 137, press_ctrl_c: 130, let_a_rank_fail: 2}
LAST_WORDS = {kill_rank: "ended by SIGKILL", press_ctrl_c: "interrupted: ", let_a_rank_fail: "metrics.jsonl"}


@pytest.mark.parametrize("kind", ["xla", "spmd"])
def test_no_process_stays_behind(family, kind):
    """A terminal's Ctrl-C, too, ends without a stack trace."""
    runs = {}
    for die in CODES:
        run = runs[die] = family(kind)
        run.wait_until_it_trains()
        assert len(run.ranks()) == 1
        die(run)
    for die, run in runs.items():
        assert run.end() == CODES[die], run.said()
        assert LAST_WORDS.get(die, "") in run.said().splitlines()[-1]
        assert "Traceback" not in run.said()


def test_no_process_of_two_ranks_stays_behind(family):
    runs = []
    for die in CODES:
        run = family("gloo")
        runs.append(run)
        run.wait_until_it_trains()
        assert len(run.ranks()) == 2
        die(run)
    for run in runs:
        assert run.end() != 0, run.said()


def test_a_hung_exchange_is_ended(family):
    run = family("gloo", run__hang_minutes=0.2)
    run.wait_until_it_trains()
    sleeper = run.ranks()[-1]
    os.kill(sleeper, signal.SIGSTOP)
    wait_for(lambda: "no step ended for 12 s (run.hang_minutes)" in run.said(), 60)
    os.kill(sleeper, signal.SIGCONT)  # so that torchrun need not wait for it
    assert run.end() != 0


# stopping


def test_sigterm_saves_and_the_same_command_goes_on(family):
    run = family("gloo", run__epochs=2, run__steps_per_epoch=1000)
    run.wait_until_it_trains()
    os.kill(run.process.pid, signal.SIGTERM)
    run.end()
    said = run.said()
    assert "saved; resume with torchrun … " in said
    record = json.loads((run.folder / "checkpoints/last.json").read_text())
    assert record["epoch"] == 0 and f"stopped after step {record['step']}, in epoch 1" in said
    assert record["epoch_step"] == record["step"] >= 2


SCRIPT = """
import sys, time
from experiment.training import supervisor

supervisor.GRACE_S = 1

def main():
    supervisor.expect_steps(float(sys.argv[1]))
    print("begun", flush=True)
    while True:
        time.sleep(0.05)
        if "beat" in sys.argv:
            supervisor.beat()
        if "heed" in sys.argv and supervisor.stop_asked():
            return print("saved; resume with", supervisor.resume_command())

supervisor.run_supervised(main)
"""


@pytest.fixture
def script(tmp_path):
    """Start a supervised program without a network in it."""
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    started = []

    def start(*words: str) -> subprocess.Popen:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        command = [sys.executable, path.name, *words]
        started.append(subprocess.Popen(command, cwd=tmp_path, env=environment(), **pipes))
        assert started[-1].stdout.readline() == "begun\n"
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_sigterm_and_a_closed_terminal_ask_for_a_stop(script):
    for number in (signal.SIGTERM, signal.SIGHUP):
        process = script("60", "beat", "heed", "--resume", "none")
        process.send_signal(number)
        out, _ = process.communicate(timeout=20)
        assert (process.returncode, out) == (0, "saved; resume with python script.py 60 beat heed\n")


def test_sigterm_in_the_middle_of_a_long_step_says_so(script):
    process = script("60", "beat")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert out.startswith("stopped in the middle of a step") and out.count("\n") == 1
    assert out.endswith("the last checkpoint stands; resume with python script.py 60 beat\n")


def test_a_heartbeat_that_fails_to_come_ends_the_run(script):
    process = script("2", "without")
    _, errors = process.communicate(timeout=20)
    assert process.returncode == EXIT_FAULT
    assert errors.startswith("error: no step ended for 2 s (run.hang_minutes): another rank or the device")
    assert 'script.py", line' in errors  # where it hangs
