# One network alone, which trusts a label as far as it does itself.
_base_ = ['./dart_r50_100e_sysu_noise20.py']
model = dict(num_members=1)
