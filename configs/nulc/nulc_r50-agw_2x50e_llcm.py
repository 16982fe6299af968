# N-ULC on LLCM, values of our own.
stages = ['nulc_r50-agw_50e_llcm_intra.py', 'nulc_r50-agw_50e_llcm_cross.py']
