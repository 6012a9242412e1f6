"""What the gateway costs: start-up, added latency, catalogue, refresh (`python -m bench`).

Our own packages are put on the path here: nothing is installed.
"""

import sys
from pathlib import Path

_CORE = str(Path(__file__).resolve().parent.parent / "layers" / "core")
if _CORE not in sys.path:
    sys.path.insert(0, _CORE)
