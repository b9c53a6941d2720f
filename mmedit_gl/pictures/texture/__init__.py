"""The texture of the surroundings for what was completed too smoothly."""

from mmedit_gl.pictures.detail import detail as textured

__all__ = ['textured']
