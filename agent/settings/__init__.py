"""Claude Code's settings: where they lie, how far each file is believed, and what they add up to.

places = Places.find(cwd, trusted=store.is_trusted)
settings = load_settings(places)
"""

from agent.settings.load import HookSource, Settings, load_settings
from agent.settings.places import Level, Places, SettingsError
from agent.settings.remarks import Remark

__all__ = ["HookSource", "Level", "Places", "Remark", "Settings", "SettingsError", "load_settings"]
