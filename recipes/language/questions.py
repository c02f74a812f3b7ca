"""Questions that Python's language reference answers, each with the word that a right answer holds."""

from __future__ import annotations

from dataclasses import dataclass

from recipes.common.run.contract import UserError
from recipes.language.texts import Text


@dataclass(frozen=True)
class Question:
    """A question about one paragraph."""

    topic: str
    """Name of the text with the answer."""
    question: str
    fact: str
    """Stands in the paragraph with the answer; an answer that holds it, in any case, counts as right."""

    def paragraph(self, texts: tuple[Text, ...]) -> str:
        """Return the paragraph with the answer.

        Raises:
            UserError: The reference of this Python has none.
        """
        for text in texts:
            if text.name == self.topic:
                for paragraph in text.text.split("\n\n"):
                    if self.fact in paragraph:
                        return paragraph
        raise UserError(
            f"no paragraph with {self.fact!r} in {self.topic!r} of this language reference; use Python 3.11"
        )

    def answered_by(self, answer: str) -> bool:
        """Whether an answer holds the fact."""
        return self.fact.lower() in answer.lower()


SEARCH = (
    Question("imaginary", "What kind of number does an imaginary literal yield?", "complex"),
    Question("in", "What does x in s evaluate to if x is a member of s?", "True"),
    Question("raise", "Which exception is raised if there is no active exception?", "RuntimeError"),
    Question("subscriptions", "What does the subscription of a generic class return?", "GenericAlias"),
    Question("lists", "In which order are the elements of the list evaluated?", "left to right"),
    Question("typesmodules", "Which special attribute does every module have?", "__dict__"),
    Question("objects", "What of an object never changes once it has been created?", "identity"),
    Question("break", "What does the loop control target keep if break ends the loop?", "current value"),
)
"""About texts of the part for searching."""
TEST = (
    Question("numbers", "Which types of numeric literals are there?", "imaginary"),
    Question("bltin-code-objects", "Which function returns code objects?", "compile()"),
    Question("floating", "With which radix are integer and exponent parts interpreted?", "10"),
    Question("atom-identifiers", "Which exception is raised when a name is not bound?", "NameError"),
    Question("exprlists", "What does an expression list with a comma yield?", "tuple"),
    Question("typesmapping", "What is the only standard mapping type?", "dictionary"),
    Question("comparisons", "What kind of values do comparisons yield?", "boolean"),
    Question("typesfunctions", "What is the only operation on a function object?", "call"),
)
"""About texts of the part for testing."""
