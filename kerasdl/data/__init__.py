"""Data of any source as one :class:`Dataset`: train, validation and test splits with their shapes and class names.

Importing this package costs NumPy only; TensorFlow and scikit-learn are imported by the functions that need them.
"""

from kerasdl.data.augmentation import make_augmentation, make_box_augmentation, make_target_augmentation, resolve_policy
from kerasdl.data.dataset import Dataset, Split
from kerasdl.data.detection_dataset import DetectionDataset, DetectionSplit
from kerasdl.data.detection_writing import write_coco, write_voc, write_yolo
from kerasdl.data.evaluation import class_weights, load_split
from kerasdl.data.forecast_dataset import ForecastDataset, backtest_folds
from kerasdl.data.forecast_statistics import choose_start, fit_statistics
from kerasdl.data.forecasting import load_forecasting
from kerasdl.data.loading import load, load_again
from kerasdl.data.merging import with_validation_in_training
from kerasdl.data.series_augmentation import make_series_augmentation, resolve_series_augmentation
from kerasdl.data.series_examples import channel_statistics
from kerasdl.data.series_files import read_unlabelled
from kerasdl.data.subwords import subword_table
from kerasdl.data.vocabulary import Vocabulary

__all__ = [
    "Dataset",
    "DetectionDataset",
    "DetectionSplit",
    "ForecastDataset",
    "Split",
    "Vocabulary",
    "backtest_folds",
    "choose_start",
    "channel_statistics",
    "class_weights",
    "fit_statistics",
    "load",
    "load_again",
    "load_forecasting",
    "load_split",
    "make_augmentation",
    "make_box_augmentation",
    "make_series_augmentation",
    "make_target_augmentation",
    "read_unlabelled",
    "resolve_policy",
    "resolve_series_augmentation",
    "subword_table",
    "with_validation_in_training",
    "write_coco",
    "write_voc",
    "write_yolo",
]
