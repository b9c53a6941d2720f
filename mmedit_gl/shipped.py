"""Where configurations and tools are: in `.mim` of an installed package, or in the clone."""

from pathlib import Path

PACKAGE = Path(__file__).parent
ROOT = PACKAGE / '.mim' if (PACKAGE / '.mim').is_dir() else PACKAGE.parent
CONFIGS, TOOLS = ROOT / 'configs', ROOT / 'tools'
