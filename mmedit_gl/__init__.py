"""Globally and Locally Consistent Image Completion: training, evaluation, use."""

__version__ = '0.1.0'
