"""Names of the classes that a model is conditioned on."""

import numpy as np
import tensorflow as tf

from gated_pixelcnn.errors import nearest
from gated_pixelcnn.models.inputs import as_array
from gated_pixelcnn.names import folded


class ClassNames:
    """A model whose classes may have names; of a DensityContract."""

    _class_names = ()

    @property
    def class_names(self):
        """Names of the classes in the order of the labels, a tuple; () where they are not known.

        They may be set: as many as there are classes, for a model conditioned on the label.
        """
        return self._class_names

    @class_names.setter
    def class_names(self, names):
        names = tuple(names)
        classes = self.condition_size if self.condition_kind == "label" else 0
        if len(names) not in (0, classes) or not all(isinstance(name, str) for name in names):
            raise ValueError(
                f"class_names must be the names of the {classes} classes of this model, got "
                f"{len(names)}: {', '.join(map(str, names[:20]))}."
            )
        self._class_names = names

    def labels_of(self, condition, num=1):
        """Labels in the place of names.

        Args:
          condition: a name, which all images have, or a list of names; anything else stays.
          num: number of images, for a single name.

        Raises:
          ValueError: a name that no class has, or several have.
        """
        if self.condition_kind != "label" or condition is None or tf.is_tensor(condition):
            return condition
        names = [condition] * num if isinstance(condition, str) else condition
        names = as_array("condition", names, refused="")
        if names.ndim != 1 or not names.size or not all(isinstance(name, str) for name in names):
            return condition
        return np.array([self._label_of(str(name)) for name in names], np.int32)

    def _label_of(self, name):
        label = find(name, self.class_names)
        if label is None:
            unnamed = "; its classes have no names, give labels"
            hint = nearest(name, self.class_names) if self.class_names else unnamed
            raise ValueError(f"this model has no class {name!r}{hint}")
        return label

    def check_condition(self, condition, num):
        """See `InputChecks`; names become labels."""
        return super().check_condition(self.labels_of(condition, num), num)


def find(name, names):
    """The index of a name, in which case and accents' form count only where they must, or None.

    Raises:
      ValueError: several are called so.
    """
    for same in (str, folded):
        found = [index for index, known in enumerate(names) if same(known) == same(name)]
        if len(found) > 1:
            raise ValueError(f"{len(found)} classes are called {name!r}: give the label, a number")
        if found:
            return found[0]
    return None
