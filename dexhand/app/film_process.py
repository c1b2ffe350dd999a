"""The process that draws and encodes the videos of a run: ``python -m dexhand.app.film_process PIPE``."""

import sys
from multiprocessing.connection import Connection

from dexhand.sim.drawable_pictures import DrawablePictures
from dexhand.view.film import TILE_SIZES, serve

if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])), lambda shapes: DrawablePictures(shapes, TILE_SIZES[1]))
