"""Completing pictures from Python."""

from .inpainter import MODES, Inpainter, init_model, inpainting_inference

__all__ = ['MODES', 'Inpainter', 'init_model', 'inpainting_inference']
