"""A trained generator for other programs: ONNX files and weights."""

from ganlab.deploy import onnx_files
from ganlab.deploy.export import to_onnx, to_safetensors

__all__ = ["onnx_files", "to_onnx", "to_safetensors"]
