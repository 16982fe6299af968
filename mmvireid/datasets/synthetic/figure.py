"""Draws a pedestrian: the parts of the body and of the outfit, far to near."""

import numpy as np

from .painter import Painter
from .pedestrian import Pedestrian
from .pose import Pose, Skeleton


def _front(half: float):
    """Return the region of an open front.

    Args:
        half (float): Half-angle, in radians.

    Returns:
        Callable: Region as :data:`~mmvireid.datasets.synthetic.painter.Inlay` wants it.
    """
    return lambda around, along: np.clip((half - np.abs(around)) * 12 + 0.5, 0, 1)


def _print(half: float, height: float, position: float):
    """Return the region of a print on the chest, an argument list as `Pedestrian.logo`.

    Args:
        half (float): Half-angle, in radians.
        height (float): Height, as a part of the garment.
        position (float): Centre, as a part of the garment.

    Returns:
        Callable: Region as :data:`~mmvireid.datasets.synthetic.painter.Inlay` wants it.
    """
    def region(around: np.ndarray, along: np.ndarray) -> np.ndarray:
        inside = np.minimum((half - np.abs(around)) * 12,
                            (height / 2 - np.abs(along - position)) * 40)
        return np.clip(inside + 0.5, 0, 1)
    return region


class Figure:
    """One person in one pose, ready to be painted.

    Args:
        person (Pedestrian): Who.
        pose (Pose): Viewpoint and moment of the step.
    """

    def __init__(self, person: Pedestrian, pose: Pose) -> None:
        self.person = person
        self.pose = pose
        self.skeleton = Skeleton(person.body, pose)
        self.facing = self.skeleton.cos

    def paint(self, painter: Painter) -> None:
        """Paint the person.

        Args:
            painter (Painter): Canvas.
        """
        person, bone = self.person, self.skeleton
        near = 1 if bone.project(1, 0, 0)[2] > 0 else -1
        if person.bag == 'suitcase':
            self._suitcase(painter)
        if self.facing >= 0:
            self._backpack(painter)
            self._long_hair(painter)
        self._arm(painter, -near)
        self._leg(painter, -near)
        self._leg(painter, near)
        if person.lower_style == 'skirt':
            self._skirt(painter)
        self._trunk(painter)
        self._head(painter)
        if self.facing < 0:
            self._long_hair(painter)
            self._backpack(painter)
        self._arm(painter, near)

    def _at(self, point: tuple[float, float, float]) -> tuple[float, float]:
        return self.skeleton.project(*point)[:2]

    def _leg(self, painter: Painter, side: int) -> None:
        person, body = self.person, self.person.body
        hip, knee, ankle, toe = (self._at(p) for p in self.skeleton.legs[side])
        thigh_half = 0.056 * body.limb * (body.hip_width / 0.1)**0.5
        knee_half, ankle_half = 0.036 * body.limb, 0.022 * body.limb
        bare = person.socks or person.skin
        covered = person.lower_style != 'skirt'
        if person.lower_style != 'trousers':
            painter.capsule(hip, knee, thigh_half, knee_half, person.skin)
        painter.capsule(knee, ankle, knee_half, ankle_half, bare)
        if person.shoe_height > 0.05:
            painter.capsule(self._between(ankle, knee, person.shoe_height / (body.hip / 2)), ankle,
                            ankle_half * 1.5, ankle_half * 1.35, person.shoe)
        painter.capsule((ankle[0] - 0.004, ankle[1] - 0.004), toe, 0.023, 0.016, person.shoe)
        if not covered:
            return
        wide = person.lower_width
        hem = (body.hip - person.lower_hem) / body.hip * 2
        upper_end = knee if hem >= 1 else self._between(hip, knee, hem)
        knee_wide = knee_half * (0.6 + 0.55 * wide)
        painter.capsule(hip, upper_end, thigh_half * (0.85 + 0.2 * wide), knee_wide, person.lower)
        if hem > 1:
            painter.capsule(knee, self._between(knee, ankle, hem - 1), knee_wide,
                            ankle_half * (0.45 + 0.85 * wide), person.lower)

    @staticmethod
    def _between(a: tuple[float, float], b: tuple[float, float],
                 part: float) -> tuple[float, float]:
        part = min(part, 1.0)
        return a[0] + part * (b[0] - a[0]), a[1] + part * (b[1] - a[1])

    def _skirt(self, painter: Painter) -> None:
        person, body, bone = self.person, self.person.body, self.skeleton
        top = body.hip + 0.06
        waist = bone.half_width(body.waist_width, body.depth)
        hips = bone.half_width(body.hip_width, body.depth * 1.1)
        sway = 0.5 * (bone.legs[-1][1][1] + bone.legs[1][1][1]) * bone.sin
        reach = max(abs(bone.legs[-1][1][1]), abs(bone.legs[1][1][1])) * abs(bone.sin)
        hem = max(hips * person.lower_width, hips * 0.8 + reach * 0.8)
        outline = np.array([(-waist, top), (waist, top), (hips, body.hip - 0.02),
                            (sway + hem, person.lower_hem), (sway, person.lower_hem - 0.008),
                            (sway - hem, person.lower_hem), (-hips, body.hip - 0.02)])
        painter.fill(outline, person.lower, ((0.0, top), (sway, person.lower_hem), hem),
                     yaw=self.pose.yaw, radius=body.hip_width * person.lower_width)

    def _trunk(self, painter: Painter) -> None:
        person, body, bone = self.person, self.person.body, self.skeleton
        yaw = self.pose.yaw

        def centre(z: float) -> float:
            return bone.lean(z) * bone.sin

        def row(z: float, lateral: float, depth: float) -> tuple[float, float, float]:
            return centre(z), z, bone.half_width(lateral, depth)

        def outline(rows: list[tuple[float, float, float]]) -> np.ndarray:
            left = [(x - half, z) for x, z, half in rows]
            right = [(x + half, z) for x, z, half in rows]
            return np.array(right + left[::-1])

        shoulder, hip = body.shoulder, body.hip
        waist = hip + 0.42 * (shoulder - hip)
        neck = row(shoulder + 0.045, 0.034, 0.034)
        painter.capsule((centre(shoulder), shoulder), (neck[0], neck[1] + 0.02), 0.034, 0.032,
                        person.skin)
        # What is under a short garment: the waistband of trousers or skirt.
        painter.fill(outline([row(waist, body.waist_width * 0.97, body.depth),
                              row(hip + 0.02, body.hip_width, body.depth),
                              row(hip - 0.05, body.hip_width * 0.95, body.depth)]),
                     person.lower, ((0.0, waist), (0.0, hip - 0.06), body.hip_width),
                     yaw=yaw, radius=body.hip_width)
        rows = [row(shoulder + 0.028, 0.045, 0.036),
                row(shoulder, body.shoulder_width * 0.9, body.depth * 0.8),
                row(shoulder - 0.03, body.shoulder_width, body.depth),
                row(0.5 * (shoulder + waist), body.shoulder_width * 0.92, body.depth * 1.1)]
        hem = person.upper_hem
        waist_half = max(body.waist_width, body.shoulder_width * 0.72)
        levels = [(waist, waist_half, body.depth), (hip, body.hip_width * 1.04, body.depth * 1.1)]
        rows += [row(*level) for level in levels if level[0] > hem + 0.01]
        low = body.hip_width * 1.04 * (person.flare if hem < hip else 1.0)
        if hem > waist:
            low = waist_half
        reach = 0.0
        if hem < hip - 0.05:
            reach = 0.35 * abs(bone.legs[1][1][1]) * abs(bone.sin)
        last = row(hem, low, body.depth * 1.1)
        rows.append((last[0], last[1], last[2] + reach))
        inlays = []
        infrared = painter.infrared
        if person.logo is not None:
            inlays.append((_print(*person.logo), person.upper.tones(infrared)[1]))
        if person.opening:
            inlays.append((_front(person.opening), person.inner.tones(infrared)[0]))
        widest = max(half for _, _, half in rows)
        painter.fill(outline(rows), person.upper,
                     ((rows[0][0], rows[0][1]), (rows[-1][0], rows[-1][1]), widest), yaw=yaw,
                     inlays=tuple(inlays), radius=body.shoulder_width)
        if person.belt is not None:
            z = max(waist - 0.02, hem + 0.012)
            half = bone.half_width(max(waist_half, body.hip_width * 0.95), body.depth * 1.1)
            painter.capsule((centre(z) - half, z), (centre(z) + half, z), 0.013, 0.013,
                            person.belt)
        if person.bag == 'messenger':
            self._messenger(painter)
        if person.bag == 'backpack' and self.facing > -0.2:
            for side in (-1, 1):
                x = self._at((side * body.shoulder_width * 0.62, body.depth, shoulder))[0]
                painter.capsule((x, shoulder + 0.01), (x, waist), 0.014, 0.014,
                                person.bag_material.plain())
        if person.scarf:
            half = bone.half_width(0.062, 0.06)
            z = shoulder + 0.032
            painter.capsule((centre(z) - half + 0.02, z), (centre(z) + half - 0.02, z), 0.03,
                            0.03, person.hat_material)
            end = self._at((0.03, body.depth, shoulder - 0.11))
            if self.facing > -0.2:
                painter.capsule((end[0], shoulder), end, 0.022, 0.026, person.hat_material)

    def _arm(self, painter: Painter, side: int) -> None:
        person, limb = self.person, self.person.body.limb
        shoulder, elbow, wrist = (self._at(p) for p in self.skeleton.arms[side])
        thick = 0.036 * limb, 0.029 * limb, 0.022 * limb
        if person.sleeve < 0.5:
            painter.capsule(shoulder, elbow, thick[0], thick[1], person.skin)
        painter.capsule(elbow, wrist, thick[1], thick[2], person.skin)
        painter.ellipse((wrist[0], wrist[1] - 0.02), (0.02, 0.027), person.skin)
        sleeve = person.sleeve * 2
        if sleeve > 0:
            end = self._between(shoulder, elbow, sleeve)
            painter.capsule(shoulder, end, thick[0] * 1.15, thick[1] * 1.3, person.sleeve_material)
        if sleeve > 1:
            painter.capsule(elbow, self._between(elbow, wrist, sleeve - 1), thick[1] * 1.25,
                            thick[2] * 1.35, person.sleeve_material)
        if person.bag == 'handbag' and side == person.bag_side:
            self._handbag(painter, wrist)

    def _handbag(self, painter: Painter, hand: tuple[float, float]) -> None:
        person, bone = self.person, self.skeleton
        half = bone.half_width(0.035, 0.085) * person.bag_size
        top = hand[1] - 0.07
        low = max(top - 0.13 * person.bag_size, 0.02)
        painter.capsule((hand[0] - half * 0.5, top), (hand[0], hand[1] - 0.02), 0.006, 0.006,
                        person.bag_material.plain())
        painter.capsule((hand[0] + half * 0.5, top), (hand[0], hand[1] - 0.02), 0.006, 0.006,
                        person.bag_material.plain())
        painter.fill(np.array([(hand[0] - half * 0.85, top), (hand[0] + half * 0.85, top),
                               (hand[0] + half, low), (hand[0] - half, low)]),
                     person.bag_material, ((hand[0], top), (hand[0], low), half * 1.4))

    def _messenger(self, painter: Painter) -> None:
        person, body, bone = self.person, self.person.body, self.skeleton
        side = person.bag_side
        face = 1 if self.facing >= 0 else -1
        start = self._at((-side * body.shoulder_width * 0.6, face * body.depth * 0.6,
                          body.shoulder + 0.01))
        hang = (side * (body.hip_width + 0.03), 0.0, body.hip + 0.02)
        x, z, near = bone.project(*hang)
        painter.capsule(start, (x, z + 0.04), 0.013, 0.013, person.bag_material.plain())
        if near < -0.05 and abs(bone.sin) > 0.8:
            return
        half = bone.half_width(0.035, 0.085) * person.bag_size
        tall = 0.11 * person.bag_size
        painter.fill(np.array([(x - half, z + tall / 2), (x + half, z + tall / 2),
                               (x + half, z - tall / 2), (x - half, z - tall / 2)]),
                     person.bag_material, ((x, z + tall / 2), (x, z - tall / 2), half * 1.3))

    def _backpack(self, painter: Painter) -> None:
        person, body, bone = self.person, self.person.body, self.skeleton
        if person.bag != 'backpack':
            return
        depth = 0.05 * person.bag_size
        x = self._at((0.0, -body.depth - depth, 0.0))[0] + bone.lean(body.shoulder) * bone.sin
        half = bone.half_width(0.095 * person.bag_size, depth * 1.25)
        top = body.shoulder + 0.005
        low = top - 0.25 * person.bag_size
        angle = np.linspace(0, 1, 7) * np.pi
        crown = np.stack([x + half * np.cos(angle), top + 0.03 * np.sin(angle)], axis=1)
        outline = np.concatenate([crown, [(x - half * 1.05, low), (x + half * 1.05, low)]])
        painter.fill(outline, person.bag_material, ((x, top + 0.03), (x, low), half * 1.3))

    def _suitcase(self, painter: Painter) -> None:
        person, bone = self.person, self.skeleton
        hand = self._at(bone.arms[person.bag_side][2])
        x = self._at((person.bag_side * 0.15, -0.13, 0.0))[0]
        half = bone.half_width(0.085, 0.055) * person.bag_size
        top = 0.3 * person.bag_size
        painter.capsule((x, top), (hand[0], hand[1] - 0.02), 0.007, 0.007, person.shoe)
        painter.fill(np.array([(x - half, top), (x + half, top), (x + half, 0.025),
                               (x - half, 0.025)]), person.bag_material,
                     ((x, top), (x, 0.02), half * 1.4))
        for side in (-0.7, 0.7):
            painter.ellipse((x + side * half, 0.015), (0.015, 0.015), person.shoe)

    def _head_centre(self) -> tuple[float, float]:
        body, bone = self.person.body, self.skeleton
        return bone.lean(1.0) * bone.sin + 0.02 * bone.sin, 1.0 - body.head

    def _long_hair(self, painter: Painter) -> None:
        person, body, bone = self.person, self.person.body, self.skeleton
        x, z = self._head_centre()
        half = body.head * 0.82
        back = -0.4 * half * bone.sin
        if person.hair_style in ('long', 'bob'):
            low = z - (2.6 if person.hair_style == 'long' else 1.15) * body.head
            width = half * 1.12
            painter.fill(np.array([(x + back - width * 0.8, z + half * 0.4),
                                   (x + back + width * 0.8, z + half * 0.4),
                                   (x + back + width, low), (x + back - width, low)]),
                         person.hair, ((x + back, z), (x + back, low), width))
        elif person.hair_style == 'ponytail':
            base = x - 1.05 * half * bone.sin, z + 0.25 * half
            painter.capsule(base, (base[0] - 0.035 * bone.sin, z - 2.2 * body.head), 0.02, 0.03,
                            person.hair)

    def _head(self, painter: Painter) -> None:
        person, body, bone = self.person, self.person.body, self.skeleton
        x, z = self._head_centre()
        half = (body.head * 0.78, body.head)
        if person.hair_style == 'afro':
            painter.ellipse((x - 0.012 * bone.sin, z + 0.02), (half[0] * 1.6, half[1] * 1.3),
                            person.hair)
        if person.hair_style == 'bun':
            painter.ellipse((x - half[0] * 0.7 * bone.sin, z + half[1] * 0.95), (0.034, 0.03),
                            person.hair)
        painter.ellipse((x, z), half, person.skin)
        if person.hair_style != 'bald':
            self._hair(painter, (x, z), half)
        if person.hat != 'none':
            self._hat(painter, (x, z), half)

    def _hair(self, painter: Painter, centre: tuple[float, float],
              half: tuple[float, float]) -> None:
        person, bone = self.person, self.skeleton
        if self.facing < -0.35:
            painter.ellipse(centre, (half[0] * 1.05, half[1] * 1.02), person.hair)
            return
        # Seen from the front a cap of hair; from the side it covers the back of the head.
        turn = 0.32 * bone.sin
        painter.ellipse((centre[0], centre[1] + 0.006), (half[0] * 1.08, half[1] * 1.04),
                        person.hair, (0.2 + max(0.0, turn), 0.8 + min(0.0, turn)))
        if abs(bone.sin) > 0.35:
            back = -np.sign(bone.sin) * half[0] * 0.5
            painter.ellipse((centre[0] + back, centre[1] + 0.012),
                            (half[0] * 0.6, half[1] * 0.82), person.hair)

    def _hat(self, painter: Painter, centre: tuple[float, float],
             half: tuple[float, float]) -> None:
        person, bone = self.person, self.skeleton
        x, z = centre
        cloth = person.hat_material
        brow = z + half[1] * 0.25
        if person.hat == 'hood':
            painter.ellipse((x - 0.01 * bone.sin, z), (half[0] * 1.3, half[1] * 1.16),
                            person.upper.plain())
            if self.facing > -0.35:
                painter.ellipse((x + half[0] * 0.3 * bone.sin, z - 0.006),
                                (half[0] * (0.4 + 0.4 * max(0.0, self.facing)), half[1] * 0.75),
                                person.skin)
            return
        tall = 1.05 if person.hat == 'beanie' else 0.8
        painter.ellipse((x, brow), (half[0] * 1.14, half[1] * tall), cloth, (0.0, 1.0))
        if person.hat == 'cap':
            reach = half[0] * (1.0 + 0.9 * abs(bone.sin))
            tip = x + half[0] * 0.9 * bone.sin
            if self.facing > -0.35:
                painter.capsule((min(x, tip), brow), (tip + 0.2 * reach * bone.sin, brow), 0.014,
                                0.012, cloth.swapped())
        elif person.hat == 'brim':
            painter.capsule((x - half[0] * 1.75, brow), (x + half[0] * 1.75, brow), 0.012, 0.012,
                            cloth)
        else:
            painter.capsule((x - half[0] * 0.95, brow), (x + half[0] * 0.95, brow), 0.016, 0.016,
                            cloth.swapped())
