"""Labels, numbers, masks and boxes: as tables hold them, checked, coded and decoded."""
