"""A device that another program holds is not taken from it."""

import subprocess
import sys

import pytest

from ecg_generator_with_train_src.common.errors import InputError
from experiment.training.held_devices import holders, refuse_held_devices

from helpers import linux_only

pytestmark = linux_only


def test_who_holds_a_device_is_named_and_left_alone(tmp_path):
    device = tmp_path / "accel0"
    device.touch()
    refuse_held_devices([device], wait_s=0)
    code = "import sys, time; held = open(sys.argv[1]); print(flush=True); time.sleep(100)"
    process = subprocess.Popen([sys.executable, "-c", code, str(device)], stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        assert list(holders([device])) == [process.pid]
        with pytest.raises(InputError) as refusal:
            refuse_held_devices([device], wait_s=0)
        assert f"process {process.pid} (" in str(refusal.value) and f"holds {device}" in str(refusal.value)
        assert f"end it with kill {process.pid}, then start again" in str(refusal.value)
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()
    refuse_held_devices([device])
