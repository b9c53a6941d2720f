"""Completing pictures from Python."""

from .inpainter import Inpainter, init_model

__all__ = ['Inpainter', 'init_model']
