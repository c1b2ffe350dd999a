"""A browser, as a person uses it."""

import io
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from commands import PATIENCE
from PIL import Image, ImageChops
from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.common.actions.action_builder import ActionBuilder

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-background-networking", "--disable-dev-shm-usage"),
    *("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--window-size=900,600"),
)
SCENE = (0, 150, 560, 440)
"""Part of the window that shows nothing but hands and ground."""


class Browser:
    """What a person does."""

    def __init__(self, chromium: str, driver: str) -> None:
        """Start ``chromium`` headless, so that it draws without a graphics card, with ``driver`` to control it."""
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for flag in FLAGS:
            options.add_argument(flag)
        self.driver = webdriver.Chrome(options, webdriver.ChromeService(driver))

    def text(self) -> str:
        """The texts of the page."""
        text: str = self.driver.execute_script("return document.body.innerText")
        return text

    def wait(self, is_so: Callable[[], object], what: str) -> None:
        """Wait for what the page will show."""
        end = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < end, f"{what} did not come: {self.text()}"
            time.sleep(0.05)

    def wait_for(self, pattern: str) -> None:
        """Wait for a text."""
        self.wait(lambda: re.search(pattern, self.text()), pattern)

    def click(self, text: str) -> None:
        """Click on the button or choice with this text."""
        self.driver.find_element("xpath", f"//*[self::button or self::label or @role='option'][.='{text}']").click()

    def scene(self) -> Image.Image:
        """A picture of the hands."""
        return Image.open(io.BytesIO(self.driver.get_screenshot_as_png())).convert("L").crop(SCENE)

    def moves(self) -> bool:
        """Whether two pictures differ by more than noise."""
        first, second = self.scene(), self.scene()
        return ImageChops.difference(first, second).getextrema()[1] > 40

    def speed(self) -> float:
        """Simulated seconds per second, as the page says."""
        return float(re.findall(r"([\d.]+) x real time", self.text().replace(",", ""))[0])

    def press(self, key: str) -> None:
        """Press a key."""
        ActionChains(self.driver).send_keys(key).perform()

    def camera(self) -> "Camera":
        """Where the camera is, as the page has told the run last."""
        seen = self.driver.execute_script("return window.seen")
        return Camera(np.array(seen["position"]), np.array(seen["look_at"]))

    def moved_by(self, act: Callable[[], object]) -> "tuple[Camera, Camera]":
        """Do something that moves the camera; returns it before and after, when it has come to rest."""
        before = self.camera()
        act()
        self.wait(lambda: not self.camera().is_at(before), "a movement of the camera")
        return before, self.camera_at_rest()

    def camera_at_rest(self) -> "Camera":
        """Where the camera is when it has not moved for a second."""
        last, seen = None, self.camera()
        while last is None or not seen.is_at(last):
            time.sleep(1.0)
            last, seen = seen, self.camera()
        return seen

    def drag(self, button: str) -> "tuple[Camera, Camera]":
        """Drag the picture to the right; returns the camera before and after."""
        actions = ActionBuilder(self.driver)
        actions.pointer_action.move_to_location(200, 300).pointer_down(button=button)
        actions.pointer_action.move_to_location(250, 300).move_to_location(300, 300).pointer_up(button=button)
        return self.moved_by(actions.perform)

    def hold(self, key: str) -> "tuple[Camera, Camera]":
        """Hold a key until the camera moves; returns it before and after."""
        before = self.camera()

        def press() -> None:
            ActionChains(self.driver).key_down(key).perform()
            self.wait(lambda: not self.camera().is_at(before), f"a movement by {key}")
            ActionChains(self.driver).key_up(key).perform()

        return self.moved_by(press)

    def open_another_tab(self, url: str) -> None:
        """Be a second viewer, too."""
        self.driver.switch_to.new_window("tab")
        self.driver.get(url)


@dataclass
class Camera:
    """Where a browser's camera is and looks."""

    position: np.ndarray
    look_at: np.ndarray

    def is_at(self, other: "Camera") -> bool:
        return np.allclose((self.position, self.look_at), (other.position, other.look_at), atol=1e-5)

    @property
    def distance(self) -> float:
        return float(np.linalg.norm(self.look_at - self.position))

    @property
    def forward(self) -> np.ndarray:
        return (self.look_at - self.position) / self.distance

    @property
    def right(self) -> np.ndarray:
        return np.cross(self.forward, (0.0, 0.0, 1.0))
