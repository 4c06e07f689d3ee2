from itertools import count

import pytest

from runback.system import energy
from runback.system.energy import EnergyMeter


@pytest.fixture
def counters(tmp_path, monkeypatch):
    """A machine without GPUs, read every ten seconds; the function that this returns writes its counters."""
    monkeypatch.setattr(energy, "POWERCAP", tmp_path)
    monkeypatch.setattr(energy.time, "monotonic", count(0, 10).__next__)
    monkeypatch.setattr(energy, "_gpus", list)

    def write(*, names="package-0", **microjoules):
        for name, value in microjoules.items():
            folder = tmp_path / name.replace("zone", "intel-rapl:").replace("_", ":")
            folder.mkdir(exist_ok=True)
            (folder / "name").write_text(f"{names}\n")
            (folder / "energy_uj").write_text(f"{value}\n")
            (folder / "max_energy_range_uj").write_text("1000000000\n")

    return write


def test_packages_are_added_up_and_their_parts_are_not(counters):
    counters(zone0=5_000_000, zone1=7_000_000, zone0_0=1_000_000)
    meter = EnergyMeter()
    assert meter.joules == {"cpu": 0}
    counters(zone0=9_000_000, zone1=8_000_000, zone0_0=3_000_000)
    assert meter.update() == {"cpu": pytest.approx(5)}
    counters(zone0=11_000_000)
    assert meter.update() == {"cpu": pytest.approx(2)}
    assert meter.joules == {"cpu": pytest.approx(7)}


def test_the_whole_platform_is_not_added_to_its_packages(counters):
    counters(zone0=0)
    counters(names="psys", zone1=0)
    meter = EnergyMeter()
    counters(zone0=4_000_000)
    counters(names="psys", zone1=9_000_000)
    assert meter.update() == {"cpu": pytest.approx(4)}


def test_a_counter_that_begins_anew_after_a_suspend_has_not_gone_all_the_way_round(counters):
    counters(zone0=400_000_000_000)
    meter = EnergyMeter()
    counters(zone0=3_000_000)
    assert meter.update() == {"cpu": pytest.approx(3)}


def test_a_counter_that_wraps_goes_on(counters):
    counters(zone0=999_000_000)
    meter = EnergyMeter()
    counters(zone0=2_000_000)
    meter.update()
    assert meter.joules["cpu"] == pytest.approx(3)


def test_a_package_that_appears_later_counts_from_then(counters):
    meter = EnergyMeter()
    counters(zone0=999_000_000)
    assert meter.update() == {"cpu": 0}


def test_a_machine_without_counters_has_none(counters):
    assert EnergyMeter().joules == {}


def test_gpus_count_in_millijoules(counters, monkeypatch):
    counted = {"a": 5_000, "b": 1_000}
    monkeypatch.setattr(energy, "_gpus", lambda: ["a", "b"])
    monkeypatch.setattr(energy.pynvml, "nvmlDeviceGetTotalEnergyConsumption", counted.__getitem__)
    meter = EnergyMeter()
    counted |= {"a": 7_000, "b": 1_500}
    assert meter.update() == {"gpu": pytest.approx(2.5)}
