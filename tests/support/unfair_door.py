"""A door that lets one client have as many turns as it likes: what the fair one is held against.

python -m tests.support.unfair_door [arguments of thrumd]
"""

import math
import sys

from thrumd.__main__ import main
from thrumd.edge import connection, door

if __name__ == "__main__":
    connection.LINES_PER_TURN = 256
    connection.NOISE_BURST = door.NOISE_BURST = math.inf
    sys.exit(main(sys.argv[1:]))
