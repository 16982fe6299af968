"""Where a walking person's joints are in the picture."""

import math
from dataclasses import dataclass

from .pedestrian import Body


@dataclass(frozen=True)
class Pose:
    """Viewpoint and moment of a step.

    Args:
        yaw (float): Direction of walk in radians, 0 towards the camera,
            pi away from it, pi / 2 to the right of the picture.
        phase (float): Moment of the step, 0 to 2 pi.
        swing (float): Amplitude of the legs, in radians.
    """

    yaw: float
    phase: float
    swing: float


class Skeleton:
    """Joints of a body in a pose, projected without perspective.

    The body's own axes are left (x), forward (y) and up (z), in body heights.

    Args:
        body (Body): Proportions.
        pose (Pose): Viewpoint and moment of the step.
    """

    def __init__(self, body: Body, pose: Pose) -> None:
        self.body = body
        self.pose = pose
        self.cos = math.cos(pose.yaw)
        self.sin = math.sin(pose.yaw)
        self.legs = {side: self._leg(side) for side in (-1, 1)}
        self.arms = {side: self._arm(side) for side in (-1, 1)}

    def project(self, x: float, y: float, z: float) -> tuple[float, float, float]:
        """Return picture coordinates of a point of the body.

        Args:
            x (float): To the person's left.
            y (float): Forward.
            z (float): Up.

        Returns:
            tuple[float, float, float]: Right, up, and nearness to the camera.
        """
        return x * self.cos + y * self.sin, z, y * self.cos - x * self.sin

    def half_width(self, lateral: float, depth: float) -> float:
        """Return the half-width in the picture of an elliptic cross-section.

        Args:
            lateral (float): Half-axis from side to side.
            depth (float): Half-axis from front to back.

        Returns:
            float: Half-width seen from the pose's viewpoint.
        """
        return math.hypot(lateral * self.cos, depth * self.sin)

    def lean(self, z: float) -> float:
        """Return how far forward the trunk is at a height.

        Args:
            z (float): Height above the ground.

        Returns:
            float: Forward offset, in body heights.
        """
        body = self.body
        return body.stoop * max(0.0, (z - body.hip) / (body.shoulder - body.hip))

    def _leg(self, side: int) -> list[tuple[float, float, float]]:
        body, pose = self.body, self.pose
        moment = pose.phase + (math.pi if side > 0 else 0.0)
        swing = pose.swing * body.stride * math.sin(moment)
        # The knee bends while the leg comes forward.
        bend = 0.12 + 0.9 * pose.swing * body.stride * max(0.0, math.cos(moment))
        length = body.hip / 2 - 0.01
        x = side * body.hip_width * 0.5
        knee = (swing * length, body.hip - math.cos(swing) * length)
        shin = swing - bend
        ankle = (knee[0] + math.sin(shin) * length, max(0.02, knee[1] - math.cos(shin) * length))
        return [(x, 0.0, body.hip), (x, knee[0], knee[1]), (x, ankle[0], ankle[1]),
                (x, ankle[0] + 0.065, max(0.012, ankle[1] - 0.012))]

    def _arm(self, side: int) -> list[tuple[float, float, float]]:
        body, pose = self.body, self.pose
        moment = pose.phase + (0.0 if side > 0 else math.pi)
        swing = 0.8 * pose.swing * body.stride * math.sin(moment)
        x = side * (body.shoulder_width - 0.012)
        forward = self.lean(body.shoulder)
        z = body.shoulder - 0.02
        elbow = (forward + math.sin(swing) * 0.165, z - math.cos(swing) * 0.165)
        bend = swing + 0.25 + 0.3 * max(0.0, swing)
        wrist = (elbow[0] + math.sin(bend) * 0.15, elbow[1] - math.cos(bend) * 0.15)
        return [(x, forward, z), (x + side * 0.018, elbow[0], elbow[1]),
                (x + side * 0.012, wrist[0], wrist[1])]
