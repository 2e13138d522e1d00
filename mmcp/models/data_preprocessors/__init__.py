"""What happens to a batch on the device before a model sees it."""

from mmcp.models.data_preprocessors.cp2_data_preprocessor import (
    CP2DataPreprocessor,
)

__all__ = ['CP2DataPreprocessor']
