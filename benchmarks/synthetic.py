"""Print how many synthetic pictures one core draws, encodes and writes per second.

Run it as ``python benchmarks/synthetic.py``.
"""

import argparse
import os
import tempfile
import time

import cv2

from mmvireid.datasets.synthetic import LAYOUTS, Request, make_synthetic


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--ids', type=int, default=20)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    print('layout  size       images  wall images/s  CPU images/s   load of the machine '
          f'{os.getloadavg()[0]:.1f}')
    for layout, size in (('sysu', None), ('sysu', (288, 144)), ('sysu', (192, 84)),
                         ('regdb', None), ('llcm', None)):
        request = Request(layout, args.ids, size=size, images_per_camera=10)
        with tempfile.TemporaryDirectory() as folder:
            wall, cpu = time.perf_counter(), time.process_time()
            make_synthetic(request, folder, workers=1, quiet=True)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        shape = f'{size[0]}x{size[1]}' if size else 'default'
        # LLCM stores its test pictures twice but draws them once.
        drawn = len(LAYOUTS[layout](request).tasks)
        print(f'{layout:6}  {shape:9}  {drawn:6}  {drawn / wall:13.0f}  {drawn / cpu:12.0f}')


if __name__ == '__main__':
    main()
