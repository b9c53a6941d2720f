"""Completing pictures from Python."""

from .inpainter import Inpainter, init_model, inpainting_inference

__all__ = ['Inpainter', 'init_model', 'inpainting_inference']
