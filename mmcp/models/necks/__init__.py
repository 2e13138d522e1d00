"""Necks."""

from mmcp.models.necks.nas_fpn import NASFPN

__all__ = ['NASFPN']
