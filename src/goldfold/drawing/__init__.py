"""Parts of report pages and overlays: blocks, figures, pictures, colours."""
