"""Runs the official Python clients for python.test.ts.

One JSON job per line comes in, one JSON answer per line goes out. The clients are set up with what their manuals say and nothing
else: base URL, API key, headers. Retries stay as the clients have them, so that the suite sees whether one is provoked.
"""

import asyncio
import json
import sys

import anthropic
import openai

CLAUDE = "claude-haiku-4-5-20251001"
HI = [{"role": "user", "content": "hi"}]
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


class Clients:
    def __init__(self, job):
        self._openai = {"base_url": job["origin"] + "/v1", "api_key": job["openaiKey"], "default_headers": job["headers"]}
        self._anthropic = {"base_url": job["origin"], "api_key": job["anthropicKey"], "default_headers": job["headers"]}

    @property
    def openai(self):
        return openai.OpenAI(**self._openai)

    @property
    def anthropic(self):
        return anthropic.Anthropic(**self._anthropic)

    @property
    def async_openai(self):
        return openai.AsyncOpenAI(**self._openai)

    @property
    def async_anthropic(self):
        return anthropic.AsyncAnthropic(**self._anthropic)


def dumped(item):
    return item.model_dump(mode="json", warnings=False)


def chat(c):
    return dumped(c.openai.chat.completions.create(model="gpt-4o-mini", messages=HI))


def chat_streaming(c):
    return [dumped(chunk) for chunk in c.openai.chat.completions.create(model="gpt-4o-mini", messages=HI, stream=True)]


def chat_streaming_usage(c):
    stream = c.openai.chat.completions.create(
        model="gpt-4o-mini", messages=HI, stream=True, stream_options={"include_usage": True}
    )
    return [dumped(chunk) for chunk in stream]


def chat_tool(c):
    tool = {"type": "function", "function": {"name": "weather", "parameters": WEATHER}}
    return dumped(c.openai.chat.completions.create(model="gpt-4o-mini", messages=HI, tools=[tool]))


def chat_tool_streaming(c):
    tool = {"type": "function", "function": {"name": "weather", "parameters": WEATHER}}
    with c.openai.chat.completions.stream(model="gpt-4o-mini", messages=HI, tools=[tool]) as stream:
        return dumped(stream.get_final_completion())


def response(c):
    return dumped(c.openai.responses.create(model="gpt-5-mini", input="hi"))


def response_tool_streaming(c):
    tool = {"type": "function", "name": "weather", "parameters": WEATHER, "strict": False}
    return [dumped(e) for e in c.openai.responses.create(model="gpt-4.1-mini", input="hi", stream=True, tools=[tool])]


def embeddings(c):
    return dumped(c.openai.embeddings.create(model="text-embedding-3-small", input=["one", "two"]))


def openai_models(c):
    return [dumped(model) for model in c.openai.models.list()]


async def async_chat_streaming(c):
    async with c.async_openai as client:
        stream = await client.chat.completions.create(model="gpt-4o-mini", messages=HI, stream=True)
        return [dumped(chunk) async for chunk in stream]


def message(c):
    return dumped(c.anthropic.messages.create(model=CLAUDE, max_tokens=500, messages=HI))


def message_streaming(c):
    return [dumped(e) for e in c.anthropic.messages.create(model=CLAUDE, max_tokens=500, messages=HI, stream=True)]


def message_caching(c):
    system = [{"type": "text", "text": "You are brief.", "cache_control": {"type": "ephemeral"}}]
    return dumped(c.anthropic.messages.create(model=CLAUDE, max_tokens=100, system=system, messages=HI))


def message_caching_streaming(c):
    with c.anthropic.messages.stream(model=CLAUDE, max_tokens=100, messages=HI) as stream:
        return dumped(stream.get_final_message())


def message_tool_streaming(c):
    tool = {"name": "weather", "input_schema": WEATHER}
    with c.anthropic.messages.stream(model=CLAUDE, max_tokens=100, messages=HI, tools=[tool]) as stream:
        return dumped(stream.get_final_message())


def count_tokens(c):
    return dumped(c.anthropic.messages.count_tokens(model=CLAUDE, messages=HI))


def anthropic_models(c):
    return [dumped(model) for model in c.anthropic.models.list()]


async def async_message_streaming(c):
    async with c.async_anthropic as client:
        async with client.messages.stream(model=CLAUDE, max_tokens=500, messages=HI) as stream:
            pieces = [text async for text in stream.text_stream]
            return {"pieces": pieces, "message": dumped(await stream.get_final_message())}


JOURNEYS = [
    chat,
    chat_streaming,
    chat_streaming_usage,
    chat_tool,
    chat_tool_streaming,
    response,
    response_tool_streaming,
    embeddings,
    openai_models,
    async_chat_streaming,
    message,
    message_streaming,
    message_caching,
    message_caching_streaming,
    message_tool_streaming,
    count_tokens,
    anthropic_models,
    async_message_streaming,
]


def run(job):
    journey = next(journey for journey in JOURNEYS if journey.__name__ == job["journey"])
    result = journey(Clients(job))
    return asyncio.run(result) if asyncio.iscoroutine(result) else result


def described(error):
    """What a program that catches errors by their type can see."""
    return {
        "isAuthenticationError": isinstance(error, (openai.AuthenticationError, anthropic.AuthenticationError)),
        "type": type(error).__module__.split(".")[0] + "." + type(error).__name__,
        "status": getattr(error, "status_code", None),
        "code": getattr(error, "code", None),
        "body": getattr(error, "body", None),
        "message": str(error),
    }


for line in sys.stdin:
    try:
        answer = {"result": run(json.loads(line))}
    except Exception as error:  # Whatever it is, it belongs to this job: the next one may be fine.
        answer = {"error": described(error)}
    print(json.dumps(answer), flush=True)
