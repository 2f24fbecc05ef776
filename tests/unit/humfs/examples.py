"""Source texts that several tests read."""

A_PY = (
    '"""Doc."""\nimport os\nfrom typing import overload\n\nLIMIT = 10\n\n\n'
    '@decorator\ndef alpha(x, y=1):\n    """Say hi."""\n    return x\n\n\n'
    "class Outer:\n    size = 3\n\n    class Inner:\n        async def go(self):\n"
    "            return 1\n\n    @property\n    def name(self):\n        return self._n\n\n"
    "    @name.setter\n    def name(self, v):\n        self._n = v\n"
)
A_PY_OUTLINE = """\
imports L2-L3
const LIMIT L5-L5
fn alpha(x, y=1) L8-L11
class Outer L14-L27
  var size L15-L15
  class Inner L17-L19
    method go(self) L18-L19
  method name#1(self) L21-L23
  method name#2(self, v) L25-L27"""
W_PY = (
    "def work(xs):\n    total = 0\n    if not xs:\n        return None\n    elif len(xs) == 1:\n"
    '        return xs[0]\n    else:\n        log("many")\n    for x in xs:\n        total += x\n'
    "    for i in range(3):\n        total += f(g(i))\n    try:\n        save(total)\n"
    "    except OSError:\n        retry()\n    except ValueError as e:\n        raise\n"
    "    finally:\n        close()\n    return total\n"
)
M_MD = (
    "# Title\n\nIntro.\n\n## Setup\n\nSteps.\n\n```\n## no heading\n```\n\n### Advanced\n\nMore.\n"
)
