"""Desk: each case to exactly one operator."""

from agents.desk.decider import DeskDecider
from agents.desk.forms import FORMS
from agents.desk.outlook import Outlook, outlook
from agents.desk.state import carried

__all__ = ["FORMS", "DeskDecider", "Outlook", "carried", "outlook"]
