import threading
import time

import pytest

from runback.tracking.write.system_metrics import system_metrics


def _names(run):
    run.deliver()
    return {name for name in run.store.client.get_run(run.id).data.metrics if name.startswith("system/")}


def test_a_run_of_a_moment_has_a_sample_and_no_thread_left(run, capfd):
    started = time.monotonic()
    with system_metrics(run):
        pass
    assert time.monotonic() - started < 2
    assert {"system/cpu_utilization_percentage", "system/system_memory_usage_megabytes"} <= _names(run)
    assert not [thread for thread in threading.enumerate() if "SystemMetrics" in thread.name]
    assert capfd.readouterr().err == ""


def test_samples_come_regularly(run):
    with system_metrics(run, sampling_seconds=0.2):
        time.sleep(1)
    run.deliver()
    history = run.store.client.get_metric_history(run.id, "system/cpu_utilization_percentage")
    assert len(history) >= 3
    assert len({point.step for point in history}) == len(history)


def test_what_the_body_raises_comes_out_and_the_run_still_has_a_sample(run):
    with pytest.raises(ValueError, match="mine"), system_metrics(run):
        raise ValueError("mine")
    assert _names(run)


def test_a_run_that_ended_inside_makes_no_noise(run, capfd):
    with system_metrics(run, sampling_seconds=0.1):
        run.finish("FINISHED")
        time.sleep(0.3)
    assert capfd.readouterr().err == ""
