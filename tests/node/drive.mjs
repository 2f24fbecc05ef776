// The AI SDK on a line: each request on standard input is one call of the SDK, each answer a line on standard output.
//
//   {"url": "http://127.0.0.1:8421", "provider": "chat|responses|compatible|anthropic", "act": "generate|stream|...", ...}
//   -> {"ok": true, ...} or {"ok": false, "name": "AI_APICallError", "status": 400, "message": "..."}

import { createInterface } from "node:readline";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const MODEL = "test-model";
const settings = { maxRetries: 0 };

const providers = {
  chat: (url) => createOpenAI({ baseURL: `${url}/v1`, apiKey: "none" }).chat(MODEL),
  responses: (url) => createOpenAI({ baseURL: `${url}/v1`, apiKey: "none" }).responses(MODEL),
  compatible: (url) =>
    createOpenAICompatible({
      name: "hum",
      baseURL: `${url}/v1`,
      includeUsage: true,
      supportsStructuredOutputs: true,
    }).chatModel(MODEL),
  anthropic: (url) => createAnthropic({ baseURL: `${url}/v1`, apiKey: "none" })(MODEL),
};

const tools = Object.fromEntries(
  ["look", "hear"].map((name) => [
    name,
    tool({
      description: `To ${name}.`,
      inputSchema: z.object({ at: z.string() }),
      execute: async ({ at }) => `${name} at ${at}`,
    }),
  ]),
);

const told = (result) => ({
  text: result.text,
  reasoning: result.reasoningText ?? "",
  finish: result.finishReason,
  usage: [result.usage.inputTokens, result.usage.outputTokens, result.usage.totalTokens],
});

async function collect(stream) {
  const pieces = [];
  for await (const part of stream.fullStream) {
    if (part.type === "text-delta") pieces.push(part.text);
    if (part.type === "error") throw part.error;
  }
  const fields = ["text", "reasoningText", "finishReason", "usage", "totalUsage", "steps"];
  const values = await Promise.all(fields.map((name) => stream[name]));
  return { pieces, ...Object.fromEntries(fields.map((name, at) => [name, values[at]])) };
}

const stepsOf = (result) =>
  result.steps.map((step) => step.toolCalls.map((call) => [call.toolName, call.input]));

const acts = {
  async generate(model, { messages, options }) {
    return told(await generateText({ model, messages, ...settings, ...options }));
  },
  async stream(model, { messages, options }) {
    const result = await collect(streamText({ model, messages, onError() {}, ...settings, ...options }));
    return { ...told(result), pieces: result.pieces };
  },
  async tools(model, { messages, stream }) {
    const asked = { model, messages, tools, stopWhen: stepCountIs(3), ...settings };
    const result = stream ? await collect(streamText({ ...asked, onError() {} })) : await generateText(asked);
    return { ...told(result), steps: stepsOf(result) };
  },
  async object(model, { messages }) {
    const output = Output.object({ schema: z.object({ color: z.string() }) });
    const result = await generateText({ model, messages, output, ...settings });
    return { object: result.output };
  },
  async leave(model, { messages }) {
    const leaving = new AbortController();
    const stream = streamText({ model, messages, abortSignal: leaving.signal, onError() {}, ...settings });
    let first = "";
    for await (const text of stream.textStream) {
      first = text;
      leaving.abort();
      break;
    }
    return { first };
  },
};

async function embed({ url, texts }) {
  const provider = createOpenAICompatible({ name: "hum", baseURL: `${url}/v1` });
  const { embeddings, usage } = await embedMany({ model: provider.textEmbeddingModel(MODEL), values: texts, ...settings });
  return { embeddings, tokens: usage.tokens };
}

async function answer(asked) {
  try {
    const result = asked.act === "embed" ? await embed(asked) : await acts[asked.act](providers[asked.provider](asked.url), asked);
    return { ok: true, ...result };
  } catch (error) {
    return { ok: false, name: error.name ?? "", status: error.statusCode ?? null, message: String(error.message ?? JSON.stringify(error)) };
  }
}

globalThis.AI_SDK_LOG_WARNINGS = false;
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`);
}
