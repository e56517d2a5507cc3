"""A job's texts on their way through the tokenizer, a slice at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from opsconsole.engine.architecture import Architecture
from opsconsole.engine.cache import text_keys
from opsconsole.engine.estimate import SPECIAL, TokenEstimate
from opsconsole.engine.job import Job
from opsconsole.engine.tokenizing import PairTokenizer, Row

SLICE_TEXTS = 128
SLICE_CHARACTERS = 32_768
"""What is tokenised without looking up: about ten milliseconds. A longer text goes on its own."""


class Reading:
    """The inputs that a job's unknown documents give.

    Args:
        job: Whose.
        keys: The documents to read, each once, with what their outputs depend on.
        architecture: The model's.
        tokenizer: Its tokenizer.
        estimate: Learns how many characters make a token.

    Attributes:
        inputs: Each with its key: a bi-encoder's query first, then the documents' pieces.
        parts: Which of the inputs are a document's.
        truncated: Documents of which something was left out.
    """

    def __init__(
        self,
        job: Job,
        keys: dict[str, bytes],
        architecture: Architecture,
        tokenizer: PairTokenizer,
        estimate: TokenEstimate,
    ) -> None:
        self.keys = keys
        self.inputs: list[tuple[bytes, Row]] = []
        self.parts: dict[str, slice] = {}
        self.truncated: set[str] = set()
        self._query, self._options = job.query, job.options
        self._places: dict[str, int] = {}
        for number, document in enumerate(job.documents):
            self._places.setdefault(document, number)
        self._is_cross = architecture.family == "cross-encoder"
        self._prompts = architecture.query_prompt, architecture.document_prompt
        self._tokenizer = tokenizer
        self._estimate = estimate

    def slices(self) -> Iterator[None]:
        """Tokenise; yields between slices.

        Raises:
            InputTooLong: a text does not fit and may not be cut.
        """
        options, tokenizer = self._options, self._tokenizer
        if self._is_cross:
            query = tokenizer.query(self._query, options)
            beside = len(self._query)
            if beside > SLICE_CHARACTERS:
                yield
        else:
            self._read_query()
            beside = 0
        for index, texts in enumerate(_slices(self.keys)):
            if index:
                yield
            numbers = [self._places[text] for text in texts]
            if self._is_cross:
                rows = tokenizer.pair_rows(query, texts, options, numbers)
            else:
                prompt = self._prompts[1]
                rows = tokenizer.text_rows(texts, options, prompt=prompt, numbers=numbers)
            self._keep(texts, rows, beside)

    def document_of(self, slot: int) -> int | None:
        """Which document an input is of; ``None``: the query's."""
        for document, part in self.parts.items():
            if part.start <= slot < part.stop:
                return self._places[document]
        return None

    def _read_query(self) -> None:
        """A bi-encoder's query; one that is also a document of somebody is the same input."""
        limits = msgspec.structs.replace(
            self._options,
            max_tokens_per_doc=self._options.max_tokens_per_query,
            max_chunks_per_doc=1,
        )
        prompt = self._prompts[0]
        key = text_keys(limits, None, [prompt + self._query])[0]
        rows = self._tokenizer.text_rows([self._query], limits, prompt=prompt, numbers=None)
        self.inputs.append((key, rows[0][0]))

    def _keep(self, texts: list[str], groups: list[list[Row]], beside: int) -> None:
        characters = tokens = 0
        for text, rows in zip(texts, groups, strict=True):
            start = len(self.inputs)
            key = self.keys[text]
            if len(rows) == 1:
                self.inputs.append((key, rows[0]))
            else:
                self.inputs += [
                    (key + number.to_bytes(4, "big"), row) for number, row in enumerate(rows)
                ]
            self.parts[text] = slice(start, len(self.inputs))
            if rows[0].truncated:
                self.truncated.add(text)
            elif len(rows) == 1:
                characters += beside + len(text)
                tokens += len(rows[0].ids) - SPECIAL
        self._estimate.learn(characters, tokens)


def _slices(texts: Iterable[str]) -> Iterator[list[str]]:
    """Texts in their order, so many at a time as are soon tokenised; one at least."""
    part: list[str] = []
    characters = 0
    for text in texts:
        characters += len(text)
        if part and (len(part) == SLICE_TEXTS or characters > SLICE_CHARACTERS):
            yield part
            part, characters = [], len(text)
        part.append(text)
    if part:
        yield part
