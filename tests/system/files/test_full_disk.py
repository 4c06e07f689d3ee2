import shutil

import pytest

from runback.errors import InputError
from runback.system.files.full_disk import refuse_full_disk


def test_a_network_larger_than_its_disk_is_refused_with_the_bytes_that_are_missing(tmp_path):
    size = shutil.disk_usage(tmp_path).total
    refuse_full_disk(1, tmp_path / "mlruns")
    with pytest.raises(
        InputError, match=r"no space for the network: it takes .* MB, 4 copies are written, .*"
    ):
        refuse_full_disk(size, tmp_path / "mlruns" / "not" / "there")
