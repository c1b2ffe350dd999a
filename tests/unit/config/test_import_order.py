"""Isaac Gym comes before torch, or not at all."""

import importlib
import sys

import pytest

from dexhand.config.errors import ConfigError
from dexhand.config.import_order import import_simulator_before_torch


@pytest.fixture
def without_isaacgym(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process in which nobody has imported it yet."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "isaacgym"]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.usefixtures("without_isaacgym")
class TestImportOrder:
    def test_other_simulators_need_no_order(self) -> None:
        import_simulator_before_torch("mock")
        assert "isaacgym" not in sys.modules

    def test_after_torch_it_is_too_late(self) -> None:
        """The error says what to change."""
        assert "torch" in sys.modules
        with pytest.raises(ConfigError, match="Put `import isaacgym` before the first `import torch`"):
            import_simulator_before_torch("isaacgym")

    def test_where_it_is_not_installed_the_document_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(sys.modules, "torch")
        if importlib.util.find_spec("isaacgym") is not None:
            pytest.skip("the real Isaac Gym is installed")
        with pytest.raises(ConfigError, match=r"docs/gpu\.md.*python -m dexhand\.mock\.isaacgym"):
            import_simulator_before_torch("isaacgym")


def test_once_it_is_imported_torch_may_be_too() -> None:
    import_simulator_before_torch("isaacgym")
