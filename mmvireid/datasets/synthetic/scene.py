"""Backgrounds: one large picture per place, seen by colour and infrared cameras alike."""

import cv2
import numpy as np

HEIGHT, WIDTH = 400, 720
#: Row of the line where wall and floor meet.
HORIZON = 250


class Scene:
    """A place, painted once and cropped for each picture.

    Colour and infrared look are painted with the same geometry, so that two
    cameras in one room show the same room; brightness in infrared is drawn
    apart from colour.

    Args:
        rng (np.random.Generator): Random numbers of this place.
        indoor (bool): A room, or a street.
        infrared (bool): Which look is painted.
    """

    def __init__(self, rng: np.random.Generator, indoor: bool, infrared: bool) -> None:
        self._rng = rng
        self._infrared = infrared
        self._canvas = np.zeros((HEIGHT, WIDTH, 1 if infrared else 3), np.uint8)
        (self._room if indoor else self._street)()
        picture = cv2.GaussianBlur(self._canvas, (0, 0), 1.2)
        self.picture = picture.reshape(HEIGHT, WIDTH, -1)

    def _tone(self, value: tuple[float, float], saturation: float = 0.35,
              reflectance: tuple[float, float] = (0.15, 0.6)) -> tuple[float, ...]:
        # Both looks are always drawn, so that both cameras use up the same random numbers.
        rng = self._rng
        bright = rng.uniform(*value)
        tint = 1 - saturation * rng.uniform(0, 1, 3)
        glow = rng.uniform(*reflectance)
        if self._infrared:
            return (255 * glow,)
        return tuple(float(255 * bright * t) for t in tint)

    def _rectangle(self, x0: float, y0: float, x1: float, y1: float,
                   colour: tuple[float, ...], thickness: int = -1) -> None:
        cv2.rectangle(self._canvas, (int(x0), int(y0)), (int(x1), int(y1)), colour, thickness,
                      cv2.LINE_AA)

    def _ground(self, value: tuple[float, float], reflectance: tuple[float, float],
                lines: bool) -> None:
        rng = self._rng
        self._rectangle(0, HORIZON, WIDTH, HEIGHT, self._tone(value, 0.2, reflectance))
        line = self._tone(value, 0.2, reflectance)
        centre = rng.uniform(0.3, 0.7) * WIDTH
        if not lines:
            return
        for x in np.arange(-1200, WIDTH + 1200, 90):
            cv2.line(self._canvas, (int(centre + (x - centre) * 0.6), HORIZON),
                     (int(x), HEIGHT), line, 1, cv2.LINE_AA)
        for t in (0.1, 0.25, 0.45, 0.7):
            y = int(HORIZON + t * (HEIGHT - HORIZON))
            cv2.line(self._canvas, (0, y), (WIDTH, y), line, 1, cv2.LINE_AA)

    def _room(self) -> None:
        rng = self._rng
        self._rectangle(0, 0, WIDTH, HORIZON, self._tone((0.55, 0.9), 0.25, (0.25, 0.5)))
        self._ground((0.3, 0.7), (0.15, 0.45), True)
        self._rectangle(0, HORIZON - 8, WIDTH, HORIZON, self._tone((0.2, 0.5)))
        for x in np.arange(rng.uniform(10, 60), WIDTH, rng.uniform(110, 150)):
            kind = rng.integers(4)
            width = rng.uniform(45, 80)
            if kind == 0:
                self._rectangle(x, 40, x + width, HORIZON, self._tone((0.25, 0.7), 0.5))
                self._rectangle(x + 6, 50, x + width - 6, 130, self._tone((0.3, 0.8), 0.5), 2)
            elif kind == 1:
                self._rectangle(x, 60, x + width, 160, self._tone((0.7, 1.0), 0.3, (0.05, 0.3)))
                self._rectangle(x, 60, x + width, 160, self._tone((0.2, 0.6)), 3)
                self._rectangle(x + width / 2, 60, x + width / 2 + 2, 160, self._tone((0.2, 0.6)))
            elif kind == 2:
                for _ in range(3):
                    a, b = rng.uniform(0, width), rng.uniform(40, 150)
                    self._rectangle(x + a, b, x + a + rng.uniform(15, 40),
                                    b + rng.uniform(20, 50), self._tone((0.2, 0.9), 0.7))
            else:
                top = rng.uniform(150, 200)
                self._rectangle(x, top, x + width, HORIZON + 30, self._tone((0.2, 0.7), 0.6))
                self._rectangle(x + 4, top + 8, x + width - 4, top + 30,
                                self._tone((0.2, 0.7), 0.6), 1)

    def _street(self) -> None:
        rng = self._rng
        self._rectangle(0, 0, WIDTH, HORIZON, self._tone((0.6, 0.95), 0.3, (0.03, 0.12)))
        self._ground((0.35, 0.65), (0.1, 0.35), bool(rng.integers(2)))
        x = -rng.uniform(0, 80)
        while x < WIDTH:
            width = rng.uniform(90, 180)
            top = rng.uniform(-20, 90)
            self._rectangle(x, top, x + width, HORIZON, self._tone((0.35, 0.8), 0.5, (0.1, 0.4)))
            pane = self._tone((0.1, 0.5), 0.4, (0.02, 0.3))
            for wx in np.arange(x + 12, x + width - 20, 34):
                for wy in np.arange(top + 14, HORIZON - 40, 46):
                    self._rectangle(wx, wy, wx + 18, wy + 28, pane)
            x += width + rng.uniform(0, 30)
        for _ in range(7):
            x, y = rng.uniform(0, WIDTH), rng.uniform(120, 230)
            leaf = self._tone((0.15, 0.5), 0.8, (0.45, 0.8))
            if rng.random() < 0.5:
                self._rectangle(x - 5, y, x + 5, HORIZON + 8, self._tone((0.15, 0.4), 0.4))
            for _ in range(9):
                cv2.circle(self._canvas, (int(x + rng.normal() * 22), int(y + rng.normal() * 16)),
                           int(rng.uniform(8, 20)), leaf, -1, cv2.LINE_AA)
        for _ in range(3):
            x, top = rng.uniform(0, WIDTH), rng.uniform(190, 215)
            car = self._tone((0.1, 0.9), 0.8)
            self._rectangle(x, top, x + 110, HORIZON + 10, car)
            self._rectangle(x + 20, top - 22, x + 85, top, self._tone((0.1, 0.4), 0.3))
            for wheel in (22, 88):
                cv2.circle(self._canvas, (int(x + wheel), HORIZON + 10), 12,
                           self._tone((0.05, 0.2), 0.1, (0.05, 0.2)), -1, cv2.LINE_AA)

    def crop(self, rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
        """Cut a random window with its lower edge on the ground.

        Args:
            rng (np.random.Generator): Random numbers of the picture.
            size (tuple[int, int]): Height and width of the result.

        Returns:
            np.ndarray: Shape ``(H, W, C)``, float32 in [0, 1].
        """
        height, width = size
        tall = rng.uniform(270, 370)
        wide = min(tall * width / height, WIDTH - 2)
        bottom = rng.uniform(HORIZON + 60, HEIGHT - 1)
        bottom = max(bottom, tall)
        x0, y0 = rng.uniform(0, WIDTH - 1 - wide), bottom - tall
        matrix = np.array([[wide / width, 0, x0], [0, tall / height, y0]])
        window = cv2.warpAffine(self.picture, matrix, (width, height),
                                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                                borderMode=cv2.BORDER_REPLICATE)
        return window.reshape(height, width, -1).astype(np.float32) * np.float32(1 / 255)
