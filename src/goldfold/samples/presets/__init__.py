"""Presets of augmentation: YAML lists in the grammar of ``train.augment``, and the parameters that presets take."""
