"""The demonstration: a script that grasps boxes, in the browser."""
