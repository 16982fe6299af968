# PGM with prototypes that follow one image after the other, as in the first stage.
stages = ['pgm_r50-agw_50e_sysu_intra.py', 'pgm_r50-agw_50e_sysu_cross_sample.py']
