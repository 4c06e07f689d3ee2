import pytest

from runback.system import energy
from runback.system.energy import EnergyMeter


@pytest.fixture
def counters(tmp_path, monkeypatch):
    """A machine with two packages and a part of one; returns what writes their counters."""
    monkeypatch.setattr(energy, "POWERCAP", tmp_path)
    monkeypatch.setattr(energy, "_gpu_counters", lambda: iter(()))

    def write(**microjoules):
        for name, value in microjoules.items():
            folder = tmp_path / name.replace("zone", "intel-rapl:").replace("_", ":")
            folder.mkdir(exist_ok=True)
            (folder / "energy_uj").write_text(f"{value}\n")
            (folder / "max_energy_range_uj").write_text("1000000000\n")

    return write


def test_packages_are_added_up_and_their_parts_are_not(counters):
    counters(zone0=5_000_000, zone1=7_000_000, zone0_0=1_000_000)
    meter = EnergyMeter()
    assert meter.joules == {"cpu": 0}
    counters(zone0=9_000_000, zone1=8_000_000, zone0_0=3_000_000)
    meter.update()
    assert meter.joules == {"cpu": pytest.approx(5)}


def test_a_counter_that_begins_anew_goes_on(counters):
    counters(zone0=999_000_000)
    meter = EnergyMeter()
    counters(zone0=2_000_000)
    meter.update()
    assert meter.joules["cpu"] == pytest.approx(3)


def test_a_machine_without_counters_has_none(counters):
    assert EnergyMeter().joules == {}
