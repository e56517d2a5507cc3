"""What runs a model's forward: torch, MLX, or transformers on torch. Imported only when chosen."""
