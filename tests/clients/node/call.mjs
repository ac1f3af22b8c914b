// One call of a Node SDK, for the tests: `node call.mjs '{"sdk":"openai-chat","prompt":"...","stream":true}'`.
// Prints one JSON object a line: {"sent"} for each attempt, {"piece"} as the answer arrives, then {"done"} or {"error"}.
// Node's fetch does not read HTTPS_PROXY (Node 20), so the proxy is given to the SDK as a dispatcher.
import { createHash } from "node:crypto";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { ProxyAgent } from "undici";

const { sdk, prompt, stream } = JSON.parse(process.argv[2]);
const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const options = {
  apiKey: "local-test-key",
  timeout: 30_000,
  fetchOptions: { dispatcher: new ProxyAgent(process.env.HTTPS_PROXY) },
  fetch: (url, init) => {
    if (init.body) say({ sent: createHash("sha256").update(init.body).digest("hex") });
    return fetch(url, init);
  },
};
const messages = [{ role: "user", content: prompt }];

const calls = {
  async "openai-chat"() {
    const client = new OpenAI(options);
    if (!stream) {
      const answer = await client.chat.completions.create({ model: "gpt-5.5", messages });
      return say({ piece: answer.choices[0].message.content });
    }
    for await (const chunk of await client.chat.completions.create({ model: "gpt-5.5", messages, stream })) {
      if (chunk.choices[0].delta.content) say({ piece: chunk.choices[0].delta.content });
    }
  },
  async "openai-responses"() {
    const client = new OpenAI(options);
    if (!stream) return say({ piece: (await client.responses.create({ model: "gpt-5.5", input: prompt })).output_text });
    for await (const event of await client.responses.create({ model: "gpt-5.5", input: prompt, stream })) {
      if (event.type === "response.output_text.delta") say({ piece: event.delta });
    }
  },
  async anthropic() {
    const client = new Anthropic(options);
    const question = { model: "claude-sonnet-5", max_tokens: 64, messages };
    if (!stream) return say({ piece: (await client.messages.create(question)).content[0].text });
    for await (const event of client.messages.stream(question)) {
      if (event.type === "content_block_delta") say({ piece: event.delta.text });
    }
  },
};

try {
  await calls[sdk]();
  say({ done: true });
} catch (error) {
  say({ error: { kind: error.constructor.name, status: error.status ?? 0, message: error.message } });
}
process.exit(0); // keep-alive connections of the agent would hold the process open
