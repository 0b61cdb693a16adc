import io
import json
import urllib.error
import urllib.request

import pytest

from agents.fact_pipeline import ExtractRequest, Reply, UpdateRequest
from agents.facts import Note
from agents.prompts import extract as extract_prompt
from memgym.exam.reader import ReadingTask
from train.endpoint import ChatEndpoint, EndpointReader, EndpointTeacher

URL = "http://localhost:8000/v1"


@pytest.fixture
def server(monkeypatch):
    """A server that gives these answers in turn; keeps the requests it was sent."""
    requests = []

    def serve(*answers):
        queue = iter(answers)

        def urlopen(request, timeout):
            requests.append(request)
            answer = next(queue)
            if isinstance(answer, int):
                raise urllib.error.HTTPError(URL, answer, "no", {}, io.BytesIO(b'{"error":\n "no"}'))
            if isinstance(answer, Exception):
                raise answer
            return io.BytesIO(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

        monkeypatch.setattr(urllib.request, "urlopen", urlopen)
        return requests

    return serve


def says(text, finish="stop"):
    return {"choices": [{"message": {"content": text}, "finish_reason": finish}]}


def endpoint(**options):
    return ChatEndpoint(URL, "big", **{"wait": lambda seconds: None, **options})


def test_a_chat_is_posted_greedily_with_the_key_of_the_environment(server, monkeypatch):
    requests = server(says("Ann skis."), says("Ann sk", "length"))
    monkeypatch.setenv("OTHER_KEY", "secret")
    client = endpoint(key_variable="OTHER_KEY", max_new_tokens=9)
    assert client.complete("Be brief.", "Hm.") == Reply("Ann skis.")
    assert client.complete("Be brief.", "Hm.") == Reply("Ann sk", truncated=True)
    assert (requests[0].full_url, requests[0].get_header("Authorization")) == (
        f"{URL}/chat/completions",
        "Bearer secret",
    )
    assert json.loads(requests[0].data) == {
        "model": "big",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hm."}],
        "temperature": 0,
        "max_tokens": 9,
    }


def test_without_a_key_none_is_sent(server, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    requests = server(says("x"))
    endpoint().complete("", "")
    assert requests[0].get_header("Authorization") is None


def test_a_busy_server_is_asked_again_after_a_while(server):
    waits = []
    requests = server(429, 503, says("done"))
    assert endpoint(wait=waits.append).complete("", "").text == "done"
    assert waits == [1.0, 2.0]
    assert len(requests) == 3


def test_a_server_that_stays_busy_is_given_up(server):
    requests = server(*[503] * 9)
    with pytest.raises(OSError, match="HTTP 503"):
        endpoint().complete("", "")
    assert len(requests) == 4


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (401, 'HTTP 401 {"error": "no"}; set OPENAI_API_KEY to a valid key'),
        (404, 'HTTP 404 {"error": "no"}$'),
        (urllib.error.URLError("refused"), "refused.*is an OpenAI-compatible server running there"),
        (TimeoutError("too slow"), "too slow"),
        (b"<html>", "is an OpenAI-compatible server running there"),
        ({"error": "x"}, "the answer is no chat completion"),
    ],
)
def test_what_goes_wrong_is_said_in_one_line(server, answer, error):
    server(answer)
    with pytest.raises(OSError, match=error) as caught:
        endpoint().complete("", "")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("url", "model"), [("localhost:8000", "big"), ("file:///etc", "big"), (URL, "")])
def test_an_address_that_is_none_is_refused(url, model):
    with pytest.raises(ValueError, match=r"expected http://\.\.\. or https://\.\.\. and a model name"):
        ChatEndpoint(url, model)


def test_the_teacher_and_the_reader_ask_what_the_student_will_be_asked_but_explain_more(server):
    requests = server(says("Ann skis."), says("ADD"), says("Bern\nsince May"))
    teacher, reader = EndpointTeacher(endpoint()), EndpointReader(endpoint())
    note = (Note(1, "Ann swims."),)
    assert teacher.extract([ExtractRequest("Ann: I ski.", "2024-05-01", 0, 0)]) == [Reply("Ann skis.")]
    assert teacher.update([UpdateRequest("Ann skis.", note, "2024-05-01", 0, 0)]) == [Reply("ADD")]
    assert reader.answer([ReadingTask("Where?", "", ())]) == ["Bern"]
    system, user = (message["content"] for message in json.loads(requests[0].data)["messages"])
    assert (system, user) == (extract_prompt.SYSTEM["full"], "1 May 2024\nAnn: I ski.")
    assert (teacher.name, reader.name) == ("endpoint:big", "endpoint(big)")
