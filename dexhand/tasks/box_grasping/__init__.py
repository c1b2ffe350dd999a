"""BoxGrasping: grasp and lift a box, without stages."""
