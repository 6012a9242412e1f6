// What Vercel's AI SDK makes of the gateway, as an OpenAI-compatible server and as Anthropic: a JSON object of
// results by name. Knows nothing but GATE_URL, GATE_KEY and NODE_FOLDER, which holds the packages.

import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const require = createRequire(process.env.NODE_FOLDER + '/')
const load = (name) => import(pathToFileURL(require.resolve(name)).href)
const { generateText, streamText, generateObject, jsonSchema, tool } = await load('ai')
const { createOpenAICompatible } = await load('@ai-sdk/openai-compatible')
const { createAnthropic } = await load('@ai-sdk/anthropic')

const baseURL = process.env.GATE_URL + '/v1'
const apiKey = process.env.GATE_KEY
const clients = {
  'openai-compatible': createOpenAICompatible({ name: 'gate', baseURL, apiKey, includeUsage: true }),
  anthropic: createAnthropic({ baseURL, apiKey })
}
const prompt = 'Is it open?'
const inputSchema = jsonSchema({ type: 'object', properties: { city: { type: 'string' } }, required: ['city'] })
const tools = { weather: tool({ description: 'The weather in a city.', inputSchema }) }
const named = (calls) => calls.map((call) => [call.toolName, call.input])

async function run (client, slug) {
  const model = client(`${slug}/says-text`)
  const whole = await generateText({ model, prompt, maxRetries: 0 })
  const stream = streamText({ model, prompt, maxRetries: 0 })
  let streamed = ''
  for await (const text of stream.textStream) streamed += text
  const streamedUsage = await stream.usage
  const asked = { model: client(`${slug}/says-both`), prompt, tools, maxRetries: 0 }
  const first = await generateText(asked)
  const second = streamText(asked)
  await second.consumeStream()
  const results = first.toolCalls.map((call) => ({
    type: 'tool-result',
    toolCallId: call.toolCallId,
    toolName: call.toolName,
    output: { type: 'text', value: `sunny in ${call.input.city}` }
  }))
  const messages = [{ role: 'user', content: prompt }, ...first.response.messages, { role: 'tool', content: results }]
  const third = await generateText({ model, messages, tools, maxRetries: 0 })
  return {
    whole: whole.text,
    usage: [whole.usage.inputTokens, whole.usage.outputTokens],
    streamed,
    streamed_usage: [streamedUsage.inputTokens, streamedUsage.outputTokens],
    calls: named(first.toolCalls),
    streamed_calls: named(await second.toolCalls),
    after_tools: third.text
  }
}

async function failure (client) {
  try {
    await generateText({ model: client('openai/fails-400'), prompt, maxRetries: 0 })
  } catch (error) {
    return `${error.name} ${error.statusCode}`
  }
  return 'none'
}

const found = {}
for (const [name, client] of Object.entries(clients)) {
  for (const slug of ['anthropic', 'openai', 'gemini', 'deepseek']) {
    found[`${name} to ${slug}`] = await run(client, slug)
  }
  found[`${name} fails`] = await failure(client)
}
console.log(JSON.stringify(found))
