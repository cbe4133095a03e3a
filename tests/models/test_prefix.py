"""An embedded engine goes on from words that all questions share; without any it says so."""

from types import SimpleNamespace

import numpy as np
import pytest

from mashbill import TeacherError
from mashbill.core.teacher import Question
from mashbill.models.prefixed import PrefixedTeacher


class Letters(PrefixedTeacher):
    def _compute_prefix(self, ids):
        self.prefix = ids.tolist()

    def _compute_logits(self, ids, lengths):
        return np.zeros((min(len(ids), len(lengths)), 256))


def of(text):
    return SimpleNamespace(ids=list(text.encode()))


TOKENIZER = SimpleNamespace(encode=of, encode_batch=lambda texts: [of(text) for text in texts])


def test_a_question_without_a_prefix_is_told_with_what_to_do():
    teacher = Letters(TOKENIZER, {}, 4)
    assert len(teacher.answer([Question("ab", "c", ("x", "y"))])) == 1
    assert teacher.prefix == [[97, 98]]
    with pytest.raises(TeacherError, match="let the prompt begin with some"):
        teacher.answer([Question("", "c", ("x", "y"))])
