# RPNR on your own footage, values of our own.
stages = ['rpnr_r50-agw_50e_list-file_intra.py', 'rpnr_r50-agw_50e_list-file_cross.py']
