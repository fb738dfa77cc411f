"""The playbook: an embedded model that answers by rules. It drives the same loop, tools, permissions and gates as
Claude, needs no key, and says of itself that it is rules.
"""

from agent.models.playbook.model import Playbook

__all__ = ["Playbook"]
