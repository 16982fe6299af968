# PGM on synthetic pedestrians, without identities. The first stage is one for all methods.
stages = ['../bmil/bmil_r18_demo_m1.py', 'pgm_r18_demo_cross.py']
