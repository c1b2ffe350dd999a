"""The place of a process, from environment variables."""

import pytest

from dexhand.distributed.place import CannotJoin, Place, place_of_process

GIVEN = {"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1", "MASTER_ADDR": "one", "MASTER_PORT": "29500"}


def test_the_variables_of_torchrun_are_read() -> None:
    """Without any, the process is alone."""
    assert place_of_process(GIVEN) == Place(rank=3, size=4, local_rank=1, host="one", port=29500)
    assert place_of_process({}) == place_of_process({"WORLD_SIZE": "1", "RANK": "0"}) == Place()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"WORLD_SIZE": "many"}, "WORLD_SIZE='many' must be"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE='0' must be"),
        ({"WORLD_SIZE": None}, "RANK='3' must be 0 to 0: WORLD_SIZE is not set"),
        ({"RANK": "4"}, "RANK='4' must be 0 to 3: WORLD_SIZE is 4"),
        ({"RANK": "-1"}, "RANK='-1' must be"),
        ({"RANK": None}, "RANK is missing: WORLD_SIZE is 4"),
        ({"LOCAL_RANK": "x"}, "LOCAL_RANK='x' must be"),
        ({"MASTER_ADDR": ""}, "MASTER_ADDR is missing"),
        ({"MASTER_PORT": "65536"}, "MASTER_PORT='65536' must be"),
        ({"MASTER_PORT": "9" * 5000}, "must be 1 to 65535"),
    ],
)
def test_wrong_variables_are_refused_in_one_line(change: dict[str, str | None], words: str) -> None:
    """It names the variable, its value, what is allowed, and what to do."""
    variables = {name: value for name, value in {**GIVEN, **change}.items() if value is not None}
    with pytest.raises(CannotJoin, match=words) as error:
        place_of_process(variables)
    assert "\n" not in str(error.value)
    assert "torchrun sets these variables" in str(error.value)
