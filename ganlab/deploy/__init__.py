"""A trained generator for other programs: ONNX files and weights."""

from ganlab.deploy import export, onnx_files
from ganlab.deploy.export import to_onnx, to_safetensors

__all__ = ["export", "onnx_files", "to_onnx", "to_safetensors"]
