"""Opacities inside the lungs: ground glass, consolidation, pleural effusion."""
