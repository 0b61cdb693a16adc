"""A teacher behind an OpenAI-compatible chat endpoint, hosted or local; needs the standard library only."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

from agents.answerer import read_answer
from agents.fact_pipeline import ExtractRequest, FactPipeline, Reply, UpdateRequest
from agents.prompts import answer as answer_prompt
from agents.prompts import extract as extract_prompt
from agents.prompts import update as update_prompt
from memgym.exam.reader import ReadingTask

TRIES = 4  # of a request that the server is too busy for
_BUSY = (429, 500, 502, 503, 504)


class ChatEndpoint:
    """Completes chats by ``POST <url>/chat/completions``, greedily."""

    def __init__(
        self,
        url: str,
        model: str,
        *,
        key_variable: str = "OPENAI_API_KEY",
        max_new_tokens: int = 256,
        timeout: float = 120.0,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """Create the client; nothing is sent yet.

        Args:
            url: Up to the version, such as "http://localhost:8000/v1".
            model: As the server calls it.
            key_variable: Environment variable that holds the key; without a value no key is sent.
            max_new_tokens: Longest reply.
            timeout: Seconds to wait for one.
            wait: Called with the seconds between two tries.

        Raises:
            ValueError: No http or https address, or no model.
        """
        if not url.startswith(("http://", "https://")) or not model:
            raise ValueError(
                f"endpoint url={url!r}, model={model!r}: expected http://... or https://... and a model name"
            )
        self.url = url.rstrip("/") + "/chat/completions"
        self.model = model
        self.key_variable = key_variable
        self.max_new_tokens = max_new_tokens
        self.timeout = timeout
        self._wait = wait

    def complete(self, system: str, user: str) -> Reply:
        """The reply to one chat.

        Raises:
            OSError: The server cannot be reached, refuses, or answers something else; one line says which.
        """
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        body = {"model": self.model, "messages": messages, "temperature": 0, "max_tokens": self.max_new_tokens}
        answer = self._post(json.dumps(body).encode())
        try:
            choice = answer["choices"][0]
            return Reply(choice["message"]["content"] or "", truncated=choice.get("finish_reason") == "length")
        except (KeyError, IndexError, TypeError) as error:
            raise OSError(f"{self.url}: the answer is no chat completion: {str(answer)[:200]}") from error

    def _post(self, body: bytes) -> Any:
        waits = iter([2.0**attempt for attempt in range(TRIES - 1)])
        while True:
            try:
                with urllib.request.urlopen(self._request(body), timeout=self.timeout) as response:
                    return json.load(response)
            except urllib.error.HTTPError as error:
                seconds = next(waits, None)
                if error.code not in _BUSY or seconds is None:
                    raise OSError(self._refusal(error)) from error
            except (urllib.error.URLError, TimeoutError, json.JSONDecodeError) as error:
                raise OSError(f"{self.url}: {error}; is an OpenAI-compatible server running there?") from error
            self._wait(seconds)

    def _request(self, body: bytes) -> urllib.request.Request:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(self.key_variable):
            headers["Authorization"] = f"Bearer {key}"
        return urllib.request.Request(self.url, data=body, headers=headers)

    def _refusal(self, error: urllib.error.HTTPError) -> str:
        said = " ".join(error.read().decode("utf-8", "replace").split())[:200]
        hint = f"; set {self.key_variable} to a valid key" if error.code in (401, 403) else ""
        return f"{self.url}: HTTP {error.code} {said}{hint}"


class EndpointTeacher(FactPipeline):
    """Extracts and updates through an endpoint, one request after the other."""

    def __init__(self, endpoint: ChatEndpoint, *, similar: int = 5) -> None:
        """Create the teacher."""
        super().__init__(f"endpoint:{endpoint.model}", similar=similar)
        self.endpoint = endpoint

    def extract(self, requests: Sequence[ExtractRequest]) -> list[Reply]:
        """Facts, by the prompt for models that follow instructions."""
        users = [extract_prompt.user_text(request.chunk, request.timestamp) for request in requests]
        return [self.endpoint.complete(extract_prompt.SYSTEM["full"], user) for user in users]

    def update(self, requests: Sequence[UpdateRequest]) -> list[Reply]:
        """Changes, by the prompt for models that follow instructions."""
        users = [update_prompt.user_text(request.fact, request.notes, request.timestamp) for request in requests]
        return [self.endpoint.complete(update_prompt.SYSTEM["full"], user) for user in users]


class EndpointReader:
    """Sits the exam through an endpoint; the ``Reader`` protocol of ``memgym.exam.reader``."""

    def __init__(self, endpoint: ChatEndpoint, *, window: int = 2000) -> None:
        """Create the reader.

        Args:
            endpoint: Answers one question at a time.
            window: Longest context, in lexical tokens.
        """
        self.endpoint = endpoint
        self.window = window
        self.name = f"endpoint({endpoint.model})"

    def answer(self, tasks: Sequence[ReadingTask]) -> list[str]:
        """One short line per task."""
        replies = [self.endpoint.complete(answer_prompt.SYSTEM, answer_prompt.user_text(task)) for task in tasks]
        return [read_answer(reply.text) for reply in replies]
