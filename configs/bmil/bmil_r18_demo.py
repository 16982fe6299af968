# BMIL on synthetic pedestrians, without identities.
stages = ['bmil_r18_demo_intra.py', 'bmil_r18_demo_cross.py']
