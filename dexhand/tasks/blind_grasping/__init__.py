"""BlindGrasping: find, grasp and lift a box that the policy cannot see."""
