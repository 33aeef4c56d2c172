"""What a folder of images holds, and a config for it: the command ``goldfold init``."""
