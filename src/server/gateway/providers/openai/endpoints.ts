import type { Endpoint } from "../provider";

/** One segment that is an id. */
const ID = "[^/]+";

type Rule = { methods: readonly string[] | "any"; path: RegExp; endpoint: Endpoint };

const rule = (methods: Rule["methods"], path: string, endpoint: Endpoint): Rule => ({
  methods,
  path: new RegExp(`^/v1/${path}$`),
  endpoint,
});

const priced = (name: string, body: Endpoint["body"] = "json"): Rule => rule(["POST"], name, { class: "priced", name, body });
const free = (methods: Rule["methods"], path: string, name: string): Rule => rule(methods, path, { class: "free", name, body: "none" });

/** CONTRACT §1, in the order in which they are tried. */
const RULES: readonly Rule[] = [
  priced("chat/completions"),
  priced("responses"),
  priced("responses/compact"),
  priced("completions"),
  priced("embeddings"),
  priced("images/generations"),
  priced("images/edits", "multipart"),
  priced("audio/speech"),
  priced("audio/transcriptions", "multipart"),
  priced("audio/translations", "multipart"),
  free(["GET", "HEAD"], "models", "models"),
  free(["GET", "HEAD"], `models/${ID}`, "models/{id}"),
  free(["POST"], "moderations", "moderations"),
  free("any", "files", "files"),
  free("any", `files/${ID}`, "files/{id}"),
  free("any", `files/${ID}/content`, "files/{id}/content"),
  free(["GET", "HEAD", "DELETE"], `responses/${ID}`, "responses/{id}"),
  free(["POST"], `responses/${ID}/cancel`, "responses/{id}/cancel"),
  free(["GET", "HEAD"], `responses/${ID}/input_items`, "responses/{id}/input_items"),
  rule(["POST"], "batches", { class: "deferred", name: "batches", body: "none" }),
  free(["GET", "HEAD"], "batches", "batches"),
  free(["GET", "HEAD"], `batches/${ID}`, "batches/{id}"),
  free(["POST"], `batches/${ID}/cancel`, "batches/{id}/cancel"),
];

const OTHER: Endpoint = { class: "other", name: "other", body: "none" };

/** The busiest paths are found without trying the rules. */
const PRICED_BY_PATH = new Map(
  RULES.filter((entry) => entry.endpoint.class === "priced").map((entry) => [`/v1/${entry.endpoint.name}`, entry.endpoint]),
);

export function openaiEndpoint(method: string, path: string): Endpoint {
  const known = method === "POST" ? PRICED_BY_PATH.get(path) : undefined;
  if (known) return known;
  return RULES.find((entry) => (entry.methods === "any" || entry.methods.includes(method)) && entry.path.test(path))?.endpoint ?? OTHER;
}
