"""The commands of ``goldfold``, one module each."""
