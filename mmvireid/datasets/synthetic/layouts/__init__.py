"""Folder layouts of the public datasets, filled with synthetic pictures."""

from .llcm import plan_llcm
from .plan import ImageTask, Plan, Request
from .regdb import plan_regdb
from .sysu import plan_sysu

#: Name of a layout -> function from a request to its plan.
LAYOUTS = {'llcm': plan_llcm, 'regdb': plan_regdb, 'sysu': plan_sysu}

__all__ = ['LAYOUTS', 'ImageTask', 'Plan', 'Request', 'plan_llcm', 'plan_regdb', 'plan_sysu']
