from tasks.models.dimension import Dimension
from tasks.models.image import TaskImage
from tasks.models.task import Task, TaskCheckItem, TaskContact, TaskNote
from tasks.models.template import TaskTemplate, TaskTemplateItem

__all__ = [
    "Dimension",
    "Task",
    "TaskCheckItem",
    "TaskContact",
    "TaskImage",
    "TaskNote",
    "TaskTemplate",
    "TaskTemplateItem",
]
