"""Images drawn from their views: gray or small images, which the prior of a model draws."""

import abc

from gated_pixelcnn import visualization
from gated_pixelcnn.cli.tasks.draw import of_condition
from gated_pixelcnn.cli.tasks.task import Task
from gated_pixelcnn.models.capabilities import HasPrior


class FromView(Task):
    """Draws what the conditional of a composite makes of views.

    Attributes:
      halves: whether these are small images, and not gray ones.
    """

    takes = ("label",)
    not_exported = "an exported model draws all stages itself"
    whole = False  # a view that is given may do without a prior
    halves = False

    def composites(self, model):
        """The model, its prior if that is a composite, too, and so on, with views of this kind."""
        found = []
        while isinstance(model, HasPrior):
            found += [model] if model.transform.halves == self.halves else []
            model = model.prior
        return found

    def possible(self, model):
        """See `Task`."""
        return bool(self.composites(model))

    @abc.abstractmethod
    def view(self, values, composites, reading):
        """Reads the views: uint8 [N, h, w, C], and their levels."""

    def read(self, values, model, trained):
        """See `Task`."""
        from gated_pixelcnn.runs.load import check_trained  # which imports TensorFlow

        view, levels = self.view(values, self.composites(model), trained.reading)
        if model.untrained != "prior" or view.shape[1:] != model.prior.image_shape:
            check_trained(model)
        shown = visualization.enlarged(view, levels, model.image_shape)
        return of_condition(values, model, trained, view, shown, "stage")
