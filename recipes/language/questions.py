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
    """First stands in the paragraph with the answer; an answer that holds it, in any case, is right."""

    def paragraph(self, texts: tuple[Text, ...]) -> str:
        """Return the first paragraph that holds the fact, in one line.

        Raises:
            UserError: The reference of this Python has none.
        """
        for text in texts:
            if text.name == self.topic:
                for paragraph in text.text.split("\n\n"):
                    if self.fact in (one_line := " ".join(paragraph.split())):
                        return one_line
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
    Question("raise", "The subclass or instance of what must an exception object be?", "BaseException"),
    Question("subscriptions", "What does the subscription of a generic class return?", "GenericAlias"),
    Question("subscriptions", "What does an expression list with a comma evaluate to?", "tuple"),
    Question("lists", "In which order are the elements of the list evaluated?", "left to right"),
    Question("typesmodules", "Which special attribute does every module have?", "__dict__"),
    Question("objects", "What of an object never changes once it has been created?", "identity"),
    Question("objects", "Which method usually releases an external resource?", "close()"),
    Question("break", "What does the loop control target keep if break ends the loop?", "current value"),
    Question("break", "Which clause is executed before really leaving the loop?", "finally"),
    Question("bitwise", "Which special methods override the operator for exclusive OR?", "__xor__"),
    Question("calls", "What must each key in the mapping of a **expression be?", "string"),
    Question("calls", "Which PEP proposed that calls accept any number of unpackings?", "448"),
    Question("class", "Which PEP introduced function and method decorators?", "318"),
    Question("context-managers", "What are the arguments if a context was exited normally?", "None"),
    Question("exceptions", "Which model of error handling does Python use?", "termination"),
    Question("exceptions", "For which exception is no stack traceback printed?", "SystemExit"),
    Question("for", "Which type represents arithmetic sequences of integers?", "range"),
    Question("function", "Which expressions create anonymous functions?", "lambda"),
    Question("function", "Which PEP describes positional-only parameters?", "570"),
    Question("global", "To what is the global statement a directive?", "parser"),
    Question("typesseq", "Which three basic sequence types are there?", "range objects"),
    Question("typesseq", "Which exception may functions such as len() raise on ranges?", "OverflowError"),
    Question("typesseq", "What suits collections where access by name is clearer?", "namedtuple"),
    Question("typesseq", "What is the sort() method guaranteed to be?", "stable"),
)
"""About texts of the part for searching."""
TEST = (
    Question("numbers", "Which types of numeric literals are there?", "imaginary"),
    Question("numbers", "What is the phrase -1 composed of, besides the literal 1?", "unary operator"),
    Question("bltin-code-objects", "Which function returns code objects?", "compile()"),
    Question("bltin-code-objects", "Which functions execute or evaluate a code object?", "exec()"),
    Question("floating", "With which radix are integer and exponent parts interpreted?", "10"),
    Question("atom-identifiers", "Which exception is raised when a name is not bound?", "NameError"),
    Question("exprlists", "What does an expression list with a comma yield?", "tuple"),
    Question("exprlists", "What does an asterisk denote?", "unpacking"),
    Question("typesmapping", "What is the only standard mapping type?", "dictionary"),
    Question("typesmapping", "In which order are pairs removed from a dictionary?", "LIFO"),
    Question("comparisons", "What kind of values do comparisons yield?", "boolean"),
    Question("comparisons", "What does an attempt at a default order comparison raise?", "TypeError"),
    Question("comparisons", "Which standard do comparisons of not-a-number comply with?", "754"),
    Question("comparisons", "By what of their characters do strings compare?", "code points"),
    Question("typesfunctions", "What is the only operation on a function object?", "call"),
    Question("typesfunctions", "Which two flavors of function objects are there?", "user-defined"),
    Question("attribute-access", "To a subclass of what can __class__ be set?", "ModuleType"),
    Question("attribute-references", "Which method is called first for references?", "__getattribute__"),
    Question("binary", "What is the @ operator intended to be used for?", "matrix multiplication"),
    Question("binary", "Which exception does division by zero raise?", "ZeroDivisionError"),
    Question("binary", "Which function are floor division and modulo connected with?", "divmod"),
    Question("binary", "For which numbers is the floor division operator not defined?", "complex"),
    Question("booleans", "With which method do objects customize their truth value?", "__bool__"),
    Question("compound", "Whose document inspired the descriptions of patterns?", "Hettinger"),
    Question("continue", "In which loops may continue occur?", "while"),
    Question("continue", "Which clause is executed before the next loop cycle?", "finally"),
    Question("dict", "What does a double asterisk denote?", "unpacking"),
    Question("dict", "What should the type of keys in a dictionary be?", "hashable"),
    Question("dict", "Which PEP proposed that the key is evaluated before the value?", "572"),
    Question("formatstrings", "What surrounds replacement fields?", "curly braces"),
    Question("formatstrings", "Which mark precedes the conversion field?", "exclamation"),
    Question("formatstrings", "Which function does the conversion flag !r call?", "repr()"),
    Question("formatstrings", "To what are negative zero floating-point values coerced?", "positive zero"),
    Question("id-classes", "What are system-defined names informally known as?", "dunder"),
    Question("id-classes", "In which module is the variable _ stored?", "builtins"),
    Question("naming", "What is the main module for a script always called?", "__main__"),
    Question("naming", "What is a variable used but not defined in a code block?", "free variable"),
    Question("naming", "What is the set of scopes visible to a code block called?", "environment"),
    Question("naming", "Which exception is raised if a local variable is not bound?", "UnboundLocalError"),
    Question("nonlocal", "What does binding search first by default?", "local namespace"),
    Question("power", "Which function has the semantics of the power operator?", "pow()"),
    Question("power", "In which order are power and unary operators evaluated?", "right to left"),
    Question("power", "Which exception does a negative power of 0.0 result in?", "ZeroDivisionError"),
    Question("sequence-types", "Which exception do values outside the set of indexes raise?", "IndexError"),
    Question("sequence-types", "To which protocol does reversed() fall back?", "sequence protocol"),
    Question("shifting", "As what is a right shift by n bits defined?", "floor division"),
    Question("slicings", "What does a slicing select in a sequence object?", "range of items"),
    Question("string-methods", "With what are centered strings padded by default?", "space"),
    Question("string-methods", "What is returned if the substring sub is not found?", "-1"),
    Question("try", "What do except* clauses handle?", "ExceptionGroup"),
    Question("try", "Which type may not be the superclass of an except* type?", "BaseExceptionGroup"),
    Question("typesmethods", "Which argument does a bound method add?", "self"),
    Question("typesmethods", "What results from setting an attribute on a method?", "AttributeError"),
    Question("unary", "Which special method overrides the unary minus operator?", "__neg__"),
    Question("unary", "What does the unary ~ operator yield?", "bitwise inversion"),
    Question("while", "What does the loop do once the else clause's suite is executed?", "terminates"),
    Question("with", "What happens to the value __exit__() returns without exception?", "ignored"),
    Question("yield", "In the body of which functions are yield expressions used?", "generator"),
)
"""About texts of the part for testing."""
